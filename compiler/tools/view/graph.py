"""The graph of a workflow, before and after: what the SVG template draws."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...diagnostics.diagnostic import printable
from ...ir.lowered import LoweredBatch
from .layout import GAP, lay_out

_LETTERS = 16
"""How many letters of ordinary width fit into a box."""


class Box(NamedTuple):
    """One node as it is drawn."""

    x: int
    y: int
    title: str
    note: str
    """The line below the title."""
    hint: str
    """All of it, for those who point at the box and those who do not see it."""
    batch: bool


class Curve(NamedTuple):
    """One edge as it is drawn."""

    path: str
    word: str
    x: int
    y: int


class Graph(NamedTuple):
    """A drawing: its size, its boxes by number of node, its edges."""

    width: int
    height: int
    boxes: Sequence[Box]
    curves: Sequence[Curve]


def graphs(data: Mapping[str, Any], batches: Sequence[LoweredBatch] | None) -> tuple[Graph | None, Graph | None]:
    """The workflow `data` before and, if it could be lowered to `batches`, after. Takes a broken workflow, too."""
    nodes = _list(data, "nodes")
    if not nodes:
        return None, None
    ids = [_text(node, "id") for node in nodes]
    number = {name: at for at, name in reversed(list(enumerate(ids))) if name}
    edges = [
        (number[_text(edge, "from")], number[_text(edge, "to")], _text(edge, "action"))
        for edge in _list(data, "edges")
        if _text(edge, "from") in number and _text(edge, "to") in number
    ]
    words = [_short("" if word == "default" else word, 12) for _, _, word in edges]
    gap = GAP + 6 * max(map(len, words), default=0)
    laid = lay_out(len(nodes), [(a, b) for a, b, _ in edges], gap)
    curves = [Curve(path, word, *place) for path, word, place in zip(laid.curves, words, laid.labels, strict=True)]

    def drawn(boxes: Sequence[tuple[str, str, str, bool]]) -> Graph:
        placed = [
            Box(x, y, _short(title), _short(note, _LETTERS + 3), printable(hint), batch)
            for (x, y), (title, note, hint, batch) in zip(laid.places, boxes, strict=True)
        ]
        return Graph(laid.width, laid.height, placed, curves)

    before = drawn([_before(node, name) for node, name in zip(nodes, ids, strict=True)])
    if batches is None:
        return before, None
    lowered = {batch.number: batch for batch in batches}
    return before, drawn([_after(node, ids[at], lowered.get(at)) for at, node in enumerate(nodes)])


def _before(node: Any, name: str) -> tuple[str, str, str, bool]:
    kind = _text(node, "type")
    batch = node.get("batch") if isinstance(node, Mapping) else None
    if batch is None:
        return name, kind, f"{name}: {kind}", False
    alias = _text(batch, "as") or "item"
    return name, f"{kind} \N{MULTIPLICATION SIGN} each {alias}", f"{name}: {kind}, once for each {alias}", True


def _after(node: Any, name: str, batch: LoweredBatch | None) -> tuple[str, str, str, bool]:
    if batch is None:
        return _before(node, name)
    read = ", ".join(["items", *(capture.name for capture in batch.captures)])
    return name, batch.class_name, f"{name}: {batch.class_name}, runs {batch.type}, reads {read}", True


def _short(text: str, letters: int = _LETTERS) -> str:
    """`text` on one line and no wider than `letters`; wide characters count double."""
    room, shown = float(letters), ""
    for character in text:
        room -= 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if room < 0:
            return shown[:-1] + "…"
        shown += character if character.isprintable() else "�"
    return shown


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    return value if isinstance(value, list) else []


def _text(data: Any, key: str) -> str:
    value = data.get(key) if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else ""
