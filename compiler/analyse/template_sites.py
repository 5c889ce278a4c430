"""The places of a workflow where a template can stand, and the order in which its nodes run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..ir.paths import Path
from ..ir.template import Template, parse, templates
from ..ir.workflow import SourceIR, SourceNode


class Surface(NamedTuple):
    """One template in its place. `kind` is param, items, inner (the items of a batch inside a batch), loop, carry,
    output, chunk or prose."""

    kind: str
    node: SourceNode | None
    path: Path
    template: Template


def surfaces(ir: SourceIR) -> Iterator[Surface]:
    """Every template of the workflow: of its nodes, then of its outputs, then of its prompt cache."""
    for node in ir.nodes:
        yield from _of_node(node)
    for name, source in ir.outputs:
        if "${" in source:
            yield Surface("output", None, ("outputs", name, "source"), parse(source))
    for index, chunk in enumerate(ir.chunks):
        path: Path = ("cache", "items", index)
        if chunk.var:
            yield Surface("chunk", None, (*path, "var"), parse("${" + chunk.var + "}"))
        if "${" in chunk.prose_before:
            yield Surface("prose", None, (*path, "prose_before"), parse(chunk.prose_before))


def _of_node(node: SourceNode) -> Iterator[Surface]:
    for path, template in templates(node.params, (*node.path, "params")):
        yield Surface("param", node, path, template)
    if node.batch is not None:
        for path, template in templates(node.batch.items, (*node.path, "batch", "items")):
            yield Surface("items", node, path, template)
        inner: Path = (*node.path, "batch")
        for level in node.batch.levels[1:]:
            inner = (*inner, "batch")
            for path, template in templates(level.items, (*inner, "items")):
                yield Surface("inner", node, path, template)
        for path, template in templates(node.batch.key, (*node.path, "batch", "key")):
            yield Surface("param", node, path, template)
    if (loop := node.loop) is None:
        return
    for key, text in (*loop.conditions, ("max_iterations", loop.max_iterations)):
        for path, template in templates(text, (*node.path, "loop", key)):
            yield Surface("loop", node, path, template)
    for path, template in templates(loop.carry, (*node.path, "loop", "carry")):
        yield Surface("carry", node, path, template)
