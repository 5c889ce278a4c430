"""Analyse: which shape each batch takes, and whether every reference can be resolved.

in   SourceIR, the node types
out  Facts: what `lower` needs to know and the document does not say
says PFL3xx
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..diagnostics.diagnostic import Diagnostic, Severity
from ..ir.batch_spec import BatchSpec
from ..ir.lowered import Budget, Shape, shape_of
from ..ir.report import nearest, quoted
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.lookup import NodeType, NodeTypes, TypeSource
from .child_workflows import Children
from .references import check_references

_NO_BUDGETS: Mapping[str, Budget] = {}
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
) -> tuple[Facts, list[Diagnostic]]:
    """Look at every batch node of `ir`, for a `program` at the types of all nodes; changes nothing.

    `budgets` are those that a rate may name. With the `file` that it came from, the workflows that its nodes start are
    looked at, too. Returns the facts and all findings.
    """

    def check(workflow: SourceIR, children: Children) -> list[Diagnostic]:
        return check_references(workflow, types, children)

    found = check_references(ir, types, Children(file, check) if file is not None else None)
    batches = []
    for node in ir.nodes:
        if node.batch is None:
            if types.names_a_class(node.type):
                found += _said_of_class(ir, node, types.resolve(node.type))
            elif types.resolve(node.type).origin is TypeSource.UNKNOWN:
                found.append(_unknown_type(ir, node, types))
            continue
        node_type = types.resolve(node.type)
        shape = shape_of(parallel=node.batch.parallel, is_async=node_type.is_async)
        batches.append(BatchFacts(node=node, type=node_type, shape=shape, budget=budget_of(node.batch, budgets)))
        if node.batch.names_a_budget and node.batch.rate not in budgets:
            found.append(_unknown_budget(ir, node, budgets))
        if node_type.origin is TypeSource.UNKNOWN:
            found.append(_unknown_type(ir, node, types))
        found += _said_of_class(ir, node, node_type)
    known = {node.type: types.resolve(node.type) for node in ir.nodes} if program else {}
    return Facts(batches=tuple(batches), types=known), found


def budget_of(spec: BatchSpec, budgets: Mapping[str, Budget]) -> Budget | None:
    """What the rate of an annotation stands for, if it is a name and there is such a one."""
    return budgets.get(spec.rate) if spec.names_a_budget and spec.rate is not None else None


def _unknown_budget(ir: SourceIR, node: SourceNode, budgets: Mapping[str, Budget]) -> Diagnostic:
    assert node.batch is not None and node.batch.rate is not None
    name = node.batch.rate
    guess = nearest(name, budgets)
    known = f"the budgets are {', '.join(sorted(budgets))}" if budgets else "no table has any"
    return Diagnostic(
        code="PFL335",
        severity=Severity.ERROR,
        message=f"no budget is called {quoted([name])}; {known}",
        where=f"{node.id}.batch.rate",
        file=ir.name,
        position=ir.position((*node.path, "batch", "rate")),
        help=(f'did you mean "{guess}"?\n' if guess else "")
        + 'write a rate such as "60/min", or in pyproject.toml, at or above the workflow\n'
        f'[tool.pflow-lower.rates]\n{name} = "60/min"',
    )


def _unknown_type(ir: SourceIR, node: SourceNode, types: NodeTypes) -> Diagnostic:
    guess = nearest(node.type, types.names(), alike=_MISSPELT)
    help = f'did you mean "{guess}"?\n' if guess else ""
    taken = "the generated class takes any node" if node.batch is not None else "no class is known to run it"
    return Diagnostic(
        code="PFL336" if guess else "PFL330",
        severity=Severity.WARNING,
        message=f"nothing is known of the node type {quoted([node.type])}",
        where=f"{node.id}.type",
        file=ir.name,
        position=ir.position((*node.path, "type")),
        help=f"{help}{taken}; to name its class, write in pyproject.toml\n"
        f'[tool.pflow-lower.nodes]\n{_toml_key(node.type)} = "package.module:Class"',
    )


def _said_of_class(ir: SourceIR, node: SourceNode, node_type: NodeType) -> Iterator[Diagnostic]:
    """What is wrong with the class of a node, as far as its source says."""
    looked = node_type.looked
    parallel = node.batch is not None and node.batch.parallel
    if looked is None or not (looked.missing or (looked.unknown and (parallel or not looked.found))):
        return
    place = f"{node_type.module}:{node_type.class_name}"
    if looked.missing:
        code, message = "PFL332", looked.missing
        help = f"did you mean {looked.near}?" if looked.near else "whoever makes the node will get an ImportError"
    else:
        code, message = "PFL331", f"the class {place} could not be looked at: {looked.unknown}"
        taken = "it is taken as not asynchronous; " if parallel else ""
        help = (
            f"{taken}modules are looked for beside the workflow, beside the table and on Python's path;\n"
            "to settle it wherever this runs, write in pyproject.toml\n"
            f'[tool.pflow-lower.nodes]\n{_toml_key(node.type)} = {{ class = "{place}", async = false }}'
        )
    yield Diagnostic(
        code=code,
        severity=Severity.WARNING,
        message=message,
        where=f"{node.id}.type",
        file=ir.name,
        position=ir.position((*node.path, "type")),
        help=help,
    )


def _toml_key(text: str) -> str:
    plain = text.replace("-", "").replace("_", "")
    return text if plain.isascii() and plain.isalnum() else json.dumps(text)
