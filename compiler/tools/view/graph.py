"""The graph of a workflow: what the SVG template draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ...diagnostics.diagnostic import printable
from ...ir.edges import Edge, kept
from ...ir.lowered import LoweredBatch
from .labels import cut, labels
from .layout import GAP, HEIGHT, WIDTH, lay_out

_LETTERS = 17
"""How many letters of ordinary width fit into a box."""
_MANY = 24
"""With more nodes than this a box has one line only."""
_LOW, _NEAR = 26, 24
"""The height of a box of one line, and the gap between two."""


class Box(NamedTuple):
    """One node as it is drawn."""

    x: int
    y: int
    column: int
    title: str
    note: str
    """The line below the title; "" where there are many nodes."""
    hint: str
    """All of it, for those who point at the box and those who do not see it."""
    batch: bool


class Curve(NamedTuple):
    """One edge as it is drawn, between two boxes by their numbers."""

    start: int
    end: int
    path: str
    word: str
    x: int
    y: int


class Graph(NamedTuple):
    """A drawing in one row: its size, its boxes by number of node, its edges.

    A browser breaks the row into as many as it takes: the columns are `pitch` apart.
    """

    width: int
    height: int
    pitch: int
    tall: int
    boxes: Sequence[Box]
    curves: Sequence[Curve]


def graph_of(data: Mapping[str, Any], batches: Sequence[LoweredBatch]) -> Graph | None:
    """The workflow `data` and what became of its nodes. Takes a broken workflow, too; None if it has no nodes."""
    nodes = _list(data, "nodes")
    if not nodes:
        return None
    ids = [_text(node, "id") for node in nodes]
    number = {name: at for at, name in reversed(list(enumerate(ids))) if name}
    edges = [
        (number[edge.source], number[edge.target], edge.name)
        for edge in kept(_edges(data))
        if edge.source in number and edge.target in number
    ]
    words = [cut("" if word == "default" else word or '""', 12) for _, _, word in edges]
    many = len(nodes) > _MANY
    gap = (_NEAR if many else GAP) + 6 * max(map(len, words), default=0)
    tall = _LOW if many else HEIGHT
    laid = lay_out(len(nodes), [(a, b) for a, b, _ in edges], gap, tall)
    curves = [
        Curve(a, b, path, word, *place)
        for (a, b, _), path, word, place in zip(edges, laid.curves, words, laid.labels, strict=True)
    ]
    lowered = {batch.number: batch for batch in batches}
    boxes = []
    for at, (node, title) in enumerate(zip(nodes, labels(ids, _LETTERS), strict=True)):
        note, hint = _note_and_hint(node, ids[at], lowered.get(at))
        shown = "" if many else cut(note, _LETTERS + 4)
        batch = isinstance(node, Mapping) and node.get("batch") is not None
        boxes.append(Box(*laid.places[at], laid.columns[at], title, shown, printable(hint), batch))
    return Graph(laid.width, laid.height, WIDTH + gap, tall, boxes, curves)


def _note_and_hint(node: Any, name: str, batch: LoweredBatch | None) -> tuple[str, str]:
    """What a box says of its node besides its name, and all of it in words."""
    kind = _text(node, "type")
    written = node.get("batch") if isinstance(node, Mapping) else None
    if written is None:
        return kind, f"{name}: {kind}"
    alias = _text(written, "as") or "item"
    became = ""
    if batch is not None:
        read = ", ".join(["items", *(capture.name for capture in batch.captures)])
        became = f"; becomes {batch.class_name}, reads {read}"
    return f"{kind} \N{MULTIPLICATION SIGN} each {alias}", f"{name}: {kind}, once for each {alias}{became}"


def _edges(data: Mapping[str, Any]) -> Iterator[Edge]:
    for at, edge in enumerate(_list(data, "edges")):
        action = edge.get("action") if isinstance(edge, Mapping) else None
        yield Edge(_text(edge, "from"), _text(edge, "to"), action if isinstance(action, str) else None, at)


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    return value if isinstance(value, list) else []


def _text(data: Any, key: str) -> str:
    value = data.get(key) if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else ""
