"""What varies with the item in a batch node, and what is captured: read once, before the loop.

In the parameters of a node a key of its own `inputs` hides every other name, except inside `inputs` itself; then
come the item and `__index__`; then what the workflow declares; then `batch_index` and `batch_total`. Everybody who
asks what a name in a parameter stands for asks here: lowering, `diff`, `lint`, the language server, the engine.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..ir.paths import Path
from ..ir.template import DynamicIndex, Expression, Literal, Reference, Step, Template, is_dynamic, templates
from ..ir.workflow import SourceNode

INDEX = "__index__"
"""pflow's own name for the position of an item."""
ITERATION = "__iteration__"
"""pflow's own name for the number of a loop's round."""

ITEM_NAME = "batch.key"
"""Stands for the template of an item's name, where a parameter is asked for by its key."""


class Bound(enum.Enum):
    """What a name in a parameter stands for."""

    ITEM = "item"
    INDEX = "index"
    """The item's position in the list."""
    PART = "part"
    """One of the items of batches inside each other."""
    PREVIOUS = "previous"
    """The result of the item before."""
    TOTAL = "total"
    """The number of items: no value of the store, and the same for all of them."""
    OWN = "own"
    """A key of the node's own `inputs`."""
    OUTER = "outer"
    """Something outside of the node: an input of the workflow, what a node wrote."""


PREVIOUS = "__previous__"
"""The result of the item before, in a batch that runs in order."""

BATCH_NAMES: Mapping[str, Bound] = {
    "batch_index": Bound.INDEX,
    "batch_total": Bound.TOTAL,
    PREVIOUS: Bound.PREVIOUS,
}
"""What a batch node's parameters can refer to besides `__index__`, unless the workflow declares such a name."""


OF_THE_ITEM = frozenset((Bound.ITEM, Bound.PART, Bound.INDEX, Bound.PREVIOUS))
"""What can be another value for each item."""


class Hoisted(NamedTuple):
    """A reference that is the same for every item, and where it stands first."""

    reference: Reference
    path: Path
    """The place in the node: a parameter, or the name of the item."""
    text: str
    offset: int
    """Where in that text the expression begins that needs it."""


