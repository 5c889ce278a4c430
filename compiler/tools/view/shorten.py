"""Which lines of a text are left out of the page, so that it opens however long the text is.

What is long in a workflow is data: items that are written down one by one. A list of them is shown by its start and
its end, here and in what was generated from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from ...ir.document import Document
from ...ir.paths import Path

_LONG_LIST = 200
"""From how many lines on a list is shortened."""
_LONG_TEXT = 5_000
"""From how many lines on any value is."""
_HEAD, _TAIL = 20, 5
"""How many lines of what is shortened are shown at its start and at its end."""
_DEEP = 8
"""From this indentation on, a line of a generated file stands inside a value."""
_LINES = 40_000
"""How many lines of one text a page shows at most."""
_WIDE, _WIDTH = 20_000, 2_000
"""From how many characters on a line is cut, and how many of them are shown."""


class Gap(NamedTuple):
    """Lines `first` to `last`, counted from 1, that are left out."""

    first: int
    last: int


class Kept(NamedTuple):
    """A text without what is left out of it."""

    text: str
    numbers: Sequence[int]
    """The number of each line that is left."""
    gaps: Sequence[Gap]

    def shown(self, line: int) -> int:
        """The line, or the first line of the gap that it is in: where the page has a place for it."""
        return next((gap.first for gap in self.gaps if gap.first <= line <= gap.last), line)


def shortened(text: str, document: Document | None = None) -> Kept:
    """`text` without the middle of long values; those of a workflow's own text are found in its `document`."""
    lines = text.split("\n")
    found = _values(document) if document is not None else _deep(lines)
    gaps = list(_gaps(found, len(lines)))
    left_out = {number for gap in gaps for number in range(gap.first, gap.last + 1)}
    numbers = [number for number in range(1, len(lines) + 1) if number not in left_out]
    return Kept("\n".join(_narrow(lines[number - 1]) for number in numbers), numbers, gaps)


def _gaps(found: Iterable[tuple[int, int]], count: int) -> Iterator[Gap]:
    """The middles of the stretches `found`, without overlaps, and whatever is too much in spite of them."""
    end, shown = 0, count
    for first, last in sorted(found):
        gap = Gap(max(first + _HEAD, end + 1), last - _TAIL)
        if gap.first < gap.last:
            yield gap
            end = gap.last
            shown -= gap.last - gap.first + 1
    if shown > _LINES and count - (shown - _LINES) > end:
        yield Gap(count - (shown - _LINES) + 1, count)


def _values(document: Document) -> Iterator[tuple[int, int]]:
    """The lines of every long list and text of a workflow, except its nodes and edges themselves."""
    waiting: list[tuple[Path, Any]] = [((), document.data)]
    while waiting:
        path, value = waiting.pop()
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        if len(path) > 1 and not isinstance(value, dict):
            extent = document.positions.extent(path)
            # What has no place of its own is said to be where its parent is.
            if extent is not None and extent != document.positions.extent(path[:-1]):
                most = _LONG_LIST if isinstance(value, list) else _LONG_TEXT
                if extent[1] - extent[0] >= most:
                    yield extent
                    continue
        waiting += [((*path, key), each) for key, each in inner if isinstance(each, (dict, list)) or _is_long(each)]


def _is_long(value: Any) -> bool:
    return isinstance(value, str) and value.count("\n") >= _LONG_TEXT


def _deep(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Long stretches of lines of a generated file that stand inside one value."""
    numbered = enumerate(lines, 1)
    for deep, stretch in groupby(numbered, lambda line: line[1].startswith(" " * _DEEP)):
        numbers = [number for number, _ in stretch]
        if deep and len(numbers) >= _LONG_LIST:
            yield numbers[0], numbers[-1]


def _narrow(line: str) -> str:
    if len(line) < _WIDE:
        return line
    return f"{line[:_WIDTH]} … {len(line) - _WIDTH:,} characters more, which are left out here"
