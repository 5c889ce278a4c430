"""What lint and plan say of a workflow, as the page shows it."""

from __future__ import annotations

from ...diagnostics.diagnostic import Diagnostic
from ..lint.findings import folder_of, lint_findings
from ..plan.forecast import forecast_without_inputs
from .explore import Explored
from .page import Plan


def findings_of(explored: Explored, workflow: str) -> list[Diagnostic]:
    """What lint finds besides the compiler's own findings; what the user accepts (pyproject.toml) is left out."""
    if explored.compiled is None:
        return []
    return lint_findings(explored.compiled.source, workflow)


def plan_of(explored: Explored, workflow: str) -> Plan:
    """What is known of a run without its inputs, by node id."""
    if explored.compiled is None:
        return {}
    found: dict[str, dict[str, object]] = {}
    for node in forecast_without_inputs(explored.compiled.source, folder_of(workflow)):
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
        if facts:  # one call of an ordinary node says nothing new
            found[node.path] = facts
    return found
