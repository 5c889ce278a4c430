"""The bodies of a generated class's methods: `prep` reads what is invariant, `exec` what is not."""

from __future__ import annotations

import json

from ..ir import tree
from ..ir.lowered import LoweredBatch, Parameter, Shape
from ..ir.workflow import ErrorHandling
from ..lowering.names import RUNTIME
from .python_text import WIDTH, Call, Code, Entry, Keyword, Mapping, Node, comment, lay_out
from .python_text import Literal as LiteralNode
from .template_to_python import Variables, items, lookup, parameter, words


def prep_body(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines of `prep`, and the runtime's functions that they use."""
    store = Variables("shared")
    source = items(batch.items, store)
    captures = tuple(Keyword(c.name, lookup(c.lookup, store, "peek")) for c in batch.captures)
    opening = Call("open_batch", (Code("self"), Code("shared"), Code("items"), *captures))
    lines = [lay_out(source, 2, "items = "), lay_out(opening, 2, "return ")]
    return "\n".join(lines), functions(source, opening)


def exec_body(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines of `exec`, and the runtime's functions that they use."""
    run = "run_inner_async" if batch.shape is Shape.IN_TASKS else "run_inner"
    inputs = next((p for p in batch.parameters if p.key == "inputs"), None)
    variables = Variables("scope", batch.alias)
    lines: list[str] = []
    spelled: list[Node] = []
    in_place: Node | None = None
    if inputs is not None and is_scope(inputs):
        # The keys of `inputs` are known at run time only, and they come before every other name.
        in_place = parameter(inputs, variables, permissive=batch.permissive)
        spelled.append(Call("with_inputs", (in_place,)))
        lines += [_note(batch, inputs), lay_out(in_place, 2, "inputs = ")]
        lines.append("        scope = with_inputs(call, inputs)")
    elif inputs is not None and inputs_are_read(batch.parameters):
        in_place = parameter(inputs, variables, permissive=batch.permissive)
        spelled.append(in_place)
        lines += [_note(batch, inputs), lay_out(in_place, 2, "inputs = ")]
    entries = []
    for p in batch.parameters:
        if p is inputs and in_place is not None:
            entries.append(Entry(p.key, Code("inputs")))
            continue
        node = parameter(p, variables, permissive=batch.permissive)
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


def is_scope(inputs: Parameter) -> bool:
    """Whether `inputs` is a reference, so that its keys are known at run time only."""
    return isinstance(inputs.value, tree.Template)


def inputs_are_read(parameters: tuple[Parameter, ...]) -> bool:
    """Whether another parameter refers to a key of `inputs`, so that it needs a name of its own."""
    keys = next((tree.keys(p.value) for p in parameters if p.key == "inputs"), {})
    starts = (found.start for p in parameters if p.key != "inputs" for found in tree.lookups(p.value))
    return any(isinstance(start, tree.Own | tree.Stored) and start.name in keys for start in starts)


def _note(batch: LoweredBatch, p: Parameter) -> str:
    text = written(p)
    return f"        {comment(f'{batch.node_id}.{p.key}: {text}', 80)}" if text else ""


def written(p: Parameter) -> str:
    """The parameter as the author wrote it, for the comment above its code; "" if the code says it as well."""
    if isinstance(p.value, tree.Literal) or _is_bare_name(p.value):
        return ""
    text = tree.written(p.value)
    return text.strip() if isinstance(text, str) else json.dumps(text, ensure_ascii=False)


def _is_bare_name(value: tree.Value) -> bool:
    """Whether `value` is a reference without a path, as in ${item}: its code is the variable."""
    whole = value.whole if isinstance(value, tree.Template) else None
    only = whole.operands[0] if whole is not None and len(whole.operands) == 1 else None
    return isinstance(only, tree.Lookup) and not {".", "["} & set(only.written)


def functions(*nodes: Node) -> set[str]:
    """The runtime's functions that `nodes` call."""
    return {word for node in nodes for word in words(node) if word in RUNTIME}
