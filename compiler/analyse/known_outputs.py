"""References into what is known without pflow's registry: a batch's outputs, a loop's condition,
the declared types of inputs, shell commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..ir.batch_spec import BatchSpec, ErrorHandling
from ..ir.paths import Path
from ..ir.report import DiagnosticCollector, nearest
from ..ir.template import DynamicIndex, Field, Index, Literal, Reference, Template, parse
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.pflow_types import WORKFLOW_TYPES, pflow_type
from .code_annotations import result_type
from .template_syntax import OPERATORS

BATCH_OUTPUTS = {
    "results": "array",
    "count": "number",
    "success_count": "number",
    "error_count": "number",
    "errors": "array",
    "batch_metadata": "object",
}
"""What a batch node writes, and of which type."""

KINDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "null": "null",
}
"""What is no list, in messages, by its JSON type."""
SCALARS = ("number", "integer", "boolean")
"""The types that no path leads into; text may be JSON."""

_IN_A_FILE = {"file": "string", **{name: kind for name, kind in BATCH_OUTPUTS.items() if name != "results"}}
"""The same for a batch node whose results go to a file."""

_POSITION = "hand the position on in the batch before: ${__index__}"


class Finding(NamedTuple):
    """What is wrong with a reference."""

    code: str
    message: str
    help: str = ""


def outputs_of(spec: BatchSpec) -> Mapping[str, str]:
    """What a batch node with this annotation writes, and of which type."""
    return BATCH_OUTPUTS if spec.results_file is None else _IN_A_FILE


def output_named_by(node: SourceNode, reference: Reference) -> Field | None:
    """The step of `reference` that names an output of `node` or, for a batch, one of an item in its `results`."""
    at = 0 if node.batch is None else 2
    if at and reference.path[:1] != (Field("results"),):
        return None
    step = reference.path[at] if len(reference.path) > at else None
    return step if isinstance(step, Field) else None


def added_outputs(node: SourceNode) -> tuple[str, ...]:
    """What is written of a node, or of an item of a batch, beside the outputs of the node's type."""
    if node.batch is not None:
        return ("item",)
    return ("loop_stopped",) if node.loop is not None else ()


def check_results(node: SourceNode | None, reference: Reference, *, as_items: bool) -> Finding | None:
    """Whether a reference reads results that went to a file; with `as_items`, a batch would go through them."""
    if node is None or node.batch is None or node.batch.results_file is None:
        return None
    if reference.path[:1] != (Field("results"),):
        return None
    message = f"{reference} is not there: the results of `{node.id}` go to a file"
    file = f"${{{node.id}.file}}"
    instead = (
        f'go through that file: "items": {{"file": "{file}"}}' if as_items else f"read the file: {file} is its path"
    )
    return Finding("PFL309", message, instead)


def check_output_key(node: SourceNode, reference: Reference) -> Finding | None:
    """What is wrong with a path into a batch node's outputs, if anything."""
    first, *rest = reference.path
    assert isinstance(first, Field)
    assert node.batch is not None
    outputs = outputs_of(node.batch)
    kind = outputs.get(first.name)
    only_successes = node.batch.error_handling is ErrorHandling.CONTINUE
    if kind is None:
        guess = nearest(first.name, outputs)
        if guess:
            help = f"did you mean ${{{node.id}.{guess}}}?"
        elif "file" in outputs:
            help = f"each item has its own, in the file ${{{node.id}.file}}"
        elif only_successes:
            help = f"each item has its own, in ${{{node.id}.results}}"
        else:
            help = f"each item has its own: ${{{node.id}.results[0].{first.name}}}, or all in ${{{node.id}.results}}"
        return Finding("PFL309", f"{reference} is not there: `{node.id}` is a batch node", help)
    if not rest:
        return None
    indexed = isinstance(rest[0], (Index, DynamicIndex))
    if first.name == "results" and indexed and only_successes:
        message = (
            f"{reference} may be the result of another item: with error_handling continue, failed items are left out"
        )
        return Finding("PFL310", message, f"go through all of ${{{node.id}.results}}, or use fail_fast")
    if first.name == "results" and rest[1:2] == [Field("original_index")] and _known_outputs(node):
        return _refused_by_pflow(reference)
    if kind in ("number", "string"):
        what = "a number" if kind == "number" else "a text"
        return Finding("PFL309", f"{reference} goes into {what}: {node.id}.{first.name}")
    if kind == "array" and not indexed:
        return Finding("PFL309", f"{reference} needs an index first: {node.id}.{first.name} is a list")
    if kind == "object" and indexed:
        message = f"{reference} has an index where there is no list: {node.id}.{first.name} is an object"
        return Finding("PFL309", message)
    return None


_TRUE_TEXT = "a string: any text but the empty one counts as true"


def _refused_by_pflow(reference: Reference) -> Finding:
    return Finding("PFL309", f"{reference} is refused by pflow, although it is there at run time", _POSITION)


