"""The bodies of a generated class's methods: `prep` reads what is invariant, `exec` what is not."""

from __future__ import annotations

from typing import Any

from ..analyse.invariance import Bindings, Bound
from ..ir.lowered import SHAPES, LoweredBatch, Parameter
from ..ir.template import (
    DynamicIndex,
    Expression,
    Field,
    Literal,
    Reference,
    Step,
    Template,
    is_dynamic,
    parse,
    templates,
)
from ..lowering.lower import shadowing_inputs
from ..lowering.names import RUNTIME
from .python_text import WIDTH, Call, Code, Entry, Keyword, Mapping, Node, Sequence, comment, lay_out
from .python_text import Literal as LiteralNode
from .template_to_python import Scope, StoreScope, applied, expression, items, lookup, parameter, template, words


class CallScope:
    """Names as `exec` sees them: the item, its position, captured values, and a code node's inputs."""

    def __init__(self, batch: LoweredBatch, inputs: frozenset[str] = frozenset()) -> None:
        self._batch = batch
        self._inputs = inputs
        names = {**dict.fromkeys(batch.item_names, Bound.INDEX), batch.spec.alias: Bound.ITEM}
        self._bindings = Bindings(names, {"inputs": dict.fromkeys(inputs)})
        self._captured = {capture.reference.raw: capture.name for capture in batch.captures}

    def access(self, ref: Reference) -> tuple[str, tuple[Step, ...], bool]:
        """See `template_to_python.Scope`."""
        if ref.root in self._inputs:
            return "inputs", (Field(ref.root), *ref.path), True
        if ref.root in self._batch.item_names:
            return self._batch.item_names[ref.root], ref.path, True
        if ref.root == self._batch.spec.alias:
            return self._batch.alias, ref.path, True
        part = self._bindings.invariant_part(ref, "")
        assert part is not None  # every root that varies was dealt with above
        return f"given.{self._captured[part.raw]}", ref.path[len(part.path) :], False


