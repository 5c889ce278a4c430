"""One run of a batch: its items, what was captured for them, and what became of each.

A generated class goes through it in PocketFlow's own order: `prep` opens a `Batch`, the scheduler
takes a `Call` for each item and hands it to `exec`, and `post` writes the outcome.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .answers import leaving_out
from .call import Call, Given
from .controls import Controls, controls_of
from .data_types import Result, Results, Shared
from .engine import Engine
from .item_names import check_names, one_name
from .loops import run_blocking
from .missing import Missing, ParameterError
from .pace import Pacer
from .result_writers import ResultsWriter
from .results_places import Writer, items_around
from .run import RESUME_VARIABLE, Run, current_run
from .settings import BatchSettings, file_of, tolerated_of
from .stopping import Stoppable
from .stream_files import StreamError
from .streams import ItemsFile, ResultsFile, is_one_file, why_not_json
from .tally import MOST_KEPT, FirstFew, ItemNames, Timing, is_empty, kinds_of
from .values import Capture

if TYPE_CHECKING:
    from .ray_file_worker import Ended

MOST_CONCURRENT = 100
"""The limit of `max_concurrent`, and of what `auto` finds."""

_BEFORE_THE_FIRST: Mapping[str, Any] = {}
"""Where `${__previous__}` is looked for by the first item."""


class Batch(Stoppable):
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
        self.leaves_out = leaving_out.get()
        """The flag of the call that the batch is started by."""
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
        self.retry_wait = node.wait
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
        self.has_keys = bool(node.key)
        """Whether the annotation names its items."""
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

    # What every scheduler asks, in whatever thread or task it does so; where there are several, one at a time.

    def next_call(self) -> Call | None:
        """The next item that may start, in their order; None if none is left, or none may start any more."""
        if self._left is None:
            self._left = self._begin()
        if self.is_closed or (self.enclosing is not None and self.enclosing.is_stopped()):
            return None
        try:
            taken = next(self._left, None)
        except (StreamError, ValueError) as error:  # of a file of items, in which anything may stand
            self.is_closed, self.unreadable = True, error
            return None
        if taken is not None and self._counts and self.run is not None and (over := self.run.over_budget()):
            self._end_early(over)
            return None
        return None if taken is None else Call(self, taken[0], taken[1])

    def next_items(self, most: int) -> list[tuple[int, Any]]:
        """The next items that may start, up to `most` of them, where calls are made elsewhere; see `next_call`."""
        if self._left is None:
            self._left = self._begin()
        taken: list[tuple[int, Any]] = []
        if self.is_closed or (self.enclosing is not None and self.enclosing.is_stopped()):
            return taken
        try:
            taken.extend(itertools.islice(self._left, most))
        except (StreamError, ValueError) as error:  # those before it have been taken
            self.is_closed, self.unreadable = True, error
        if taken and self._counts and self.run is not None and (over := self.run.over_budget()):
            self._end_early(over)
            return []
        return taken

    def finish(self, call: Call, result: Result | None) -> None:
        """Keep what became of `call`: its result, its error, and what that means for the items that are left."""
        if self.results_file is not None:
            self._write(call, result)
        elif self.parallel:
            if call.index >= len(self.results):  # of a file, whose items nobody has counted
                self.results += [None] * (call.index + 1 - len(self.results))
            self.results[call.index] = result
        else:
            self.results.append(result)
        self.done += 1
        if call.restored:
            self.restored += 1
        record = None
        if call.error is None and not self.parallel:
            self.previous = result
        if call.error is not None:
            record = self.record(call)
            self.errors.add(call.index, record)
            if self.fail_fast:
                self.is_closed = True
                self.engine.on_stopping()
            else:
                self.end_if_too_many_failed()
        elif result is not None and is_empty(result):
            self.empty.add(call.index, None)
        if call.store is not None and (warnings := call.store.get("__warnings__")):
            call.warned = kinds_of(warnings)
        if call.warned:
            self.warned.add(call.index, call.warned)
        if result is not None and self._counts:
            self._count(call, result)
        self.engine.finished(call, record)
        self.timing.add(call.seconds)

    @property
    def only_counts(self) -> bool:
        """Whether an item that ends well has nothing but a result and a time, and nobody else is told: then
        `finish_group` is as good as `finish`."""
        is_heard = type(self.engine).finished is not Engine.finished
        return self.parallel and self.results_file is None and not (self._counts or self.has_keys or is_heard)

    def finish_group(self, indexes: Sequence[int], results: Sequence[Result], seconds: Sequence[float]) -> None:
        """Keep what became of items that ended well, once and for all of them."""
        missing = max(indexes, default=-1) + 1 - len(self.results)
        if missing > 0:  # of a file, whose items nobody has counted
            self.results += [None] * missing
        for index, result in zip(indexes, results, strict=True):
            self.results[index] = result
            if is_empty(result):
                self.empty.add(index, None)
        self.done += len(results)
        self.timing.add_all(seconds)

    def _write(self, call: Call, result: Result | None) -> None:
        """Append the result of a call that has ended well to its file; one that the file cannot hold has failed.

        Raises: StreamError.
        """
        if call.error is not None or result is None or self._writer is None:
            return
        try:
            self._writer.write(self.engine.for_file(result))
        except (TypeError, ValueError, RecursionError) as error:
            call.exception = error
            call.error = f"the result cannot be written to {self._writer.path}: {why_not_json(result)}"

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

    def record(self, call: Call) -> dict[str, Any]:
        """What `errors` says of a call that has failed."""
        try:
            return self.engine.error_record(call)
        except Exception as instead:  # noqa: BLE001  items and exceptions may be of any class; this one failed anyway
            summary = self.engine.summary(None) | {"summary": f"<not described: {type(instead).__name__}>"}
            return {
                "index": call.index,
                "item": call.item,
                "item_summary": summary,
                "error": call.error,
                "exception": call.exception,
            }

    def _count(self, call: Call, result: Result) -> None:
        """What `call` has cost, and its answer if that is worth keeping. Raises: JournalError."""
        if self.run is not None and not call.restored:
            self.run.pays(result, is_item=True)
        if call.error is None and self.controls is not None:
            self.controls.keep(call, result)

    def close(self) -> None:
        """Let no further item start."""
        self.is_closed = True

    def stop(self) -> None:
        """Let no further item start, and none that has started try again."""
        self.is_closed = True
        self.stopped.set()

    def _begin(self) -> Iterator[tuple[int, Any]]:
        """Get ready for the first item: whatever cannot be had is an error before anything was paid for.

        Raises: JournalError, StreamError, OSError; ValueError, if two items have one name.
        """
        try:
            return self._begun()
        except BaseException:
            self.end(ended_well=False)
            raise

    def _begun(self) -> Iterator[tuple[int, Any]]:
        if isinstance(self.items, ItemsFile):
            self._rows = iter(self.items)  # opened before anything else is touched
            if self.results_file is not None and is_one_file(self.items, self.results_file):
                raise StreamError(f"{self.node_id}: the results would replace the items in {self.items.path}")
        self._begin_run()
        settings = self._settings
        self.tolerated = tolerated_of(settings.tolerated_failures, self._total_for_a_share())
        if self.has_keys and isinstance(self.items, list):
            check_names(self, self.items)
        if self.results_file is not None:  # last: until here, the results of the run before are still there
            self._keep_results_of_others(self.results_file)
            self._writer = self.results_file.begun()
        if isinstance(self.items, ItemsFile):
            return self._read()
        self.results = [None] * len(self.items) if self.parallel and self._writer is None else []
        # Items side by side are those of the start; one after the other, a node may change the list it is in.
        return enumerate(list(self.items) if self.parallel else self.items)

    def _begin_run(self) -> None:
        enclosing = self.enclosing.run if self.enclosing is not None else None
        self.run = enclosing or current_run()
        settings = self._settings
        wants_journal = self.run.wants_journal(settings.resume) if self.run is not None else settings.resume
        if self.run is None and (wants_journal or RESUME_VARIABLE in os.environ):
            self.run = self._own_run = Run(self.engine.workflow(self) or f"{self.file}#{self.node_id}")
            wants_journal = self.run.wants_journal(settings.resume)
        if self.run is not None:
            self.run.has_batches = True
        journal = self.run.journal() if self.run is not None and wants_journal else None
        self.controls = controls_of(settings, self, journal, pacer=self.pacer)
        self._counts = self.controls is not None or (self.run is not None and self.run.budget is not None)
        if self.run is not None and journal is not None and (left := journal.found_of(self.node_id)):
            # Which items they are of is known when the items ask: it may be none, if the run has other inputs.
            (self.run.tell or self.engine.tell)(
                f"{self.node_id}: the journal of {os.path.basename(self.run.workflow)} holds {left} "
                f"answer{'s' if left > 1 else ''} of earlier runs; an item that asks the same is not run again"
            )

    def begin_in_parts(self, total: int) -> None:
        """Get ready, where others read the items, of which there are `total`, and write the results.

        Raises: StreamError; OSError.
        """
        assert isinstance(self.items, ItemsFile) and self.results_file is not None
        try:
            if is_one_file(self.items, self.results_file):
                raise StreamError(f"{self.node_id}: the results would replace the items in {self.items.path}")
            self._begin_run()
            self._keep_results_of_others(self.results_file)
            self.results_file.forget_earlier()
        except BaseException:
            self.end(ended_well=False)
            raise
        self._items_in_file = total
        self.tolerated = tolerated_of(self._settings.tolerated_failures, total)

    def finish_part(self, part: Ended) -> None:
        """Add what became of some of the items elsewhere."""
        self.done += part.done
        self.warned.merge(part.warned)
        self.empty.merge(part.empty)
        self.timing.merge(part.timing)
        self.errors.merge(part.errors)
        if part.unreadable is not None:
            self.is_closed, self.unreadable = True, part.unreadable
        if self.errors.count and self.fail_fast:
            self.is_closed = True
            self.engine.on_stopping()
        elif self.errors.count:
            self.end_if_too_many_failed()

    def _keep_results_of_others(self, results: ResultsFile) -> None:
        """Raises: StreamError, if others' results of this run are there: somebody may still read them."""
        if self.run is None:
            return
        other = self.run.results_places.taken_by(results.path, Writer(self.node_id, items_around.get()))
        if other is not None and other.node_id == self.node_id:
            raise StreamError(
                f"{self.node_id}: the results would replace those of another item that has started this workflow, in "
                f"{results.path}; put an input into the path that each item gives another value"
            )
        if other is not None:
            raise StreamError(
                f"{self.node_id}: the results would replace those of '{other.node_id}' in {results.path}; "
                "give each batch a results file of its own"
            )

    def _total_for_a_share(self) -> int | None:
        """How many items there are. Those of a file are counted where a share of them may fail: without their number
        only the end of the file would tell that too many have."""
        if not isinstance(self.items, ItemsFile) or not isinstance(self._settings.tolerated_failures, str):
            return self.total
        try:
            return sum(1 for _ in itertools.islice(self.items, self.limit))
        except StreamError:
            return None  # said when the items up to there have run

    def _read(self) -> Iterator[tuple[int, Any]]:
        """The items of a file. What can be known at its end only is judged there.

        Raises: StreamError, for a line that cannot be read; ValueError, if two items have one name, or one has none.
        """
        names = ItemNames() if self.has_keys else None
        number = self.first_index
        try:
            for item in self._rows:
                if number == self.limit:
                    self.is_limited = True
                    break
                if names is not None:
                    name = self.name_of(Call(self, number, item))
                    if (first := names.first_with(name, number)) is not None:
                        raise ValueError(one_name(self, first, number, name))
                yield number, item
                number += 1
        finally:
            if names is not None:
                names.close()
        self._items_in_file = number
        self.tolerated = tolerated_of(self._settings.tolerated_failures, number)
        self.end_if_too_many_failed()

    def name_of(self, call: Call) -> str:
        """What the `key` of the annotation calls the item of `call`. Raises: ValueError, if it finds nothing there."""
        try:
            return self._settings.name_item(call)
        except ParameterError as error:
            raise ValueError(
                f"{self.node_id}: item [{call.index}] has no name, `key` is {self._settings.key}: {error}"
            ) from error

    def _end_early(self, why: str) -> None:
        self.is_closed = True
        self.ended_early = self.ended_early or why

    def end(self, *, ended_well: bool) -> None:
        """The batch is over: let go of what only it has opened. Raises: StreamError; JournalError."""
        self.engine.ended(self)
        if self.controls is not None:
            self.controls.close()
        run, self._own_run = self._own_run, None
        writer, self._writer = self._writer, None
        try:
            for reading in (self._left, self._rows):
                if isinstance(reading, Generator):
                    reading.close()
            if writer is not None:
                writer.close()
        except BaseException:
            ended_well = False
            raise
        finally:
            if self.results_file is not None:
                self.results_file.let_go()
            if run is not None:
                run.close(ended_well=ended_well)

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
