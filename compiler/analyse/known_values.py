"""What is known of values before a run: items that are written out, what batches make of them, types of outputs.

A value is JSON data as far as it is known. `UNKNOWN` stands for what only a run knows, `Typed` for what is known to be
of a type, `Open` for an object with further fields, `OneOf` for a list of which only the sorts of elements are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..ir.batch_spec import ErrorHandling
from ..ir.report import kind
from ..ir.template import DynamicIndex, Field, Index, Reference, Step, parse
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.pflow_types import FILE_DATA, FILE_TEXTS
from .changed_objects import DEEPEST, ChangedObjects
from .known_outputs import KINDS, SCALARS, outputs_of
from .node_order import Order
from .pflow_interfaces import Interfaces
from .written_values import UNKNOWN, Unknown

_MOST = 10_000
"""Items of batches inside each other are looked at one by one up to here."""
_MOST_RESULTS = 200
"""So many results of a batch are known one by one: those of a batch over them are made of these, and so on."""
_SHOWN = 5
"""So many fields of an object are named each."""


class Typed(NamedTuple):
    """A value of which only the JSON type is known."""

    kind: str


class Open(dict[str, Any]):
    """An object that may have more fields than these."""


class OneOf(NamedTuple):
    """A list whose elements, however many, are each like one of `values`."""

    values: Sequence[Any]


class Absent(NamedTuple):
    """That a path finds nothing: how many of its steps lead to a value, and what that is, so that the next fails."""

    steps: int
    why: str


_ERROR = {
    "index": Typed("integer"),
    **dict.fromkeys(
        ("item", "item_summary", "error", "exception", "key", "provider_message", "child_failure"), UNKNOWN
    ),
}
"""An entry of a batch's `errors`: what pflow and `runtime/engine.py` put there, be it only sometimes."""


class Items(NamedTuple):
    """The items that a batch goes through, as far as they are known."""

    each: Sequence[tuple[str, Mapping[str, Any]]]
    """Where each stands, and what it and those around it are by their names."""
    are_all: bool
    """Whether a run has exactly these; else each of its items is like one of them."""


class KnownValues:
    """What is known of the values of a workflow."""

    def __init__(self, ir: SourceIR, interfaces: Interfaces, order: Order) -> None:
        self._changed = ChangedObjects(ir, interfaces, order)
        self._ir = ir
        self._interfaces = interfaces
        self._nodes = {node.id: node for node in ir.nodes}
        self._outputs: dict[str, Any] = {}
        self._items: dict[tuple[str, int], Items] = {}
        self._depth = 0

    def of(self, reference: Reference, reader: SourceNode | None, names: Mapping[str, Any] | None = None) -> Any:
        """What a reference of `reader` gives where `names` stand for items: a value, Absent or UNKNOWN.

        Without a reader it is read at the end of a run.
        """
        root = reference.root
        if names and root in names:
            return found_in(names[root], reference.path)
        node = self._nodes.get(root)
        if node is None or root in self._ir.inputs or not self._ir.namespaced or not reference.path:
            return UNKNOWN
        if node.batch is not None and self._changed.may_be_changed(node, reader):
            return UNKNOWN
        return found_in(self._of_node(node), reference.path)

    def items(self, node: SourceNode, depth: int | None = None) -> Items:
        """The innermost items of the batch `node`, or those of its `depth` outermost batches."""
        levels = node.batch.levels if node.batch is not None else ()
        depth = len(levels) if depth is None else depth
        if (node.id, depth) in self._items:
            return self._items[node.id, depth]
        if not depth:
            return Items([("", {})], are_all=True)
        around, level = self.items(node, depth - 1), levels[depth - 1]
        is_file = depth == 1 and node.batch is not None and node.batch.items_file is not None
        found: list[tuple[str, Mapping[str, Any]]] = []
        are_all = around.are_all
        for place, names in around.each:
            written = self._written(node, level.items, names) if not is_file else UNKNOWN
            if isinstance(written, list) and len(found) + len(written) <= max(_MOST, len(written)):
                name = "items" if isinstance(level.items, list) else level.items.strip()[2:-1]
                outer = f" of {place}" if place else ""
                found += [(f"{name}[{at}]{outer}", {**names, level.alias: one}) for at, one in enumerate(written)]
                continue
            are_all = False
            values = written.values if isinstance(written, OneOf) else [UNKNOWN]
            found += [(place, {**names, level.alias: one}) for one in values]
        self._items[node.id, depth] = Items(found, are_all)
        return self._items[node.id, depth]

    def _written(self, node: SourceNode, items: Any, names: Mapping[str, Any]) -> Any:
        if isinstance(items, list):
            return items
        template = parse(items.strip())
        operands = template.expressions[0].operands if template.is_whole else ()
        only = operands[0] if len(operands) == 1 else None
        return self.of(only, node, names) if isinstance(only, Reference) else UNKNOWN

    def _of_node(self, node: SourceNode) -> Any:
        if node.id not in self._outputs:
            if self._depth >= DEEPEST:
                return UNKNOWN
            self._outputs[node.id] = UNKNOWN  # whoever comes here again meanwhile has come in a circle
            self._depth += 1
            self._outputs[node.id] = self._outputs_of(node)
            self._depth -= 1
        return self._outputs[node.id]

    def _outputs_of(self, node: SourceNode) -> Any:
        made = Open({name: _typed(kind) for name, kind in self._interfaces.outputs(node).items()})
        if node.batch is None:
            return made
        found = Open({name: _typed(kind) for name, kind in outputs_of(node.batch).items()})
        is_tolerant = node.batch.error_handling is ErrorHandling.CONTINUE
        items = None if node.batch.inner_batch is not None else self.items(node)
        if items is None or len(items.each) > _MOST_RESULTS:
            written, are_all = [UNKNOWN], False
        else:
            written, are_all = [names[node.batch.alias] for _, names in items.each], items.are_all
        if self._changed.in_code_of(node):
            written = [UNKNOWN if isinstance(item, dict | list) else item for item in written]
        if "results" in found:
            results = [Open({**made, "item": item}) for item in written]
            found["results"] = results if are_all and not is_tolerant else OneOf(results)
        found["errors"] = OneOf([{**_ERROR, "item": item} for item in written]) if is_tolerant else []
        return found


