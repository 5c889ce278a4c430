"""Names of a workflow that are declared once and looked at as a whole: aliases, edges, inputs."""

from __future__ import annotations

from collections.abc import Collection

from ..ir.item_alias import RENAME_ITEM
from ..ir.paths import Path
from ..ir.report import DiagnosticCollector
from ..ir.template import CONSTANTS
from ..ir.workflow import SourceIR, SourceNode
from .node_order import Order


def check_aliases(ir: SourceIR, report: DiagnosticCollector, nodes: Collection[str]) -> None:
    """Warn of item names that hide another name, or that cannot be read."""
    for node in ir.nodes:
        written, path = node.data.get("batch"), (*node.path, "batch")
        for alias in node.aliases:
            is_named = isinstance(written, dict) and "as" in written
            _check_alias(ir, report, nodes, node, alias, (*path, "as") if is_named else path)
            written, path = written.get("batch") if isinstance(written, dict) else None, (*path, "batch")


def _check_alias(
    ir: SourceIR, report: DiagnosticCollector, nodes: Collection[str], node: SourceNode, alias: str, path: Path
) -> None:
    if alias in CONSTANTS:
        report.warn("PFL320", path, f"${{{alias}}} is the value {alias}, never the item")
    elif alias in ir.inputs or alias in nodes:
        what = "an input" if alias in ir.inputs else "this node" if alias == node.id else "a node"
        message = f'the item\'s name "{alias}" is also {what}: in this batch ${{{alias}}} is the item'
        help = RENAME_ITEM if path[-1] == "as" else 'name the item with "as"'
        report.warn("PFL320", path, message, help=help)
    elif alias.startswith("__") and alias.endswith("__"):
        report.warn("PFL320", path, f"names like {alias} are pflow's own: ${{{alias}}} is not the item")
    elif alias.endswith("\n"):
        report.warn("PFL320", path, "the item's name ends in a newline: no reference can name the item")


def check_cycle(ir: SourceIR, report: DiagnosticCollector, order: Order) -> None:
    """Report edges that go round in a circle, at the one that goes back."""
    cycle = order.cycle
    if not cycle:
        return
    closing = (cycle[-1], cycle[0])
    back = next(edge for edge in ir.edges if (edge.source, edge.target) == closing and edge.action is None)
    shown = cycle if len(cycle) <= 8 else (*cycle[:7], "...")
    message = f"the edges go round in a circle: {' -> '.join((*shown, cycle[0]))}"
    help = (
        'remove this edge, or give it, as it leads back, an "action" other than "default", so that the circle can end'
    )
    report.error("PFL305", back.path, message, help=help)


def check_unused(ir: SourceIR, report: DiagnosticCollector, nodes: Collection[str], used: Collection[str]) -> None:
    """Report inputs that no template reads. `used` are the roots of all references."""
    for name in ir.inputs:
        if ir.namespaced and name in nodes:
            message, help = "the input is hidden by the node of that name", "rename one of them"
        elif name not in used:
            message, help = "the input is never used", f"remove it, or refer to it: ${{{name}}}"
        else:
            continue
        report.error("PFL311", ("inputs", name), message, key=True, help=help)
