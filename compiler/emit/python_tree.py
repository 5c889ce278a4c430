"""Python expressions as small trees, which `lay_out` of python_text.py writes down.

What comes from the workflow has its origin on the tree, and its lines get a mark of it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from .marks import Origin


class PyName(NamedTuple):
    """A name or another piece of Python that the compiler itself made up; never workflow text."""

    text: str


class PyLiteral(NamedTuple):
    """A value of the workflow."""

    value: Any
    origin: Origin | None = None


class PyCall(NamedTuple):
    """`name(arguments)`."""

    name: str
    arguments: tuple[PyExpr, ...]


class PyKeyword(NamedTuple):
    """`name=value` among the arguments of a call."""

    name: str
    value: PyExpr
    origin: Origin | None = None


class PyList(NamedTuple):
    """`[items]`."""

    items: tuple[PyExpr, ...]
    origin: Origin | None = None


class PyDict(NamedTuple):
    """`{key: value}`. A comment, if there is one, stands on the line above its entry."""

    entries: tuple[PyEntry, ...]
    origin: Origin | None = None


class PyEntry(NamedTuple):
    """One entry of a `PyDict`."""

    key: Any
    value: PyExpr
    comment: str = ""


class PyFString(NamedTuple):
    """Text with expressions in it: an f-string."""

    parts: tuple[str | PyExpr, ...]
    offsets: tuple[int, ...] = ()
    """Where in the text at `origin` each part begins; then none of them goes on after the end of a line."""
    origin: Origin | None = None


PyExpr = PyName | PyLiteral | PyCall | PyKeyword | PyList | PyDict | PyFString


def values_in(value: object, enough: int) -> int:
    """How many values without parts are in a value, or in what is laid out, counted until it is `enough`."""
    inside: Collection[object] = ()
    if isinstance(value, (PyLiteral, PyKeyword, PyEntry)):
        return values_in(value.value, enough)
    if isinstance(value, PyCall):
        inside = value.arguments
    elif isinstance(value, (PyList, PyDict)):
        inside = value.items if isinstance(value, PyList) else value.entries
    elif isinstance(value, (list, dict)):
        inside = value.values() if isinstance(value, dict) else value
    found = 0
    for part in inside:
        found += values_in(part, enough - found)
        if found >= enough:
            break
    return found or 1
