"""Where the parts of a workflow stand in its Markdown.

The structure is that of `markdown_structure`; where a part cannot be found in it (pflow's parser made it, or YAML
spells it in a way of its own), the nearest parent's place is the answer, never another section's.

An edge stands where its source node names it (`- next: b`); one that follows from the order of the
document stands at the heading of its source.
"""

from __future__ import annotations

import collections
import functools
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from ..diagnostics.diagnostic import Position
from ..ir.paths import Path
from .json_positions import LineIndex, Repeated, Span
from .markdown_prose import DECLARED, Doubtful, doubtful
from .markdown_structure import Part, Section, repeated_at_the_top, sections


class _Place(NamedTuple):
    """Where a value stands, and its key; `whole` is False if that is the place of its nearest parent."""

    start: int
    end: int
    key: tuple[int, int] | None = None
    whole: bool = True


class MarkdownPositions:
    """The positions of a `.pflow.md`. Implements `Positions` of ir/document.py."""

    def __init__(self, text: str, data: Mapping[str, Any]) -> None:
        self._text = text
        self._data = data

    def find(self, path: Path, text: str | None = None) -> Position | None:
        """See `Positions.find`."""
        place = self._place(path)
        if text:
            # A block's text may be spelled over several lines; then its first line still helps.
            for wanted in (text, text.splitlines()[0] if text.strip() else text):
                at = self._text.find(wanted, place.start, place.end)
                if at >= 0:
                    return self.at(at)
        return self.at(self._first(place))

    def find_key(self, path: Path) -> Position | None:
        """See `Positions.find_key`."""
        place = self._place(path)
        return self.at(place.key[0]) if place.whole and place.key is not None else self.find(path)

    def find_inside(self, path: Path, value: str, offsets: Collection[int]) -> Mapping[int, Position | None]:
        """See `Positions.find_inside`. Line by line: YAML indents a block that the value has without.

        The lines are looked for one after the other, as far as they can be found.
        """
        place = self._place(path)
        at = self._text.find(value, place.start, place.end)
        if at >= 0:
            return {offset: self.at(at + offset) for offset in offsets}
        found: dict[int, Position | None] = dict.fromkeys(offsets, self.find(path))
        wanted = collections.deque(sorted(offsets))
        at, start = place.start, 0
        for line in value.split("\n"):
            end = start + len(line)
            spelling = line.rstrip("\r")
            if spelling.strip():
                at = self._text.find(spelling, at, place.end)
                if at < 0:
                    break
            while wanted and wanted[0] <= end:
                offset = wanted.popleft()
                if spelling.strip():
                    found[offset] = self.at(at + offset - start)
            at += len(spelling) if spelling.strip() else 0
            start = end + 1
        return found

    def extent(self, path: Path) -> tuple[int, int] | None:
        """See `Positions.extent`."""
        place = self._place(path)
        start = self._first(place)
        last = start + len(self._text[start : place.end].rstrip()) - 1
        return self.at(start).line, self.at(max(last, start)).line

    def search(self, text: str) -> Position | None:
        """The first place in the file where `text` stands."""
        at = self._text.find(text)
        return self.at(at) if at >= 0 else None

    def span(self, path: Path) -> tuple[int, int] | None:
        """See `Positions.span`."""
        place = self._place(path)
        if not place.whole:
            return None
        text = self._text[place.start : place.end]
        start = place.start + len(text) - len(text.lstrip())
        return start, max(start, place.start + len(text.rstrip()))

    def key_span(self, path: Path) -> tuple[int, int] | None:
        """See `Positions.key_span`."""
        place = self._place(path)
        return place.key if place.whole else None

    def at(self, offset: int) -> Position:
        """The position of the character at `offset`."""
        return self._lines.position(offset)

    def _first(self, place: _Place) -> int:
        """Where the value starts, or its key, if the value itself starts on a later line of a bullet."""
        key = place.key
        if key is None or self._is_tag(key[0]):
            return place.start
        between = self._text[key[1] : place.start]
        return key[0] if "\n" in between or "\r" in between else place.start

    def _is_tag(self, offset: int) -> bool:
        """Whether `offset` is on the line of a fence."""
        line = self._text[self._text.rfind("\n", 0, offset) + 1 : offset].lstrip()
        return line.startswith(("```", "~~~"))

    def repeated(self) -> Iterator[Repeated]:
        """The keys that stand twice, in front matter and in what is declared; a path begins with the declared name."""
        yield from repeated_at_the_top(self._text)
        for (top, name), section in self._sections.items():
            if top in DECLARED and name:  # elsewhere, bullets are prose
                yield from (one._replace(path=(name, *one.path)) for one in section.repeated)

    def doubtful(self) -> Iterator[Doubtful]:
        """What pflow reads as prose and is probably meant as more."""
        return doubtful(self._text, self._parsed)

    @functools.cached_property
    def _lines(self) -> LineIndex:
        return LineIndex(self._text)

    @functools.cached_property
    def _parsed(self) -> list[Section]:
        return sections(self._text)

    @functools.cached_property
    def _sections(self) -> dict[tuple[str, str], Section]:
        """`### name` under `## top` as (top, name), `## top` itself as (top, ""); the first of equal ones."""
        found: dict[tuple[str, str], Section] = {}
        top = ""
        for section in self._parsed:
            if section.level == 2:
                top = section.name.title()
            found.setdefault((top, section.name if section.level > 2 else ""), section)
        return found

    def _place(self, path: Path) -> _Place:
        if not path:
            return _Place(0, len(self._text), whole=False)
        top, *rest = path
        if top == "edges" and rest and isinstance(rest[0], int):
            return self._edge(rest[0])
        if top == "nodes" and rest and isinstance(rest[0], int):
            name, title = self._id(rest[0]), "Steps"
            rest = rest[1:]
            rest = rest[1:] if rest[:1] == ["params"] else rest  # the params are the section's own bullets
        else:
            name, title = "", "Steps" if top == "nodes" else str(top).title()
            if rest and top != "cache":
                name, rest = str(rest[0]), rest[1:]
        section = self._sections.get((title, name))
        if section is None:
            section = self._sections.get((title, ""))
            if section is None:
                return _Place(0, 0, whole=False)
            return _Place(section.start, section.end, whole=False)
        heading = section.start, section.start + len(section.name)
        if rest == ["id"]:
            return _Place(*heading, heading)
        whole = _Place(section.start, section.end, heading)
        return self._inside(section, whole, rest) if rest else whole

    def _inside(self, section: Section, whole: _Place, rest: list[str | int]) -> _Place:
        parts: dict[str | int, Part] = {part.name: part for part in section.parts}
        part = parts.get(rest[0])
        if part is None:
            return whole._replace(whole=False)
        span: Span | None = part.span
        place = self._of(part.span, part.tag, str(rest[0]))
        for step in rest[1:]:
            span = span.child(step) if span is not None else None
            if span is None:
                return place._replace(whole=False)
            place = self._of(span, None, str(step))
        return place

    def _of(self, span: Span, tag: int | None, name: str) -> _Place:
        start = span.key if tag is None else tag
        if start is None:
            return _Place(span.start, span.end)
        if self._text[start : start + 1] in ('"', "'"):
            return _Place(span.start, span.end, (start, start + len(name) + 2))
        return _Place(span.start, span.end, (start, start + len(name)))

    def _edge(self, which: int) -> _Place:
        edges = self._data.get("edges")
        edge = edges[which] if isinstance(edges, list) and which < len(edges) else None
        section = self._sections.get(("Steps", str(edge.get("from")))) if isinstance(edge, Mapping) else None
        if edge is None or section is None:
            return _Place(0, 0, whole=False)
        target = re.compile(rf"(?<![\w-]){re.escape(str(edge.get('to')))}(?![\w-])")
        for start, end in section.bullets:
            colon = self._text.find(":", start, end)
            found = target.search(self._text, colon, end) if colon >= 0 else None
            if found is not None:
                return _Place(*found.span())
        return _Place(section.start, section.end)

    def _id(self, index: int) -> str:
        nodes = self._data.get("nodes")
        node = nodes[index] if isinstance(nodes, list) and index < len(nodes) else None
        return str(node.get("id")) if isinstance(node, Mapping) else ""
