"""What several checks say in the same words."""

from __future__ import annotations

from ..ir.template import Reference
from .template_sites import TemplateSite

LIST_INDEX = "a list is indexed as items[0], not items.0"


def names_nothing(reference: Reference | str) -> str:
    """A reference whose first name is unknown, as it is written."""
    return f"{reference} names no node or input"


def shells_variable(site: TemplateSite, name: str, inside: str) -> str:
    """How the shell's variable `name` is written in a command, where `${inside}` stands; "" where no shell reads it."""
    if site.path[2:] != ("params", "command") or site.node is None or site.node.type != "shell":
        return ""
    return f"the shell's variable is ${name}, or $${{{inside}}}"


def respelled(reference: Reference, root: str | None) -> str:
    """The question whether `reference` was meant to begin with `root`; "" without one."""
    return "" if root is None else f"did you mean ${{{root}{reference.raw[len(reference.root) :]}}}?"


def only_in_batches(reference: Reference) -> str:
    """A name of ours where no batch gives it a value."""
    return f"{reference} only exists in the params of a batch node"


def is_a_number(what: Reference | str) -> str:
    """A counter that is read as if there were something in it."""
    return f"{what} is a number, it has no fields"
