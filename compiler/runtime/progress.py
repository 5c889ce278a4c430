"""How far batches are while they run, on standard error: done of how many, failed, how fast, how long still.

On a terminal that is a bar (of `rich`, where that is installed), elsewhere a plain line every few seconds. All batches
of a run share one display, in which each node has a row, batches inside the items of others included.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .value_text import duration

if TYPE_CHECKING:
    from .batch import Batch

TICK = 0.25
"""Seconds between two looks at a terminal's bar. What is over before the first one is not shown."""
FIRST_LINE, LONGEST_PAUSE = 3.0, 60.0
"""Seconds until the first plain line, and between two lines of a run that takes hours."""
PAUSE_SHARE = 20
"""A plain line comes when a run has taken 1/20 longer: a log of an hour has some sixty lines, not a thousand."""
MOST_ROWS = 4
CLOSING_SECONDS = 1.0
"""How long the end of a run waits for its last lines, where nobody reads standard error."""


class Counts(NamedTuple):
    """How far the batches of one node were at some moment."""

    name: str
    begun: float
    done: int
    """How many items have their outcome."""
    failed: int
    """How many of them failed."""
    ran: int
    """How many of them ran, and were not just read from a journal."""
    total: int | None
    """How many items there are; None as long as that is not known."""

    def how_far(self) -> str:
        """Done, and of how many: "7/18 (39 %)"."""
        if not self.total:
            return f"{self.done} done"
        return f"{self.done}/{self.total} ({100 * self.done // self.total} %)"

    def details(self, now: float) -> str:
        """What failed, how fast it goes, and how long still: "1 failed, 2.0/s, 6 s left"; "" if nothing is known."""
        said = [f"{self.failed} failed"] if self.failed else []
        seconds = now - self.begun
        if self.ran and seconds > 0:
            rate = self.ran / seconds
            said.append(f"{rate:.1f}/s" if rate >= 0.1 else f"{rate * 60:.1f}/min")
            if self.total is not None and self.total > self.done:
                said.append(f"{duration((self.total - self.done) / rate)} left")
        return ", ".join(said)

    def line(self, now: float) -> str:
        """All of it, on one line."""
        return ", ".join(filter(None, (f"{self.name}: {self.how_far()}", self.details(now))))

    def last_line(self, now: float) -> str:
        """What is said when the last batch has ended."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.name}: {self.how_far()}{failed}, in {duration(now - self.begun)}"


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


class Display(Protocol):
    """Where rows are shown. All calls come from one thread, which may block in them as long as it likes."""

    def show(self, rows: list[Counts], now: float) -> None:
        """Bring the display up to date."""

    def end_row(self, row: Counts, now: float) -> None:
        """Say how a row ended, at `now`, that has been shown."""

    def close(self) -> None:
        """Leave the place to others."""


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
            while self._last and _is_drained():
                _quietly(self._display.end_row, *self._last.popleft())
            if closes_by is None:
                self._show()
            elif not self._last or time.monotonic() >= closes_by:
                break
        if _is_drained():
            _quietly(self._display.close)

    def _show(self) -> None:
        if not _is_drained():
            return
        with self._lock:
            now = time.monotonic()
            rows = [row.counts() for row in self._rows.values() if now - row.begun >= self._first][:MOST_ROWS]
            self._shown.update(row.name for row in rows)
        if rows:
            _quietly(self._display.show, rows, now)


class PlainLines:
    """A line now and then, where nobody looks at a terminal."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """`write` writes a line."""
        self._write = write
        self._next: dict[str, float] = {}

    def show(self, rows: list[Counts], now: float) -> None:
        """Write the lines that are due."""
        for row in rows:
            if now >= self._next.get(row.name, 0):
                self._write(row.line(now))
                pause = (now - row.begun) / PAUSE_SHARE
                self._next[row.name] = now + min(max(pause, FIRST_LINE), LONGEST_PAUSE)

    def end_row(self, row: Counts, now: float) -> None:
        """Write the last line."""
        self._next.pop(row.name, None)
        self._write(row.last_line(now))

    def close(self) -> None:
        """There is nothing to be left."""


class TerminalLine:
    """One line of a terminal that is written over and over, where `rich` is not installed."""

    def show(self, rows: list[Counts], now: float) -> None:
        """Write over the line."""
        width = shutil.get_terminal_size().columns - 1
        _write_error("\r\x1b[K" + "  ".join(row.line(now) for row in rows)[:width])

    def end_row(self, row: Counts, now: float) -> None:
        """Leave a last line."""
        _write_error(f"\r\x1b[K{row.last_line(now)}\n")

    def close(self) -> None:
        """Clear the line."""
        _write_error("\r\x1b[K")


class RichBar:
    """A bar for each row."""

    def __init__(self, rich_progress: Any, console: Any) -> None:
        """`rich_progress` is the module `rich.progress`."""
        columns = (
            rich_progress.TextColumn("{task.fields[name]}", markup=False),
            rich_progress.BarColumn(bar_width=30),
            rich_progress.TextColumn("{task.fields[said]}", markup=False),
        )
        self._bars = rich_progress.Progress(
            *columns,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        self._tasks: dict[str, Any] = {}
        self._bars.start()

    def show(self, rows: list[Counts], now: float) -> None:
        """Bring the bars up to date."""
        for name in self._tasks.keys() - {row.name for row in rows}:
            self._bars.remove_task(self._tasks.pop(name))
        for row in rows:
            fields = {"name": row.name, "said": ", ".join(filter(None, (row.how_far(), row.details(now))))}
            if row.name not in self._tasks:
                self._tasks[row.name] = self._bars.add_task(row.name, total=row.total, **fields)
            self._bars.update(self._tasks[row.name], completed=row.done, total=row.total, **fields)
        self._bars.refresh()

    def end_row(self, row: Counts, now: float) -> None:
        """Put a last line in the place of the bar."""
        task = self._tasks.pop(row.name, None)
        if task is not None:
            self._bars.remove_task(task)
        self._bars.console.print(row.last_line(now), markup=False, highlight=False)

    def close(self) -> None:
        """Clear the bars."""
        self._bars.stop()


class Terminal:
    """The best that there is for a terminal, found when there is something to show: `rich` takes a while to import."""

    def __init__(self) -> None:
        self._found: Display | None = None

    def show(self, rows: list[Counts], now: float) -> None:
        """See `Display`."""
        if self._found is None:
            self._found = _best_display()
        self._found.show(rows, now)

    def end_row(self, row: Counts, now: float) -> None:
        """See `Display`."""
        if self._found is not None:
            self._found.end_row(row, now)

    def close(self) -> None:
        """See `Display`."""
        if self._found is not None:
            self._found.close()


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
        progress = Progress(PlainLines(write or (lambda line: _write_error(f"{line}\n"))), TICK, FIRST_LINE)
    token = _current.set(progress)
    try:
        yield
    finally:
        _current.reset(token)
        progress.close()


def _best_display() -> Display:
    try:
        from rich import console, progress
    except ImportError:
        return TerminalLine()
    return RichBar(progress, console.Console(stderr=True))


def _write_error(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _is_drained() -> bool:
    """Whether standard error takes a line now, as far as that can be known.

    Whoever waits in a write holds the lock of `sys.stderr`, for which Python waits when it exits.
    """
    try:
        return bool(select.select([], [sys.stderr], [], 0)[1])
    except (OSError, ValueError, TypeError, AttributeError):  # it is no file; Windows: no socket
        return True


def _quietly(call: Callable[..., None], *arguments: Any) -> None:
    """What shows progress must never decide whether the work succeeds: nobody may be listening any more."""
    with contextlib.suppress(Exception):
        call(*arguments)
