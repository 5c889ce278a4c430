"""What several checks say in the same words."""

from __future__ import annotations

import re

from ..ir.template import Reference
from .template_sites import TemplateSite

_EXPANSION = re.compile(
    r"(?:(?P<name>[A-Za-z_]\w*|[0-9@*#?$!-])|[!#](?:[A-Za-z_]\w*|[0-9]+|[@*#?$!-])|[0-9]+)"
    r"(?P<index>\[[^\]]*\])?(?:[-+=?:%#/^,@~*].*)?",
    re.ASCII | re.DOTALL,
)
"""A variable or an argument with what the shell is to do with it: `HOME:-/root`, `file%%.*`, `#`, `@`, `!name`, `1`."""

LIST_INDEX = "a list is indexed as items[0], not items.0"


def names_nothing(reference: Reference | str) -> str:
    """A reference whose first name is unknown, as it is written."""
    return f"{reference} names no node or input"


def shells_variable(site: TemplateSite, inside: str) -> str:
    """How what the shell knows as `${inside}` is written in a command; "" where no shell reads it, or knows it."""
    if site.path[2:] != ("params", "command") or site.node is None or site.node.type != "shell":
        return ""
    found = _EXPANSION.fullmatch(inside)
    if found is None or "??" in inside:
        return ""
    is_short = found["name"] and not found["index"]  # not of `$10`, which is `$1` and a 0
    said = f"the shell's variable is {f'${inside[: found.end(1)]}, or ' if is_short else ''}$${{{inside}}}"
    # An alias that has another name now looks like this, too; variables of the environment are in capitals.
    may_be_item = bool(site.node.aliases) and inside.isidentifier() and inside.islower()
    return f"{said}; the item is ${{{site.node.aliases[-1]}}}" if may_be_item else said


def respelled(reference: Reference, root: str | None) -> str:
    """The question whether `reference` was meant to begin with `root`; "" without one."""
    return "" if root is None else f"did you mean ${{{root}{reference.raw[len(reference.root) :]}}}?"


def only_in_batches(reference: Reference) -> str:
    """A name of ours where no batch gives it a value."""
    return f"{reference} only exists in the params of a batch node"


def is_a_number(what: Reference | str) -> str:
    """A counter that is read as if there were something in it."""
    return f"{what} is a number, it has no fields"
