"""Where the parts of a workflow stand in its text, from the first to the last character, as an editor marks them.

The spans are those of `ir.Positions`. In a JSON string, escapes are seen through; in Markdown, what the author's YAML
spells in another way (escapes, folded lines) has no place.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...ir.document import Document
from ...ir.paths import Path
from ...ir.template import Expression, Template
from ...load.json_positions import JsonPositions, spelled
from .text import Place, Text


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


class Places:
    """Finds the stretch of text that a part of a document is spelled with; None where it cannot be found."""

    def __init__(self, document: Document, text: Text) -> None:
        self._positions = document.positions
        self._text = text.text

    def value(self, path: Path) -> Place | None:
        """The value at `path`, quotes included."""
        span = self._positions.span(path)
        return Place(*span) if span is not None else None

    def key(self, path: Path) -> Place | None:
        """The key that names the value at `path`, quotes included."""
        span = self._positions.key_span(path)
        return Place(*span) if span is not None else None

    def name(self, path: Path) -> Place | None:
        """What names a node, an input or an output: the id at `path` or its key, without quotes."""
        return self._without_quotes(self.value((*path, "id")) if path[0] == "nodes" else self.key(path))

    def bare(self, path: Path, text: str) -> Place | None:
        """The string at `path` without quotes, if it is spelled exactly as `text`."""
        place = self._without_quotes(self.value(path))
        return place if place is not None and self._text[place.start : place.end] == text else None

    def expressions(self, path: Path, template: Template) -> Iterator[tuple[Expression, Spelling]]:
        """Every `${...}` of the template at `path` that can be found, with the way it is spelled."""
        place = self.value(path)
        if place is None:
            return
        if isinstance(self._positions, JsonPositions):
            if self._text[place.start] == '"':
                yield from self._in_json_string(place, template)
            return
        at = place.start
        for expression in template.expressions:
            wanted = template.source[expression.start : expression.end]
            found = self._text.find(wanted, at, place.end)
            if found >= 0:
                at = found + len(wanted)
                yield expression, Spelling(found - expression.start)

    def _in_json_string(self, place: Place, template: Template) -> Iterator[tuple[Expression, Spelling]]:
        raw = self._text[place.start + 1 : place.end - 1]
        value, offsets = spelled(raw)
        if value != template.source:  # what a `./file` holds, or the second of two equal keys
            return
        spelling = Spelling(place.start + 1, None if value == raw else [*offsets, len(raw)])
        for expression in template.expressions:
            yield expression, spelling

    def _without_quotes(self, place: Place | None) -> Place | None:
        if place is None or self._text[place.start : place.start + 1] not in ('"', "'") or place.end - place.start < 3:
            return place
        return Place(place.start + 1, place.end - 1)
