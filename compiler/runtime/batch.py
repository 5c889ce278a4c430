"""One run of a batch: its items, what was captured for them, and what became of each.

A generated class goes through it in PocketFlow's own order: `prep` opens a `Batch`, the scheduler
makes a `Call` of each item and hands it to `exec`, and `post` publishes the outcome.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Coroutine, Mapping, MutableMapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Protocol

from .host import PLAIN, Host
from .loops import TICK, raise_if_cancelled, run_blocking
from .values import MISSING, LateText, array

Shared = MutableMapping[str, Any]
"""PocketFlow's shared store."""

Result = dict[str, Any]
"""What one item gave: the inner node's outputs, `item` and `original_index`."""

Results = list["Result | None"]
"""A result per item that was started, in the order of the items; None for a failed one."""


around: ContextVar[Batch | None] = ContextVar("around", default=None)
"""In a batch's worker thread: that batch. One that its nodes run in turn finds here who may stop it."""


class Stopped(BaseException):
    """A batch ends early since the one around it did. No error of the node's, which would be an item's outcome."""


class Lowered(Protocol):
    """What the runtime needs to know of a generated class."""

    node_id: str
    alias: str
    inner: Any
    max_retries: int
    wait: float


class Batch:
    """The state of one run. It lives from `prep` to `post` and never on the node itself.

    A node can so be copied, shared between threads, and run again.
    """

    def __init__(self, node: Lowered, shared: Shared, items: list[Any], captured: dict[str, Any]) -> None:
        self.node_id = node.node_id
        self.alias = node.alias
        self.file: str = type(node).__init__.__code__.co_filename
        """The file that the class was generated in."""
        self.namespaced: bool = getattr(node, "namespaced", True)
        self.host: Host = getattr(node, "host", PLAIN)
        self.shared = shared
        self.items = items
        self.captured = SimpleNamespace(**captured)
        self.captured_text = SimpleNamespace(
            **{name: value if type(value) is str else LateText(value) for name, value in captured.items()}
        )
        """The captured values as they read inside an f-string."""
        self.max_retries = node.max_retries
        self.retry_wait = node.wait
        self.parallel = False
        self.max_concurrent = 1
        self.fail_fast = True
        self.errors: list[dict[str, Any]] = []
        self.warned: dict[int, list[str]] = {}
        """What kinds of warning an item's node gave, by the item's index."""
        self.seconds: list[float] = []
        """How long each finished item took."""
        self.stopped = threading.Event()
        """Set when the batch ends early: nothing is tried again, and waits for another attempt end."""
        self.around = around.get()
        self.is_async = hasattr(node.inner, "_run_async")
        """Whether the inner node is one of PocketFlow's asynchronous nodes."""
        self.run_blocking: Callable[[Coroutine[Any, Any, Any]], Any] = run_blocking
        """How an asynchronous inner node runs from synchronous code."""
        self._store: dict[str, Any] | None = None

    def store_of_an_item(self) -> dict[str, Any]:
        """A copy of the shared store, in which what every item has of its own is there to be filled in.

        A dict that need not grow for that is copied and filled in twice as fast. The first item copies the shared
        store, the others copy what that gave: nodes work on copies, so it does not change while the batch runs.
        """
        if self._store is None:
            own = ("__warnings__", self.node_id, self.alias, "__index__", *self.host.keys)
            self._store = {**self.shared, **dict.fromkeys(own)}
        return self._store.copy()

    def is_stopped(self) -> bool:
        """Whether this batch, or one that it runs inside of, ends early. That one of them fails fast is no
        reason: its items under way finish."""
        return self.stopped.is_set() or (self.around is not None and self.around.is_stopped())

    def raise_if_stopped(self) -> None:
        """Raises: Stopped, if a batch that this one runs inside of ends early."""
        if self.around is not None and self.around.is_stopped():
            raise Stopped

    def pause(self) -> bool:
        """Wait for another attempt; True if the batch was stopped meanwhile.

        Raises: Stopped, if one around it was.
        """
        end = time.monotonic() + self.retry_wait
        while (left := end - time.monotonic()) > 0 and not self.stopped.wait(min(left, TICK)):
            raise_if_cancelled()
            self.raise_if_stopped()
        self.raise_if_stopped()
        return self.stopped.is_set()

    def finish(self, call: Call) -> None:
        """Count `call` as done and keep its error. One caller at a time."""
        record = None
        if call.error is not None:
            record = self.host.error_record(call)
            self.errors.append(record)
            if self.fail_fast:
                self.host.stopping()
        self.host.finished(call, record)
        store = call.store
        if store is not None and (warnings := store.get("__warnings__")) and isinstance(warnings, dict):
            self.warned[call.index] = _kinds(warnings)
        self.seconds.append(call.seconds)


