"""What a comparison gives: changes, each with what it means for those who run or read the workflow."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from ...analyse.template_sites import SiteKind, template_sites
from ...diagnostics.diagnostic import Diagnostic, Position
from ...ir.paths import Path, where
from ...ir.template import Field, Reference
from ...ir.workflow import SourceIR


class Kind(enum.Enum):
    """What a change means, the gravest first."""

    BREAKING = "breaking"
    """What is written for others has another shape, order or name: whoever reads it must be changed too."""
    BEHAVIOUR = "behaviour"
    """The same shape, other contents: what is asked, of what list, and what failures lead to."""
    COST = "cost"
    """More calls, or dearer ones, are possible."""
    SCHEDULE = "schedule"
    """The same calls at other times."""
    COSMETIC = "cosmetic"
    """Nothing that can be observed by running the workflow."""


BREAKING, BEHAVIOUR, COST, SCHEDULE, COSMETIC = Kind

KINDS = tuple(kind.value for kind in Kind)


class Nothing(enum.Enum):
    """The value of something that is not there: None is a value that a workflow can hold."""

    ABSENT = 0


ABSENT = Nothing.ABSENT


class Reader(NamedTuple):
    """A template that refers to a node."""

    where: str
    reference: Reference
    position: Position | None

    @property
    def by_index(self) -> bool:
        """Whether it picks single results: `${n.results[0]...}`."""
        path = self.reference.path
        return len(path) > 1 and path[0] == Field("results") and not isinstance(path[1], Field)

    def reads(self, *fields: str) -> bool:
        """Whether it reads one of the node's output `fields`."""
        path = self.reference.path
        return bool(path) and isinstance(path[0], Field) and path[0].name in fields


class Change(NamedTuple):
    """One change and what it means."""

    kinds: tuple[Kind, ...]
    """The gravest first."""
    node: str
    """The node's id, in the new workflow if it is there; "" for the workflow itself."""
    field: str
    """What has changed: "batch.items", "params.prompt", "type"; "" for the node as a whole."""
    sentence: str
    old: Any = ABSENT
    new: Any = ABSENT
    path: Path = ()
    """Where it stands: in the new workflow, or in the old one if `new` is ABSENT."""
    readers: tuple[Reader, ...] = ()
    batch: bool = False
    """Whether the node is a batch in one of the workflows."""

    @property
    def kind(self) -> Kind:
        """The gravest of `kinds`."""
        return self.kinds[0]

    @property
    def side(self) -> str:
        """The workflow that `path` is in: "old" or "new"."""
        return "old" if self.new is ABSENT and self.old is not ABSENT else "new"


class Comparison(NamedTuple):
    """Two versions of one workflow. One of them may be missing; what is wrong with them is in `problems`."""

    old_name: str
    new_name: str
    old: SourceIR | None
    new: SourceIR | None
    changes: tuple[Change, ...] = ()
    problems: tuple[Diagnostic, ...] = ()

    def position(self, change: Change) -> Position | None:
        """Where `change` stands in its file."""
        ir = self.old if change.side == "old" else self.new
        return ir.position(change.path) if ir is not None else None

    def file(self, change: Change) -> str:
        """The file in which `change` stands."""
        return self.old_name if change.side == "old" else self.new_name


def kinds(*found: Kind) -> tuple[Kind, ...]:
    """`found` in order of gravity, each once."""
    return tuple(kind for kind in Kind if kind in found)


def readers_of(ir: SourceIR) -> dict[str, tuple[Reader, ...]]:
    """Who refers to what, by the first name of the reference: a node, or an input.

    A name that a batch gives to its items is, in its parameters, nothing else.
    """
    found: dict[str, dict[tuple[Path, str], Reader]] = {}
    for site in template_sites(ir):
        is_of_item = site.kind in (SiteKind.PARAMETER, SiteKind.INNER_ITEMS)
        hidden = site.node.aliases if site.node is not None and is_of_item else ()
        for reference in site.template.references():
            if reference.root not in hidden:
                place = ir.position(site.path, reference.raw)
                reader = Reader(where(ir.data, site.path), reference, place)
                found.setdefault(reference.root, {})[site.path, reference.raw] = reader
    return {root: tuple(theirs.values()) for root, theirs in found.items()}