class Bindings(NamedTuple):
    """What the names in one node's parameters stand for."""

    names: Mapping[str, Bound]
    """The names that the batch itself gives a meaning to; none, if the node has no batch."""
    params: Mapping[str, Any]
    item_name: str | None = None
    """What the annotation calls an item (`key`); there, no key of `inputs` hides anything."""

    @classmethod
    def of(cls, node: SourceNode, declared: Collection[str]) -> Bindings:
        """The bindings of `node`; `declared` are the ids and inputs of its workflow (`SourceIR.names`)."""
        if node.batch is None:
            return cls({}, node.params)
        return cls(batch_names(node.batch.aliases, declared), node.params, node.batch.key)

    @property
    def own(self) -> Mapping[str, Any]:
        """The node's `inputs` by key, as far as the keys can be known before it runs."""
        inputs = self.params.get("inputs")
        return inputs if isinstance(inputs, dict) else {}

    def is_open(self, key: str) -> bool:
        """Whether any name in the parameter `key` may turn out to be a key of `inputs`, which is a reference."""
        inputs = self.params.get("inputs")
        return key not in ("inputs", ITEM_NAME) and isinstance(inputs, str) and is_dynamic(inputs)

    def bound(self, name: str, key: str) -> Bound:
        """What `name` stands for in the parameter `key`."""
        if key not in ("inputs", ITEM_NAME) and name in self.own:
            return Bound.OWN
        return self.names.get(name, Bound.OUTER)

    def invariant_part(self, reference: Reference, key: str) -> Reference | None:
        """The longest part of `reference`, from its root, that is read outside of the node; None if there is none."""
        if self.bound(reference.root, key) is not Bound.OUTER:
            return None
        steps: list[Step] = []
        for step in reference.path:
            if isinstance(step, DynamicIndex) and self.bound(step.ref.root, key) is not Bound.OUTER:
                raw = reference.raw[: reference.raw.index("[${" + step.ref.raw + "}]")]
                return Reference(reference.root, tuple(steps), raw)
            steps.append(step)
        return reference

    def hoisted(self, optional: Collection[str] = ()) -> Iterator[Hoisted]:
        """Everything that is captured, each reference once, in order of appearance.

        `optional` are keys of `inputs` that may be None: those must tell an absent node from an absent field, so the
        node itself is captured too. Where the keys of `inputs` are not known (`is_open`), every name counts as one
        from outside: the engine must see what the node may depend on.
        """
        seen: set[Reference] = set()
        places = [(key, value, ("params", key)) for key, value in self.params.items()]
        if self.item_name is not None:
            places.append((ITEM_NAME, self.item_name, ("batch", "key")))
        for key, value, place in places:
            for path, template in templates(value, place):
                may_be_none = key == "inputs" and len(path) == 3 and path[2] in optional
                absent = roots_that_may_be_absent(template) if may_be_none else ()
                for expression in template.expressions:
                    for part in self._read_outside(expression, key):
                        parts = [part]
                        if part.path and part.root in absent:
                            parts.append(Reference(part.root, (), part.root))
                        for found in parts:
                            if found not in seen:
                                seen.add(found)
                                yield Hoisted(found, path, template.source, expression.start)

    def _read_outside(self, expression: Expression, key: str) -> Iterator[Reference]:
        """What `expression` reads outside of the node: the longest parts, each with the indexes inside it.

        Where the keys of `inputs` are not known, such an index is one of its own: it may be one of them.
        """
        for operand in expression.operands:
            if not isinstance(operand, Reference):
                continue
            part = self.invariant_part(operand, key)
            if part is not None:
                yield part
            rest = operand.path[len(part.path) if part is not None and not self.is_open(key) else 0 :]
            for step in rest:
                if isinstance(step, DynamicIndex) and (index := self.invariant_part(step.ref, key)) is not None:
                    yield index

    def item_references(self, key: str) -> Iterator[Reference]:
        """What the parameter `key` itself reads of the item or of its position, repetitions included."""
        for _, template in templates(self.params.get(key)):
            for expression in template.expressions:
                for operand in expression.operands:
                    if isinstance(operand, Reference) and self.is_of_item(operand, key):
                        yield operand

    def is_of_item(self, reference: Reference, key: str) -> bool:
        """Whether `reference`, in the parameter `key`, reads the item or its position, be it as an index."""
        return any(self.bound(part.root, key) in OF_THE_ITEM for part in reference.references())

    def varies(self, key: str) -> bool:
        """Whether the parameter `key` can have another value for each item: also through a key of `inputs`."""
        value = self.params.get(key)
        if self.is_open(key):
            return is_dynamic(value)
        for _, template in templates(value):
            for reference in template.references():
                if self.is_of_item(reference, key):
                    return True
                for part in reference.references():
                    if self.bound(part.root, key) is Bound.OWN and self._own_varies(part.root):
                        return True
        return False

    def _own_varies(self, name: str) -> bool:
        found = (reference for _, template in templates(self.own[name]) for reference in template.references())
        return any(self.is_of_item(reference, "inputs") for reference in found)


def roots_that_may_be_absent(template: Template) -> tuple[str, ...]:
    """The nodes that an optional input is read from: where none of them has run, it is None.

    Empty where the template can never be without a value: it has a literal to fall back on, or is malformed.
    """
    operands = [operand for expression in template.expressions for operand in expression.operands]
    if template.issues or any(isinstance(operand, Literal) for operand in operands):
        return ()
    return tuple(dict.fromkeys(operand.root for operand in operands if isinstance(operand, Reference)))


def batch_names(aliases: Sequence[str], declared: Collection[str]) -> dict[str, Bound]:
    """The names that a batch whose items are called so gives a meaning to, where `declared` are taken.

    `aliases` is what an item is called, or each of its parts where batches stand inside each other.
    """
    ours = {name: bound for name, bound in BATCH_NAMES.items() if name not in declared}
    items = dict.fromkeys(aliases, Bound.ITEM if len(aliases) == 1 else Bound.PART)
    return {**ours, **items, INDEX: Bound.INDEX}
