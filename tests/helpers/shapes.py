"""The shapes of execution that there are, for tests that try each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pflow_lower.ir.lowered import SHAPES as OF_THE_COMPILER

SHAPES: dict[str, dict[str, Any]] = {
    "in order": {"node": "Scripted"},
    "in order, async": {"node": "AsyncScripted"},
    "in threads": {"node": "Scripted", "parallel": True, "max_concurrent": 3},
    "in tasks": {"node": "AsyncScripted", "parallel": True, "max_concurrent": 3},
}
"""What `lowered_class` is to be asked for; `test_every_shape_is_tried` says which one is missing."""


def missing_shapes(classes: Iterable[type]) -> set[str]:
    """The bases of generated classes that none of `classes` has: whoever adds a shape adds it to the tests as well."""
    known = {base.__name__ for cls in classes for base in cls.__mro__}
    return {spec.base for spec in OF_THE_COMPILER.values()} - known