class Call:
    """One item on its way through `exec`.

    After the last attempt, `error` says what went wrong (None: nothing did), `exception` holds what
    was raised, and `seconds` how long all attempts took.
    """

    attempt = 0  # counts from 1
    entered = 0  # the last attempt that got as far as the inner node
    inner: Any = None  # the inner node, from then on
    error: str | None = None
    exception: Exception | None = None
    result: Result | None = None
    seconds = 0.0
    store: dict[str, Any] | None = None  # the item's private copy of the shared store, kept over its attempts
    engine: Any = None  # for the host's own use
    said: Any = ()  # likewise: what the item's own progress said, to be shown later

    def __init__(self, batch: Batch, index: int, item: Any) -> None:
        self.batch = batch
        self.index = index
        self.item = item
        self.captured = batch.captured
        self.captured_text = batch.captured_text

    @property
    def total(self) -> int:
        """How many items the batch has."""
        return len(self.batch.items)


def open_batch(node: Lowered, shared: Shared, items: Any, /, **captured: Any) -> Batch:
    """Start a run over `items`, a list or a JSON array in a string; `captured` is read by every call.

    Raises: ValueError, if there is no such thing as `items` in the store; TypeError, if it is no list.
    """
    items = array(items)
    source = getattr(node, "items", "")
    host: Host = getattr(node, "host", PLAIN)
    if items is MISSING or items is None:
        raise ValueError(
            host.items_error(
                f"Node '{node.node_id}': batch items template '{source}' resolved to None. "
                "Ensure the referenced node output exists.",
                source,
                shared,
            )
        )
    if not isinstance(items, list):
        raise TypeError(
            host.items_error(
                f"Node '{node.node_id}': batch items must be an array, got {type(items).__name__}. "
                f"Template '{source}' resolved to: {items!r}",
                source,
                shared,
            )
        )
    batch = Batch(node, shared, items, captured)
    host.open(batch)
    return batch


def publish(shared: Shared, batch: Batch, results: Results) -> str:
    """Write the outcome of `batch` to `shared[node_id]`, then answer the action "default".

    `results` holds the successes; `errors` the failures, by index; nothing is lost when this raises.

    Raises: the first failed item's own exception (or a RuntimeError that names it) when the batch stops
    at the first failure; RuntimeError when every item failed.
    """
    outcome = shared[batch.node_id] = outcome_of(batch, results)
    if not batch.fail_fast and batch.errors and not outcome["results"]:
        raise RuntimeError(_all_failed(batch))
    batch.host.warn(batch, _warnings(batch, results))
    if batch.fail_fast and batch.errors:
        raise _first_failure(batch)
    return "default"


def publish_interrupted(batch: Batch, results: Results, interrupt: BaseException) -> None:
    """Write what was done when `interrupt` (Ctrl-C, a cancellation) came, and say so on it."""
    outcome = batch.shared[batch.node_id] = outcome_of(batch, results)
    batch.host.interrupted(batch, outcome)
    if hasattr(interrupt, "add_note"):  # Python 3.11
        interrupt.add_note(
            f"{batch.node_id}: interrupted when {outcome['count']} of {len(batch.items)} items were done; "
            f"their outcome is in shared[{batch.node_id!r}]"
        )


