"""The values of a lowered workflow: parsed once, and every name bound to where its value comes from.

A parameter is a tree of `Literal`, `Template`, `Object` and `List`. Inside templates stand lookups, which start at
the item, at its position, at a captured value, at a key of the node's `inputs` or in the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .template import Field, Index, Issue


@dataclass(frozen=True)
class Item:
    """The item of this call."""


@dataclass(frozen=True)
class ItemPart:
    """One of the items of batches inside each other, by its name."""

    name: str


@dataclass(frozen=True)
class Previous:
    """The result of the item before."""


@dataclass(frozen=True)
class ItemIndex:
    """The item's position in the list, from 0."""


@dataclass(frozen=True)
class ItemTotal:
    """The number of items."""


@dataclass(frozen=True)
class Captured:
    """What was read before the loop, under this name (that of a `Capture`)."""

    name: str


@dataclass(frozen=True)
class Own:
    """A key of the node's own `inputs`."""

    name: str


@dataclass(frozen=True)
class Stored:
    """A name in the store: an input of the workflow, what a node wrote."""

    name: str


Start = Item | ItemPart | Previous | ItemIndex | ItemTotal | Captured | Own | Stored


class LookedUpIndex(NamedTuple):
    """`[${ref}]`: the index is itself looked up."""

    lookup: Lookup


class Lookup(NamedTuple):
    """A reference: where its value comes from, and the steps to take from there."""

    start: Start
    steps: tuple[Field | Index | LookedUpIndex, ...]
    written: str
    """The author's spelling, without `${` and `}`."""

    @property
    def is_number(self) -> bool:
        """Whether it is the position of an item, or the number of items."""
        return isinstance(self.start, ItemIndex | ItemTotal) and not self.steps

    @property
    def may_miss(self) -> bool:
        """Whether there may be nothing at its end."""
        return bool(self.steps) or isinstance(self.start, Captured | Own | Stored | Previous)

    def lookups(self) -> Iterator[Lookup]:
        """This one and those of its indexes."""
        yield self
        for step in self.steps:
            if isinstance(step, LookedUpIndex):
                yield from step.lookup.lookups()


class Choice(NamedTuple):
    """`${a ?? b ?? "c"}`: what is found first."""

    operands: tuple[Lookup | Literal, ...]
    written: str
    """The author's spelling, `${` and `}` included."""
    offset: int
    """Where it begins in its template."""

    @property
    def may_miss(self) -> bool:
        """Whether it may find nothing."""
        return all(isinstance(operand, Lookup) and operand.may_miss for operand in self.operands)

    def lookups(self) -> Iterator[Lookup]:
        """Every lookup, those of indexes included."""
        for operand in self.operands:
            if isinstance(operand, Lookup):
                yield from operand.lookups()


class Literal(NamedTuple):
    """A value that is the same as in the workflow."""

    value: Any


class Template(NamedTuple):
    """Text with `${...}` in it."""

    source: str
    parts: tuple[str | Choice | Issue, ...]
    unless_run: tuple[Lookup, ...] = ()
    """Lookups of nodes: where none of them has run, the value is None instead of an error."""

    @property
    def whole(self) -> Choice | None:
        """The one `${...}` that it is, so that the value keeps its type. A newline after it is tolerated (YAML)."""
        first = self.parts[0] if self.parts else None
        return first if isinstance(first, Choice) and self.parts[1:] in ((), ("\n",)) else None

    @property
    def choices(self) -> tuple[Choice, ...]:
        return tuple(part for part in self.parts if isinstance(part, Choice))


class Object(NamedTuple):
    """An object with templates inside."""

    entries: tuple[tuple[str, Value], ...]


class List(NamedTuple):
    """A list with templates inside."""

    items: tuple[Value, ...]


Value = Literal | Template | Object | List


def lookups(value: Value) -> Iterator[Lookup]:
    """Every lookup inside `value`, those that decide whether it is None included."""
    if isinstance(value, Template):
        for choice in value.choices:
            yield from choice.lookups()
        for lookup in value.unless_run:
            yield from lookup.lookups()
    elif isinstance(value, Object):
        for _, member in value.entries:
            yield from lookups(member)
    elif isinstance(value, List):
        for item in value.items:
            yield from lookups(item)


def written(value: Value) -> Any:
    """`value` as its author wrote it."""
    if isinstance(value, Literal):
        return value.value
    if isinstance(value, Template):
        return value.source
    if isinstance(value, Object):
        return {key: written(member) for key, member in value.entries}
    return [written(item) for item in value.items]


def keys(value: Value | None) -> Mapping[str, Value]:
    """The members of an object by key; none for anything else."""
    if isinstance(value, Object):
        return dict(value.entries)
    if isinstance(value, Literal) and isinstance(value.value, dict):
        return {key: Literal(member) for key, member in value.value.items()}
    return {}
