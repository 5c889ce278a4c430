"""What a parameter comes to that is written out, or made of nothing but an item that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..ir.template import DynamicIndex, Expression, Field, Reference, parse
from ..ir.workflow import SourceNode


class Unknown:
    """A value that only a run knows."""


UNKNOWN = Unknown()


def known_text(value: Any) -> str | None:
    """What a parameter comes to, if that is known before a run, and a text."""
    found = known_value(value)
    return found if isinstance(found, str) else None


def known_value(value: Any, alias: str = "", item: Any = None) -> Any:
    """What a parameter comes to, as far as that needs nothing but the item; of an object only the keys count."""
    if not isinstance(value, str):
        return value
    template = parse(value)
    if template.is_whole:
        return _found(template.expressions[0], alias, item)
    made = []
    for part in template.parts:
        found = _found(part, alias, item) if isinstance(part, Expression) else part
        if not isinstance(found, str):
            return UNKNOWN
        made.append(found)
    return "".join(made)


def _found(expression: Expression, alias: str, item: Any) -> Any:
    operand = expression.operands[0]
    if len(expression.operands) > 1 or not isinstance(operand, Reference) or operand.root != alias:
        return UNKNOWN
    for step in operand.path:
        if isinstance(step, DynamicIndex):
            return UNKNOWN
        key: Any = step.name if isinstance(step, Field) else step.value
        try:
            item = item[key]
        except (KeyError, IndexError, TypeError):
            return UNKNOWN
    return UNKNOWN if isinstance(item, str) and "${" in item else item


def values_of(node: SourceNode, value: Any) -> Iterator[tuple[int | None, Any]]:
    """What `value` comes to: itself, or what the items that are written out make of it, each with its index.

    Nothing where only a run knows.
    """
    found = known_value(value)
    if found is not UNKNOWN:
        yield None, found
        return
    batch = node.batch
    if batch is None or batch.inner_batch is not None or not isinstance(batch.items, list):
        return
    for index, item in enumerate(batch.items):
        found = known_value(value, batch.alias, item)
        may_be_read = isinstance(found, str) and found.lstrip()[:1] in ("[", "{")  # as JSON, where it is wanted
        if found is not UNKNOWN and not may_be_read:
            yield index, found