def prep_body(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines of `prep`, and the runtime's functions that they use."""
    store = StoreScope("shared")
    source = items(batch.spec.items, store)
    captures = tuple(Keyword(c.name, lookup(c.reference, store, "capture")) for c in batch.captures)
    opening = Call("self.open", (Code("shared"), Code("items"), *captures))
    start, uses = assigned("items", source, "Items")
    lines = [lay_out(source, 2, start), lay_out(opening, 2, "return ")]
    return "\n".join(lines), functions(source, opening) | uses


def exec_body(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines of `exec`, and the runtime's functions that they use."""
    inputs = next((p for p in batch.parameters if p.key == "inputs"), None)
    scope: Scope = CallScope(batch, frozenset(shadowing_inputs(batch.parameters)))
    lines: list[str] = []
    spelled: list[Node] = []
    in_place: Node | None = None
    in_place_uses: set[str] = set()
    if inputs is not None and is_scope(inputs):
        # The keys of `inputs` are known at run time only, and they come before every other name.
        in_place = spell(inputs, CallScope(batch), permissive=batch.permissive)
        spelled.append(in_place)
        lines += [_note(inputs), lay_out(in_place, 2, "inputs = ")]
        lines.append("        scope = self.with_inputs(call, inputs)")
        scope = StoreScope("scope")
    elif inputs is not None and inputs_are_read(batch.parameters):
        in_place = spell(inputs, CallScope(batch), permissive=batch.permissive)
        spelled.append(in_place)
        start, in_place_uses = assigned("inputs", in_place, "Params")
        lines += [_note(inputs), lay_out(in_place, 2, start)]
    entries = []
    for p in batch.parameters:
        if p is inputs and in_place is not None:
            entries.append(Entry(p.key, Code("inputs")))
            continue
        node = spell(p, CallScope(batch) if p is inputs else scope, permissive=batch.permissive)
        spelled.append(node)
        entries.append(Entry(p.key, node, written(p)))
    params = Mapping(tuple(entries))
    used = {word for node in spelled for word in words(node)}
    call = [*_binding(batch, used), *lines]
    uses: set[str] = set()
    if entries:
        start, uses = assigned("params", params, "Params")
        call.append(lay_out(params, 2, start))
    waiting = "await " if SHAPES[batch.shape].is_async else ""
    call.append(f"        return {waiting}self.run_inner(call, {'params' if entries else '{}'})")
    return "\n".join(line for line in call if line), functions(*spelled) | uses | in_place_uses


def _binding(batch: LoweredBatch, used: set[str]) -> list[str]:
    """What gives the item and what was captured their names, as far as they are used."""
    names = []
    if batch.alias in used:
        names.append((batch.alias, "call.item"))
    if any(word.startswith("given.") for word in used):
        names.append(("given", "call.given"))
    if not names:
        return []
    line = f"        {', '.join(name for name, _ in names)} = {', '.join(value for _, value in names)}"
    return [line] if len(line) <= WIDTH else [f"        {name} = {value}" for name, value in names]


def assigned(name: str, value: Node, kind: str) -> tuple[str, set[str]]:
    """How the assignment of `value` begins, and what it uses: with a type where a type checker cannot infer it."""
    return (f"{name}: {kind} = ", {kind}) if _has_empty(value) else (f"{name} = ", set())


def _has_empty(node: Node) -> bool:
    """Whether there is an empty list or object in a list or object."""
    if isinstance(node, LiteralNode):
        return _holds_empty(node.value)
    if isinstance(node, Mapping):
        return any(_has_empty(entry.value) for entry in node.entries)
    return isinstance(node, Sequence) and any(map(_has_empty, node.items))


def _holds_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return not value or any(map(_holds_empty, value.values()))
    return isinstance(value, list) and (not value or any(map(_holds_empty, value)))


def spell(p: Parameter, scope: Scope, *, permissive: bool) -> Node:
    """The value of a parameter; `inputs` key by key, as parameters of their own."""
    if p.key != "inputs" or not isinstance(p.value, dict) or not is_dynamic(p.value):
        return parameter(p.value, scope, declared=p.declared, permissive=permissive, parse_json=p.parse_json)
    node = Mapping(tuple(Entry(k, _one_input(p, k, v, scope, permissive)) for k, v in p.value.items()))
    return Call("as_json_text", (node,)) if p.declared in ("str", "string") else node


def _one_input(p: Parameter, key: str, value: Any, scope: Scope, permissive: bool) -> Node:
    if not isinstance(value, str) or not is_dynamic(value):
        return parameter(value, scope, permissive=permissive)
    source = parse(value)
    node = _optional(source, scope) if key in p.optional else None
    if node is None:
        # A whole reference to a string with JSON in it is read as JSON, here as inside any container.
        return template(source, scope, permissive=permissive, parse_json=True)
    return applied("parsed", node) if source.is_whole else node


def _optional(source: Template, scope: Scope) -> Node | None:
    """An input that is None where none of the nodes it is read from has run; None if it never is."""
    operands = [operand for expr in source.expressions for operand in expr.operands]
    if source.issues or any(isinstance(operand, Literal) for operand in operands):
        return None
    roots = dict.fromkeys(operand.root for operand in operands if isinstance(operand, Reference))
    value = items(source.source, scope) if source.is_whole else _joined(source, scope)
    return Call("none_unless_run", (value, *(lookup(Reference(root, (), root), scope, "peek") for root in roots)))


def _joined(source: Template, scope: Scope) -> Node:
    parts = (
        expression(part, scope, "peek") if isinstance(part, Expression) else LiteralNode(part) for part in source.parts
    )
    return Call("joined", tuple(parts))


def is_scope(inputs: Parameter) -> bool:
    """Whether `inputs` is a reference, so that its keys are known at run time only."""
    return isinstance(inputs.value, str) and is_dynamic(inputs.value)


def inputs_are_read(parameters: tuple[Parameter, ...]) -> bool:
    """Whether another parameter refers to a key of `inputs`, so that it needs a name of its own."""
    keys = shadowing_inputs(parameters)
    return any(
        reference.root in keys
        for p in parameters
        if p.key != "inputs"
        for _, found in templates(p.value)
        for reference in found.references()
    )


def _note(p: Parameter) -> str:
    text = written(p)
    return f"        {comment(text)}" if text else ""


_LONGEST_COMMENT = WIDTH - 3 * 4 - 2
"""How much of a line is left for a comment inside `params`."""


def written(p: Parameter) -> str:
    """The parameter as the author wrote it, for the comment above its code; "" if that says no more than the code.

    It says more where a reference has alternatives or an index that is a reference. What does not fit on one line
    is not worth one.
    """
    if not isinstance(p.value, str) or len(p.value) > _LONGEST_COMMENT or "\n" in p.value.strip():
        return ""
    found = parse(p.value)
    says_more = any(
        len(expr.operands) > 1
        or any(isinstance(step, DynamicIndex) for reference in expr.references() for step in reference.path)
        for expr in found.expressions
    )
    return p.value.strip() if says_more else ""


def functions(*nodes: Node) -> set[str]:
    """The runtime's functions that `nodes` call."""
    return {word for node in nodes for word in words(node) if word in RUNTIME}
