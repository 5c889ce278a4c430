"""Analyse: which shape each batch takes, and whether every reference can be resolved.

in   SourceIR, the node types
out  Facts: what `lower` needs to know and the document does not say
says PFL3xx
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from ..diagnostics.diagnostic import Diagnostic, Severity
from ..ir.lowered import Shape
from ..ir.report import nearest, quoted
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.lookup import NodeType, NodeTypes, Origin
from .references import check_references


class BatchFacts(NamedTuple):
    """What is known of one batch node beyond its text."""

    node: SourceNode
    type: NodeType
    shape: Shape


class Facts(NamedTuple):
    """What is known of the batch nodes, in the order of the IR."""

    batches: tuple[BatchFacts, ...]
    types: Mapping[str, NodeType] = {}
    """For a program: what is known of all node types, by their names."""


def analyse(ir: SourceIR, types: NodeTypes, *, program: bool = False) -> tuple[Facts, list[Diagnostic]]:
    """Look at every batch node of `ir`, for a `program` at the types of all nodes; changes nothing.

    Returns the facts and all findings.
    """
    found = check_references(ir)
    batches = []
    for node in ir.nodes:
        if node.batch is None:
            continue
        node_type = types.resolve(node.type)
        batches.append(BatchFacts(node=node, type=node_type, shape=_shape(node, node_type)))
        if node_type.origin is Origin.UNKNOWN:
            found.append(_unknown_type(ir, node, types))
    known = {node.type: types.resolve(node.type) for node in ir.nodes} if program else {}
    return Facts(batches=tuple(batches), types=known), found


def _shape(node: SourceNode, node_type: NodeType) -> Shape:
    if node.batch is None or not node.batch.parallel:
        return Shape.IN_ORDER
    return Shape.IN_TASKS if node_type.is_async else Shape.IN_THREADS


def _unknown_type(ir: SourceIR, node: SourceNode, types: NodeTypes) -> Diagnostic:
    guess = nearest(node.type, types.names())
    help = f'did you mean "{guess}"?\n' if guess else ""
    return Diagnostic(
        code="PFL330",
        severity=Severity.WARNING,
        message=f"nothing is known of the node type {quoted([node.type])}",
        where=f"{node.id}.type",
        file=ir.name,
        position=ir.position((*node.path, "type")),
        help=f"{help}the generated class takes any node; to name its class, write in pyproject.toml\n"
        f'[tool.pflow-lower.nodes]\n{_toml_key(node.type)} = "package.module:Class"',
    )


def _toml_key(text: str) -> str:
    plain = text.replace("-", "").replace("_", "")
    return text if plain.isascii() and plain.isalnum() else json.dumps(text)
