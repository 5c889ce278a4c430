"""What a worker of a cluster does with a file of items: a batch of its own, whose results go to a file of its own."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from .data_types import Result
from .ray_cluster import ray_itself
from .ray_exceptions import picklable
from .ray_pickles import Given
from .ray_worker import Work, WorkerBatch, work_of
from .schedule import in_tasks, in_threads
from .stream_files import StreamError
from .streams import ItemsFile, ResultsFile
from .tally import FirstFew, Timing

E = TypeVar("E", bound=BaseException)

TELL_SECONDS = 0.5
"""How often a worker says how many items have failed, and asks whether to go on."""


class Part(NamedTuple):
    """A file of items, and what is made of it."""

    items: str
    first: int
    """The index of its first item."""
    results: str
    is_careful: bool
    """Whether items run one at a time and it is written down which, since a worker has died here."""
    given_up: tuple[tuple[int, str], ...]
    """Items that too many workers died of, and what is to be said of each."""


class Ended(NamedTuple):
    """What became of the items of a file: what `Batch.finish_part` adds up."""

    done: int
    errors: FirstFew
    warned: FirstFew
    empty: FirstFew
    timing: Timing
    unreadable: Exception | None
    written: int
    """How many results there are in its file; without any there is no file."""


def in_file(given: Given, message: bytes) -> Iterator[bytes]:
    """How many items have failed by now, what became of all in the end, and what ended the batch; pickled. At first,
    with what there is to tell of the worker."""
    work = work_of(given)
    width, part = pickle.loads(message)
    yield pickle.dumps((0, None, None, *work.batch.news()))
    file = _File(work, part, width)
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(file.run,), name=Path(part.items).name, daemon=True)
    thread.start()
    told = 0
    while thread.is_alive():
        thread.join(TELL_SECONDS)
        if not work.ask_to_go_on():
            file.batch.close()
        news = file.batch.news()
        if told != file.batch.errors.count or news:
            told = file.batch.errors.count
            yield pickle.dumps((told, None, None, *news))
    dumps = ray_itself().cloudpickle.dumps  # which knows an exception's class by value, too
    abort = None if file.abort is None else picklable(file.said_as_here(file.abort))
    yield dumps((told, file.ended(), abort, *file.batch.news()))


class _File:
    """The batch of one file."""

    def __init__(self, work: Work, part: Part, width: int) -> None:
        self.abort: BaseException | None = None
        """What ended the batch, and is not an item's failure."""
        self._of = part
        self._part = part = part._replace(items=work.home.path(part.items), results=work.home.path(part.results))
        self._node = node = copy.copy(work.node)
        node.max_concurrent = width
        node.tolerated_failures = None  # of all files: the driver knows
        if part.is_careful:
            careful = _CarefulAsync if hasattr(node, "exec_async") else _CarefulInThreads
            node.__class__ = type(node.__class__.__name__, (careful, node.__class__), {})
            node.part = part
        shipped = work.shipped
        self._written = _beside(part, "writing", Path(part.results).suffix)
        self.batch = WorkerBatch(
            node, shipped.shared, ItemsFile(part.items), shipped.captures, ResultsFile(str(self._written))
        )
        self.batch.whole, self.batch.pacer, self.batch.first_index = shipped.total, shipped.pacer, part.first

    def run(self) -> None:
        """Run the items. A file of results that is whole gets its name."""
        batch = self.batch
        try:
            if hasattr(self._node, "exec_async"):
                asyncio.run(in_tasks(self._node, batch))
            else:
                in_threads(self._node, batch)
            batch.end(ended_well=not batch.errors.count)
            if batch.done > batch.errors.count:
                os.replace(self._written, self._part.results)
            else:
                self._written.unlink()
        except BaseException as exc:  # noqa: BLE001  raised again where the workflow runs
            self.abort = exc

    def ended(self) -> Ended:
        """What became of the items, once they have run."""
        batch = self.batch
        for entry in batch.errors.kept.values():
            entry["error"] = self._as_here(entry["error"])
            if entry["exception"] is not None:
                entry["exception"] = picklable(entry["exception"])
        return Ended(
            done=batch.done,
            errors=batch.errors,
            warned=batch.warned,
            empty=batch.empty,
            timing=batch.timing,
            unreadable=None if batch.unreadable is None else self.said_as_here(batch.unreadable),
            written=batch.done - batch.errors.count,
        )

    def said_as_here(self, error: E) -> E:
        """`error`, by the names that its files have for whoever runs the workflow."""
        if isinstance(error, StreamError):
            error.args = (self._as_here(str(error)),)
        return error

    def _as_here(self, text: str) -> str:
        for path, name in ((str(self._written), self._of.results), (self._part.items, self._of.items)):
            text = text.replace(path, name)
        return text


class _Careful:
    """In front of a batch's class: writes down which item begins, and gives up those that workers died of."""

    part: Part

    def _begins(self, index: int) -> None:
        for given_up, why in self.part.given_up:
            if given_up == index:
                raise _GivenUp(why)
        with open(_begun(self.part), "w") as file:
            file.write(str(index))


class _CarefulInThreads(_Careful):
    def exec(self, call: Any) -> Result:
        self._begins(call.index)
        result: Result = super().exec(call)  # type: ignore[misc]
        return result


class _CarefulAsync(_Careful):
    async def exec_async(self, call: Any) -> Result:
        self._begins(call.index)
        result: Result = await super().exec_async(call)  # type: ignore[misc]
        return result


class _GivenUp(RuntimeError):
    """An item that too many workers died of."""

    retriable = False
    batch_fatal = False


def begun_in(part: Part) -> int | None:
    """The item of a careful part that began last; None if none did."""
    path = _begun(part)
    text = path.read_text() if path.exists() else ""
    return int(text) if text else None


def unfinished(part: Part) -> Iterator[Path]:
    """What is left of a part whose worker has died, or that was stopped."""
    yield from Path(part.results).parent.glob(f".{Path(part.results).stem}.*")


def _begun(part: Part) -> Path:
    return _beside(part, "begun", "")


def _beside(part: Part, what: str, suffix: str) -> Path:
    results = Path(part.results)
    return results.with_name(f".{results.stem}.{what}{suffix}")
