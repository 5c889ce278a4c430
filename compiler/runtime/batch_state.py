"""The state of one run of a batch, and what an attempt of one of its items asks of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

from .below import below_call
from .call import Call, Given
from .controls import Controls
from .data_types import Results, Shared
from .loops import run_blocking
from .missing import Missing, ParameterError
from .pace import Pacer
from .result_writers import ResultsWriter
from .results_places import items_around
from .run import Run
from .settings import BatchSettings, file_of, names_items
from .stopping import Stoppable
from .streams import ItemsFile, ResultsFile
from .tally import MOST_KEPT, FirstFew, Timing
from .values import Capture

MOST_CONCURRENT = 100
"""The limit of `max_concurrent`, and of what `auto` finds."""

_BEFORE_THE_FIRST: Mapping[str, Any] = {}
"""Where `${__previous__}` is looked for by the first item."""


class BatchState(Stoppable):
    """The state of one run. It lives from `prep` to `post` and never on the node itself.

    A node can so be copied, shared between threads, and run again.
    """

    def __init__(
        self,
        node: BatchSettings,
        shared: Shared,
        items: list[Any] | ItemsFile,
        captures: Mapping[str, Capture],
        results: ResultsFile | None = None,
    ) -> None:
        super().__init__()
        self.below = below_call.get()
        """Where the call that the batch is started by hears of it; None if nobody wants to."""
        self.items_around = items_around.get()
        """The items whose nodes have started the workflow that the batch is in."""
        self.node_id = node.node_id
        self.alias = node.alias
        self.aliases = node.aliases
        self.file = file_of(type(node))
        """The file that the class was generated in."""
        self.namespaced = node.namespaced
        self.engine = node.engine
        self.shared = shared
        self.items = items
        self.limited_from: int | None = None
        """How many items there were, where the run takes only the first ones."""
        self.is_limited = False
        """Whether items are left that the run was not to take."""
        self.limit: int | None = None
        """How many items of a file the run takes."""
        self.results_file = results
        self.given = Given(**{name: capture.value for name, capture in captures.items()})
        self.references = {name: capture.reference for name, capture in captures.items()}
        """What each captured value was looked for as."""
        self.max_retries = node.max_retries
        self.retry_wait = node.retry_wait
        self.parallel = node.parallel
        self.is_adaptive = node.max_concurrent == "auto"
        self.max_concurrent = MOST_CONCURRENT if isinstance(node.max_concurrent, str) else node.max_concurrent
        self.fail_fast = node.error_handling == "fail_fast"
        self.results: Results = []
        """Empty where they go to a file."""
        self.done = 0
        """How many items have their outcome."""
        self.restored = 0
        """How many of them an earlier run has left."""
        most = None if results is None else MOST_KEPT
        self.errors = FirstFew(most)
        """The entries of `errors`."""
        self.warned = FirstFew(most)
        """What kinds of warning an item's node gave."""
        self.empty = FirstFew(MOST_KEPT)
        """The items that gave nothing."""
        self.timing = Timing()
        self.tolerated: int | None = None
        """How many items may fail; None if that is not bounded, or not known before the last item is read."""
        self.starts_workflows = hasattr(node.inner, "_compile_sub_workflow")
        """Whether the items' node is pflow's that runs a workflow, in which there may be batches, too."""
        self.inner_type = f"{type(node.inner).__module__}:{type(node.inner).__qualname__}"
        self.wrapped = node.inner
        """The node that the batch was made with; what runs may be a copy."""
        self.children: dict[str, str] = {}
        """Digests of the workflows that its items start, by name."""
        self.inner: Any = None
        """The node that runs the items one after the other: the run's own. None where each has one of its own."""
        self.is_async = hasattr(node.inner, "_run_async")
        """Whether the inner node is one of PocketFlow's asynchronous nodes."""
        self.run_blocking: Callable[[Coroutine[Any, Any, Any]], Any] = run_blocking
        """How an asynchronous inner node runs from synchronous code."""
        self.run: Run | None = None
        """What was asked for the run that the batch is part of; None before it begins."""
        self.controls: Controls | None = None
        """What holds for every call under keys that pflow does not have; None where none is written."""
        self.ended_early: str = ""
        """Why items are left that never ran, where no failed item is the reason."""
        self._too_many_failed = False
        """Whether that is so many failed items."""
        self.is_closed = False
        """Whether no further item may start."""
        self.pacer: Pacer | None = None
        """What says when a call may start, in place of what the settings say."""
        self.first_index = 0
        """That of the first item: of a file that is one of many, how many are in those before."""
        self.unreadable: Exception | None = None
        """Why the items could not be read to their end."""
        self.has_keys = names_items(node)
        """Whether its items have names."""
        self._settings = node
        self._counts = False  # whether cost or answers of items are kept
        self._own_run: Run | None = None
        self.previous: Any = Missing(_BEFORE_THE_FIRST, ("__previous__",))
        """The result of the last item that ended well, in order; Missing before there is one."""
        self._left: Iterator[tuple[int, Any]] | None = None
        self._rows: Iterator[Any] = iter(())
        self._items_in_file: int | None = None
        self._writer: ResultsWriter | None = None
        self._store: dict[str, Any] | None = None

    def __repr__(self) -> str:
        state = f"{self.how_many(self.done)} done"
        failed = f", {self.errors.count} failed" if self.errors.count else ""
        return f"<Batch {self.node_id!r}: {state}{failed}, {self.given!r}>"

    @property
    def total(self) -> int | None:
        """How many items there are; None as long as the end of their file has not been reached."""
        return self._items_in_file if isinstance(self.items, ItemsFile) else len(self.items)

    def how_many(self, items: int) -> str:
        """So many items, for a message: "3 of 10 items", or "3 items" where the total is not known."""
        if self.total is None:
            return "1 item" if items == 1 else f"{items} items"
        return f"{items} of {self.total} items"

    def first_item(self) -> tuple[()] | tuple[Any]:
        """The first item, if there is one, before the batch begins. Raises: StreamError."""
        return next(((item,) for item in self.items), ())

    def name_of(self, call: Call) -> str:
        """What the `key` of the annotation calls the item of `call`. Raises: ValueError, if it finds nothing there."""
        try:
            return self._settings.name_item(call)
        except ParameterError as error:
            raise ValueError(
                f"{self.node_id}: item [{call.index}]{self.places_of(call.index)} has no name, "
                f"`key` is {self._settings.key}: {error}"
            ) from error

    def places_of(self, *indexes: int) -> str:
        """Where the items with these indexes stand in their file, in brackets; "" where they come from none."""
        if not isinstance(self.items, ItemsFile):
            return ""
        places = [self.items.place_of(index - self.first_index) for index in indexes]
        return f" ({' and '.join(places)})" if all(places) else ""

    def close(self) -> None:
        """Let no further item start."""
        self.is_closed = True

    def stop(self) -> None:
        """Let no further item start, and none that has started try again."""
        self.is_closed = True
        self.stopped.set()

    def _end_early(self, why: str) -> None:
        self.is_closed = True
        self.ended_early = self.ended_early or why

    def end_if_too_many_failed(self, more: int = 0) -> None:
        """Let no further item start, if more have failed than may; `more` are those that have no outcome here yet."""
        failed = self.errors.count + more
        if self.tolerated is not None and failed > self.tolerated:
            declared = self._settings.tolerated_failures
            if self._too_many_failed:  # again, of one that was under way: it counts as well
                self.ended_early = ""
            self._too_many_failed = not self.ended_early
            self._end_early(
                f"{failed} item{'' if failed == 1 else 's'} failed, and tolerated_failures is "
                f"{self.tolerated if isinstance(self.items, list) else declared}"
            )

    def tell(self, text: str) -> None:
        """Say a line to whoever runs the workflow: by the run, if that says how, or else by the engine."""
        (self.run.tell if self.run is not None and self.run.tell is not None else self.engine.tell)(text)

    # What one attempt of an item asks.

    def store_of_an_item(self) -> dict[str, Any]:
        """A copy of the shared store, in which what every item has of its own is there to be filled in.

        A dict that need not grow for that is copied and filled in twice as fast. The first item copies the shared
        store, the others copy what that gave: nodes work on copies, so it does not change while the batch runs.
        """
        if self._store is None:
            aliases = self.aliases or (self.alias,)
            own = ("__warnings__", self.node_id, *aliases, "__index__", *self.engine.keys)
            self._store = {**self.shared, **dict.fromkeys(own)}
        return self._store.copy()

    def seconds_after(self, call: Call, exc: Exception) -> float:
        """How long to wait between the attempt that raised `exc` and the next one."""
        return self.retry_wait if self.controls is None else self.controls.pause_before_next(call, exc)

    def pause_after(self, call: Call, exc: Exception) -> bool:
        """Wait for another attempt after `exc`; see `wait`."""
        return self.wait(self.seconds_after(call, exc))