def outcome_of(batch: Batch, results: Results) -> dict[str, Any]:
    """What downstream nodes read: `results`, the counts, `errors` by index, `batch_metadata`."""
    batch.errors.sort(key=lambda error: int(error["index"]))
    if batch.errors:
        failed = {error["index"] for error in batch.errors}
        successes = [result for index, result in enumerate(results) if result is not None and index not in failed]
    else:
        successes = [result for result in results if result is not None]
    return {
        "results": successes,
        "count": len(successes) + len(batch.errors),
        "success_count": len(successes),
        "error_count": len(batch.errors),
        "errors": batch.errors,
        "batch_metadata": {
            "parallel": batch.parallel,
            "max_concurrent": batch.max_concurrent if batch.parallel else None,
            "max_retries": batch.max_retries,
            "retry_wait": batch.retry_wait if batch.retry_wait > 0 else None,
            "execution_mode": "parallel" if batch.parallel else "sequential",
            "timing": _timing(batch),
        },
    }


def _timing(batch: Batch) -> dict[str, float] | None:
    if not batch.seconds:
        return None
    total = sum(batch.seconds) * 1000
    return {
        "total_items_ms": round(total, 2),
        "avg_item_ms": round(total / len(batch.seconds), 2),
        "min_item_ms": round(min(batch.seconds) * 1000, 2),
        "max_item_ms": round(max(batch.seconds) * 1000, 2),
    }


def _all_failed(batch: Batch) -> str:
    listed = "; ".join(f"[{error['index']}] {error['error']}" for error in batch.errors[:3])
    more = f" (+{len(batch.errors) - 3} more)" if len(batch.errors) > 3 else ""
    return (
        f"Batch '{batch.node_id}': all {len(batch.errors)} items failed, "
        f"no successful results to continue with. Errors: {listed}{more}"
    )


def _first_failure(batch: Batch) -> Exception:
    # What stopped because another one failed is not what the batch failed of.
    own = (error for error in batch.errors if not getattr(error["exception"], "cancelled", False))
    error = next(own, batch.errors[0])
    exception = error["exception"]
    if isinstance(exception, Exception):
        return exception
    lines = str(error["error"]).splitlines()
    start = next((n for n, line in enumerate(lines) if line.strip()), None)
    headline = "Unknown error" if start is None else lines[start].strip()
    details = "" if start is None else "\n".join(lines[start + 1 :]).strip()
    message = (
        f"Batch '{batch.node_id}' failed at item [{error['index']}]: {headline}\n"
        f"  item: {error['item_summary']['summary']}"
    )
    return RuntimeError(f"{message}\n\n{details}" if details else message)


def _warnings(batch: Batch, results: Results) -> list[str]:
    """What a run that did not fail should still say: errors it went on after, items that gave nothing."""
    said = []
    if not batch.fail_fast and batch.errors:
        said.append(f"{len(batch.errors)} error(s) out of {len(results)} items")
    failed = {error["index"] for error in batch.errors}
    empty = [n for n, result in enumerate(results) if result is not None and _is_empty(result) and n not in failed]
    if empty and batch.host.minds_empty_output(batch):
        listed = ", ".join(map(str, empty[:5])) + (f" (+{len(empty) - 5} more)" if len(empty) > 5 else "")
        said.append(f"{len(empty)} item(s) produced empty output (items {listed})")
    if batch.warned:
        listed = ", ".join(f"{index} [{', '.join(kinds)}]" for index, kinds in sorted(batch.warned.items()))
        said.append(f"{len(batch.warned)} item(s) reported warnings (items {listed})")
    return said


def _kinds(warnings: dict[str, Any]) -> list[str]:
    """What kinds of warning an item's store holds: each names its own, or is just a text."""
    kinds = []
    for warning in warnings.values():
        said = warning.to_dict() if hasattr(warning, "to_dict") else warning
        kind = (said.get("kind") or said.get("id")) if isinstance(said, Mapping) else None
        kinds.append(kind or "runtime.warning")
    return list(dict.fromkeys(kind for kind in kinds if isinstance(kind, str))) or ["runtime.warning"]


_NO_OUTPUT = frozenset(("item", "original_index", "error", "exception"))


def _is_empty(result: Result) -> bool:
    for key, value in result.items():
        if value is not None and value != "" and value != [] and value != {}:
            if key in _NO_OUTPUT or key[:1] == "_":
                continue
            return False
    return True