def kind_of(value: Any) -> str | None:
    """The JSON type of a value, as far as it is known; "null" for null."""
    if isinstance(value, Typed):
        return value.kind
    if isinstance(value, bool | float | int):
        return "boolean" if isinstance(value, bool) else "number" if isinstance(value, float) else "integer"
    if isinstance(value, str):
        return None if _may_be_anything(value, "") else "string"
    return "null" if value is None else "object" if isinstance(value, dict) else None


def why_absent(reference: Reference, found: Absent) -> str:
    """What stands where a reference finds nothing: `r.item is a number`."""
    way = "".join(map(_spelled, reference.path[: found.steps]))
    return f"{reference.root}{way} {found.why}"


def _spelled(step: Step) -> str:
    if isinstance(step, Field):
        return f".{step.name}"
    return f"[{step.value}]" if isinstance(step, Index) else f"[{step.ref}]"


def found_in(value: Any, path: Sequence[Step]) -> Any:
    """What is at the end of a path into `value`: a value, Absent or UNKNOWN."""
    where: int | str = ""
    for at, step in enumerate(path):
        if isinstance(value, OneOf) or (isinstance(value, list) and isinstance(step, DynamicIndex)):
            each = value.values if isinstance(value, OneOf) else value
            found = [found_in(one, path[at + 1 :]) for one in each]
            if isinstance(step, Field):
                return Absent(at, "is a list")
            lost = [one for one in found if isinstance(one, Absent)]
            return lost[0]._replace(steps=at + 1 + lost[0].steps) if lost and len(lost) == len(found) else UNKNOWN
        if isinstance(value, Unknown) or (isinstance(value, str) and _may_be_anything(value, where)):
            return UNKNOWN
        if isinstance(value, Typed):
            return Absent(at, f"is {KINDS[value.kind]}") if value.kind in SCALARS else UNKNOWN
        if isinstance(value, dict) and isinstance(step, Field):
            if step.name not in value:
                return UNKNOWN if isinstance(value, Open) else Absent(at, _without(step.name, value))
            where = step.name
            value = value[step.name]
        elif isinstance(value, list) and isinstance(step, Index):
            if step.value >= len(value):
                return Absent(at, "is empty" if not value else f"ends with [{len(value) - 1}]")
            where = step.value
            value = value[step.value]
        else:
            return Absent(at, f"is {kind(value)}")
    return value


def _typed(kind: str | None) -> Any:
    # Of text and of `any` nothing follows: text is read as JSON where a step leads into it.
    return Typed(kind) if kind in (*SCALARS, "object", "array") else UNKNOWN


def _without(name: str, value: Mapping[str, Any]) -> str:
    more = ", ..." if len(value) > _SHOWN else ""
    names = ", ".join(map(str, list(value)[:_SHOWN]))  # YAML has keys that are no text: `on`, `5`
    return f"has only {names}{more}" if value else f"is empty, without `{name}`"


def _may_be_anything(text: str, name: int | str) -> bool:
    """Whether a step may lead into a text, which is read as JSON then; a template is a value, a file what is in it."""
    is_file = name in FILE_TEXTS | FILE_DATA and "/" in text
    return is_file or "${" in text or text.lstrip()[:1] in ("{", "[")
