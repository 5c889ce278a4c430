"""The inputs of `code` nodes: what is fed in, against the annotations in the code."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ..ir.paths import Path as DataPath
from ..ir.python_ast import python_fault
from ..ir.report import DiagnosticCollector
from ..ir.report import kind as kind_of
from ..ir.template import Reference, Template, parse
from ..ir.workflow import SourceIR, SourceNode
from .code_annotations import PYTHON_TYPES, Annotations, allows_none, annotations_of, is_python_type, json_type
from .invariance import INDEX, ITERATION
from .known_outputs import known_type
from .written_values import values_of

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


_PYTHON_CLASSES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,  # True is one to Python
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
}
"""What a value must be for an annotation that stands for a JSON type."""

_OUTPUTS = frozenset({"result", "next"})
"""What code gives: a value, and the way on."""


def check_code(ir: SourceIR, report: DiagnosticCollector, nodes: Mapping[str, SourceNode]) -> None:
    """Report `code` that does not declare what it must, and inputs whose annotation contradicts what feeds them."""
    counters = _counters(ir)
    for node in ir.nodes:
        if node.type == "code" and not isinstance(node.params.get("code", ""), str):
            message = f"code is Python as one text, not {kind_of(node.params['code'])}"
            report.error(
                "PFL319", (*node.path, "params", "code"), message, help="write it as one string, or name one file"
            )
        _check_python(node, report)
        found, inputs = annotations_of(node), node.params.get("inputs", {})
        if found is None or not isinstance(inputs, dict):
            continue
        _check_declarations(node, found, inputs, report)
        for name, value in inputs.items():
            annotation = found.module.get(name)
            declared = json_type(annotation) if annotation is not None and name not in _OUTPUTS else None
            template = parse(value) if isinstance(value, str) and "${" in value else None
            if declared is None or annotation is None:
                continue
            path = (*node.path, "params", "inputs", name)
            if template is None or not template.is_dynamic or template.is_whole:
                _check_known_values(node, path, value, f"{name}: {annotation}", declared, report)
            if template is None or not template.is_dynamic:
                continue
            if not template.is_whole:
                if declared != "string":
                    message = f"is text, because there is more in it than one reference; the code says `{name}: "
                    help = f"annotate it `{_as(name, 'string', annotation)}`, or leave one reference and nothing else"
                    report.error("PFL315", path, f"{message}{annotation}`", help=help)
                continue
            for reference, kind in _contradictions(ir, nodes, counters, template, declared):
                say = report.warn if declared in _FITS[kind] else report.error
                say(
                    "PFL315",
                    path,
                    f"${{{reference.raw}}} is {_a(kind)}; the code says `{name}: {annotation}`",
                    text=f"${{{template.expressions[0].raw}}}",
                    help=_help(ir, name, annotation, declared, reference, kind),
                )


def _check_python(node: SourceNode, report: DiagnosticCollector) -> None:
    """Warn of code that is not Python; with a reference in it, only a run knows what it is."""
    code = node.params.get("code")
    if node.type != "code" or not isinstance(code, str) or parse(code).is_dynamic:
        return
    fault = python_fault(code)
    if fault is None:
        return
    place = f" (line {fault.line} of it)" if fault.line else ""
    lines = code.split("\n")[: fault.line or 1]
    column = fault.column - 1
    column += len(lines[-1][column:]) - len(lines[-1][column:].lstrip())  # where something stands to be shown
    column = max(min(column, len(lines[-1].rstrip()) - 1), 0)
    offset = sum(len(line) + 1 for line in lines[:-1]) + column
    message = f"Python does not accept the code: {fault.message}{place}"
    help = "pflow only finds that out when the node runs, and then the node fails"
    report.warn_inside("PFL345", (*node.path, "params", "code"), offset, message, help=help)


def _check_known_values(
    node: SourceNode, path: DataPath, value: object, annotated: str, declared: str, report: DiagnosticCollector
) -> None:
    """Warn of a value that is known and that the code does not take; pflow finds that out when the node runs."""
    annotation = annotated.partition(": ")[2]
    for index, found in values_of(node, value):
        if not _takes(annotation, declared, found):
            what = "the value" if index is None else f"what items[{index}] feeds"
            message = f"{what} is {kind_of(found)}; the code says `{annotated}`"
            report.warn("PFL315", path, message, help="annotate it as what it is, or feed what the code takes")
            return


def _takes(annotation: str, declared: str, value: object) -> bool:
    """Whether a node whose code says so runs with a value that stands in the workflow; none is converted."""
    if value is None:
        return allows_none(annotation)
    return isinstance(value, _PYTHON_CLASSES[declared])


def _check_declarations(
    node: SourceNode, found: Annotations, inputs: Mapping[str, object], report: DiagnosticCollector
) -> None:
    """What goes in and out must be annotated, and nothing else may look like an input."""
    code = (*node.path, "params", "code")
    if not _OUTPUTS & found.anywhere.keys():
        help = "write `result: str = ...` with the type that it has; or `next: str = ...`, to choose the way on"
        report.error("PFL318", code, "the code gives nothing: neither `result` nor `next` is annotated", help=help)
    routing = found.anywhere.get("next", "str")
    if is_python_type(routing) and (allows_none(routing) or json_type(routing) != "string"):
        message = f"the code says `next: {routing}`, and `next` is the name of a node"
        report.error("PFL318", code, message, text=f"next: {routing}", help="write `next: str`")
    for name in inputs:
        path = (*node.path, "params", "inputs", name)
        if name in _OUTPUTS:
            message = f"`{name}` is what the code gives, no input can have that name"
            report.error("PFL316", path, message, key=True, help="feed it under another name")
        elif name not in found.module:
            message = f"the code does not say what type {name} has"
            help = f"write `{name}: list`, `{name}: str` or what it is above what uses it; `Any` takes everything"
            report.error("PFL316", path, message, key=True, help=help)
    for name, annotation in found.bare.items():
        if name not in inputs and name not in _OUTPUTS:
            message = f"the code declares the input `{name}: {annotation}`, and `inputs` does not feed it"
            fed = f"${{{name}}}" if name in node.aliases else "..."
            help = f'add "{name}": "{fed}" to `inputs`, or give it a value where it is declared'
            report.error("PFL317", code, message, text=f"{name}: {annotation}", help=help)


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
            is_refused = kind is not None and declared not in _FITS.get(kind, PYTHON_TYPES)
            fails = declared == "string" and kind not in (None, "string")  # pflow's validator does not say so
            if kind is not None and (is_refused or fails):
                yield operand, kind


def _counters(ir: SourceIR) -> frozenset[str]:
    """The counters that the workflow has and that nothing else in it is called."""
    taken: set[str] = {*ir.inputs, *(node.id for node in ir.nodes)}
    for node in ir.nodes:
        taken |= {*node.inputs, *node.aliases}
    there = {INDEX for node in ir.nodes if node.batch is not None}
    there |= {ITERATION for node in ir.nodes if node.loop}
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
