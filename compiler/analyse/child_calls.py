"""Which workflows a node of type `workflow` starts, and with which inputs, as far as that is known before a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..ir.paths import Path as DataPath
from ..ir.template import Field, Index, Reference, parse, templates
from ..ir.workflow import SourceNode
from ..node_types.pflow_types import WORKFLOW_TYPES
from .written_values import UNKNOWN, known_text, known_value


class Call(NamedTuple):
    """One way in which a node starts a workflow. What is not known before a run is None."""

    name: str | None
    """The workflow, as it is written."""
    inputs: Any
    """What it is given: an object, or something else that stands in its place."""
    name_path: DataPath
    inputs_path: DataPath


def files_started(node: SourceNode) -> Iterator[Call]:
    """The calls of a node that name a file: one, or one for each item that is written out."""
    if node.type in WORKFLOW_TYPES:
        yield from (call for call in calls_of(node) if call.name is not None and is_file_name(call.name))


def is_file_name(name: str) -> bool:
    """Whether pflow takes the name of a workflow for a file, not for one that it has saved."""
    return "/" in name or "\\" in name or name.endswith(".pflow.md") or name.startswith(".")


def calls_of(node: SourceNode) -> Iterator[Call]:
    """The ways in which `node` starts a workflow: one, or one for each item that is written out and matters."""
    at: DataPath = (*node.path, "params")
    name, inputs = node.params.get("workflow"), node.params.get("inputs")
    items = node.batch.items if node.batch is not None else None
    if node.batch is None or not isinstance(items, list) or not _reads(node.batch.alias, name, inputs):
        yield Call(known_text(name), known_value(inputs), (*at, "workflow"), (*at, "inputs"))
        return
    for index, item in enumerate(items):
        found = known_value(name, node.batch.alias, item)
        whole = known_value(inputs, node.batch.alias, item)
        place: DataPath = (*at, "inputs")
        if isinstance(inputs, str) and whole is not UNKNOWN:
            place = (*node.path, "batch", "items", index, *_steps(inputs))
        yield Call(found if isinstance(found, str) else None, whole, (*at, "workflow"), place)


def _reads(alias: str, *values: Any) -> bool:
    return any(ref.root == alias for value in values for _, found in templates(value) for ref in found.references())


def _steps(inputs: str) -> Iterator[str | int]:
    """The way that a reference goes into the item, as a path of the document."""
    template = parse(inputs)
    operand = template.expressions[0].operands[0] if template.is_whole else None
    for step in operand.path if isinstance(operand, Reference) else ():
        if isinstance(step, Field):
            yield step.name
        elif isinstance(step, Index):
            yield step.value
