"""What a node type declares a parameter to be."""

from __future__ import annotations


def outer_type(declared: str) -> str:
    """A declared type without its element types: `list[str]` is a `list`. A union stays whole."""
    return declared if "|" in declared else declared.partition("[")[0].strip()