def check_item_field(node: SourceNode, nodes: Mapping[str, SourceNode], reference: Reference) -> Finding | None:
    """What is wrong with a field of an item, where the items are another batch's results."""
    if node.batch is None or reference.root not in node.aliases or reference.path[:1] != (Field("original_index"),):
        return None
    items = node.batch.levels[node.aliases.index(reference.root)].items
    for source in parse(items).references() if isinstance(items, str) else ():
        batch = nodes.get(source.root)
        is_batch = batch is not None and batch.batch is not None
        if is_batch and source.path == (Field("results"),) and _known_outputs(nodes[source.root]):
            return _refused_by_pflow(reference)
    return None


def _known_outputs(node: SourceNode) -> bool:
    """Whether the outputs of the node's type are known here (not one is called original_index)."""
    known = pflow_type(node.type)
    return known is not None and known.known_outputs


def check_loops(ir: SourceIR, report: DiagnosticCollector, nodes: Mapping[str, SourceNode]) -> None:
    """Report loop conditions and carried values that pflow refuses."""
    for node in ir.nodes:
        loop = node.loop
        if loop is None:
            continue
        for key, condition in loop.conditions:
            problem = _condition(ir, nodes, condition)
            if problem:
                help = "compute it in the node and refer to the result: ${node.more}"
                report.error("PFL213", (*node.path, "loop", key), problem, help=help)
        for key, value in loop.carry.items():
            template = parse(value)
            first = template.expressions[0].operands[0] if template.is_whole else None
            if not isinstance(first, Reference) or first.root != node.id:
                path: Path = (*node.path, "loop", "carry", key)
                message = "what is carried on must be the node's own output"
                report.error("PFL213", path, message, help=f"for example ${{{node.id}.NAME}}")


def _condition(ir: SourceIR, nodes: Mapping[str, SourceNode], condition: str) -> str:
    if OPERATORS & set(condition):
        return "a condition is a value that counts as true or false, nothing is computed in it"
    template = parse(condition)
    if template.issues and not template.expressions:
        return ""  # reported as malformed
    if not template.is_whole:
        return "a condition is one reference and nothing else"
    for operand in template.expressions[0].operands:
        if isinstance(operand, Literal) and isinstance(operand.value, str):
            return f"a condition cannot be {_TRUE_TEXT}"
        if isinstance(operand, Reference) and known_type(ir, nodes, operand) == "string":
            return f"{operand.raw} is {_TRUE_TEXT}"
    return ""


def check_shell(ir: SourceIR, report: DiagnosticCollector, nodes: Mapping[str, SourceNode]) -> None:
    """Report lists and objects that a shell command would contain unquoted."""
    for node in ir.nodes:
        command = node.params.get("command")
        if node.type != "shell" or not isinstance(command, str) or "${" not in command:
            continue
        template = parse(command)
        quoted = _in_single_quotes(template)
        for expression in template.expressions:
            for operand in expression.operands:
                if not isinstance(operand, Reference) or operand.raw in quoted:
                    continue
                kind = known_type(ir, nodes, operand)
                if kind in ("array", "object"):
                    what = "a list" if kind == "array" else "an object"
                    report.error(
                        "PFL314",
                        (*node.path, "params", "command"),
                        f"${{{operand.raw}}} is {what}; its JSON would be read by the shell",
                        text=f"${{{expression.raw}}}",
                        help=f"hand it over as `stdin`, or put it in single quotes: '${{{operand.raw}}}'",
                    )


def _in_single_quotes(template: Template) -> set[str]:
    text = template.source
    return {
        operand.raw
        for expression in template.expressions
        if text[expression.start - 1 : expression.start] == "'" and text[expression.end : expression.end + 1] == "'"
        for operand in expression.operands
        if isinstance(operand, Reference)
    }


def known_type(ir: SourceIR, nodes: Mapping[str, SourceNode], reference: Reference) -> str | None:
    """The JSON type of what `reference` gives, where the workflow itself says it."""
    declared = ir.inputs.get(reference.root)
    if isinstance(declared, dict) and "type" in declared:
        kind = declared["type"]
        return kind if isinstance(kind, str) and not reference.path else None
    node = nodes.get(reference.root)
    first = reference.path[0] if reference.path else None
    if not ir.namespaced or node is None or not isinstance(first, Field):
        return None
    rest = reference.path[1:]
    if first == Field("loop_stopped") and node.loop:
        return None if rest else "string"
    if node.batch is None:
        return result_type(node) if reference.path == (Field("result"),) else None
    if not rest:
        return outputs_of(node.batch).get(first.name)
    if first.name == "results" and isinstance(rest[0], (Index, DynamicIndex)) and rest[1:] == (Field("result"),):
        return result_type(node)
    one_result = first.name == "results" and len(rest) == 1 and not isinstance(rest[0], Field)
    return "object" if one_result and node.type not in WORKFLOW_TYPES else None
