"""Edges that no run takes, although pflow accepts them: replaced by a later one, or for an action that never comes."""

from __future__ import annotations

import json

from ..ir.batch_spec import ErrorHandling
from ..ir.edges import Edge, kept, replacements
from ..ir.paths import Path
from ..ir.report import DiagnosticCollector, nearest
from ..ir.workflow import SourceIR, SourceNode
from .node_order import Order
from .pflow_interfaces import Interfaces
from .reachability import Reachability, ways_of


def check_edges(ir: SourceIR, report: DiagnosticCollector, order: Order, interfaces: Interfaces) -> None:
    """Warn of edges that are never taken."""
    replaced, ways = replacements(ir.edges), ways_of(ir, order)
    for edge in ir.edges:
        if edge.number in replaced:
            _warn_of_replaced(ir, report, edge, replaced[edge.number], ways)
    _check_actions(ir, report, interfaces, ways)


def _warn_of_replaced(
    ir: SourceIR, report: DiagnosticCollector, edge: Edge, later: Edge, ways: Reachability | None
) -> None:
    line = ir.position(later.path)
    at = f"line {line.line}" if line else f"edges[{later.number}]"
    which = f"the same one in {at}" if edge.target == later.target else f"the later one to `{later.target}` ({at})"
    why = f"{which} replaces it, as a node has one edge for each action"
    help = "remove one of them"
    lost = _lost(edge, ways)
    if lost and edge.target != later.target and ways is not None and ways.may_end_at(edge.target):
        help += f"; for both to run, lead the later one from `{edge.target}` to `{later.target}`"
    _warn(report, edge.path, lost, why, help)


def _warn(report: DiagnosticCollector, path: Path, so: str, why: str, help: str) -> None:
    report.warn("PFL328", path, f"this edge is never taken{so}: {why}", help=help)


def _lost(edge: Edge, ways: Reachability | None) -> str:
    """That nothing else leads to where `edge` does; "" if something may."""
    return "" if ways is None or ways.runs_at_all(edge.target) else f", and `{edge.target}` never runs"


def _check_actions(
    ir: SourceIR, report: DiagnosticCollector, interfaces: Interfaces, ways: Reachability | None
) -> None:
    """Warn of edges for an action that the node before them never gives."""
    nodes = {node.id: node for node in ir.nodes}
    goes_on = {edge.source for edge in ir.edges if edge.name == "default"}
    for edge in kept(ir.edges):
        node = nodes.get(edge.source)
        if node is None:
            continue
        actions = _actions(node, interfaces)
        fails = ""
        if actions and edge.source not in goes_on and edge.name != "error":
            fails = f", and a run fails after `{edge.source}`"
        if not edge.name:
            why = 'a node that answers "" goes on by the edge for "default"'
            help = "remove it" if edge.source in goes_on else 'leave "action" out: it is for "default" then'
        elif actions and edge.name not in actions:
            why, help = _of_a_batch(node, edge) if node.batch is not None else _of_a_type(node, edge, actions)
        else:
            continue
        _warn(report, (*edge.path, "action"), fails or _lost(edge, ways), why, help)


def _actions(node: SourceNode, interfaces: Interfaces) -> tuple[str, ...]:
    """The actions that `node` gives; none if that is not known."""
    if node.approval:
        return ()
    if node.batch is not None:
        return ("default",)
    known = interfaces.of(node.type)
    return () if known is None or known.chooses_action else ("default", "error")


def _of_a_type(node: SourceNode, edge: Edge, actions: tuple[str, ...]) -> tuple[str, str]:
    """Why a node of a type that is known never gives the action of `edge`, and what to do."""
    near = nearest(edge.name, actions)
    help = f'did you mean "{near}"?' if near else 'it gives "default", or "error" where it fails'
    return f"the type {node.type} gives no action {_quoted(edge.name)}", help


def _of_a_batch(node: SourceNode, edge: Edge) -> tuple[str, str]:
    """Why a batch never gives the action of `edge`, and what to do."""
    why = f"a batch gives no action {_quoted(edge.name)}"
    if not edge.name.startswith("error"):
        near = nearest(edge.name, ("default",))
        return why, f'did you mean "{near}"?' if near else 'it gives "default", or the run fails'
    name = node.id
    read = f"let a step after `{name}` read ${{{name}.error_count}}, or ${{{name}.errors}}, which says what failed"
    if node.batch is not None and node.batch.error_handling is ErrorHandling.CONTINUE:
        return f"{why}: where items fail it goes on, and where all fail the run fails", read
    return f"{why}: where an item fails, the run fails", f'write "error_handling": "continue", and {read}'


def _quoted(action: str) -> str:
    return json.dumps(action, ensure_ascii=False)
