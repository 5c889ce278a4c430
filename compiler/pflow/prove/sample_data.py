"""Data to try a batch on, made up from what the workflow reads of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from ...ir.template import DynamicIndex, Field, Index, Reference, parse, templates
from ...runtime.declared_inputs import default_of

_BY_TYPE: Mapping[str, Any] = {
    "string": "a text",
    "number": 1.5,
    "integer": 1,
    "boolean": True,
    "array": ["first", "second"],
    "object": {},
}
_LONGEST = 1000
"""Lists that the workflow reads beyond this are left too short."""


class _Shape:
    """What is known of one value: which fields are read of it, and how long a list it is."""

    def __init__(self) -> None:
        self.fields: dict[str, _Shape] = {}
        self.length = 0
        self.member: _Shape | None = None
        self.is_index = False
        self.items = False

    def at(self, reference: Reference, length: int) -> _Shape:
        """The shape of what `reference` reads, starting here; lists have at least `length` members."""
        shape = self
        for step in reference.path:
            if isinstance(step, Field):
                shape = shape.fields.setdefault(step.name, _Shape())
                continue
            shape.length = max(shape.length, min(step.value + 1, _LONGEST) if isinstance(step, Index) else length)
            shape.member = shape.member or _Shape()
            shape = shape.member
        return shape

    def made(self, name: str, number: int) -> Any:
        """A value of this shape, which tells where it comes from."""
        if self.fields:
            return {key: field.made(f"{name}.{key}", number) for key, field in self.fields.items()}
        if self.member is not None:
            return [self.member.made(f"{name}[{n}]", n) for n in range(self.length)]
        return number if self.is_index else f"<{name}>"


def store_for(
    node: Mapping[str, Any], inputs: Mapping[str, Any], given: Mapping[str, Any], ids: Iterable[str], size: int
) -> dict[str, Any]:
    """A shared store in which the batch `node` finds everything it reads, with `size` items.

    `inputs` are the workflow's declarations, `given` the values that there are for them, `ids` the nodes of the
    workflow. What is given stays as it is, so the items may be of another number.
    """
    batch = node["batch"]
    alias, written = batch.get("as", "item"), batch["items"]
    longest = max(size, len(written) if isinstance(written, list) else 0)
    roots: dict[str, _Shape] = {}
    item = _Shape()
    for _, template in templates([node.get("params") or {}, written]):
        for reference in template.references():
            for each in reference.references():
                start = item if each.root == alias else roots.setdefault(each.root, _Shape())
                start.at(each, longest)
            for step in reference.path:
                if isinstance(step, DynamicIndex):
                    start = item if step.ref.root == alias else roots.setdefault(step.ref.root, _Shape())
                    start.at(step.ref, longest).is_index = True
    store: dict[str, Any] = {}
    for root, shape in roots.items():
        if root in inputs:
            store[root] = _input(inputs[root], shape, root)
        elif root in ids:
            store[root] = shape.made(root, 0)
    items = [item.made(f"{alias} {n}", n) for n in range(size)]
    source = _first(written) if isinstance(written, str) else None
    if source is not None and source.root in store:
        _put(store, source, items)
    return {**store, **given}


def values_for(inputs: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each input that the workflow cannot do without: to pflow's compiler, one with a default, too."""
    made = {
        name: declared.get("default", _by_type(declared))
        for name, declared in inputs.items()
        if declared.get("required", True)
    }
    return {**made, **given}


def _input(declared: Mapping[str, Any], shape: _Shape, name: str) -> Any:
    """An input as declared, where that goes with what is read of it."""
    if "default" in declared:
        return default_of(name, declared)
    made = shape.made(name, 0)
    return made if not isinstance(made, str) or declared.get("type", "string") == "any" else _by_type(declared)


def _by_type(declared: Mapping[str, Any]) -> Any:
    return _BY_TYPE.get(declared.get("type", "string"), "a text")


def _first(written: str) -> Reference | None:
    """The first reference of a template."""
    return next(iter(parse(written).references()), None)


def _put(store: dict[str, Any], reference: Reference, items: list[Any]) -> None:
    """Have `reference` find `items`, as far as its path leads through what there is."""
    steps: list[Any] = [reference.root, *(getattr(step, "name", getattr(step, "value", 0)) for step in reference.path)]
    place: Any = store
    with contextlib.suppress(KeyError, IndexError, TypeError):  # the path leads elsewhere in what was given
        for step in steps[:-1]:
            place = place[step]
        if isinstance(place, dict) or steps[-1] < len(place):
            place[steps[-1]] = items
