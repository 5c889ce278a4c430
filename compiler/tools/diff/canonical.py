"""Values as they mean something: templates parsed, names of items and of renamed nodes made equal."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ...ir.template import DynamicIndex, Expression, Literal, Reference, parse, templates
from ...ir.workflow import SourceNode
from ...lowering.lower import invariant_part

_ITEM = "\0item"  # no name can be that
_OF_THE_CALL = frozenset({"__index__", "batch_index", "batch_total"})


class Names(NamedTuple):
    """How the names in a node's templates are to be read."""

    alias: str | None = None
    """The name of the item, in a batch."""
    renamed: Mapping[str, str] = {}
    """Nodes that have another name in the new workflow."""

    @property
    def varying(self) -> set[str]:
        """The names whose value differs from item to item."""
        return set() if self.alias is None else {self.alias, *_OF_THE_CALL}


def meaning(value: Any, names: Names) -> Any:
    """Something that is equal for two values if they mean the same. Numbers keep their type: 1 is not 1.0."""
    if isinstance(value, str):
        parts = parse(value).parts if "${" in value else (value,)
        return ("text", *(_part(part, names) for part in parts))
    if isinstance(value, dict):
        return ("object", *((key, meaning(member, names)) for key, member in value.items()))
    if isinstance(value, list):
        return ("list", *(meaning(member, names) for member in value))
    return (type(value).__name__, value)


def _part(part: object, names: Names) -> Any:
    if isinstance(part, Expression):
        return tuple(
            ("literal", operand.raw) if isinstance(operand, Literal) else _reference(operand, names)
            for operand in part.operands
        )
    return part if isinstance(part, str) else ("issue", getattr(part, "raw", ""))


def _reference(reference: Reference, names: Names) -> Any:
    root = _ITEM if reference.root == names.alias else names.renamed.get(reference.root, reference.root)
    path = (("[]", _reference(step.ref, names)) if isinstance(step, DynamicIndex) else step for step in reference.path)
    return ("reference", root, *path)


def captured(node: SourceNode, names: Names) -> dict[Any, str]:
    """What the parameters of a batch node read once, before the loop: meaning -> spelling."""
    found = {}
    for reference in _references(node.params):
        part = invariant_part(reference, names.varying)
        if part is not None:
            found[_reference(part, names)] = f"${{{part.raw}}}"
    return found


def of_the_item(value: Any, names: Names) -> dict[Any, str]:
    """What `value` reads of the item, or of its place in the list: meaning -> spelling."""
    return {
        _reference(reference, names): f"${{{reference.raw}}}"
        for reference in _references(value)
        if any(part.root in names.varying for part in reference.references())
    }


def _references(value: Any) -> Iterator[Reference]:
    for _, template in templates(value):
        for expression in template.expressions:
            yield from (operand for operand in expression.operands if isinstance(operand, Reference))


def is_same_code(old: object, new: object) -> bool:
    """Whether two Python sources differ in comments and layout only."""
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    try:
        return ast.dump(ast.parse(old)) == ast.dump(ast.parse(new))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # templates in it, or no Python at all
        return False
