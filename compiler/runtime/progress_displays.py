"""Where it is shown how far batches are: a bar, a line that is written over, lines now and then."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from .standard_error import unlocked_stderr, write_unlocked
from .value_text import duration

LONGEST_PAUSE = 60.0
"""Seconds between two plain lines of a run that takes hours."""
PAUSE_SHARE = 20
"""A plain line comes when a run has taken 1/20 longer: a log of an hour has some sixty lines, not a thousand."""


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


class Display(Protocol):
    """Where rows are shown. All calls come from one thread, which may block in them as long as it likes."""

    def show(self, rows: list[Counts], now: float) -> None:
        """Bring the display up to date."""

    def end_row(self, row: Counts, now: float) -> None:
        """Say how a row ended, at `now`, that has been shown."""

    def close(self) -> None:
        """Leave the place to others."""


class PlainLines:
    """A line now and then, where nobody looks at a terminal."""

    def __init__(self, write: Callable[[str], None], pause: float) -> None:
        """`write` writes a line; between two of them are `pause` seconds at least."""
        self._write = write
        self._pause = pause
        self._next: dict[str, float] = {}

    def show(self, rows: list[Counts], now: float) -> None:
        """Write the lines that are due."""
        for row in rows:
            if now >= self._next.get(row.name, 0):
                self._write(row.line(now))
                pause = (now - row.begun) / PAUSE_SHARE
                self._next[row.name] = now + min(max(pause, self._pause), LONGEST_PAUSE)

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
        write_unlocked("\r\x1b[K" + "  ".join(row.line(now) for row in rows)[:width])

    def end_row(self, row: Counts, now: float) -> None:
        """Leave a last line."""
        write_unlocked(f"\r\x1b[K{row.last_line(now)}\n")

    def close(self) -> None:
        """Clear the line."""
        write_unlocked("\r\x1b[K")


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


def _best_display() -> Display:
    try:
        from rich import console, progress
    except ImportError:
        return TerminalLine()
    return RichBar(progress, console.Console(file=unlocked_stderr()))
