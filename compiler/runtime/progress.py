"""How far batches are while they run, on standard error: done of how many, failed, how fast, how long still.

On a terminal that is a bar (of `rich`, where that is installed), elsewhere a plain line every few seconds. All batches
of a run share one display, in which each node has a row, batches inside the items of others included.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .progress_displays import Counts, Display, PlainLines, Terminal
from .standard_error import takes_a_line, write_unlocked

if TYPE_CHECKING:
    from .batch import Batch

TICK = 0.25
"""Seconds between two looks at a terminal's bar. What is over before the first one is not shown."""
FIRST_LINE = 3.0
"""Seconds until the first plain line, and between two lines at least."""
MOST_ROWS = 4
CLOSING_SECONDS = 1.0
"""How long the end of a run waits for its last lines, where nobody reads standard error."""


class Row:
    """The batches of one node: as a rule one, several where the node stands in a sub-workflow.

    They count for themselves, and are asked when something is shown: an item has nothing to tell.
    """

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.begun = now
        self.under_way: list[Batch] = []
        self._items_of_ended: int | None = 0
        """None once one has ended before it knew how many it has: before the end of their file."""
        self._done_of_ended = self._failed_of_ended = self._restored_of_ended = 0

    def end(self, batch: Batch) -> None:
        """`batch` has ended, maybe early: keep its counts."""
        self.under_way.remove(batch)
        before, items = self._items_of_ended, batch.total
        self._items_of_ended = None if before is None or items is None else before + items
        self._done_of_ended += batch.done
        self._failed_of_ended += batch.errors.count
        self._restored_of_ended += batch.restored

    def counts(self) -> Counts:
        """How far they are now."""
        done = self._done_of_ended + sum(batch.done for batch in self.under_way)
        totals = [self._items_of_ended, *(batch.total for batch in self.under_way)]
        known = [total for total in totals if total is not None]
        return Counts(
            self.name,
            self.begun,
            done,
            failed=self._failed_of_ended + sum(batch.errors.count for batch in self.under_way),
            ran=done - self._restored_of_ended - sum(batch.restored for batch in self.under_way),
            total=sum(known) if len(known) == len(totals) else None,
        )


class Progress:
    """The progress of all batches of a run.

    Batches call `began` and `ended`, which never wait for the display: only a thread of its own draws, and it holds
    no lock meanwhile. If nobody reads standard error, what there is to show waits, and the items do not.
    """

    def __init__(self, display: Display, tick: float, first: float) -> None:
        """`display` is brought up to date every `tick` seconds, from `first` seconds after a batch begins."""
        self._display = display
        self._tick = tick
        self._first = first
        self._rows: dict[str, Row] = {}
        self._shown: set[str] = set()
        self._last: deque[tuple[Counts, float]] = deque()
        """Rows that ended, and when, whose last lines have not been written."""
        self._lock = threading.Lock()
        """Held for moments, never while something is written."""
        self._wakes_up = threading.Event()
        self._closes_by: float | None = None
        self._ticker: threading.Thread | None = None

    def began(self, batch: Batch) -> None:
        """`batch` begins."""
        with self._lock:
            row = self._rows.setdefault(batch.node_id, Row(batch.node_id, time.monotonic()))
            row.under_way.append(batch)
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._draw, name="pflow-lower-progress", daemon=True)
                with contextlib.suppress(RuntimeError, MemoryError):  # no room for a thread: the run goes on without
                    self._ticker.start()

    def ended(self, batch: Batch) -> None:
        """`batch` has ended."""
        with self._lock:
            row = self._rows.get(batch.node_id)
            if row is None or batch not in row.under_way:
                return
            row.end(batch)
            if not row.under_way and batch.enclosing is None:
                self._end_row(row)

    def close(self) -> None:
        """Write the last lines, in CLOSING_SECONDS at most; then nothing is shown any more."""
        with self._lock:
            for row in list(self._rows.values()):
                self._end_row(row)
            self._closes_by = time.monotonic() + CLOSING_SECONDS
        self._wakes_up.set()
        if self._ticker is not None and self._ticker.ident is not None:
            self._ticker.join(CLOSING_SECONDS + self._tick)

    def _end_row(self, row: Row) -> None:
        del self._rows[row.name]
        if row.name in self._shown:
            self._shown.discard(row.name)
            self._last.append((row.counts(), time.monotonic()))
            self._wakes_up.set()

    def _draw(self) -> None:
        while True:
            self._wakes_up.wait(self._tick)
            self._wakes_up.clear()
            closes_by = self._closes_by  # before the last lines are looked at: then none comes any more
            while self._last and takes_a_line():
                _quietly(self._display.end_row, *self._last.popleft())
            if closes_by is None:
                self._show()
            elif not self._last or time.monotonic() >= closes_by:
                break
        if takes_a_line():
            _quietly(self._display.close)

    def _show(self) -> None:
        if not takes_a_line():
            return
        with self._lock:
            now = time.monotonic()
            rows = [row.counts() for row in self._rows.values() if now - row.begun >= self._first][:MOST_ROWS]
            self._shown.update(row.name for row in rows)
        if rows:
            _quietly(self._display.show, rows, now)


_current: ContextVar[Progress | None] = ContextVar("current_progress", default=None)


def current_progress() -> Progress | None:
    """Where the caller's batches show how far they are; None where that is not shown."""
    return _current.get()


@contextlib.contextmanager
def showing(*, quiet: bool = False, write: Callable[[str], None] | None = None) -> Iterator[None]:
    """Inside, batches show how far they are; not if `quiet`, and inside another one, they do there.

    `write` writes plain lines, whatever standard error is; without it, that is written to, as fits it.
    """
    if quiet or current_progress() is not None or (write is None and sys.stderr is None):
        yield
        return
    if write is None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        progress = Progress(Terminal(), TICK, TICK)
    else:
        progress = Progress(PlainLines(write or _write_line, FIRST_LINE), TICK, FIRST_LINE)
    token = _current.set(progress)
    try:
        yield
    finally:
        _current.reset(token)
        progress.close()


def _quietly(call: Callable[..., None], *arguments: Any) -> None:
    """What shows progress must never decide whether the work succeeds: nobody may be listening any more."""
    with contextlib.suppress(Exception):
        call(*arguments)


def _write_line(line: str) -> None:
    write_unlocked(f"{line}\n")
