"""A batch over many files on a cluster: a worker reads a file of items and writes one of results.

Neither items nor results pass through the driver, so that there may be any number of them. The driver gets the counts
and the first errors, and writes them to the manifest beside the results. Each file is a batch of its own for its
worker, with the threads, readers and writers of one process; decisions about all files are made here. A file of results
gets its name when it is whole. Where a worker dies, its file begins anew, one item at a time, so that it is known which
item workers die of: the third time, that item has failed.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .batch_state import MOST_CONCURRENT
from .call import Call
from .loops import CANCEL_CHECK_INTERVAL, raise_if_cancelled
from .ray_chunks import Chunk
from .ray_driver import MOST_DEATHS, Driver, too_many_deaths
from .ray_file_worker import Ended, Part, begun_in, in_file, unfinished
from .ray_home import Home, go_home
from .run import current_run
from .stream_files import StreamError
from .streams import ItemsFile, number_of_items

_FILES_A_TASK = 100
"""How many files a task counts the items of."""


class FilesDriver(Driver):
    """Hands out files."""

    def _begin(self) -> None:
        """What the run asks for is asked of it already; all else when the items are counted."""
        self._batch.run = current_run()

    def _prepare(self) -> None:
        batch = self._batch
        assert isinstance(batch.items, ItemsFile)
        files = [str(path) for path in batch.items.files()]
        numbers = self._count(files)
        batch.begin_in_parts(sum(numbers))
        first = 0
        self._parts: list[Part] = []
        for number, (path, items) in enumerate(zip(files, numbers, strict=True)):
            assert batch.results_file is not None
            results = str(batch.results_file.part(number))
            self._parts.append(Part(path, first, results, is_careful=False, given_up=()))
            first += items
        self._parts.reverse()

    def _count(self, files: list[str]) -> list[int]:
        """How many items there are in each. Raises: StreamError; NotForRay."""
        ray = self._ray
        needs = {
            name: self._options[name] for name in ("num_cpus", "resources", "runtime_env") if name in self._options
        }
        count = ray.remote(**needs)(_numbers_of_items)
        groups = [files[start : start + _FILES_A_TASK] for start in range(0, len(files), _FILES_A_TASK)]
        tasks = left = [count.remote(self._home, group) for group in groups]
        while left:
            done, left = ray.wait(left, num_returns=len(left), timeout=CANCEL_CHECK_INTERVAL)
            raise_if_cancelled()
            self._waiting.has_begun = self._waiting.has_begun or bool(done)
            self._waiting.look()
        numbers = []
        for task in tasks:
            with self._saying_why_not():
                found, error = ray.get(task)
            if error is not None:
                raise error
            numbers += found
        self._waiting.begin()
        return numbers

    def _next_chunk(self) -> Chunk | None:
        if self._batch.is_closed:
            return None
        if self._again:
            return self._again.popleft()
        return _File(self._parts.pop()) if self._parts else None

    def _make_tasks(self, made: Callable[..., Any]) -> None:
        self._in_files = made(in_file, is_stream=True)

    def _send(self, chunk: Chunk, width: int) -> Any:
        assert isinstance(chunk, _File)
        width = 1 if chunk.part.is_careful else width
        return self._in_files.remote(pickle.dumps((width, chunk.part)), *self._more)

    def _receive(self, chunk: Chunk, group: bytes) -> None:
        """How many errors there are in a file by now, and in the end all of what became of it."""
        errors, ended, abort, *news = pickle.loads(group)
        self._hear(news)
        assert isinstance(chunk, _File)
        chunk.errors = errors
        if abort is not None:
            raise abort
        if ended is not None:
            self._end(chunk, ended)
        elif errors and self._batch.fail_fast:
            self._batch.close()
        elif errors:
            under_way = sum(file.errors for file in self._running.values() if isinstance(file, _File))
            self._batch.end_if_too_many_failed(under_way)

    def _end(self, file: _File, ended: Ended) -> None:
        batch = self._batch
        assert batch.results_file is not None
        file.is_done = True
        file.errors = 0
        for index, entry in ended.errors.kept.items():
            call = Call(batch, index, entry["item"])
            call.error, call.exception = entry["error"], entry["exception"]
            ended.errors.kept[index] = batch.record(call)
        batch.finish_part(ended)
        self._forget(file.part)
        if ended.written:
            batch.results_file.files.append(Path(file.part.results))
            batch.results_file.files.sort()

    def _after_death(self, chunk: Chunk, death: Exception) -> None:
        assert isinstance(chunk, _File)
        part = chunk.part
        given_up = part.given_up
        if part.is_careful and (index := begun_in(part)) is not None:
            chunk.deaths_of[index] = chunk.deaths_of.get(index, 1) + 1  # the one before the careful ones was of one
            if chunk.deaths_of[index] >= MOST_DEATHS:
                given_up = (*given_up, (index, too_many_deaths(death)))
        self._forget(part)
        again = _File(part._replace(is_careful=True, given_up=given_up))
        again.deaths_of = chunk.deaths_of
        self._again.append(again)

    def _forget(self, part: Part) -> None:
        for left in unfinished(part):
            with contextlib.suppress(OSError):
                left.unlink()

    def stop(self) -> None:
        """Let no further item start, and forget what is under way."""
        files = [chunk for chunk in self._running.values() if isinstance(chunk, _File)]
        super().stop()
        for file in files:
            self._forget(file.part)


class _File(Chunk):
    """A file on its way."""

    def __init__(self, part: Part) -> None:
        super().__init__({})
        self.most = MOST_CONCURRENT
        self.part = part
        self.errors = 0
        self.deaths_of: dict[int, int] = {}
        """How many workers died of an item."""


def _numbers_of_items(home: Home, files: list[str]) -> tuple[list[int], StreamError | None]:
    """How many items there are in each, or what is wrong with one: as a value, since Ray adds to what is raised."""
    go_home(home)
    try:
        return [number_of_items(Path(home.path(file))) for file in files], None
    except StreamError as error:
        return [], error
