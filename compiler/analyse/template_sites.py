"""The places of a workflow where a template can stand."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import NamedTuple

from ..ir.known_to_pflow import ours_in
from ..ir.paths import Path
from ..ir.template import Template, parse, templates
from ..ir.workflow import SourceIR, SourceNode


class SiteKind(enum.Enum):
    """What a template is for."""

    PARAMETER = "parameter"
    ITEMS = "items"
    FILE = "file"
    """The path of a file of items or results."""
    INNER_ITEMS = "inner items"
    """The items of a batch inside a batch."""
    LOOP = "loop"
    CARRY = "carry"
    OUTPUT = "output"
    CHUNK = "chunk"
    """A piece of the prompt cache that is a reference."""
    PROSE = "prose"
    """Text of the prompt cache, which must not have references."""


class TemplateSite(NamedTuple):
    """One template in its place."""

    kind: SiteKind
    node: SourceNode | None
    path: Path
    template: Template

    @property
    def is_ours(self) -> bool:
        """Whether it stands in a key of a batch that pflow does not have."""
        batch = self.node.data.get("batch") if self.node is not None and self.path[2:3] == ("batch",) else None
        return batch is not None and self.path[3] in ours_in(batch)


def template_sites(ir: SourceIR) -> Iterator[TemplateSite]:
    """Every template of the workflow: of its nodes, then of its outputs, then of its prompt cache."""
    for node in ir.nodes:
        yield from _of_node(node)
    for name, source in ir.outputs:
        if "${" in source:
            yield TemplateSite(SiteKind.OUTPUT, None, ("outputs", name, "source"), parse(source))
    for index, chunk in enumerate(ir.chunks):
        path: Path = ("cache", "items", index)
        if chunk.var:
            yield TemplateSite(SiteKind.CHUNK, None, (*path, "var"), parse("${" + chunk.var + "}"))
        if "${" in chunk.prose_before:
            yield TemplateSite(SiteKind.PROSE, None, (*path, "prose_before"), parse(chunk.prose_before))


def _of_node(node: SourceNode) -> Iterator[TemplateSite]:
    for path, template in templates(node.params, (*node.path, "params")):
        yield TemplateSite(SiteKind.PARAMETER, node, path, template)
    if node.batch is not None:
        kind = SiteKind.ITEMS if node.batch.items_file is None else SiteKind.FILE
        for path, template in templates(node.batch.items, (*node.path, "batch", "items")):
            yield TemplateSite(kind, node, path, template)
        for path, template in templates(node.batch.results, (*node.path, "batch", "results")):
            yield TemplateSite(SiteKind.FILE, node, path, template)
        inner: Path = (*node.path, "batch")
        for level in node.batch.levels[1:]:
            inner = (*inner, "batch")
            for path, template in templates(level.items, (*inner, "items")):
                yield TemplateSite(SiteKind.INNER_ITEMS, node, path, template)
        for path, template in templates(node.batch.key, (*node.path, "batch", "key")):
            yield TemplateSite(SiteKind.PARAMETER, node, path, template)
    if (loop := node.loop) is None:
        return
    for key, text in (*loop.conditions, ("max_iterations", loop.max_iterations)):
        for path, template in templates(text, (*node.path, "loop", key)):
            yield TemplateSite(SiteKind.LOOP, node, path, template)
    for path, template in templates(loop.carry, (*node.path, "loop", "carry")):
        yield TemplateSite(SiteKind.CARRY, node, path, template)
