"""What rules work with: the workflow, what depends on the item in it, and what a rule finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from ...analyse.invariance import Bindings
from ...ir.batch_spec import ErrorHandling
from ...ir.paths import Path
from ...ir.template import Reference, Template, is_dynamic, parse
from ...ir.workflow import SourceIR, SourceNode
from ...node_types.pflow_types import WORKFLOW_TYPES
from ..shared.sub_workflows import NotWalked, Walk

_MOST_ITEMS = 10_000
"""Items of batches inside each other are looked at one by one up to here."""


class Finding(NamedTuple):
    """One finding of a rule: where, why, and what to do."""

    path: Path
    message: str
    help: str
    text: str | None = None
    """What to look for inside the value at `path`."""
    key: bool = False
    """Whether the finding stands at the key of `path`."""
    remove: Path | None = None
    """The member that can be removed without any change of what the workflow does: the fix."""


class Rule(NamedTuple):
    """A rule: its code, the node it looks at, what it finds."""

    code: str
    check: Callable[[LintContext, SourceNode], Iterator[Finding]]
    fixable: bool = False


class LintContext(NamedTuple):
    """The workflow that is looked at."""

    ir: SourceIR
    nodes: Mapping[str, SourceNode]
    tolerant: frozenset[str]
    """The batches with error_handling `continue`: their results are those of the items that did not fail."""
    names: frozenset[str]
    """The names that the workflow declares."""

    @classmethod
    def of(cls, ir: SourceIR) -> LintContext:
        batches = [(node.id, node.batch) for node in ir.nodes if node.batch is not None]
        tolerant = frozenset(name for name, batch in batches if batch.error_handling is ErrorHandling.CONTINUE)
        return cls(ir, {node.id: node for node in ir.nodes}, tolerant, ir.names)

    def bindings(self, node: SourceNode) -> Bindings:
        """What the names in the parameters of `node` stand for."""
        return Bindings.of(node, self.names)

    def started_by(self, node: SourceNode) -> Iterator[tuple[str, SourceNode]]:
        """Every node of the workflows that `node` starts, with the name of the workflow that it stands in.

        What is named by a reference, or is not a file here, is not looked at: what it does is not known.
        """
        if not self.ir.name.startswith("<"):
            file = FilePath(self.ir.name)
            yield from _started(node, Walk.of(file), file.parent)

    def depends(self, node: SourceNode, key: str) -> bool:
        """Whether the parameter `key` of a batch node can have another value for each item."""
        return self.bindings(node).varies(key)


def _started(node: SourceNode, walk: Walk, folder: FilePath) -> Iterator[tuple[str, SourceNode]]:
    name = node.params.get("workflow") if node.type in WORKFLOW_TYPES else None
    if not isinstance(name, str) or is_dynamic(name):
        return
    file = folder / FilePath(name).expanduser()
    try:
        below, ir = walk.into(file, name, folder)
    except NotWalked:
        return
    for inner in ir.nodes:
        yield name, inner
        yield from _started(inner, below, file.parent)


def whole_reference(value: Any) -> Reference | None:
    """The one reference that `value` is, if it is `${path}` and nothing else."""
    template = whole_template(value)
    operands = template.expressions[0].operands if template is not None else ()
    return operands[0] if len(operands) == 1 and isinstance(operands[0], Reference) else None


def whole_template(value: Any) -> Template | None:
    """The template that `value` is, if it is one expression whose value keeps its type."""
    template = parse(value) if isinstance(value, str) and "${" in value else None
    return template if template is not None and template.is_whole else None


def inline_items(node: SourceNode) -> list[dict[str, Any]] | None:
    """The items of a batch by what its parameters call them, if they stand in the workflow as they are.

    None, too, where batches inside each other have more of them than are worth looking at.
    """
    if node.batch is None:
        return None
    found: list[dict[str, Any]] = [{}]
    for level in node.batch.levels:
        if not isinstance(level.items, list) or is_dynamic(level.items):
            return None
        if found != [{}] and len(found) * len(level.items) > _MOST_ITEMS:
            return None
        found = [{**around, level.alias: item} for around in found for item in level.items]
    return found
