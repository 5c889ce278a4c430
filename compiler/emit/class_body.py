"""The bodies of a generated class's methods: `prep` reads what is invariant, `exec` what is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir import tree
from ..ir.lowered import SHAPES, Level, LoweredBatch, Parameter
from ..ir.paths import Path
from ..lowering.names import RUNTIME
from .marks import Origin, marked
from .python_text import WIDTH, comment, lay_out, literal
from .python_tree import PyCall, PyDict, PyEntry, PyExpr, PyKeyword, PyList, PyLiteral, PyName
from .template_to_python import Variables, choice, items, lookup, names_used_in, parameter


def prep_body(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines of `prep`, and the runtime's functions that they use."""
    store = Variables("shared")
    origin = Origin((*node_path(batch), "batch", "items"), "items")
    captures = (
        PyKeyword(c.name, lookup(c.lookup, store, "capture"), Origin(c.path, "capture", c.offset))
        for c in batch.captures
    )
    if batch.levels:
        made, uses = _nested_items(batch)
    else:
        source = items(batch.items, store, origin)
        if batch.spec.items_file is not None:
            source = PyCall("ItemsFile", (source,))
        start, uses = assigned("items", source, "Items")
        made, uses = lay_out(source, 2, start), uses | functions(source)
    lines = [marked(made, origin)]
    arguments: list[PyExpr] = [PyName("shared"), PyName("items")]
    if batch.results is not None:
        results = PyCall("ResultsFile", (items(batch.results, store),))
        lines.append(marked(lay_out(results, 2, "results = "), Origin(written_key(batch, "results"), "results")))
        arguments.append(PyName("results"))
        uses |= functions(results)
    opening = PyCall("self.open", (*arguments, *captures))
    return "\n".join([*lines, lay_out(opening, 2, "return ")]), uses | functions(opening)


