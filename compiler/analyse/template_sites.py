"""The places of a workflow where a template can stand, and the order in which its nodes run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..ir.paths import Path
from ..ir.template import Template, parse, templates
from ..ir.workflow import SourceIR, SourceNode


class Surface(NamedTuple):
    """One template in its place. `kind` is param, items, loop, carry, output, chunk or prose."""

    kind: str
    node: SourceNode | None
    path: Path
    template: Template


def surfaces(ir: SourceIR) -> Iterator[Surface]:
    """Every template of the workflow: of its nodes, then of its outputs, then of its prompt cache."""
    for node in ir.nodes:
        yield from _of_node(node)
    for name, output in (ir.data.get("outputs") or {}).items():
        source = output.get("source")
        if isinstance(source, str) and "${" in source:
            yield Surface("output", None, ("outputs", name, "source"), parse(source))
    for index, chunk in enumerate((ir.data.get("cache") or {}).get("items", ())):
        path: Path = ("cache", "items", index)
        if chunk["var"]:
            yield Surface("chunk", None, (*path, "var"), parse("${" + chunk["var"] + "}"))
        if "${" in chunk["prose_before"]:
            yield Surface("prose", None, (*path, "prose_before"), parse(chunk["prose_before"]))


def _of_node(node: SourceNode) -> Iterator[Surface]:
    for path, template in templates(node.params, (*node.path, "params")):
        yield Surface("param", node, path, template)
    if node.batch is not None:
        for path, template in templates(node.batch.items, (*node.path, "batch", "items")):
            yield Surface("items", node, path, template)
        for path, template in templates(node.batch.key, (*node.path, "batch", "key")):
            yield Surface("param", node, path, template)
    loop: dict[str, Any] = node.data.get("loop") or {}
    for key in ("while", "until", "max_iterations"):
        for path, template in templates(loop.get(key), (*node.path, "loop", key)):
            yield Surface("loop", node, path, template)
    for path, template in templates(loop.get("carry"), (*node.path, "loop", "carry")):
        yield Surface("carry", node, path, template)
