"""A walk from a class to those that it inherits from, and what it gave."""

from __future__ import annotations

import ast
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

ASYNC_CLASSES = frozenset(
    {
        "AsyncNode",
        "AsyncBatchNode",
        "AsyncParallelBatchNode",
        "AsyncFlow",
        "AsyncBatchFlow",
        "AsyncParallelBatchFlow",
    }
)

MODULES_OF_NODES = frozenset({"pflow", "pocketflow"})

RUNS = frozenset({"_run", "_run_async"})
"""PocketFlow's methods that run a node: a class with one of its own runs as it likes."""


def is_of_pocketflow(module: str) -> bool:
    """Whether a module is one of PocketFlow's or pflow's own."""
    return module.partition(".")[0] in MODULES_OF_NODES


class Looked(NamedTuple):
    """What looking at a class gave."""

    is_async: bool = False
    unknown: str = ""
    """Why the answer is not certain: what could not be found or read."""
    missing: str = ""
    """That the class, or another one that its name stands for, is not in its module, which was read; else ""."""
    found: bool = False
    """Whether the class itself was found."""
    is_other: bool = False
    """Whether it is surely a class that is not a node: every class was read that it inherits from."""
    near: str = ""
    """A class of that module with a name much like the one that is missing."""
    base: str = ""
    """PocketFlow's or pflow's class by which it runs, asynchronously or not; "" if that is not certain."""
    needs: tuple[str, ...] = ()
    """The arguments without which the class surely cannot be called."""
    abstract: tuple[str, ...] = ()
    """Its methods that are surely abstract still: nobody can make a node of it."""
    unheard: str = ""
    """An asynchronous method of its own that surely nobody waits for."""

    @property
    def runs_async(self) -> bool | None:
        """Whether the class by which it runs is asynchronous; None if that is not certain."""
        return self.base in ASYNC_CLASSES if self.base else None

    @property
    def async_base(self) -> str:
        """The asynchronous class in place of `base`; of one that has none by its name, that of nodes."""
        own = f"Async{self.base}"
        return own if own in ASYNC_CLASSES else "AsyncNode"


class Place(NamedTuple):
    """A name of a module, at its end or before one of its statements."""

    module: str
    name: str
    before: int | None = None


class ClassRead(NamedTuple):
    """A class whose statement was read."""

    definition: ast.ClassDef
    bases: tuple[Place, ...]
    is_dataclass: bool
    """Whether its one decorator is that of `dataclasses`."""


@dataclass
class Search:
    """A walk from a class to those that it inherits from, and what was seen on the way."""

    asked: Place
    classes: AbstractSet[str] = frozenset()
    """The modules of places that are classes of a module, with others inside them."""
    todo: list[Place] = field(default_factory=list)
    seen: set[Place] = field(default_factory=set)
    is_async: bool = False
    unknown: str = ""
    missing: str = ""
    near: str = ""
    found: bool = False
    runs_as_it_likes: bool = False
    """Whether a class on the way may run in a way of its own."""
    async_base: str = ""
    plain_base: str = ""
    read: dict[Place, ClassRead] = field(default_factory=dict)
    leads_to: dict[Place, Place] = field(default_factory=dict)
    """The names that stand for another one."""
    known: set[Place] = field(default_factory=set)
    """The classes that are known by their names: PocketFlow's, pflow's and Python's."""
    is_ambiguous: bool = False
    """Whether a name on the way may stand for several classes, or a class is made by more than its statement."""

    def come_to(self, module: str, name: str) -> None:
        """The class `name` of `module` is the one asked for, or one that it inherits from."""
        is_ours = is_of_pocketflow(module)
        if name in ASYNC_CLASSES:
            self.is_async = True
            self.async_base = self.async_base or (name if is_ours else "")
        elif is_ours:
            self.plain_base = self.plain_base or name

    def doubt(self, why: str) -> None:
        """The answer is not certain; of several reasons the first is told."""
        self.unknown = self.unknown or why

    def cannot_read(self, module: str) -> None:
        """Nobody knows what a module has."""
        self.doubt(f"the module {module} cannot be found or read")

    def cannot_import(self, module: str, why: str) -> None:
        """A module to which the way leads is not Python."""
        self.missing = self.missing or f"the module {module} cannot be imported: {why}"

    def cannot_tell(self, place: Place) -> None:
        """What is at a place may be anything."""
        self.doubt(f"{place.name} of {place.module} is not a class statement")

    def lack(self, place: Place, what: str, near: str | None = None) -> None:
        """There is no class at a place to which the way leads: importing the one that was asked for fails."""
        asked = self.asked
        needed = "" if place == asked else f", which {asked.module}:{asked.name} needs"
        if not self.missing:
            where = "class" if place.module in self.classes else "module"
            self.missing, self.near = f"the {where} {place.module} has no class {place.name}{needed}{what}", near or ""

    def answer(self) -> Looked:
        """What the walk gave, once there is nothing to do or it went too deep."""
        unknown = self.unknown or self.missing or bool(self.todo)
        base = self.async_base or ("" if unknown else self.plain_base)
        base = "" if self.runs_as_it_likes else base
        if base in ASYNC_CLASSES or (self.is_async and not base):
            return Looked(is_async=True, base=base)
        if self.missing:
            return Looked(missing=self.missing, near=self.near)
        is_other = self.found and not (unknown or self.plain_base or self.runs_as_it_likes)
        return Looked(unknown=self.unknown, found=self.found, base=base, is_other=is_other)
