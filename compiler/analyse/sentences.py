"""What several checks say in the same words."""

from __future__ import annotations

from ..ir.template import Reference
from .template_sites import TemplateSite


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
