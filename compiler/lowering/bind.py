"""Binding: templates become trees in which every name says where its value comes from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..analyse.invariance import Bindings, Bound, roots_that_may_be_absent
from ..ir import tree
from ..ir.template import DynamicIndex, Expression, Issue, Literal, Reference, Step, parse

Bind = Callable[[Reference], tree.Lookup]
"""Says where the value of a reference comes from."""


def bound(value: Any, bind: Bind) -> tree.Value:
    """`value` (plain data) as a tree. What has no template in it stays one literal."""
    if isinstance(value, str):
        return _text(value, bind) if "${" in value else tree.Literal(value)
    if isinstance(value, dict):
        members = tuple((key, bound(member, bind)) for key, member in value.items())
        plain = all(isinstance(member, tree.Literal) for _, member in members)
        return tree.Literal(value) if plain else tree.Object(members)
    if isinstance(value, list):
        items = tuple(bound(item, bind) for item in value)
        return tree.Literal(value) if all(isinstance(item, tree.Literal) for item in items) else tree.List(items)
    return tree.Literal(value)


def _text(source: str, bind: Bind) -> tree.Template | tree.Literal:
    template = parse(source)
    if not template.is_dynamic:
        return tree.Literal(source)
    return tree.Template(source, tuple(_part(part, source, bind) for part in template.parts))


def _part(part: str | Expression | Issue, source: str, bind: Bind) -> str | tree.Choice | Issue:
    if not isinstance(part, Expression):
        return part
    operands = (tree.Literal(o.value) if isinstance(o, Literal) else bind(o) for o in part.operands)
    return tree.Choice(tuple(operands), source[part.start : part.end], part.start)


def in_store(reference: Reference) -> tree.Lookup:
    """Every name is one of the store's: outside of batches, and before the loop."""
    return _lookup(tree.Stored(reference.root), reference, reference.path, in_store)


def in_call(bindings: Bindings, key: str, captured: Mapping[str, str]) -> Bind:
    """How the parameter `key` of a batch node reads names; `captured` gives the name of each captured spelling.

    Where the keys of `inputs` are only known at run time, every name is looked up among them and the store.
    """

    def bind(reference: Reference) -> tree.Lookup:
        name = reference.root
        found = bindings.bound(name, key)
        if found is not Bound.OUTER:
            start = _NAMED[found](name) if found in _NAMED else _OF_THE_CALL[found]
            return _lookup(start, reference, reference.path, bind)
        part = bindings.invariant_part(reference, key)
        assert part is not None  # the root is one from outside
        return _lookup(tree.Captured(captured[part.raw]), reference, reference.path[len(part.path) :], bind)

    return in_store if bindings.is_open(key) else bind


def in_prep(aliases: Collection[str]) -> Bind:
    """How the items of an inner batch read names: those of the batches around it, and the store."""

    def bind(reference: Reference) -> tree.Lookup:
        start = tree.ItemPart(reference.root) if reference.root in aliases else tree.Stored(reference.root)
        return _lookup(start, reference, reference.path, bind)

    return bind


_NAMED: Mapping[Bound, Callable[[str], tree.Start]] = {Bound.OWN: tree.Own, Bound.PART: tree.ItemPart}
_OF_THE_CALL: Mapping[Bound, tree.Start] = {
    Bound.ITEM: tree.Item(),
    Bound.INDEX: tree.ItemIndex(),
    Bound.TOTAL: tree.ItemTotal(),
    Bound.PREVIOUS: tree.Previous(),
}


def _lookup(start: tree.Start, reference: Reference, steps: tuple[Step, ...], bind: Bind) -> tree.Lookup:
    taken = (tree.LookedUpIndex(bind(step.ref)) if isinstance(step, DynamicIndex) else step for step in steps)
    return tree.Lookup(start, tuple(taken), reference.raw)


def none_unless_run(inputs: tree.Value, optional: Collection[str], bind: Bind) -> tree.Value:
    """`inputs`, where the keys `optional` are None if none of the nodes that they are read from has run."""
    if not isinstance(inputs, tree.Object) or not optional:
        return inputs
    entries = ((key, _optional(value, bind) if key in optional else value) for key, value in inputs.entries)
    return tree.Object(tuple(entries))


def _optional(value: tree.Value, bind: Bind) -> tree.Value:
    if not isinstance(value, tree.Template):
        return value
    roots = roots_that_may_be_absent(parse(value.source))
    return value._replace(unless_run=tuple(bind(Reference(root, (), root)) for root in roots))
