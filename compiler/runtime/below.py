"""The outcomes of the batches below an item: those in the workflow that its node starts, and further down."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from .results_places import Writer, real_path
from .stream_files import StreamError

if TYPE_CHECKING:
    from .batch_state import BatchState
    from .call import Call
    from .streams import ResultsFile


class WrittenBelow(NamedTuple):
    """Results in a file, or in many, that a batch below an item has written. An answer is as good as these are."""

    path: str
    """What stands for them: a real path, with a star for many."""
    node_id: str
    """The batch."""
    items: Sequence[tuple[str, int]]
    """The items between, from the outermost one: the batch and the index."""
    files: Mapping[str, Sequence[int]]
    """Their real paths, with the size in bytes and the time of the last change in ns."""

    def as_json(self) -> list[Any]:
        """The same of what JSON has."""
        return [self.path, self.node_id, [list(item) for item in self.items], dict(self.files)]


class Below:
    """What batches below one call say. It hears of all of them, however deep."""

    def __init__(self, call: Call) -> None:
        self.left_items_out = False
        """Whether one has ended with items that failed or never ran."""
        self.written: dict[str, WrittenBelow] = {}
        """Their files of results, by path."""
        self._item = (call.batch.node_id, call.index)
        self._above = call.batch.below

    def leave_items_out(self) -> None:
        """Items were left out: so they were for every call above."""
        self.left_items_out = True
        if self._above is not None:
            self._above.leave_items_out()

    def write(self, written: WrittenBelow) -> None:
        """Results were written: so they were for every call above."""
        self.written[written.path] = written
        if self._above is not None:
            self._above.write(written._replace(items=(self._item, *written.items)))


below_call: ContextVar[Below | None] = ContextVar("below_call", default=None)
"""Where batches that start here say what they come to."""


def hear_of_batches_below(call: Call) -> None:
    """Have batches that the node of `call` starts say what they come to, in `call.below`."""
    call.below = Below(call)
    below_call.set(call.below)


def written_by(batch: BatchState, results: ResultsFile) -> WrittenBelow:
    """What `batch` has written, now that it is closed."""
    stamps = {os.path.realpath(file): _stamp(file) for file in results.all_files()}
    files = {file: stamp for file, stamp in stamps.items() if stamp is not None}
    return WrittenBelow(real_path(results.path), batch.node_id, (), files)


def why_not_as_left(call: Call, written: Iterable[Sequence[Any]]) -> str:
    """Why an answer to `call` is not what it was; "" if its files are as they were left, which others then must keep.

    `written` is what was `written` below the call, as JSON gives it.
    """
    for one in written:
        for file, stamp in WrittenBelow(*one).files.items():
            now = _stamp(file)
            if now != list(stamp):
                return f"{file} {'is gone' if now is None else 'has changed'}"
    try:
        keep_from_others(call, written)
    except StreamError as error:
        return str(error)
    return ""


def keep_from_others(call: Call, written: Iterable[Sequence[Any]]) -> None:
    """Let no other item of the run replace what was `written` below `call`.

    Raises: StreamError, if another one has already.
    """
    run, around = call.batch.run, (*call.batch.items_around, (call.batch.node_id, call.index))
    if run is None:
        return
    for path, node_id, items, _ in written:
        run.results_places.claim(path, Writer(node_id, (*around, *((batch, index) for batch, index in items))))


def _stamp(file: str | os.PathLike[str]) -> list[int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]
