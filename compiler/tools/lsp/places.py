"""Where the parts of a workflow stand in its text, from the first to the last character.

For JSON this is exact, escapes in strings included. In Markdown it is a search inside the part of the text that
belongs to a value; what the author's YAML spells in another way (escapes, folded lines) has no place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from ...ir.document import Document
from ...ir.paths import Path
from ...ir.template import Expression, Template
from ...load.json_positions import JsonPositions, Span, spelled
from ...load.markdown_positions import MarkdownPositions
from .text import Place, Text

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_KEY = re.compile(r"""[\w-]+|"[^"\n]*"|'[^'\n]*'""")


class Places(Protocol):
    """Finds the stretch of text that a part of the workflow is spelled with; None where it cannot be found."""

    def value(self, path: Path) -> Place | None:
        """The value at `path`, quotes included."""
        ...

    def key(self, path: Path) -> Place | None:
        """The key that names the value at `path`, quotes included."""
        ...

    def name(self, path: Path) -> Place | None:
        """What names a node, an input or an output: the id at `path` or its key, without quotes."""
        ...

    def bare(self, path: Path, text: str) -> Place | None:
        """The string at `path` without quotes, if it is spelled exactly as `text`."""
        ...

    def expressions(self, path: Path, template: Template) -> Iterator[tuple[Expression, Spelling]]:
        """Every `${...}` of the template at `path` that can be found, with the way it is spelled."""
        ...


class Spelling:
    """How a stretch of a value is spelled: turns offsets in the value into offsets in the text."""

    def __init__(self, base: int, offsets: list[int] | None = None) -> None:
        self._base = base
        self._offsets = offsets

    def place(self, start: int, end: int) -> Place:
        """The place of the characters from `start` to `end` of the value."""
        if self._offsets is None:
            return Place(self._base + start, self._base + end)
        return Place(self._base + self._offsets[start], self._base + self._offsets[end])


class JsonPlaces:
    """The places of a JSON text. Implements `Places`."""

    def __init__(self, text: str, positions: JsonPositions) -> None:
        self._text = text
        self._root = positions.root

    def value(self, path: Path) -> Place | None:
        span = self._span(path)
        return Place(span.start, span.end) if span is not None else None

    def key(self, path: Path) -> Place | None:
        span = self._span(path)
        if span is None or span.key is None:
            return None
        match = _STRING.match(self._text, span.key)
        return Place(span.key, match.end()) if match else None

    def name(self, path: Path) -> Place | None:
        place = self.value((*path, "id")) if path[0] == "nodes" else self.key(path)
        if place is None or self._text[place.start] != '"' or place.end - place.start < 3:
            return place
        return Place(place.start + 1, place.end - 1)

    def bare(self, path: Path, text: str) -> Place | None:
        return _unquoted(self._text, self.value(path), text)

    def expressions(self, path: Path, template: Template) -> Iterator[tuple[Expression, Spelling]]:
        span = self._span(path)
        if span is None or self._text[span.start] != '"':
            return
        raw = self._text[span.start + 1 : span.end - 1]
        value, offsets = spelled(raw)
        if value != template.source:  # what a `./file` holds, or the second of two equal keys
            return
        spelling = Spelling(span.start + 1, None if value == raw else [*offsets, len(raw)])
        for expression in template.expressions:
            yield expression, spelling

    def _span(self, path: Path) -> Span | None:
        span: Span | None = self._root
        for step in path:
            span = span.child(step) if span is not None else None
        return span


class MarkdownPlaces:
    """The places of a `.pflow.md`. Implements `Places`."""

    def __init__(self, text: Text, positions: MarkdownPositions, data: Mapping[str, Any]) -> None:
        self._text = text
        self._data = data
        self._positions = positions
        self._taken: set[int] = set()

    def value(self, path: Path) -> Place | None:
        span = self._positions.span(path)
        return self._trimmed(Place(*span)) if span is not None else None

    def key(self, path: Path) -> Place | None:
        position = self._positions.find_key(path)
        if position is None:
            return None
        start = self._text.at(position)
        if path and path[-1] == "batch":  # its fence, whose tag ends in the word; else a bullet
            before = self._text.text.rfind("batch", 0, start + len("batch"))
            return Place(before, before + len("batch")) if before >= 0 else None
        match = _KEY.match(self._text.text, start)
        if match is None or match[0].strip("\"'") != str(path[-1]):
            return None
        return Place(*match.span())

    def name(self, path: Path) -> Place | None:
        span = self._positions.span((*path, "id") if path[0] == "nodes" else path)
        name = self._data["nodes"][path[1]]["id"] if path[0] == "nodes" else path[-1]
        place = self._trimmed(Place(span[0], self._text.line_end(span[0]))) if span is not None else None
        return _unquoted(self._text.text, place, str(name))  # a heading that cannot be found gives the one above it

    def bare(self, path: Path, text: str) -> Place | None:
        return _unquoted(self._text.text, self.value(path), text)

    def expressions(self, path: Path, template: Template) -> Iterator[tuple[Expression, Spelling]]:
        span = self._positions.span(path)
        if span is None:
            return
        at, end = span
        for expression in template.expressions:
            wanted = template.source[expression.start : expression.end]
            found = self._text.text.find(wanted, at, end)
            while found in self._taken:  # the same words in another value of this section
                found = self._text.text.find(wanted, found + 1, end)
            if found >= 0:
                self._taken.add(found)
                at = found + len(wanted)
                yield expression, Spelling(found - expression.start)

    def _trimmed(self, place: Place) -> Place:
        text = self._text.text[place.start : place.end]
        start = place.start + len(text) - len(text.lstrip())
        return Place(start, max(start, place.start + len(text.rstrip())))


class NoPlaces:
    """The places of a document without a text to stand in. Implements `Places`."""

    def value(self, path: Path) -> Place | None:
        return None

    def key(self, path: Path) -> Place | None:
        return None

    def name(self, path: Path) -> Place | None:
        return None

    def bare(self, path: Path, text: str) -> Place | None:
        return None

    def expressions(self, path: Path, template: Template) -> Iterator[tuple[Expression, Spelling]]:
        return iter(())


def places_of(document: Document, text: Text) -> Places:
    """The places of `document` in the text that it was read from."""
    positions = document.positions
    if isinstance(positions, JsonPositions):
        return JsonPlaces(text.text, positions)
    if isinstance(positions, MarkdownPositions):
        return MarkdownPlaces(text, positions, document.data)
    return NoPlaces()


def _unquoted(text: str, place: Place | None, wanted: str) -> Place | None:
    if place is None:
        return None
    if text[place.start : place.start + 1] in ('"', "'"):
        place = Place(place.start + 1, place.end - 1)
    return place if text[place.start : place.end] == wanted else None
