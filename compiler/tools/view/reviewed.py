"""What lint and plan say of a workflow, as the page shows it."""

from __future__ import annotations

from pathlib import Path

from ...diagnostics.diagnostic import Diagnostic
from ..lint.said import folder_of, said_of
from ..plan.clock import Times
from ..plan.forecast import forecast
from ..plan.known import Known
from ..plan.node import Node
from .explore import Explored
from .page import Plan


def findings_of(explored: Explored, workflow: str) -> list[Diagnostic]:
    """What lint finds besides the compiler's own findings; what the user accepts (pyproject.toml) is left out."""
    if explored.compiled is None:
        return []
    return said_of(explored.compiled.source, workflow)


def plan_of(explored: Explored, workflow: str) -> Plan:
    """What is known of a run without its inputs, by node id."""
    if explored.compiled is None:
        return {}
    source = explored.compiled.source
    nodes, _ = forecast(source, Known(source, {}, Path.cwd()), Times(), folder=folder_of(workflow))
    return {node.path: facts for node in nodes if (facts := _facts(node))}


def _facts(node: Node) -> dict[str, object]:
    """Of a batch, and of a workflow that is not looked at: one call of an ordinary node says nothing new."""
    facts: dict[str, object] = {}
    # The number of its own items, where it is unknown, is called n: what it is the number of stands beside it.
    own = f"n({node.path})"
    if node.items is not None:
        facts["items"] = str(node.items).replace(own, "n")
        if not node.inner:
            facts["calls"] = str(node.calls).replace(own, "n")
        if node.in_flight > 1:
            facts["in flight"] = node.in_flight
    if node.not_walked:
        facts["not counted"] = node.not_walked
    return facts
