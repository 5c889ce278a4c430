"""Offsets in a text <-> positions of the language server protocol.

The protocol counts lines that end in \\n, \\r\\n or \\r, and within a line the code units of an encoding, UTF-16
unless client and server agree on another: an emoji is two. The compiler counts lines that end in \\n, and characters.
"""

from __future__ import annotations

import bisect
import re
from typing import NamedTuple

from ...diagnostics.diagnostic import Position

_LINE_END = re.compile(r"\r\n|\n|\r")
_UNITS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


class Place(NamedTuple):
    """A stretch of a text: the offsets of its first character and of the one after its last."""

    start: int
    end: int

    def holds(self, offset: int) -> bool:
        """Whether a cursor at `offset` touches it: before, inside or right behind it."""
        return self.start <= offset <= self.end


def clean(text: str) -> str:
    """`text` as the compiler can read it, every character at its place.

    An editor may hand over a byte order mark, and halves of surrogate pairs, which no file can hold.
    """
    if text.startswith("\ufeff"):
        text = " " + text[1:]
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class Text:
    """A text whose places can be said in the protocol's terms. `encoding` is one of its position encodings."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text = text
        self._codec, self._size = _UNITS[encoding]
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self._newlines = [0, *(match.end() for match in re.finditer("\n", text))]

    def units(self, offset: int) -> tuple[int, int]:
        """Line and code unit, both from 0, of the character at `offset`."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect.bisect_right(self._starts, offset) - 1
        before = self.text[self._starts[line] : offset]
        return line, len(before) if before.isascii() else len(before.encode(self._codec)) // self._size

    def offset(self, line: int, unit: int) -> int:
        """The offset of a place of the protocol; one beyond the end of a line is that end, as the protocol has it."""
        if line >= len(self._starts):
            return len(self.text)
        start = self._starts[line]
        content = self.text[start : self.line_end(start)]
        if content.isascii():
            return start + min(unit, len(content))
        for at, character in enumerate(content):
            if unit <= 0:
                return start + at
            unit -= len(character.encode(self._codec)) // self._size
        return start + len(content)

    def line_end(self, offset: int) -> int:
        """The offset at which the line of `offset` ends, its line break not counted."""
        match = _LINE_END.search(self.text, offset)
        return match.start() if match else len(self.text)

    def at(self, position: Position) -> int:
        """The offset of a position of the compiler."""
        if position.line > len(self._newlines):
            return len(self.text)
        return min(self._newlines[position.line - 1] + position.column - 1, len(self.text))


class Moved:
    """Places of an older text in a newer one, where an edit between them has not touched them."""

    def __init__(self, old: str, new: str) -> None:
        shorter = min(len(old), len(new))
        self._same = _common(old, new, shorter)
        left = shorter - self._same
        tail = _common(old[len(old) - left :][::-1], new[len(new) - left :][::-1], left) if left else 0
        self._old_tail, self._new_tail = len(old) - tail, len(new) - tail

    def forward(self, place: Place) -> Place | None:
        """Where a place of the older text stands in the newer one; None if the edit touched it."""
        return _shift(place, self._same, self._old_tail, self._new_tail)

    def back(self, offset: int) -> int | None:
        """Where an offset of the newer text stood in the older one; None if it is new."""
        place = _shift(Place(offset, offset), self._same, self._new_tail, self._old_tail)
        return None if place is None else place.start


def _shift(place: Place, same: int, tail: int, new_tail: int) -> Place | None:
    if place.end <= same:
        return place
    if place.start >= tail:
        return Place(place.start - tail + new_tail, place.end - tail + new_tail)
    return None


def _common(one: str, other: str, limit: int) -> int:
    """How many characters, `limit` at most, both texts begin with: by halving, with comparisons that are fast."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if one.startswith(other[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low
