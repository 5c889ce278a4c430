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

from .engine import PLAIN, Host
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
        """Whether this batch, or one that it runs inside of, ends early. That one of them fails fast
        does not count: its items in flight finish."""
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

    Raises: ValueError, if there is no such thing as `items` in the store; TypeError, if it is not a list.
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


def _kinds(warnings: dict[str, Any]) -> list[str]:
    """What kinds of warning an item's store holds: each names its own, or is just a text."""
    kinds = []
    for warning in warnings.values():
        said = warning.to_dict() if hasattr(warning, "to_dict") else warning
        kind = (said.get("kind") or said.get("id")) if isinstance(said, Mapping) else None
        kinds.append(kind or "runtime.warning")
    return list(dict.fromkeys(kind for kind in kinds if isinstance(kind, str))) or ["runtime.warning"]
