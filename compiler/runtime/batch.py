"""One run of a batch: its items, what was captured for them, and what became of each.

A generated class goes through it in PocketFlow's own order: `prep` opens a `Batch`, the scheduler
takes a `Call` for each item and hands it to `exec`, and `post` writes the outcome. The state of a batch stands in
`batch_state.py`, and what becomes of its items in `batch_outcomes.py`. Here is which item comes next, and how a batch
begins and ends.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator, Iterator
from typing import Any

from .batch_outcomes import BatchOutcomes
from .below import written_by
from .call import Call
from .controls import controls_of
from .item_names import check_names, one_name
from .results_places import Writer
from .run import RESUME_VARIABLE, Run, current_run
from .settings import tolerated_of
from .stream_files import StreamError
from .streams import ItemsFile, ResultsFile, is_one_file
from .tally import ItemNames


class Batch(BatchOutcomes):
    """One run, from its first item to its last.

    Schedulers ask for the next item in whatever thread or task they do so; where there are several, one at a time.
    """

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

    def _begin(self) -> Iterator[tuple[int, Any]]:
        """Get ready for the first item: whatever cannot be had is an error before anything was paid for.

        Raises: JournalError, StreamError, OSError; ValueError, if two items have one name.
        """
        try:
            return self._set_up()
        except BaseException:  # an interrupt, too: what was opened is let go of
            self.end(ended_well=False)
            raise

    def _set_up(self) -> Iterator[tuple[int, Any]]:
        """`_begin`, which lets go of everything where this fails."""
        if isinstance(self.items, ItemsFile):
            self._rows = iter(self.items)  # opened before anything else is touched
            if self.results_file is not None:
                self._keep_items(self.items, self.results_file)
        self._begin_run()
        settings = self._settings
        self.tolerated = tolerated_of(settings.tolerated_failures, self._total_for_a_share())
        if self.has_keys and isinstance(self.items, list):
            check_names(self, self.items)
        if self.results_file is not None:  # last: until here, the results of the run before are still there
            self._keep_results_of_others(self.results_file)
            self._writer = self.results_file.begin()
        if isinstance(self.items, ItemsFile):
            return self._read()
        self.results = [None] * len(self.items) if self.parallel and self._writer is None else []
        # Items side by side are those of the start; one after the other, a node may change the list it is in.
        return enumerate(list(self.items) if self.parallel else self.items)

    def _keep_items(self, items: ItemsFile, results: ResultsFile) -> None:
        """Raises: StreamError, if the results would replace the file that the items are read from."""
        if is_one_file(items, results):
            raise StreamError(f"{self.node_id}: the results would replace the items in {items.path}")

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
            self.tell(
                f"{self.node_id}: the journal of {os.path.basename(self.run.workflow)} holds {left} "
                f"answer{'s' if left > 1 else ''} of earlier runs; an item that asks the same is not run again"
            )

    def begin_in_parts(self, total: int) -> None:
        """Get ready, where others read the items, of which there are `total`, and write the results.

        Raises: StreamError; OSError.
        """
        assert isinstance(self.items, ItemsFile) and self.results_file is not None
        try:
            self._keep_items(self.items, self.results_file)
            self._begin_run()
            self._keep_results_of_others(self.results_file)
            self.results_file.forget_earlier()
        except BaseException:  # as in `_begin`
            self.end(ended_well=False)
            raise
        self._items_in_file = total
        self.tolerated = tolerated_of(self._settings.tolerated_failures, total)

    def _keep_results_of_others(self, results: ResultsFile) -> None:
        """Raises: StreamError, if others' results of this run are there: somebody may still read them."""
        if self.run is not None:
            self.run.results_places.claim(results.path, Writer(self.node_id, self.items_around))

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
                    if (first := names.add(name, number)) is not None:
                        raise ValueError(one_name(self, first, number, name))
                yield number, item
                number += 1
        finally:
            if names is not None:
                names.close()
        self._items_in_file = number
        self.tolerated = tolerated_of(self._settings.tolerated_failures, number)
        self.end_if_too_many_failed()

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
                if self.below is not None and self.results_file is not None:
                    self.below.write(written_by(self, self.results_file))
        except BaseException:  # noted, and raised again
            ended_well = False
            raise
        finally:
            if self.results_file is not None:
                self.results_file.let_go()
            if run is not None:
                run.close(ended_well=ended_well)
