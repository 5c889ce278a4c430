"""What several checks say in the same words."""

from __future__ import annotations

from ..ir.template import Reference


def names_nothing(reference: Reference | str) -> str:
    """A reference whose first name is unknown, as it is written."""
    return f"{reference} names no node or input"
