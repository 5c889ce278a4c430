"""Source maps: which place of the workflow each line of a generated file comes from.

in   LoweredIR, the generated files with their marks
out  for every file its `Mapped` lines; `map_files` writes them down as `<file>.map.json` (map.schema.json)

What a line comes from is noted while it is written (`marks`); here it gets its place in the workflow's file.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..diagnostics.diagnostic import Position
from ..files.generated_names import MAP
from ..ir import tree
from ..ir.lowered import LoweredIR
from ..ir.paths import Path, address
from ..ir.template import strings
from .marks import Mark, read

VERSION = 2

RULES = {
    "header": "names the workflow and the command that makes this file again",
    "class": "the class that a batch node becomes; it wraps the original node",
    "name": "the node's id, under which the outcome is published",
    "alias": "the name of an item in the node's parameters",
    "items": "the list that the batch runs over, read once before the loop",
    "results": "the file that the results go to",
    "capture": "the same for every item: read once, before the loop",
    "attempts": "how often an item is tried, and how long it waits in between",
    "item": "the item of this call gets the author's name for it",
    "parameter": "a parameter of the node, made anew for every call of it",
    "call": "the original node runs for one item",
    "policy": "how many items run at once, and what one failure means for the others",
    "input": "an input of the workflow",
    "step": "a node of the workflow as a step of the program",
    "edge": "an edge between two nodes",
    "start": "the node that runs first",
    "output": "an output of the workflow",
    "kept": "as in the workflow",
    "added": "what the engine does with the original type by itself, and must be told of the generated one",
}
"""What the rule of a `Mapped` says, in words."""


class Mapped(NamedTuple):
    """Lines of a generated file that come from one place of the workflow."""

    first: int
    last: int
    """The generated lines, counted from 1; the last one is included."""
    path: Path
    """The place in the workflow's data."""
    node: str
    """The id of the node; "" where the place belongs to none."""
    field: str
    """The place as users address it, inside the node: `params.prompt`, `batch.items`; "" for the node itself."""
    rule: str
    """A key of `RULES`."""
    position: Position | None
    """The place in the workflow's file, if it has one."""


def maps_of(
    lowered: LoweredIR, marked: Mapping[str, str], whole: Collection[Path] = frozenset()
) -> dict[str, list[Mapped]]:
    """The mapped lines of every generated file, in their order; `marked` are the files with their marks.

    Where several stand for one line, the one that says most comes last. What stands inside one of the places `whole`
    is left out.
    """
    texts = dict(_texts(lowered))
    return {
        name: _located(lowered, texts, [one for one in read(text) if not _is_inside(one.origin.path, whole)])
        for name, text in marked.items()
    }


def _is_inside(path: Path, whole: Collection[Path]) -> bool:
    return bool(whole) and any(path[:length] in whole for length in range(2, len(path)))


def at_line(mapped: Sequence[Mapped], line: int) -> list[Mapped]:
    """What is known of one generated line, the most exact first."""
    return sorted((m for m in mapped if m.first <= line <= m.last), key=lambda m: (m.last - m.first, -len(m.path)))


def map_files(maps: Mapping[str, Sequence[Mapped]], files: Mapping[str, str], origin: str) -> dict[str, str]:
    """The text of `<file>.map.json` for each of `files`; `origin` is the workflow's path, relative to them."""
    return {f"{name}{MAP}": map_text(name, files[name], origin, mapped) for name, mapped in maps.items()}


def map_text(name: str, text: str, origin: str, mapped: Iterable[Mapped]) -> str:
    """The map of the file `name`, whose content is `text`."""
    rows = [json.dumps(_row(m), ensure_ascii=False) for m in mapped]
    head = {"version": VERSION, "file": name, "crc32": checksum(text), "source": origin}
    begin = json.dumps(head, ensure_ascii=False, indent=2)[:-2]
    listed = ",\n".join(f"    {row}" for row in rows)
    return f'{begin},\n  "lines": [\n{listed}\n  ]\n}}\n' if rows else f'{begin},\n  "lines": []\n}}\n'


def checksum(text: str) -> str:
    """What tells whether a map is that of a file with this content."""
    return f"{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def _row(mapped: Mapped) -> dict[str, Any]:
    return {
        "first": mapped.first,
        "last": mapped.last,
        "line": mapped.position.line if mapped.position else None,
        "column": mapped.position.column if mapped.position else None,
        "node": mapped.node,
        "field": mapped.field,
        "rule": mapped.rule,
    }


def _located(lowered: LoweredIR, texts: Mapping[Path, str], marks: Sequence[Mark]) -> list[Mapped]:
    inside: dict[Path, set[int]] = {}
    for _, _, origin in marks:
        if origin.offset is not None and texts.get(origin.path):
            inside.setdefault(origin.path, set()).add(origin.offset)
    places = {path: lowered.positions.find_inside(path, texts[path], sorted(inside[path])) for path in inside}
    found = dict.fromkeys(_mapped(lowered, mark, places) for mark in marks)
    return sorted(found, key=lambda mapped: (mapped.first, -mapped.last))


def _mapped(lowered: LoweredIR, mark: Mark, places: Mapping[Path, Mapping[int, Position | None]]) -> Mapped:
    path, rule, offset = mark.origin
    position = places[path].get(offset) if offset is not None and path in places else lowered.positions.find(path)
    if len(path) > 1 and path[0] == "nodes" and isinstance(path[1], int):
        node, field = lowered.steps[path[1]].id, address(path[2:])
    else:
        node, field = "", address(path)
    return Mapped(mark.first, mark.last, path, node, "" if field == "id" else field, rule, position)


def _texts(lowered: LoweredIR) -> Iterator[tuple[Path, str]]:
    """Every text of the workflow that a mark may point into, with its place."""
    for step in lowered.steps:
        for parameter in step.parameters if step.batch is None else step.batch.parameters:
            yield from strings(tree.written(parameter.value), (*step.path, "params", parameter.key))
        if step.batch is not None:
            yield from strings(step.batch.spec.items, (*step.path, "batch", "items"))
            yield from strings(step.batch.spec.results, (*step.path, "batch", "results"))
            yield from ((capture.path, capture.text) for capture in step.batch.captures)
    yield from strings(dict(lowered.inputs), ("inputs",))
