"""Stage 2, after the schema: what a schema cannot say about nodes, edges, names and annotations.

References are not looked at here; `analyse/references.py` does that. Some of it reads the document itself (`.data`),
where the typed parts of the workflow have defaults already: what is checked is what was written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from ..ir.batch_keys import BATCH_KEYS
from ..ir.batch_spec import ErrorHandling, one_spelling
from ..ir.file_patterns import are_many, has_stray_star, may_read
from ..ir.report import DiagnosticCollector, quoted, shown
from ..ir.template import CONSTANTS, is_dynamic, parse
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.pflow_types import declares_params
from .schema_errors import KINDS

RESERVED_IDS = {"end": "routes end there", "__end__": "routes end there"}
MAX_LOOP = 100
"""How often pflow runs a node in one workflow."""

_REFUSED_CHARACTERS = frozenset("$|><&;`\n\r\0\"'\\ \t")


def check_rules(ir: SourceIR, report: DiagnosticCollector) -> None:
    """Report whatever the schema lets through and pflow does not."""
    _ids(ir, report)
    _edges(ir, report)
    _names(ir, report)
    _defaults(ir, report)
    for node in ir.nodes:
        _check_batch_inside_params(node, report)
        _combinations(ir, node, report)
        _finite(node, report)
        _keys_together(node, report)


def _ids(ir: SourceIR, report: DiagnosticCollector) -> None:
    first: dict[str, int] = {}
    for node in ir.nodes:
        path = (*node.path, "id")
        if node.id in first:
            line = ir.position(("nodes", first[node.id], "id"))
            earlier = f"line {line.line}" if line else f"nodes[{first[node.id]}]"
            report.error("PFL206", path, f'another node has the id "{node.id}": {earlier}', help="rename one of them")
        else:
            first[node.id] = node.number
        if node.id in RESERVED_IDS:
            report.error("PFL207", path, f'"{node.id}" is reserved: {RESERVED_IDS[node.id]}', help="rename the node")
        elif node.id in CONSTANTS:
            message = f'"{node.id}" cannot name a node: ${{{node.id}}} is the value {node.id}'
            report.error("PFL207", path, message, help="rename the node")
    start = ir.data.get("start_node")
    if start and start not in first:
        report.error("PFL209", ("start_node",), _no_node(start), help=_meant(start, first, report))


def _no_node(name: object) -> str:
    return f'no node has the id "{name}"'


def _edges(ir: SourceIR, report: DiagnosticCollector) -> None:
    ids = {node.id for node in ir.nodes}
    for index, edge in enumerate(ir.data.get("edges") or ()):
        for end in ("from", "to"):
            if edge.get(end) not in ids:
                name = edge.get(end)
                path = ("edges", index, end)
                report.error("PFL208", path, _no_node(name), help=_meant(name, ids, report))


def _names(ir: SourceIR, report: DiagnosticCollector) -> None:
    for group, one in (("inputs", "input"), ("outputs", "output")):
        declared = ir.data.get(group) or {}
        for name in declared:
            reason = _refused_name(name)
            if reason:
                report.error("PFL218", (group, name), f"{json.dumps(name)} cannot name an {one}: {reason}", key=True)
            elif one == "input" and name in CONSTANTS:
                message = f'"{name}" cannot name an input: ${{{name}}} is the value {name}'
                report.error("PFL207", (group, name), message, key=True, help="rename the input")
    for code, group, flag, what in (
        ("PFL215", "inputs", "stdin", "input can receive what is piped in"),
        ("PFL216", "outputs", "stdout", "output can go to standard output"),
    ):
        flagged = [name for name, spec in (ir.data.get(group) or {}).items() if _flag(spec, flag)]
        for name in flagged[1:]:
            message = f'only one {what}, and "{flagged[0]}" is it'
            report.error(code, (group, name, flag), message, help=f'remove "{flag}" from one of them')


def _defaults(ir: SourceIR, report: DiagnosticCollector) -> None:
    from jsonschema import Draft7Validator

    is_type = Draft7Validator({}).is_type
    for name, spec in (ir.data.get("inputs") or {}).items():
        default, declared = spec.get("default"), spec.get("type")
        if default is None or declared not in KINDS or is_type(default, declared):
            continue
        other = next(kind for kind in KINDS if is_type(default, kind))
        help = f'write {KINDS[declared]}, or declare the input as "{other}"'
        message = f"must be {KINDS[declared]}, as the input is declared, not {shown(default)}"
        report.warn("PFL220", ("inputs", name, "default"), message, help=help)


def _flag(spec: object, flag: str) -> bool:
    return isinstance(spec, dict) and spec.get(flag) is True


def _refused_name(name: object) -> str:
    if not isinstance(name, str):
        return "it is not a string"
    if not name.strip():
        return "it is empty"
    if name.startswith("__") and name.endswith("__"):
        return "names with two underscores at both ends are pflow's own"
    refused = sorted(_REFUSED_CHARACTERS & set(name))
    return f"it contains {quoted(refused)}" if refused else ""


def batch_inside_params(node: SourceNode) -> dict[str, Any] | None:
    """A batch in its older spelling, inside `params`; None if there is no such thing."""
    old = node.params.get("batch")
    return old if isinstance(old, dict) and "items" in old and "batch" not in node.data else None


def _check_batch_inside_params(node: SourceNode, report: DiagnosticCollector) -> None:
    """pflow refuses the older spelling as an unknown parameter where a type declares its parameters;
    elsewhere it takes it for a parameter like any other, and no batch runs."""
    old = batch_inside_params(node)
    if old is None:
        return
    path = (*node.path, "params", "batch")
    written = _yaml(old) if report.document.is_markdown else _json(old)
    help = f"write it beside `type`, not inside the parameters:\n{written}"
    if declares_params(node.type):
        report.error("PFL210", path, "`batch` is not a parameter", key=True, help=help)
    else:
        message = "`batch` is a parameter here: the node will NOT run as a batch"
        report.warn("PFL210", path, message, key=True, help=help)


def _json(batch: dict[str, Any]) -> str:
    text = json.dumps(batch, indent=2, ensure_ascii=False, default=str)
    return f'"batch": {text}'


def _yaml(batch: dict[str, Any]) -> str:
    lines = ["- batch:"]
    for key, value in batch.items():
        plain = isinstance(value, str) and value.startswith("${") and value.isprintable() and ": " not in value
        lines.append(f"    {key}: {value if plain else json.dumps(value, ensure_ascii=False, default=str)}")
    return "\n".join(lines)


def _combinations(ir: SourceIR, node: SourceNode, report: DiagnosticCollector) -> None:
    if node.batch is not None and "approval" in node.data:
        help = "ask before or after: put `approval` on a node of its own"
        report.error("PFL212", (*node.path, "approval"), "a batch node cannot ask for approval", key=True, help=help)
    loop = node.data.get("loop")
    if loop is None:
        return
    if node.batch is not None:
        help = "`batch` runs once per item of a list, `loop` until a condition holds: keep one of them"
        report.error("PFL211", (*node.path, "loop"), "a batch node cannot loop", key=True, help=help)
    for at, message, help in _loop_problems(ir, node, loop):
        report.error("PFL213", (*node.path, *at), message, help=help)


def _loop_problems(ir: SourceIR, node: SourceNode, loop: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if not ir.namespaced:
        yield ("loop",), "a loop needs the node's own output, which `enable_namespacing: false` hides", "remove that"
    conditions = [key for key in ("while", "until") if str(loop.get(key) or "").strip()]
    if len(conditions) != 1:
        found = "both are there" if conditions else "there is none"
        yield ("loop",), f"a loop has one condition, `while` or `until`; {found}", ""
        return
    cap = loop.get("max_iterations")
    if isinstance(cap, int) and cap > MAX_LOOP:
        yield ("loop", "max_iterations"), f"pflow runs a node {MAX_LOOP} times at most, not {cap}", ""
    for key in loop.get("carry") or {}:
        if key not in node.inputs:
            help = f'give its first value in `inputs`: "{key}": ...'
            yield ("loop", "carry", key), f'"{key}" is carried on, but has no value in the first round', help


def _keys_together(node: SourceNode, report: DiagnosticCollector) -> None:
    """Keys of an annotation that mean something together only."""
    spec = node.batch
    if spec is None:
        return
    path = (*node.path, "batch")
    aliases = spec.aliases
    for depth, alias in enumerate(aliases):
        if alias in aliases[:depth]:
            place = (*path, *["batch"] * depth)
            help = 'every batch inside another names its items with "as"'
            report.error("PFL219", place, f'the items of two batches inside each other are called "{alias}"', help=help)
    if spec.retry_backoff == "exponential" and not spec.retry_wait:
        help = "write the first pause in seconds, for example 1; it doubles with each attempt"
        report.error("PFL219", (*path, "retry_backoff"), "exponential needs a `retry_wait` to grow from", help=help)
    if spec.items_file is not None and spec.inner_batch is not None:
        help = "make one line of each inner item in a step before"
        message = "a batch whose items are read from a file cannot have another one inside it"
        report.error("PFL219", (*path, "batch"), message, key=True, help=help)
    results, items = spec.results_file, spec.items_file
    if results is not None and items is not None and _would_replace(one_spelling(results), one_spelling(items)):
        own = "folder" if are_many(items) else "file"
        help = f"give the results a {own} of their own"
        report.error("PFL219", (*path, "results"), "the results would replace the items", help=help)
    if results is not None and has_stray_star(_written_out(results)):
        help = (
            'give each part of the work a folder of its own with a reference, "out/${part}/*.jsonl", or keep one star'
        )
        message = "a path of results has one star at most, in the name of the file"
        report.error("PFL219", (*path, "results"), message, help=help)
    if spec.tolerated_failures is not None and spec.error_handling is not ErrorHandling.CONTINUE:
        help = 'write "error_handling": "continue", or leave `tolerated_failures` out'
        message = "with `fail_fast`, the first failure ends the batch: none is tolerated"
        report.error("PFL219", (*path, "tolerated_failures"), message, help=help)


def _written_out(path: str) -> str:
    """What is written of a path; its references may stand for anything, but for no more than what is between."""
    return "".join(part if isinstance(part, str) else "${}" for part in parse(path).parts)


def _would_replace(results: str, items: str) -> bool:
    """Whether results go to the file that the items are read from, or to one that the next run would read."""
    if is_dynamic(results) or is_dynamic(items):
        return results == items
    return may_read(items, results, are_results=True)


def _finite(node: SourceNode, report: DiagnosticCollector) -> None:
    """JSON has no infinity and `load` lets none in; a document that was made by other means may."""
    numbers = [("retry", "wait"), *(("batch", row.key) for row in BATCH_KEYS if row.schema.get("type") == "number")]
    for group, key in numbers:
        settings = node.data.get(group)
        value = settings.get(key) if isinstance(settings, dict) else None
        if isinstance(value, float) and not math.isfinite(value):
            message = f"{value} is not a number that can be used here"
            report.error("PFL214", (*node.path, group, key), message, help="write a finite number")


def _meant(name: object, known: Any, report: DiagnosticCollector) -> str:
    guess = report.nearest(str(name), known)
    return f'did you mean "{guess}"?' if guess else ""
