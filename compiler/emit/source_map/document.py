"""The source map of `lowered.json`: a stretch of lines for every key of the workflow, of a node, of its parameters."""

from __future__ import annotations

from collections.abc import Iterator

from ...ir import tree
from ...ir.lowered import LoweredBatch, LoweredIR
from ...ir.paths import Path
from ...load.json_positions import JsonPositions, Span
from ...lowering.lower import read_in_prep
from .lines import Lines


def document_lines(lowered: LoweredIR, text: str) -> Iterator[Lines]:
    """The lines of `text`, the expanded IR, by the place that they come from."""
    positions = JsonPositions(text)
    batches = {batch.number: batch for batch in lowered.batches}
    for key, span in positions.root.members.items():
        if key == "nodes":
            for number, node in enumerate(span.items):
                yield from _node(positions, number, node, batches.get(number), lowered.added)
            continue
        yield _span(positions, span, (key,), "kept")
        for name, inner in span.members.items():
            yield _span(positions, inner, (key, name), "kept")
        for number, inner in enumerate(span.items):
            yield _span(positions, inner, (key, number), "kept")


def _node(
    positions: JsonPositions, number: int, node: Span, batch: LoweredBatch | None, added: frozenset[Path]
) -> Iterator[Lines]:
    path: Path = ("nodes", number)
    yield _span(positions, node, (*path, "id"), "kept" if batch is None else "class")
    for key, span in node.members.items():
        rule = "class" if batch is not None and key == "type" else "kept"
        if (*path, key) not in added:
            yield _span(positions, span, (*path, key), rule)
        else:
            yield _span(positions, span, (*path, "type"), "added")
        if key == "params":
            for name, value in span.members.items():
                if batch is None:
                    yield _span(positions, value, (*path, key, name), "kept")
                else:
                    yield _parameter(positions, value, name, batch)


def _parameter(positions: JsonPositions, span: Span, name: str, batch: LoweredBatch) -> Lines:
    """A parameter of a generated node: what its class depends on."""
    path: Path = ("nodes", batch.number)
    capture = next((capture for capture in batch.captures if capture.name == name), None)
    if name == "inner":
        return _span(positions, span, (*path, "type"), "call")
    if name == "items":
        return _span(positions, span, (*path, "batch", "items"), "items")
    if capture is not None:
        return _span(positions, span, capture.path, "capture")._replace(text=capture.text, offset=capture.offset)
    of_results = {lookup.written for lookup in tree.lookups(batch.results)} if batch.results is not None else set()
    if any(made == name and lookup.written in of_results for made, lookup in read_in_prep(batch)):
        return _span(positions, span, (*path, "batch", "results"), "results")
    return _span(positions, span, (*path, "batch", "items"), "items")


def _span(positions: JsonPositions, span: Span, path: Path, rule: str) -> Lines:
    first = positions.at(span.key if span.key is not None else span.start).line
    return Lines(first, positions.at(max(span.end - 1, span.start)).line, path, rule)
