"""The inputs of `code` nodes: what is fed in, against the annotations in the code."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from .code_inputs import PYTHON_TYPES, allows_none, annotations_of, json_type
from .expressions import Reference, Template, parse
from .ir import SourceIR, SourceNode
from .report import Report
from .scope_values import known_type

_FITS = {
    "string": {"string", "object", "array"},  # it may hold JSON
    "integer": {"integer", "number", "string"},
    "number": {"number", "integer", "string"},
    "boolean": {"boolean", "string"},
    "object": {"object", "string"},
    "array": {"array", "string"},
}
"""What an input may be declared as, by the type of what feeds it: pflow's rule, which is more lenient
than the run of the node."""


def check_code(ir: SourceIR, report: Report, nodes: Mapping[str, SourceNode]) -> None:
    """Report the inputs of `code` nodes whose annotation contradicts what feeds them."""
    counters = _counters(ir)
    for node in ir.nodes:
        found, inputs = annotations_of(node), node.params.get("inputs")
        if found is None or not isinstance(inputs, dict):
            continue
        for name, value in inputs.items():
            annotation = found.module.get(name)
            declared = json_type(annotation) if annotation is not None and name not in ("result", "next") else None
            template = parse(value) if isinstance(value, str) and "${" in value else None
            if declared is None or annotation is None or template is None or not template.is_dynamic:
                continue
            path = (*node.path, "params", "inputs", name)
            if not template.is_whole:
                if declared != "string":
                    message = f"is text, because there is more in it than one reference; the code says `{name}: "
                    help = f"annotate it `{_as(name, 'string', annotation)}`, or leave one reference and nothing else"
                    report.error("PFL315", path, f"{message}{annotation}`", help=help)
                continue
            for reference, kind in _contradictions(ir, nodes, counters, template, declared):
                report.error(
                    "PFL315",
                    path,
                    f"${{{reference.raw}}} is {_a(kind)}; the code says `{name}: {annotation}`",
                    text=f"${{{template.expressions[0].raw}}}",
                    help=_help(ir, name, annotation, declared, reference, kind),
                )


def _contradictions(
    ir: SourceIR,
    nodes: Mapping[str, SourceNode],
    counters: Collection[str],
    template: Template,
    declared: str,
) -> Iterator[tuple[Reference, str]]:
    for operand in template.expressions[0].operands:
        if isinstance(operand, Reference):
            kind = "integer" if operand.raw in counters else known_type(ir, nodes, operand)
            if kind == "number" and operand.root in nodes and nodes[operand.root].batch is not None:
                kind = "integer" if len(operand.path) == 1 else kind  # a batch's numbers are counts
            if kind is not None and declared not in _FITS.get(kind, PYTHON_TYPES):
                yield operand, kind


def _counters(ir: SourceIR) -> frozenset[str]:
    """The counters that the workflow has and that nothing else in it is called."""
    taken: set[str] = {*ir.inputs, *(node.id for node in ir.nodes)}
    for node in ir.nodes:
        inputs = node.params.get("inputs")
        taken |= {*(inputs if isinstance(inputs, dict) else ()), node.batch.alias if node.batch else ""}
    there = {"__index__" for node in ir.nodes if node.batch is not None}
    there |= {"__iteration__" for node in ir.nodes if node.data.get("loop")}
    return frozenset(there - taken)


def _help(ir: SourceIR, name: str, annotation: str, declared: str, reference: Reference, kind: str) -> str:
    annotate = f"annotate it `{_as(name, kind, annotation)}`"
    if reference.root in ir.inputs and not reference.path:
        return f'{annotate}, or declare the input "{reference.root}" as "{declared}"'
    return f"{annotate}, or refer to {_a(declared)}"


def _as(name: str, kind: str, annotation: str) -> str:
    python = PYTHON_TYPES[kind]
    return f"{name}: {python} | None" if allows_none(annotation) else f"{name}: {python}"


def _a(kind: str) -> str:
    """A JSON type and its Python name, as a noun."""
    article = "an" if kind[0] in "aio" else "a"
    return f"{article} {kind} ({PYTHON_TYPES[kind]})"
