"""What a node type declares a parameter to be."""

from __future__ import annotations

from ..ir.lowered import Declared

JSON_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "dict": "object",
    "list": "array",
}
"""What JSON Schema calls Python's types."""

_SPELLINGS = {
    "str": Declared.TEXT,
    "dict": Declared.OBJECT,
    "object": Declared.OBJECT,
    "list": Declared.LIST,
    "array": Declared.LIST,
}


def outer_type(declared: str) -> str:
    """A declared type without its element types: `list[str]` is a `list`. A union stays whole."""
    return declared if "|" in declared else declared.partition("[")[0].strip()


def meaning_of(declared: str | None) -> Declared | None:
    """What the outer type `declared` does to a value, however it is spelled; None if it does nothing, as a union.

    pflow insists on JSON for `str` only; for `string` and other spellings of it, what is not JSON stays as it is.
    """
    if declared is None:
        return None
    found = _SPELLINGS.get(declared)
    return Declared.LENIENT_TEXT if found is None and declared.lower() in ("str", "string") else found
