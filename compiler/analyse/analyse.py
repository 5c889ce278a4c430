"""Analyse: which shape each batch takes, and whether every reference can be resolved.

in   SourceIR, the node types, the tables beside the workflow
out  Facts: what `lower` needs to know and the document does not say
says PFL3xx, PFL213 and PFL217 (which need references), PFL450
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..diagnostics.diagnostic import Diagnostic, LowerError
from ..ir.batch_spec import BatchSpec
from ..ir.lowered import Budget, Shape, shape_of
from ..ir.paths import Path as DataPath
from ..ir.report import DiagnosticCollector, nearest, quoted
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.class_search import Looked
from ..node_types.lookup import NodeType, NodeTypes, TypeSource
from ..node_types.run_tables import budgets_for, ray_options_of
from .child_files import Children
from .child_workflows import check_children_of_program
from .program import check_program
from .references import check_references

_NO_BUDGETS: Mapping[str, Budget] = {}
_NO_RAY_OPTIONS: Mapping[str, Mapping[str, Any]] = {}
_MISSPELT = 0.75
"""How like the name of a known type an unknown one is that is taken for a misspelling of it."""


class BatchFacts(NamedTuple):
    """What is known of one batch node beyond its text."""

    node: SourceNode
    type: NodeType
    shape: Shape
    budget: Budget | None = None
    """What the rate of its annotation stands for, if it is a name."""
    ray_options: Mapping[str, object] | None = None
    """What the table says that its items need on Ray."""


def batch_facts(
    node: SourceNode, node_type: NodeType, budgets: Mapping[str, Budget], ray_options: Mapping[str, Mapping[str, Any]]
) -> BatchFacts:
    """What there is to know of a node with a batch, given what tables say of budgets and of what nodes need on Ray."""
    assert node.batch is not None
    return BatchFacts(
        node=node,
        type=node_type,
        shape=shape_of(parallel=node.batch.parallel, is_async=node_type.is_async),
        budget=budget_of(node.batch, budgets),
        ray_options=ray_options_of(node.id, ray_options, parallel=node.batch.parallel),
    )


class Facts(NamedTuple):
    """What is known of the batch nodes, in the order of the IR."""

    batches: tuple[BatchFacts, ...]
    types: Mapping[str, NodeType] = {}
    """For a program: what is known of all node types, by their names."""


def analyse(
    ir: SourceIR,
    types: NodeTypes,
    *,
    program: bool = False,
    file: Path | None = None,
    budgets: Mapping[str, Budget] = _NO_BUDGETS,
    ray_options: Mapping[str, Mapping[str, Any]] = _NO_RAY_OPTIONS,
) -> tuple[Facts, list[Diagnostic]]:
    """Look at every batch node of `ir`, for a `program` at all nodes; changes nothing. Returns facts and findings.

    `budgets` are those that a rate may name, `ray_options` what a table says of nodes. With the `file` that it came
    from, the workflows that its nodes start are looked at, too.
    """

    def check(workflow: SourceIR, children: Children) -> list[Diagnostic]:
        return [*check_references(workflow, types, children), *_budgets_of_child(workflow, children.folder)]

    children = Children(file, check) if file is not None else None
    found = check_references(ir, types, children)
    report = DiagnosticCollector(ir.document)
    batches = []
    for node in ir.nodes:
        node_type = types.resolve(node.type)
        if node_type.origin is TypeSource.UNKNOWN:
            _warn_of_type(node, types, report)
        elif node.batch is not None or types.names_a_class(node.type):
            _check_class(node, node_type, report, program=program)
        if node.batch is None:
            continue
        _check_budget(node, budgets, report)
        batches.append(batch_facts(node, node_type, budgets, ray_options))
    if program:
        check_program(ir, report)
        if children is not None:
            check_children_of_program(ir, report, children)
    known = {node.type: types.resolve(node.type) for node in ir.nodes} if program else {}
    return Facts(batches=tuple(batches), types=known), [*found, *report.found]


def _budgets_of_child(ir: SourceIR, folder: Path) -> list[Diagnostic]:
    """What is wrong with the named rates of a workflow in `folder` that a node starts."""
    named = [node for node in ir.nodes if node.batch is not None and node.batch.names_a_budget]
    try:
        budgets = budgets_for(folder) if named else {}
    except LowerError as error:
        return list(error.diagnostics)
    report = DiagnosticCollector(ir.document)
    for node in named:
        _check_budget(node, budgets, report)
    return report.found


def budget_of(spec: BatchSpec, budgets: Mapping[str, Budget]) -> Budget | None:
    """What the rate of an annotation stands for, if it is a name and there is such a one."""
    return budgets.get(spec.rate) if spec.names_a_budget and spec.rate is not None else None


def _check_budget(node: SourceNode, budgets: Mapping[str, Budget], report: DiagnosticCollector) -> None:
    name = node.batch.rate if node.batch is not None and node.batch.names_a_budget else None
    if name is None or name in budgets:
        return
    guess = nearest(name, budgets)
    known = f"the budgets are {', '.join(sorted(budgets))}" if budgets else "no table has any"
    help = (
        (f'did you mean "{guess}"?\n' if guess else "")
        + 'write a rate such as "60/min", or in pyproject.toml, at or above the workflow\n'
        f'[tool.pflow-lower.rates]\n{name} = "60/min"'
    )
    report.error("PFL335", (*node.path, "batch", "rate"), f"no budget is called {quoted([name])}; {known}", help=help)


def _warn_of_type(node: SourceNode, types: NodeTypes, report: DiagnosticCollector) -> None:
    guess = nearest(node.type, types.names(), alike=_MISSPELT)
    meant = f'did you mean "{guess}"?\n' if guess else ""
    taken = "the generated class takes any node" if node.batch is not None else "no class is known to run it"
    help = (
        f"{meant}{taken}; to name its class, write in pyproject.toml\n"
        f'[tool.pflow-lower.nodes]\n{_toml_key(node.type)} = "package.module:Class"'
    )
    message = f"nothing is known of the node type {quoted([node.type])}"
    report.warn("PFL336" if guess else "PFL330", (*node.path, "type"), message, help=help)


def _check_class(node: SourceNode, node_type: NodeType, report: DiagnosticCollector, *, program: bool) -> None:
    """Warn of what is wrong with the class of a node, as far as its source says."""
    looked = node_type.looked
    parallel = node.batch is not None and node.batch.parallel
    at = (*node.path, "type")
    place = f"{node_type.module}:{node_type.class_name}"
    if looked is None:
        return
    if looked.missing:
        help = f"did you mean {looked.near}?" if looked.near else "whoever makes the node will get an error"
        report.warn("PFL332", at, looked.missing, help=help)
    elif looked.unknown and (parallel or not looked.found):
        taken = "it is taken as not asynchronous; " if parallel else ""
        help = (
            f"{taken}modules are looked for beside the workflow, beside the table and on Python's path;\n"
            "to settle it wherever this runs, write in pyproject.toml, with true if it is an AsyncNode,\n"
            f'[tool.pflow-lower.nodes]\n{_toml_key(node.type)} = {{ class = "{place}", async = false }}'
        )
        report.warn("PFL331", at, f"the class {place} could not be looked at: {looked.unknown}", help=help)
    elif looked.is_other:
        help = "let it inherit from Node or AsyncNode of pocketflow: nothing can run it as a step"
        report.warn("PFL339", at, f"the class {place} is not a node", help=help)
    elif looked.abstract:
        message = f"the class {place} is abstract, no node can be made of it: {_listed(looked.abstract)} is not defined"
        report.warn("PFL346", at, message, help="define it in the class, or name a class that does")
    elif looked.needs and (program or node_type.origin is TypeSource.REGISTRY):
        call = f"a node is made with `{node_type.class_name}()`"
        message = f"nothing gives the class {place} its {_listed(looked.needs)}: {call}"
        help = "give it a default in the class, or let `prep` make what the node needs: every run fails now"
        report.warn("PFL346", at, message, help=help)
    if looked.unheard:
        _warn_of_unheard(at, place, looked, report)


def _warn_of_unheard(at: DataPath, place: str, looked: Looked, report: DiagnosticCollector) -> None:
    """Warn of an asynchronous method in a class that does not wait for it."""
    heard = f"{looked.unheard.removesuffix('_async')}_async"
    rename = "" if looked.unheard == heard else f"call it `{heard}`"
    if looked.runs_async:
        message = f"{looked.base}, by which the class {place} runs, never calls its `{looked.unheard}`"
        report.warn("PFL347", at, message, help=rename)
        return
    message = (
        f"nobody waits for `{looked.unheard}` of the class {place}: it runs by {looked.base}, which is not asynchronous"
    )
    inherit = f"let the class inherit from {looked.async_base} of pocketflow"
    report.warn("PFL347", at, message, help=f"{inherit}, and {rename}" if rename else inherit)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _toml_key(text: str) -> str:
    plain = text.replace("-", "").replace("_", "")
    return text if plain.isascii() and plain.isalnum() else json.dumps(text)