def _nested_items(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines that make one item of each innermost item of batches inside each other."""
    parts = PyDict(tuple(PyEntry(level.name, PyName(level.variable)) for level in batch.levels))
    lines, uses = ["        items = [", lay_out(parts, 3)], set()
    known: tuple[tuple[str, str], ...] = ()
    path: Path = (*node_path(batch), "batch")
    for level in batch.levels:
        origin = Origin((*path, "items"), "items")
        source = items(level.items, Variables("shared", parts=known), origin)
        around = (PyKeyword(variable, PyName(variable)) for _, variable in known)
        found = PyCall("items_of", (source, PyLiteral(_written_items(level)), *around))
        lines.append(marked(lay_out(found, 3, f"for {level.variable} in "), origin))
        uses |= functions(found)
        known = (*known, (level.name, level.variable))
        path = (*path, "batch")
    return "\n".join([*lines, "        ]"]), uses


def _written_items(level: Level) -> str:
    """The items of a level for messages: the reference, or what they are called."""
    source = tree.written(level.items)
    return source if isinstance(source, str) else level.name


def exec_body(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines of `exec`, and the runtime's functions that they use."""
    origin = Origin((*node_path(batch), "params"), "parameter")
    inputs = next((p for p in batch.parameters if p.key == "inputs"), None)
    variables = _variables(batch)
    lines: list[str] = []
    expressions: list[PyExpr] = []
    in_place: PyExpr | None = None
    in_place_uses: set[str] = set()

    def made(p: Parameter) -> PyExpr:
        expressions.append(parameter(p, variables, permissive=batch.permissive, origin=origin.part(p.key)))
        return expressions[-1]

    if inputs is not None and is_reference(inputs):
        # The keys of `inputs` are known at run time only, and they come before every other name.
        in_place = made(inputs)
        lines += [
            marked(_noted(inputs, lay_out(in_place, 2, "inputs = ")), origin.part("inputs")),
            marked("        scope = self.with_inputs(call, inputs)", origin.part("inputs")),
        ]
    elif inputs is not None and inputs_are_read(batch.parameters):
        in_place = made(inputs)
        start, in_place_uses = assigned("inputs", in_place, "Params")
        lines.append(marked(_noted(inputs, lay_out(in_place, 2, start)), origin.part("inputs")))
    entries = []
    for p in batch.parameters:
        if p is inputs and in_place is not None:
            entries.append(PyEntry(p.key, PyName("inputs")))
        else:
            entries.append(PyEntry(p.key, made(p), written(p)))
    params = PyDict(tuple(entries), origin)
    used = {name for expression in expressions for name in names_used_in(expression)}
    call = [*_binding(batch, used, [p.value for p in batch.parameters]), *lines]
    uses: set[str] = set()
    if entries:
        start, uses = assigned("params", params, "Params")
        call.append(marked(lay_out(params, 2, start), origin))
    waiting = "await " if SHAPES[batch.shape].is_async else ""
    run = f"        return {waiting}self.run_inner(call, {'params' if entries else '{}'})"
    call.append(marked(run, Origin((*node_path(batch), "type"), "call")))
    return "\n".join(call), functions(*expressions) | uses | in_place_uses


def item_name_body(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines of `name_item`, and the runtime's functions that they use; none where items have no names."""
    if batch.item_name is None:
        return "", set()
    whole = batch.item_name.whole if isinstance(batch.item_name, tree.Template) else None
    if whole is not None:  # a name is text, whatever the reference gives
        name = choice(whole, _variables(batch), "text")
    else:
        name = parameter(Parameter("key", batch.item_name, None, parse_json=False), _variables(batch))
    lines = [*_binding(batch, set(names_used_in(name)), [batch.item_name]), lay_out(name, 2, "return ")]
    return "\n".join(lines), functions(name)


def node_path(batch: LoweredBatch) -> Path:
    """The place of the node that `batch` is made of."""
    return ("nodes", batch.number)


def written_key(batch: LoweredBatch, key: str) -> Path:
    """The place of a key of the batch, or of the batch itself where its author left the key out."""
    path: Path = (*node_path(batch), "batch")
    return (*path, key) if key in batch.spec.written else path


def _variables(batch: LoweredBatch) -> Variables:
    """What lookups in a call start from."""
    return Variables("scope", batch.alias, tuple((level.name, level.variable) for level in batch.levels))


def _binding(batch: LoweredBatch, used: set[str], values: Sequence[tree.Value]) -> list[str]:
    """What gives the item and what was captured their names, as far as `values`, or the names `used`, have them."""
    parts = ((level.variable, f"call.item[{literal(level.name)}]") for level in batch.levels)
    names = [(name, value) for name, value in parts if name in used]
    if not batch.levels and batch.alias in used:
        names.append((batch.alias, "call.item"))
    if any(isinstance(found.start, tree.Captured) for value in values for found in tree.lookups(value)):
        names.append(("given", "call.given"))
    if not names:
        return []
    line = f"        {', '.join(name for name, _ in names)} = {', '.join(value for _, value in names)}"
    lines = [line] if len(line) <= WIDTH else [f"        {name} = {value}" for name, value in names]
    return [marked(line, Origin(written_key(batch, "as"), "item")) for line in lines]


def assigned(name: str, value: PyExpr, kind: str) -> tuple[str, set[str]]:
    """How the assignment of `value` begins, and what it uses: with a type where a type checker cannot infer it."""
    return (f"{name}: {kind} = ", {kind}) if _has_empty(value) else (f"{name} = ", set())


def _has_empty(node: PyExpr) -> bool:
    """Whether there is an empty list or object in a list or object."""
    if isinstance(node, PyLiteral):
        return _holds_empty(node.value)
    if isinstance(node, PyDict):
        return any(_has_empty(entry.value) for entry in node.entries)
    return isinstance(node, PyList) and any(map(_has_empty, node.items))


def _holds_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return not value or any(map(_holds_empty, value.values()))
    return isinstance(value, list) and (not value or any(map(_holds_empty, value)))


def is_reference(inputs: Parameter) -> bool:
    """Whether `inputs` is a reference, so that its keys are known at run time only."""
    return isinstance(inputs.value, tree.Template)


def inputs_are_read(parameters: tuple[Parameter, ...]) -> bool:
    """Whether another parameter refers to a key of `inputs`, so that it needs a name of its own."""
    keys = next((tree.keys(p.value) for p in parameters if p.key == "inputs"), {})
    starts = (found.start for p in parameters if p.key != "inputs" for found in tree.lookups(p.value))
    return any(isinstance(start, tree.Own | tree.Stored) and start.name in keys for start in starts)


def _noted(p: Parameter, code: str) -> str:
    """`code` under the comment of its parameter, if it has one."""
    text = written(p)
    return f"        {comment(text)}\n{code}" if text else code


_LONGEST_COMMENT = WIDTH - 3 * 4 - 2
"""How much of a line is left for a comment inside `params`."""


def written(p: Parameter) -> str:
    """The parameter as the author wrote it, for the comment above its code; "" if that says no more than the code.

    It says more where a reference has alternatives or an index that is a reference. What does not fit on one line
    is not worth one.
    """
    if not isinstance(p.value, tree.Template):
        return ""
    text = p.value.source.strip()
    if len(p.value.source) > _LONGEST_COMMENT or "\n" in text:
        return ""
    says_more = any(
        len(choice.operands) > 1 or any("[${" in lookup.written for lookup in choice.lookups())
        for choice in p.value.choices
    )
    return text if says_more else ""


def functions(*expressions: PyExpr) -> set[str]:
    """The runtime's functions that `expressions` call."""
    return {name for expression in expressions for name in names_used_in(expression) if name in RUNTIME}
