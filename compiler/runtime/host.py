"""What differs between the places where a batch can run: plain PocketFlow, or inside an engine.

`PLAIN` is for PocketFlow: it keeps to the shared store. An engine sets `node.host` to its own `Host`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .store import NodeStore
from .summary import summarise

if TYPE_CHECKING:
    from .batch import Batch, Call, Result, Shared
    from .values import ParameterError

_REPLACED = frozenset(("params", "successors"))  # never changed in place
_HOOKS = frozenset(
    "__new__ __slots__ __copy__ __deepcopy__ __reduce__ __reduce_ex__ __getnewargs__ __getnewargs_ex__ "
    "__getstate__ __setstate__".split()
)
_PLAIN_TYPES = (str, int, float, bool, bytes, type(None))


class Host:
    """How a batch talks to the engine around it. Every method may be overridden."""

    view: type[NodeStore] = NodeStore
    """The item's store as its node sees it."""

    def open(self, batch: Batch) -> None:
        """A run over `batch.items` is about to start."""

    def place(self, batch: Batch) -> str:
        """Where the node stands in its workflow, as notes on exceptions begin; "" if that is not known."""
        return ""

    def prepare(self, call: Call, inner: Any, store: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        """`inner` is about to run in `store`: the parameters to set on it, given those of the generated class."""
        return params

    def replacing(self, call: Call, written: Any) -> None:
        """The node wrote an output called `item`, and `call.item` is about to take its place."""

    def unresolved(self, node: Any, call: Call, error: ParameterError) -> Result:
        """What becomes of a call whose parameters have no value, instead of its result.

        Raises: `error`, or what the engine says in its place.
        """
        raise error

    def finished(self, call: Call, record: dict[str, Any] | None) -> None:
        """`call` has its outcome; `record` is its entry of `errors`, if it failed. One caller at a time."""

    def stopping(self) -> None:
        """Some items will not run, since one failed or the batch was interrupted: what runs may stop early."""

    def interrupted(self, batch: Batch, outcome: dict[str, Any]) -> None:
        """The batch ends early, by Ctrl-C or a cancellation; `outcome` is what was done by then."""

    def minds_empty_output(self, batch: Batch) -> bool:
        """Whether an item that gave nothing is worth a warning."""
        return True

    def aborts(self, exception: Exception) -> bool:
        """Whether `exception` ends the whole batch at once, without retries and without an outcome."""
        if getattr(exception, "retriable", True) or getattr(exception, "cancelled", False):
            return False
        return bool(getattr(exception, "batch_fatal", True))

    def items_error(self, message: str, source: str, shared: Shared) -> str:
        """The text of an error about the items, given the items' template and the store."""
        return message

    def store(self, call: Call) -> dict[str, Any]:
        """The store that one item works in: what is there before the item and its node come in."""
        return dict(call.batch.shared)

    def copier(self, inner: Any) -> Callable[[], Any]:
        """What makes copies of `inner`, one for each concurrent call.

        Nodes keep state on themselves (`params`, PocketFlow's `cur_retry`), so two calls at a time must
        never share one. Where all of it is plain values, a shallow copy is as good as a deep one, and
        much cheaper; what cannot be copied at all (a lock, a connection) is shared, as a PocketFlow
        `Flow` does.
        """
        if is_plain(inner):
            return lambda: _shallow(inner)
        try:
            copy.deepcopy(inner)
        except Exception:  # noqa: BLE001  whatever stands in the way of a copy, sharing is the other choice
            return lambda: copy.copy(inner)
        return lambda: copy.deepcopy(inner)

    def error_record(self, call: Call) -> dict[str, Any]:
        """The entry of `errors` for a failed call."""
        record = {
            "index": call.index,
            "item": call.item,
            "item_summary": self.summary(call.item),
            "error": call.error,
            "exception": call.exception,
        }
        provider = _provider_message(call)
        if provider:
            record["provider_message"] = provider
        child = call.result.get("_pflow_child_failure") if call.result is not None else None
        if isinstance(child, dict):
            record["child_failure"] = child
        return record

    def summary(self, item: Any) -> dict[str, Any]:
        """A short description of an item that failed."""
        return summarise(item)

    def reporter(self, batch: Batch) -> Callable[[Call, int], None] | None:
        """What to call in the caller's thread with every finished call and how many there are by then.

        None: nobody wants to know, and the caller's thread need not wake up for it.
        """
        callback = batch.shared.get("__progress_callback__")
        if not callable(callback):
            return None
        depth = batch.shared.get("_pflow_depth", 0)
        total = len(batch.items)

        def report(call: Call, done: int) -> None:
            try:
                callback(
                    batch.node_id,
                    "batch_progress",
                    call.seconds * 1000,
                    depth,
                    batch_current=done,
                    batch_total=total,
                    batch_success=call.error is None,
                )
            except Exception:  # noqa: BLE001  what shows progress must never decide whether the work succeeds
                return

        return report

    def warn(self, batch: Batch, warnings: list[str]) -> None:
        """Put `warnings` into the store's `__warnings__`, under the node's id."""
        if warnings:
            batch.shared.setdefault("__warnings__", {})[batch.node_id] = f"Batch '{batch.node_id}': " + "; ".join(
                warnings
            )


PLAIN = Host()


def is_plain(node: Any) -> bool:
    """Whether a shallow copy of `node` is as good as a deep one: its class says nothing about copies, and
    its state is plain values."""
    return all(_HOOKS.isdisjoint(vars(base)) for base in type(node).__mro__[:-1]) and all(
        key in _REPLACED or isinstance(value, _PLAIN_TYPES) for key, value in vars(node).items()
    )


def _shallow(node: Any) -> Any:
    """What `copy.copy` makes of a node that is plain, several times as fast."""
    made = object.__new__(type(node))
    made.__dict__.update(node.__dict__)
    return made


def _provider_message(call: Call) -> str:
    """What a model provider said, where the node kept it on its error."""
    context = call.result.get("_diagnostic_context") if call.result is not None else None
    said = context.get("provider_message") if isinstance(context, dict) else None
    if not (isinstance(said, str) and said.strip()):
        said = getattr(call.exception, "provider_message", None)
    return said if isinstance(said, str) and said.strip() else ""
