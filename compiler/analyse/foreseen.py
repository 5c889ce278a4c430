"""What will go wrong in every run, although pflow accepts it: nodes that never run, items that are not a list."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from ..ir.report import DiagnosticCollector
from ..ir.template import Reference, parse
from ..ir.workflow import SourceIR, SourceNode
from .known_outputs import KINDS, Finding, known_type
from .known_values import Absent, Items, KnownValues, found_in, kind_of, why_absent
from .node_order import Order
from .reachability import Reachability, ways_of

_MOST = 20
"""So many nodes are named each; of more there is a number."""


def check_unreachable(ir: SourceIR, report: DiagnosticCollector, order: Order) -> None:
    """Warn of nodes that no way leads to from the first one; of several that follow each other, at the first.

    Where an edge leads to them that is never taken, that is said of the edge.
    """
    ways = ways_of(ir, order)
    if ways is None or all(ways.runs_at_all(node.id) for node in ir.nodes):
        return
    led_to = {edge.target for edge in ir.edges}
    reported: set[str] = set()
    for edge in set(ir.edges).difference(ir.edges_taken):
        if ways.runs_at_all(edge.source):
            ways.walk(edge.target, reported)
    before = tuple(_nodes_before(ir, ways))
    lost = []
    for node in sorted(ir.nodes, key=lambda node: (node.id in led_to, node.number)):
        if ways.runs_at_all(node.id) or node.id in reported:
            continue
        ways.walk(node.id, reported)
        lost.append(node)

    def help_for(node: SourceNode) -> str:
        return _way_in(ir, ways, node, before[node.number])

    for node in lost[:_MOST]:
        way = "no edge leads to it"
        if node.id in led_to:
            way = "the edges that lead to it come from nodes that never run"
        report.warn("PFL323", (*node.path, "id"), f"this node never runs: {way}", help=help_for(node))
    if len(lost) > _MOST:
        message = f"{len(lost) - _MOST} more nodes never run, this one and those after it to which no edge leads"
        report.warn("PFL323", (*lost[_MOST].path, "id"), message, help=help_for(lost[_MOST]))


def _nodes_before(ir: SourceIR, ways: Reachability) -> Iterator[str | None]:
    """For each node the nearest one before it from which no edge goes on yet; None if every node that runs goes on."""
    ends = [node.id for node in ir.nodes if ways.runs_at_all(node.id) and ways.may_end_at(node.id)]
    before = ends[-1] if ends else None
    for node in ir.nodes:
        yield before
        before = node.id if ways.may_end_at(node.id) else before


def _way_in(ir: SourceIR, ways: Reachability, node: SourceNode, before: str | None) -> str:
    """How a node would run: after the one `before` it; or as the first one, where it leads to the node that now is."""
    is_markdown = ir.document.is_markdown
    after: set[str] = set()
    ways.walk(node.id, after)
    if ir.start in after and not is_markdown:
        name = json.dumps(node.id, ensure_ascii=False)
        return f'a run begins with `{ir.start}`, the first of `nodes`: to begin here, add "start_node": {name}'
    if is_markdown or before is None or before in after:  # an edge from there would lead in a circle
        return f"lead {'a route' if is_markdown else 'an edge'} of another node to it, or remove it"
    return f"add {json.dumps({'from': before, 'to': node.id}, ensure_ascii=False)} to `edges`"


def check_items(
    ir: SourceIR, report: DiagnosticCollector, nodes: Mapping[str, SourceNode], values: KnownValues
) -> None:
    """Warn of items, of a batch or of one inside it, that are known to be something else than a list."""
    for node in ir.nodes:
        _check_items_are_one_reference(ir, node, report, nodes)
        for depth, level in enumerate(node.batch.levels if node.batch is not None else ()):
            template = parse(level.items.strip()) if isinstance(level.items, str) else None
            if template is None or not template.is_whole:
                continue
            path = (*node.path, *["batch"] * (depth + 1), "items")
            around, operands = values.items(node, depth), template.expressions[0].operands
            for operand in operands:
                if not isinstance(operand, Reference):
                    continue
                if (wrong := _no_list(ir, node, nodes, values, around, operand)) is not None:
                    message = f"the items come from {operand}, which is {wrong}"
                    is_declared = operand.root in ir.inputs and not operand.path
                    help = f'declare the input "{operand.root}" as "array"' if is_declared else "refer to a list"
                    report.warn("PFL324", path, message, text=str(operand), help=help)
                elif operand is operands[0] and _is_null_if_left_out(ir, operand):
                    message = (
                        f"the items come from {operand}, which is null in a run that does not give it: that fails here"
                    )
                    default = "- default: []" if ir.document.is_markdown else '"default": []'
                    help = f"give the input a default, `{default}`"
                    if len(operands) > 1:
                        help += "\n`??` stands in for what is not there; an input that is left out is there, as null"
                    report.warn("PFL324", path, message, text=str(operand), help=help)


def _no_list(
    ir: SourceIR,
    node: SourceNode,
    nodes: Mapping[str, SourceNode],
    values: KnownValues,
    around: Items,
    operand: Reference,
) -> str | None:
    """What a reference in the place of items of `node` gives, and what becomes of that; None if it may be a list.

    `around` are the items of the batches around them.
    """
    declared = known_type(ir, nodes, operand)
    found = [(place, declared or kind_of(values.of(operand, node, names))) for place, names in around.each]
    wrong = [(place, kind) for place, kind in found if kind in KINDS]
    if not wrong or (len(wrong) < len(found) and not around.are_all):
        return None
    place, kind = wrong[0]
    if kind == "string":
        then = "a run fails unless it is a JSON list"
    else:
        then = "every run fails here"
    where = f" in {place}" if len(wrong) < len(found) else ""
    return f"{KINDS[kind or '']}{where}: {then}"


def _is_null_if_left_out(ir: SourceIR, operand: Reference) -> bool:
    """Whether a reference gives null in a run that does not give the input which it names."""
    declared = ir.inputs.get(operand.root)
    if operand.path or not isinstance(declared, dict) or declared.get("default") is not None:
        return False
    return "default" in declared or declared.get("required", True) is False


def _check_items_are_one_reference(
    ir: SourceIR, node: SourceNode, report: DiagnosticCollector, nodes: Mapping[str, SourceNode]
) -> None:
    """Warn of items, of a batch or of one inside it, that are a text with references in it."""
    for depth, level in enumerate(node.batch.levels if node.batch is not None else ()):
        template = parse(level.items.strip()) if isinstance(level.items, str) else None
        if template is None or template.is_whole or not template.expressions:
            continue
        # A list or an object with anything after it is not JSON; nor is what ends with a brace a list.
        is_hopeless = isinstance(template.parts[-1], str) or all(
            isinstance(operand, Reference) and known_type(ir, nodes, operand) in ("array", "object")
            for expression in template.expressions
            for operand in expression.operands
        )
        then = "every run fails here" if is_hopeless else "a run fails unless that makes a JSON list"
        message = f"the items are a text that is put together, not one reference: {then}"
        help = f"refer to one list: ${{{template.expressions[0].raw}}}"
        report.warn("PFL324", (*node.path, *["batch"] * (depth + 1), "items"), message, help=help)


def missing_in_items(items: Items, reference: Reference, then: str) -> Finding | None:
    """That a reference to one of the names of `items` finds nothing there, for sure in some of them, and what `then`
    happens; None if each may have it."""
    looked = [
        (place, found_in(names[reference.root], reference.path))
        for place, names in items.each
        if reference.root in names
    ]
    lost = [(place, found) for place, found in looked if isinstance(found, Absent)]
    if not lost or (len(lost) < len(items.each) and not items.are_all):
        return None
    place, first = lost[0]
    which = "any item" if len(lost) == len(items.each) else place
    more = f" and {len(lost) - 1} more" if 1 < len(lost) < len(items.each) else ""
    message = f"{reference} is not there in {which}{more}: {then}"
    return Finding("PFL322", message, why_absent(reference, first))
