"""What is wrong with items that are known before a run, as it would find out after it has paid for some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...analyse.foreseen import missing_in_items
from ...analyse.item_names import not_told_apart
from ...analyse.known_values import Items
from ...ir.batch_spec import ErrorHandling
from ...ir.template import Reference, templates
from ...ir.workflow import SourceIR, SourceNode
from .known import UNKNOWN

_FAILS = "the run will fail here"


def wrong_with(ir: SourceIR, node: SourceNode, items: Sequence[Any] | None) -> str:
    """Why a run of the batch `node` fails over its `items`; "" where it does not, or they are not known."""
    spec = node.batch
    if spec is None or items is None or spec.inner_batch is not None or any(item is UNKNOWN for item in items):
        return ""
    written = node._replace(batch=spec._replace(items=list(items)))
    why = not_told_apart(ir, written) if isinstance(spec.items, str) else ""  # else it is said when it is lowered
    why = f"{why}: {_FAILS}" if why else ""
    known = Items([(f"items[{at}]", {spec.alias: item}) for at, item in enumerate(items)], are_all=True)
    for reference in _read_of_items(node, spec.key):
        why = why or _missing(known, reference, f"it has no name, and {_FAILS}")
    if spec.error_handling is ErrorHandling.FAIL_FAST and not ir.permissive and spec.alias not in node.inputs:
        for reference in _read_of_items(node, node.params):
            why = why or _missing(known, reference, _FAILS)
    return why


def _missing(known: Items, reference: Reference, then: str) -> str:
    found = missing_in_items(known, reference, then)
    return found.message if found is not None else ""


def _read_of_items(node: SourceNode, value: Any) -> Iterator[Reference]:
    """The references to an item in `value` with nothing to fall back on."""
    for _, template in templates(value):
        for expression in template.expressions:
            operand = expression.operands[0]
            if len(expression.operands) == 1 and isinstance(operand, Reference) and operand.root == node.aliases[0]:
                yield operand
