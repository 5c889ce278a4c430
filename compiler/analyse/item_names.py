"""Items that `key` does not tell apart, as far as the workflow itself says it: a run ends at such a batch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..ir.report import DiagnosticCollector
from ..ir.template import Field, Index, Reference, Template, parse
from ..ir.workflow import SourceIR, SourceNode
from .invariance import ITEM_NAME, Bindings, Bound

_UNKNOWN = object()


def check_item_names(ir: SourceIR, report: DiagnosticCollector) -> None:
    """Report keys that are the same for every item, and items that are written out and get the same name."""
    for node in ir.nodes:
        if why := not_told_apart(ir, node):
            help = f"`key` must tell all items apart: with a field of ${{{node.aliases[-1]}}}, or with ${{__index__}}"
            report.error("PFL329", (*node.path, "batch", "key"), why, help=help)


def not_told_apart(ir: SourceIR, node: SourceNode) -> str:
    """Which items of a batch its key does not tell apart, as far as they are written out; "" if none."""
    template = parse(node.batch.key) if node.batch is not None and node.batch.key is not None else None
    if template is None or template.issues:
        return ""
    bindings = Bindings.of(node, ir.names)
    return _same_for_all(ir, node, template, bindings) or _same_for_two(node, template, bindings)


def _same_for_all(ir: SourceIR, node: SourceNode, template: Template, bindings: Bindings) -> str:
    """Why all items get one name; "" if they need not, or if that is not all that is wrong with the key."""
    references = list(template.references())
    is_one = (items := _written_out(node)) is not None and len(items) == 1
    if is_one or any(bindings.is_of_item(reference, ITEM_NAME) for reference in references):
        return ""
    known = all(one.root in ir.names or bindings.bound(one.root, ITEM_NAME) is Bound.TOTAL for one in references)
    return "every item gets the same key: it reads nothing of the item" if known else ""


def _same_for_two(node: SourceNode, template: Template, bindings: Bindings) -> str:
    """Which two items get one name, as far as they are written out."""
    of_items = [
        one for one in template.expressions if any(bindings.is_of_item(ref, ITEM_NAME) for ref in one.references())
    ]
    seen: dict[tuple[str, ...], int] = {}
    for index, item in enumerate(_written_out(node) or ()) if of_items else ():
        values = [_value(node, item, expression.operands) for expression in of_items]
        if _UNKNOWN in values:
            continue
        name = tuple(map(json.dumps, values))
        if (first := seen.setdefault(name, index)) != index:
            return f"items[{first}] and items[{index}] get the same key"
    return ""


def _written_out(node: SourceNode) -> list[Any] | None:
    """The items that are names of their own, as far as they are a list in the workflow."""
    batch = node.batch
    return batch.items if batch is not None and batch.inner_batch is None and isinstance(batch.items, list) else None


def _value(node: SourceNode, item: Any, operands: tuple[Any, ...]) -> Any:
    """What an expression of the key is for `item`; _UNKNOWN where only a run says it."""
    reference = operands[0]
    if len(operands) > 1 or not isinstance(reference, Reference) or reference.root != node.aliases[0]:
        return _UNKNOWN
    for step in reference.path:
        if isinstance(step, Field) and isinstance(item, Mapping) and step.name in item:
            item = item[step.name]
        elif isinstance(step, Index) and isinstance(item, list) and 0 <= step.value < len(item):
            item = item[step.value]
        else:
            return _UNKNOWN
    return _UNKNOWN if "${" in json.dumps(item) else item
