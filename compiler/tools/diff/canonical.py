"""Values as they mean something: templates parsed, names of items and of renamed nodes made equal."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...analyse.invariance import Bindings, Bound
from ...ir.python_ast import parse_python
from ...ir.template import DynamicIndex, Expression, Literal, Reference, parse
from ...ir.workflow import SourceIR, SourceNode


class Names(NamedTuple):
    """How the names in a node's templates are to be read."""

    bindings: Bindings | None = None
    """What the names in the node's parameters stand for."""
    renamed: Mapping[str, str] = {}
    """Nodes that have another name in the new workflow."""
    key: str | None = None
    """The parameter that is read; None for what is not a parameter, where all names are those of the workflow."""

    @classmethod
    def of(cls, node: SourceNode, ir: SourceIR, renamed: Mapping[str, str]) -> Names:
        """The names of `node`, a node of `ir`."""
        return cls(Bindings.of(node, ir.names), renamed)

    def of_parameter(self, key: str) -> Names:
        """The names as the parameter `key` reads them."""
        return self._replace(key=key)

    def spell_as(self, other: Names) -> bool:
        """Whether nothing is called otherwise in `other`: a difference in spelling is none of names."""
        mine, theirs = ((n.bindings.names if n.bindings is not None else {}, n.renamed) for n in (self, other))
        return mine == theirs


def canonical(value: Any, names: Names) -> Any:
    """Something that is equal for two values if they mean the same. Numbers keep their type: 1 is not 1.0."""
    if isinstance(value, str):
        parts = parse(value).parts if "${" in value else (value,)
        return ("text", *(_part(part, names) for part in parts))
    if isinstance(value, dict):
        return ("object", *((key, canonical(member, names)) for key, member in value.items()))
    if isinstance(value, list):
        return ("list", *(canonical(member, names) for member in value))
    return (type(value).__name__, value)


def _part(part: object, names: Names) -> Any:
    if isinstance(part, Expression):
        return tuple(
            ("literal", operand.raw) if isinstance(operand, Literal) else _reference(operand, names)
            for operand in part.operands
        )
    return part if isinstance(part, str) else ("issue", getattr(part, "raw", ""))


def _reference(reference: Reference, names: Names) -> Any:
    path = (("[]", _reference(step.ref, names)) if isinstance(step, DynamicIndex) else step for step in reference.path)
    bound = names.bindings.bound(reference.root, names.key) if names.bindings and names.key is not None else Bound.OUTER
    if bound in (Bound.ITEM, Bound.INDEX, Bound.TOTAL):
        return (bound, *path)
    root = reference.root if bound is Bound.OWN else names.renamed.get(reference.root, reference.root)
    return (bound, root, *path)


def captured(node: SourceNode, names: Names) -> dict[Any, str]:
    """What the parameters of a batch node read once, before the loop: meaning -> spelling."""
    assert names.bindings is not None
    parts = ((found.reference, names.of_parameter(str(found.path[1]))) for found in names.bindings.hoisted())
    return {_reference(part, inside): f"${{{part.raw}}}" for part, inside in parts}


def of_the_item(names: Names, key: str) -> dict[Any, str]:
    """What the parameter `key` reads of the item, or of its place in the list: meaning -> spelling."""
    assert names.bindings is not None
    inside = names.of_parameter(key)
    return {_reference(r, inside): f"${{{r.raw}}}" for r in names.bindings.item_references(key)}


def depends_on_item(node: SourceNode, names: Names) -> bool:
    """Whether a call differs from item to item."""
    return names.bindings is not None and any(names.bindings.varies(key) for key in node.params)


def is_same_code(old: object, new: object) -> bool:
    """Whether two Python sources differ in comments and layout only."""
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    try:
        return ast.dump(parse_python(old)) == ast.dump(parse_python(new))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # templates in it, or no Python at all
        return False
