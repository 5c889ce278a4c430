"""Values as they mean something: templates parsed, names of items and of renamed nodes made equal."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ...analyse.invariance import ITEM_NAME, Bindings, Bound
from ...ir.python_ast import parse_python
from ...ir.template import DynamicIndex, Expression, Literal, Reference, parse
from ...ir.workflow import SourceNode


class Names(NamedTuple):
    """How the names in a node's templates are to be read."""

    bindings: Bindings | None = None
    """What the names in the node's parameters stand for."""
    renamed: Mapping[str, str] = {}
    """Nodes that have another name in the new workflow."""
    key: str | None = None
    """The parameter that is read; None for what is not a parameter, where all names are those of the workflow."""
    aliases: tuple[str, ...] = ()
    """What items are called, from the outermost batch on. An item is known by its place in here: its name may change,
    and so may how many batches there are inside."""

    @classmethod
    def of(cls, node: SourceNode, declared: Collection[str], renamed: Mapping[str, str]) -> Names:
        """The names of `node`; `declared` are the ids and inputs of its workflow."""
        aliases = node.batch.aliases if node.batch is not None else ()
        return cls(Bindings.of(node, declared), renamed, aliases=aliases)

    def of_parameter(self, key: str) -> Names:
        """The names as the parameter `key` reads them."""
        return self._replace(key=key)

    def of_annotation(self) -> Names:
        """The names as `key` and the items of an inner batch read them: there, too, the names of items are theirs."""
        return self.of_parameter(ITEM_NAME)

    def spell_as(self, other: Names) -> bool:
        """Whether nothing is called otherwise in `other`: a difference in spelling is none of names."""
        same_items = all(mine == theirs for mine, theirs in zip(self.aliases, other.aliases, strict=False))
        return same_items and self.renamed == other.renamed and self._besides_items() == other._besides_items()

    def _besides_items(self) -> dict[str, Bound]:
        """The names that a batch gives a meaning to, its items apart."""
        names = self.bindings.names if self.bindings is not None else {}
        return {name: bound for name, bound in names.items() if name not in self.aliases}


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
    if bound in (Bound.ITEM, Bound.PART):
        return (Bound.ITEM, names.aliases.index(reference.root), *path)
    if bound in (Bound.INDEX, Bound.TOTAL):
        return (bound, *path)
    root = reference.root if bound is Bound.OWN else names.renamed.get(reference.root, reference.root)
    return (bound, root, *path)


def captured(node: SourceNode, names: Names) -> dict[Any, str]:
    """What the parameters of a batch node read once, before the loop: meaning -> spelling."""
    assert names.bindings is not None
    return {
        _reference(
            part, names.of_annotation() if path[0] == "batch" else names.of_parameter(str(path[1]))
        ): f"${{{part.raw}}}"
        for part, path, *_ in names.bindings.hoisted()
    }


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
