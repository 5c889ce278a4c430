"""The bodies of a generated class's methods: `prep` reads what is invariant, `exec` what is not."""

from __future__ import annotations

import json
from typing import Any

from ..analyse.invariance import Bindings, Bound
from ..ir.lowered import LoweredBatch, Parameter, Shape
from ..ir.template import Expression, Field, Literal, Reference, Step, Template, is_dynamic, parse, templates
from ..ir.workflow import ErrorHandling
from ..lowering.lower import shadowing_inputs
from ..lowering.names import RUNTIME
from .python_text import WIDTH, Call, Code, Entry, Keyword, Mapping, Node, comment, lay_out
from .python_text import Literal as LiteralNode
from .template_to_python import Scope, StoreScope, expression, items, lookup, parameter, parsed, words


class CallScope:
    """Names as `exec` sees them: the item, its position, captured values, and a code node's inputs."""

    def __init__(self, batch: LoweredBatch, inputs: frozenset[str] = frozenset()) -> None:
        self._batch = batch
        self._inputs = inputs
        names = {**dict.fromkeys(batch.item_names, Bound.INDEX), batch.spec.alias: Bound.ITEM}
        self._bindings = Bindings(names, {"inputs": dict.fromkeys(inputs)})
        self._captured = {capture.reference.raw: capture.name for capture in batch.captures}

    def access(self, ref: Reference) -> tuple[str, tuple[Step, ...], bool]:
        """See `translate.Scope`."""
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
    captures = tuple(Keyword(c.name, lookup(c.reference, store, "peek")) for c in batch.captures)
    opening = Call("open_batch", (Code("self"), Code("shared"), Code("items"), *captures))
    lines = [lay_out(source, 2, "items = "), lay_out(opening, 2, "return ")]
    return "\n".join(lines), functions(source, opening)


def exec_body(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines of `exec`, and the runtime's functions that they use."""
    run = "run_inner_async" if batch.shape is Shape.IN_TASKS else "run_inner"
    inputs = next((p for p in batch.parameters if p.key == "inputs"), None)
    scope: Scope = CallScope(batch, frozenset(shadowing_inputs(batch.parameters)))
    lines: list[str] = []
    spelled: list[Node] = []
    in_place: Node | None = None
    if inputs is not None and is_scope(inputs):
        # The keys of `inputs` are known at run time only, and they come before every other name.
        in_place = spell(inputs, CallScope(batch), permissive=batch.permissive)
        spelled.append(Call("with_inputs", (in_place,)))
        lines += [_note(batch, inputs), lay_out(in_place, 2, "inputs = ")]
        lines.append("        scope = with_inputs(call, inputs)")
        scope = StoreScope("scope")
    elif inputs is not None and inputs_are_read(batch.parameters):
        in_place = spell(inputs, CallScope(batch), permissive=batch.permissive)
        spelled.append(in_place)
        lines += [_note(batch, inputs), lay_out(in_place, 2, "inputs = ")]
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
    if entries:
        call.append(lay_out(params, 2, "params = "))
    arguments = f"self.inner, call, {'params' if entries else '{}'}"
    waiting = "await " if batch.shape is Shape.IN_TASKS else ""
    call.append(f"        return {waiting}{run}({arguments})")
    return "\n".join(line for line in call if line), functions(*spelled) | {run}


def run_call(batch: LoweredBatch) -> str:
    """The call of the scheduler in `_exec`."""
    arguments = [Code("self"), Code("batch")]
    keywords = [Keyword("fail_fast", LiteralNode(batch.spec.error_handling is ErrorHandling.FAIL_FAST))]
    if batch.spec.parallel:
        keywords.insert(0, Keyword("max_concurrent", LiteralNode(int(batch.spec.max_concurrent))))
    waiting = "await " if batch.shape is Shape.IN_TASKS else ""
    return lay_out(Call(batch.shape.value, (*arguments, *keywords)), 2, f"return {waiting}")


def _binding(batch: LoweredBatch, used: set[str]) -> list[str]:
    """What gives the item and what was captured their names, as far as they are used."""
    names = []
    if batch.alias in used:
        names.append((batch.alias, "call.item"))
    if any(word.startswith("given.") for word in used):
        names.append(("given", "call.captured"))
    if any(word.startswith("given_text.") for word in used):
        names.append(("given_text", "call.captured_text"))
    if not names:
        return []
    line = f"        {', '.join(name for name, _ in names)} = {', '.join(value for _, value in names)}"
    return [line] if len(line) <= WIDTH else [f"        {name} = {value}" for name, value in names]


def spell(p: Parameter, scope: Scope, *, permissive: bool) -> Node:
    """The value of a parameter; `inputs` key by key, as parameters of their own."""
    if p.key != "inputs" or not isinstance(p.value, dict) or not is_dynamic(p.value):
        return parameter(p.value, scope, declared=p.declared, permissive=permissive, parse_json=p.parse_json)
    node = Mapping(tuple(Entry(k, _one_input(p, k, v, scope, permissive)) for k, v in p.value.items()))
    return Call("json_text", (node,)) if p.declared in ("str", "string") else node


def _one_input(p: Parameter, key: str, value: Any, scope: Scope, permissive: bool) -> Node:
    if not isinstance(value, str) or not is_dynamic(value):
        return parameter(value, scope, permissive=permissive)
    source = parse(value)
    node = _optional(source, scope) if key in p.optional else None
    node = node or parameter(value, scope, permissive=permissive)
    # A whole reference to a string with JSON in it is read as JSON, here as inside any container.
    return parsed(node) if source.is_whole else node


def _optional(source: Template, scope: Scope) -> Node | None:
    """An input that is None where none of the nodes it is read from has run; None if it never is."""
    operands = [operand for expr in source.expressions for operand in expr.operands]
    if source.issues or any(isinstance(operand, Literal) for operand in operands):
        return None
    roots = dict.fromkeys(operand.root for operand in operands if isinstance(operand, Reference))
    value = items(source.source, scope) if source.is_whole else _joined(source, scope)
    return Call("optional", (value, *(lookup(Reference(root, (), root), scope, "peek") for root in roots)))


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


def _note(batch: LoweredBatch, p: Parameter) -> str:
    text = written(p)
    return f"        {comment(f'{batch.node_id}.{p.key}: {text}', 80)}" if text else ""


def written(p: Parameter) -> str:
    """The parameter as the author wrote it, for the comment above its code; "" if the code says it as well."""
    if not is_dynamic(p.value) or _is_bare_name(p.value):
        return ""
    return p.value.strip() if isinstance(p.value, str) else json.dumps(p.value, ensure_ascii=False)


def _is_bare_name(value: Any) -> bool:
    """Whether `value` is a reference without a path, as in ${item}: its code is the variable."""
    template = parse(value) if isinstance(value, str) else None
    if template is None or not template.is_whole:
        return False
    operands = template.expressions[0].operands
    return len(operands) == 1 and isinstance(operands[0], Reference) and not operands[0].path


def functions(*nodes: Node) -> set[str]:
    """The runtime's functions that `nodes` call."""
    return {word for node in nodes for word in words(node) if word in RUNTIME}
