"""Rules about values that several readers share: who changes one changes it for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...analyse.code_annotations import annotations_of, json_type, result_type
from ...analyse.template_sites import SiteKind, template_sites
from ...ir.edges import followers
from ...ir.paths import Path
from ...ir.template import Expression, Field, Literal, Reference, templates
from ...ir.workflow import SourceNode
from ...node_types.pflow_types import pflow_type
from .code_changes import Change, changes, indexings
from .context import Finding, LintContext, whole_reference

_CONTAINERS = ("array", "object")


def shared_value(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL503: items that run at the same time change one list or object."""
    if node.batch is None or not node.batch.parallel:
        return
    for change, reference in _changed(context, node):
        if not _is_of_item(context, node, reference):
            message = (
                f"items that run at the same time all change `{change.name}`, ${{{reference.raw}}}, "
                f"in line {change.line} of the code: {change.text}"
            )
            yield Finding(_at(node, change), message, _copy(change), text=f"${{{reference.raw}}}")


def changed_input(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL504: a `code` node changes what others read too."""
    for change, reference in _changed(context, node):
        own = node.batch is not None and _is_of_item(context, node, reference)
        if node.batch is not None and node.batch.parallel and not own:
            continue  # PFL503
        if own:
            effect = "the item itself changes, in `results` and in the list that it came from"
        elif node.batch is not None:
            effect = "the items that follow find it changed"
        elif reader := _later_reader(context, node, reference):
            effect = f"`{reader}` reads it changed"
        else:
            continue
        message = f"line {change.line} of the code changes its input `{change.name}`, {change.text}: {effect}"
        yield Finding(_at(node, change), message, _copy(change), text=f"${{{reference.raw}}}")


def _copy(change: Change) -> str:
    return f"work on a copy: import copy, then {change.name}_copy = copy.deepcopy({change.name})"


def _at(node: SourceNode, change: Change) -> Path:
    return (*node.path, "params", "inputs", change.name)


def _changed(context: LintContext, node: SourceNode) -> Iterator[tuple[Change, Reference]]:
    """The inputs that the code changes, where the value is shared and not made for this call."""
    code, inputs = node.params.get("code"), node.params.get("inputs")
    if node.type != "code" or not isinstance(code, str) or "${" in code or not isinstance(inputs, dict):
        return
    found = annotations_of(node)
    declared = found.bare if found is not None else {}
    containers = {name for name, text in declared.items() if name in inputs and json_type(text) in _CONTAINERS}
    for change in changes(code, containers):  # pflow refuses other values there
        reference = whole_reference(inputs[change.name])
        if reference is not None and _is_data(context, node, reference):
            yield change, reference


def _is_of_item(context: LintContext, node: SourceNode, reference: Reference) -> bool:
    return context.bindings(node).is_of_item(reference, "inputs")


def _is_data(context: LintContext, node: SourceNode, reference: Reference) -> bool:
    """Whether the reference gives a list or an object that exists once, given that it is not text."""
    root, path = reference.root, reference.path
    if root in node.aliases:
        return True
    declared = context.ir.inputs.get(root)
    if isinstance(declared, dict):
        return declared.get("type") in _CONTAINERS
    source = context.nodes.get(root)
    if source is None or not path or not isinstance(path[0], Field) or not context.ir.namespaced:
        return False
    if source.batch is not None:
        return path[0].name in ("results", "errors", "batch_metadata")
    known = pflow_type(source.type)
    if known is None:
        return False
    if known.structured_output and "output_schema" in source.params:
        return path[0].name == known.structured_output
    if source.type == "code" and path == (Field("result"),):
        return result_type(source) in _CONTAINERS
    return path[0].name in known.data_outputs and len(path) > 1


def _later_reader(context: LintContext, node: SourceNode, reference: Reference) -> str:
    """A node after `node`, or an output, that reads the same value; "" if there is none."""
    for site in template_sites(context.ir):
        reads = any(_overlaps(other, reference) for other in site.template.references())
        if not reads or site.node is node:
            continue
        if site.node is None:
            return ".".join(map(str, site.path[:2])) if site.kind is SiteKind.OUTPUT else ""
        if site.node.number > node.number:
            return site.node.id
    return ""


def _overlaps(one: Reference, other: Reference) -> bool:
    shared = min(len(one.path), len(other.path))
    return one.root == other.root and one.path[:shared] == other.path[:shared]


def index_into_continue(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL508: a place in the results of a batch that leaves failed items out, where validation does not look:
    inside code, and in `??` expressions."""
    batches = context.tolerant
    if not batches or not context.ir.namespaced:
        return
    help = "go through all of them; `original_index` of a result says which item it is of"
    for path, template in templates({"params": dict(node.params)}, node.path):
        for expression in template.expressions:
            if len(expression.operands) > 1 and (found := _indexed(expression, batches)):
                message = f"${{{found.raw}}} {_of_another_item(found)}"
                yield Finding(path, message, help, text=f"${{{expression.raw}}}")
    code, inputs = node.params.get("code"), node.params.get("inputs")
    if node.type != "code" or not isinstance(code, str) or not isinstance(inputs, dict):
        return
    given: dict[str, Any] = {}
    for name, value in inputs.items():
        reference = whole_reference(value)
        if reference is not None and reference.root in batches and reference.path == (Field("results"),):
            given[name] = reference
    for found_at in indexings(code, given):
        reference = given[found_at.name]
        message = f"line {found_at.line} of the code, {found_at.text}, {_of_another_item(reference)}"
        yield Finding((*node.path, "params", "inputs", found_at.name), message, help, text=f"${{{reference.raw}}}")


def _of_another_item(results: Reference) -> str:
    return f"may be the result of another item: `{results.root}` leaves failed items out"


def _indexed(expression: Expression, batches: frozenset[str]) -> Reference | None:
    for operand in expression.operands:
        if isinstance(operand, Literal) or operand.root not in batches:
            continue
        if operand.path[:1] == (Field("results"),) and len(operand.path) > 1 and not isinstance(operand.path[1], Field):
            return operand
    return None


def literal_item(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL511: a reference in an inline item that finds nothing; there, that is not an error, and its text stays."""
    if node.batch is None or not isinstance(node.batch.items, list):
        return
    for path, template in templates(node.batch.items, (*node.path, "batch", "items")):
        for expression in template.expressions:
            if len(expression.operands) != 1 or not isinstance(expression.operands[0], Reference):
                continue
            reference = expression.operands[0]
            why = _finds_nothing(context, node, reference)
            if why:
                message = f"{why}, and then the item is the text `{template.source.strip()[:60]}`"
                help = f'give it something to fall back on: ${{{reference.raw} ?? "..."}}'
                yield Finding(path, message, help, text=f"${{{expression.raw}}}")


def _finds_nothing(context: LintContext, node: SourceNode, reference: Reference) -> str:
    declared = context.ir.inputs.get(reference.root)
    if isinstance(declared, dict):
        if not reference.path:
            return ""
        if declared.get("type") in ("number", "integer", "boolean"):
            return f"`{reference.root}` is a {declared['type']} and has no parts"
        if declared.get("required", True) is False and declared.get("default") is None:
            return f"`{reference.root}` is null where nobody gives it"
        return ""
    if reference.root in context.nodes and _may_be_skipped(context, reference.root, node.id):
        return f"`{reference.root}` does not run on every way to `{node.id}`"
    return ""


def _may_be_skipped(context: LintContext, name: str, before: str) -> bool:
    """Whether a way leads from the start to `before` that passes `name` by."""
    edges = context.ir.edges_taken
    if not edges:
        return False
    after = followers(edges)
    start = context.ir.start
    if any(edge.target == start for edge in edges):
        return False  # which one pflow begins with is not certain enough
    todo, seen = [start], {name}
    while todo:
        current = todo.pop()
        if current == before:
            return True
        if current in seen:
            continue
        seen.add(current)
        todo.extend(after.get(current, ()))
    return False
