"""Where the parts of a JSON document stand in its text.

Nothing is computed until somebody asks: most runs of the compiler need no position at all, and a
position is needed only to say something. The first question builds an index of the whole text, by
a loop over its tokens (no recursion: the depth is the author's).

The position of a value is its first character; the key of a member has a position of its own.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..diagnostics.diagnostic import Position
from ..ir.paths import Path

# One JSON token. The string is written so that it cannot backtrack: one that nothing closes goes on to the end.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_CHARACTER = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\(.)|(.)", re.DOTALL
)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class LineIndex:
    """Turns offsets in a text into positions."""

    def __init__(self, text: str) -> None:
        self._ends = [match.start() for match in re.finditer("\n", text)]

    def position(self, offset: int) -> Position:
        """Line and column, both from 1, of the character at `offset`."""
        line = bisect.bisect_left(self._ends, offset)
        start = self._ends[line - 1] + 1 if line else 0
        return Position(line + 1, offset - start + 1)


class Span:
    """One value in the text: where it starts and ends, where its key starts, what it holds."""

    __slots__ = ("end", "items", "key", "members", "start")

    def __init__(self, start: int, end: int = 0, key: int | None = None) -> None:
        self.start = start
        self.end = end
        self.key = key
        self.members: dict[str, Span] = {}
        self.items: list[Span] = []

    def child(self, step: str | int) -> Span | None:
        if isinstance(step, int):
            return self.items[step] if 0 <= step < len(self.items) else None
        # An older spelling that `load` renames, as pflow does.
        return self.members.get(step) or (self.members.get("parameters") if step == "params" else None)


class Repeated(NamedTuple):
    """A key that stands twice in one object: its path, and the offset of the repetition."""

    path: Path
    offset: int
    first: int


class JsonPositions:
    """The positions of a JSON text. Implements `Positions` of ir/document.py."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._root: Span | None = None
        self._lines: LineIndex | None = None

    def find(self, path: Path, text: str | None = None) -> Position | None:
        """See `Positions.find`. With `text`, escapes in the value's spelling are seen through."""
        span, whole = self._span(path)
        offset = span.start
        if text and whole:
            offset = self._inside(span, text)
        return self.at(offset)

    def find_key(self, path: Path) -> Position | None:
        """See `Positions.find_key`."""
        span, whole = self._span(path)
        return self.at(span.key if whole and span.key is not None else span.start)

    def find_inside(self, path: Path, value: str, offsets: Collection[int]) -> Mapping[int, Position | None]:
        """See `Positions.find_inside`."""
        span, whole = self._span(path)
        raw = self._text[span.start : span.end]
        text, starts = spelled(raw[1:-1]) if whole and raw[:1] == '"' else ("", [])
        if text != value:
            starts = []
        return {
            offset: self.at(span.start + 1 + starts[offset] if offset < len(starts) else span.start)
            for offset in offsets
        }

    def extent(self, path: Path) -> tuple[int, int] | None:
        """See `Positions.extent`."""
        span, _ = self._span(path)
        start = span.start if span.key is None else span.key
        return self.at(start).line, self.at(max(span.end - 1, start)).line

    def span(self, path: Path) -> tuple[int, int] | None:
        """See `Positions.span`."""
        span, whole = self._span(path)
        return (span.start, span.end) if whole else None

    def key_span(self, path: Path) -> tuple[int, int] | None:
        """See `Positions.key_span`."""
        span, whole = self._span(path)
        if not whole or span.key is None:
            return None
        match = _TOKEN.match(self._text, span.key)
        return match.span() if match else None

    def at(self, offset: int) -> Position:
        """The position of the character at `offset`."""
        if self._lines is None:
            self._lines = LineIndex(self._text)
        return self._lines.position(offset)

    @property
    def root(self) -> Span:
        """The span of the whole document."""
        if self._root is None:
            self._root = index(self._text)[0]
        return self._root

    def _span(self, path: Path) -> tuple[Span, bool]:
        """The span at `path` or of its nearest parent, and whether it is the one asked for."""
        span = self.root
        for step in path:
            child = span.child(step)
            if child is None:
                return span, False
            span = child
        return span, True

    def _inside(self, span: Span, text: str) -> int:
        raw = self._text[span.start : span.end]
        if raw[:1] != '"' or "\\" not in raw:
            return span.start + max(raw.find(text), 0)
        value, offsets = spelled(raw[1:-1])
        found = value.find(text)
        return span.start + 1 + offsets[found] if found >= 0 else span.start


def spelled(raw: str) -> tuple[str, Sequence[int]]:
    """The value of a JSON string spelled `raw` (without quotes), and each character's offset in it."""
    if "\\" not in raw:
        return raw, range(len(raw))
    value: list[str] = []
    offsets: list[int] = []
    for match in _CHARACTER.finditer(raw):
        high, low, unit, escape, plain = match.groups()
        if high:
            value.append(chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00)))
        else:
            value.append(chr(int(unit, 16)) if unit else _ESCAPES.get(escape, escape) if escape else plain)
        offsets.append(match.start())
    return "".join(value), offsets


def tokens(text: str) -> Iterator[tuple[int, str]]:
    """Offset and spelling of every token of a JSON text."""
    return ((match.start(), match[0]) for match in _TOKEN.finditer(text))


def index(text: str) -> tuple[Span, list[Repeated]]:
    """The tree of spans of a text that json.loads has accepted, and the keys that are repeated."""
    root = Span(0)
    stack: list[tuple[Span, Path]] = []
    repeated: list[Repeated] = []
    key: tuple[str, int] | None = None  # the member being read, once its key has been
    for at, token in tokens(text):
        if token in ",:":
            continue
        if token in "}]":
            stack.pop()[0].end = at + 1
            continue
        step: Path = ()
        above: Path = ()
        if stack:
            parent, above = stack[-1]
            in_object = text[parent.start] == "{"
            if in_object and key is None:
                key = (spelled(token[1:-1])[0], at)
                continue
            span = Span(at, at + len(token), key[1] if key else None)
            if key:
                step = (key[0],)
                earlier = parent.members.get(key[0])
                if earlier is not None:
                    repeated.append(Repeated(above + step, key[1], earlier.key or 0))
                else:
                    parent.members[key[0]] = span
                key = None
            else:
                step = (len(parent.items),)
                parent.items.append(span)
        else:
            span = root = Span(at, at + len(token))
        if token in "{[":
            stack.append((span, above + step))
    return root, repeated


def deeper_than(text: str, limit: int) -> int | None:
    """The offset of the first bracket of a JSON text at which it is nested deeper than `limit`."""
    depth = 0
    for at, token in tokens(text):
        if token in "{[":
            depth += 1
            if depth > limit:
                return at
        elif token in "}]":
            depth -= 1
    return None
