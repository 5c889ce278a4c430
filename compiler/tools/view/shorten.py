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
"""From how many values in a list, or lines of it, on it is shortened."""
_LONG_TEXT = 5_000
"""From how many lines on a text is."""
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


def shortened(text: str, stretches: Iterable[tuple[int, int]]) -> Kept:
    """`text` without the middle of `stretches`, the first and the last line of each."""
    lines = text.split("\n")
    gaps = list(_gaps(stretches, len(lines)))
    left_out = {number for gap in gaps for number in range(gap.first, gap.last + 1)}
    numbers = [number for number in range(1, len(lines) + 1) if number not in left_out]
    return Kept("\n".join(_narrow(lines[number - 1]) for number in numbers), numbers, gaps)


def long_values(document: Document) -> list[Path]:
    """Where long lists and texts stand in a workflow, except for its nodes and edges themselves."""
    found: list[Path] = []
    waiting: list[tuple[Path, Any]] = [((), document.data)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > 1 and _is_long(value):
            found.append(path)
            continue
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [((*path, key), each) for key, each in inner if isinstance(each, (dict, list, str))]
    return found


def written(document: Document, values: Iterable[Path]) -> Iterator[tuple[int, int]]:
    """The lines of `values` in the workflow's own text, as far as they are many."""
    for path in values:
        extent = document.positions.extent(path)
        # What has no place of its own is said to be where its parent is.
        if (
            extent is not None
            and extent[1] - extent[0] >= _LONG_LIST
            and extent != document.positions.extent(path[:-1])
        ):
            yield extent


def generated(text: str, regions: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The lines of a generated file that stand inside one value, as far as they are many and touch one of `regions`."""
    if not regions:
        return
    numbered = enumerate(text.split("\n"), 1)
    for deep, stretch in groupby(numbered, lambda line: line[1].startswith(" " * _DEEP)):
        numbers = [number for number, _ in stretch]
        if deep and len(numbers) >= _LONG_LIST:
            for first, last in regions:
                if min(last, numbers[-1]) - max(first, numbers[0]) >= _LONG_LIST:
                    yield max(first, numbers[0]), min(last, numbers[-1])


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


def _is_long(value: Any) -> bool:
    if isinstance(value, str):
        return value.count("\n") >= _LONG_TEXT
    return isinstance(value, list) and _size(value, _LONG_LIST) >= _LONG_LIST


def _size(value: Any, enough: int) -> int:
    """How many values are in a list or an object, counted until it is `enough`."""
    if not isinstance(value, (list, dict)):
        return 1
    size = 1
    for each in value.values() if isinstance(value, dict) else value:
        if size >= enough:
            break
        size += _size(each, enough - size)
    return size


def _narrow(line: str) -> str:
    if len(line) < _WIDE:
        return line
    return f"{line[:_WIDTH]} … {len(line) - _WIDTH:,} characters more, which are left out here"
