"""Where the parts of a workflow stand in its Markdown.

pflow's parser keeps the line of each `### heading` and of each code block; the rest is found by
looking for the key inside the node's section, and for a text inside the value. That is a search,
not a parse: when the author's spelling hides a text (YAML escapes), the answer is the value's or
the heading's place, never a wrong section.

An edge stands where its source node names it (`- next: b`); one that follows from the order of the
document stands at the heading of its source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..diagnostics.diagnostic import Position
from ..ir.paths import Path
from .json_positions import Lines

_HEADING = re.compile(r"\s*(#{2,3})\s+(.*?)\s*$")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})\s*(.*?)\s*$")


class _Part(NamedTuple):
    """A stretch of the text: a section, a code block, a value."""

    start: int
    end: int
    key: int | None = None
    """Where the value's key stands, if the value itself starts on a later line."""


class MarkdownPositions:
    """The positions of a `.pflow.md`. Implements `ir.Positions`."""

    def __init__(self, text: str, data: Mapping[str, Any]) -> None:
        self._text = text
        self._data = data
        self._lines: Lines | None = None
        self._sections: dict[tuple[str, str], _Part] | None = None

    def find(self, path: Path, text: str | None = None) -> Position | None:
        """See `ir.Positions.find`."""
        part = self._part(path)
        if part is None:
            return self._at(0)
        offset = part.start if part.key is None else part.key
        if text:
            # A block's text may be spelled over several lines; then its first line still helps.
            for wanted in (text, text.splitlines()[0] if text.strip() else text):
                at = self._text.find(wanted, part.start, part.end)
                if at >= 0:
                    return self._at(at)
        return self._at(offset)

    def find_key(self, path: Path) -> Position | None:
        """See `ir.Positions.find_key`."""
        parent = self._part(path[:-1])
        if path and isinstance(path[-1], str) and parent is not None:
            key = _key(path[-1]).search(self._text, parent.start, parent.end)
            if key:
                return self._at(key.start("key"))
        return self.find(path)

    def find_inside(self, path: Path, value: str, offset: int) -> Position | None:
        """See `ir.Positions.find_inside`. Line by line: YAML indents a block that the value has without."""
        part = self._part(path)
        if part is None:
            return self._at(0)
        at = self._text.find(value, part.start, part.end)
        if at >= 0:
            return self._at(at + offset)
        before = value[:offset].split("\n")
        whole = value.split("\n")[len(before) - 1].rstrip("\r")
        same = sum(line.strip() == whole.strip() for line in before[:-1])
        at = part.start - 1
        for _ in range(same + 1):
            at = self._text.find(whole, at + 1, part.end) if whole.strip() else -1
            if at < 0:
                return self.find(path)
        return self._at(at + len(before[-1]))

    def extent(self, path: Path) -> tuple[int, int] | None:
        """See `ir.Positions.extent`."""
        part = self._part(path)
        if part is None:
            return None
        start = part.start if part.key is None else part.key
        last = start + len(self._text[start : part.end].rstrip()) - 1
        return self._at(start).line, self._at(max(last, start)).line

    def search(self, text: str) -> Position | None:
        """The first place in the file where `text` stands."""
        at = self._text.find(text)
        return self._at(at) if at >= 0 else None

    def span(self, path: Path) -> tuple[int, int] | None:
        """The offsets between which the value at `path` stands, or its nearest parent that can be found."""
        part = self._part(path)
        return (part.start, part.end) if part is not None else None

    def _at(self, offset: int) -> Position:
        if self._lines is None:
            self._lines = Lines(self._text)
        return self._lines.position(offset)

    def _part(self, path: Path) -> _Part | None:
        if len(path) < 2:
            return self._section(str(path[0]).title(), "") if path else None
        top, which, *rest = path
        if top == "nodes" and isinstance(which, int):
            part = self._section("Steps", self._id(which))
            rest = rest[1:] if rest[:1] == ["params"] else rest  # the params are the section's own bullets
        elif top == "edges" and isinstance(which, int):
            return self._edge(which)
        else:
            part = self._section(str(top).title(), "" if top == "cache" else str(which))
        if rest == ["id"] or part is None:
            return part
        for step in rest:
            inner = self._inner(part, step)
            if inner is None:
                break
            part = inner
        return part

    def _inner(self, part: _Part, step: str | int) -> _Part | None:
        if isinstance(step, int):
            return self._item(part, step)
        for fence in self._fences(part):
            if fence[0] == step:
                return fence[1]
        match = _key(step).search(self._text, part.start, part.end)
        if match is None:
            return None
        below = self._text[match.end() : match.end() + 1] in ("\r", "\n", "")
        key = match.start("key")
        return _Part(match.end(), self._block_end(key, part.end), key if below else None)

    def _item(self, part: _Part, index: int) -> _Part | None:
        """The index-th `- item` of a block list, by the indentation of the first one."""
        bullets = list(re.compile(r"^([ \t]*)-[ \t]+", re.MULTILINE).finditer(self._text, part.start, part.end))
        if not bullets:
            return None
        same = [bullet for bullet in bullets if bullet[1] == bullets[0][1]]
        if index >= len(same):
            return None
        end = same[index + 1].start() if index + 1 < len(same) else part.end
        return _Part(same[index].end(), end)

    def _block_end(self, key: int, limit: int) -> int:
        """Where the value of the key at offset `key` ends: at the next line that is not deeper."""
        line_start = self._text.rfind("\n", 0, key) + 1
        before = self._text[line_start:key]
        if before.strip(" \t-"):  # a flow mapping: {items: ..., as: ...}
            end = self._text.find("\n", key)
            return limit if end < 0 else min(end, limit)
        depth = len(before)
        for line in re.compile(r"^([ \t]*)(\S)", re.MULTILINE).finditer(self._text, key, limit):
            column = len(line[1])
            if line.start() > key and (column < depth or (column == depth and line[2] != "-")):
                return line.start()
        return limit

    def _fences(self, part: _Part) -> list[tuple[str, _Part]]:
        """The code blocks of a section: the last word of each tag, and the content."""
        found: list[tuple[str, _Part]] = []
        opened: tuple[str, str, int] | None = None
        offset = part.start
        for line in self._text[part.start : part.end].splitlines(keepends=True):
            match = _FENCE.match(line)
            if opened is None:
                if match:
                    opened = match[1], (match[2].split() or [""])[-1], offset + len(line)
            elif match and match[1].startswith(opened[0]) and not match[2]:
                found.append((opened[1], _Part(opened[2], offset)))
                opened = None
            offset += len(line)
        return found

    def _edge(self, which: int) -> _Part | None:
        edges = self._data.get("edges")
        edge = edges[which] if isinstance(edges, list) and which < len(edges) else None
        if not isinstance(edge, Mapping):
            return None
        part = self._section("Steps", str(edge.get("from")))
        if part is None:
            return None
        named = re.compile(
            rf"^[ \t]*-[ \t].*?:.*?(?P<key>(?<![\w-]){re.escape(str(edge.get('to')))}(?![\w-]))", re.MULTILINE
        )
        match = named.search(self._text, part.start, part.end)
        return _Part(match.start("key"), match.end()) if match else part

    def _id(self, index: int) -> str:
        nodes = self._data.get("nodes")
        node = nodes[index] if isinstance(nodes, list) and index < len(nodes) else None
        return str(node.get("id")) if isinstance(node, Mapping) else ""

    def _section(self, top: str, name: str) -> _Part | None:
        """The section `### name` under `## top`, or `## top` itself; the heading's text starts it."""
        if self._sections is None:
            self._sections = self._read_sections()
        return self._sections.get((top, name)) or self._sections.get((top, ""))

    def _read_sections(self) -> dict[tuple[str, str], _Part]:
        starts: list[tuple[int, int, tuple[str, str]]] = []  # the heading's text, its line, its name
        fence = ""
        top = ""
        offset = 0
        for line in self._text.splitlines(keepends=True):
            mark = _FENCE.match(line)
            heading = _HEADING.match(line)
            if fence:
                if mark and mark[1].startswith(fence) and not mark[2]:
                    fence = ""
            elif mark:
                fence = mark[1]
            elif heading:
                name = heading[2] if heading[1] == "###" else ""
                top = top if name else heading[2].title()
                starts.append((offset + heading.start(2), offset, (top, name)))
            offset += len(line)
        ends = [line for _, line, _ in starts[1:]] + [len(self._text)]
        sections: dict[tuple[str, str], _Part] = {}
        for (start, _, name), end in zip(starts, ends, strict=True):
            sections.setdefault(name, _Part(start, end))
        return sections


def _key(name: str) -> re.Pattern[str]:
    """`name:` where a key can stand: after a bullet, an indentation, a brace or a comma."""
    return re.compile(
        rf"""(?:^[ \t]*(?:-[ \t]+)*|[{{,][ \t]*)(?P<key>["']?{re.escape(name)}["']?)[ \t]*:[ \t]*""", re.MULTILINE
    )
