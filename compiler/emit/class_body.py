"""The bodies of a generated class's methods: `prep` reads what is invariant, `exec` what is not."""

from __future__ import annotations

from typing import Any

from ..ir import tree
from ..ir.lowered import SHAPES, Declared, Level, LoweredBatch, Parameter
from ..lowering.names import RUNTIME
from .python_text import WIDTH, Call, Code, Entry, Keyword, Mapping, Node, Sequence, comment, lay_out, literal
from .python_text import Literal as LiteralNode
from .template_to_python import Variables, items, lookup, parameter, words


def prep_body(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines of `prep`, and the runtime's functions that they use."""
    store = Variables("shared")
    captures = tuple(Keyword(c.name, lookup(c.lookup, store, "capture")) for c in batch.captures)
    if batch.levels:
        lines, uses = _nested_items(batch.levels)
    else:
        source = items(batch.items, store)
        if batch.spec.items_file is not None:
            source = Call("ItemsFile", (source,))
        start, uses = assigned("items", source, "Items")
        lines, uses = [lay_out(source, 2, start)], uses | functions(source)
    arguments: list[Node] = [Code("shared"), Code("items")]
    if batch.results is not None:
        results = Call("ResultsFile", (items(batch.results, store),))
        lines.append(lay_out(results, 2, "results = "))
        arguments.append(Code("results"))
        uses |= functions(results)
    opening = Call("self.open", (*arguments, *captures))
    return "\n".join([*lines, lay_out(opening, 2, "return ")]), uses | functions(opening)


def _nested_items(levels: tuple[Level, ...]) -> tuple[list[str], set[str]]:
    """The lines that make one item of each innermost item of batches inside each other."""
    parts = Mapping(tuple(Entry(level.name, Code(level.variable)) for level in levels))
    lines, uses = ["        items = [", lay_out(parts, 3)], set()
    known: tuple[tuple[str, str], ...] = ()
    for level in levels:
        found = Call("items_of", (items(level.items, Variables("shared", parts=known)), LiteralNode(_spelled(level))))
        lines.append(lay_out(found, 3, f"for {level.variable} in "))
        uses |= functions(found)
        known = (*known, (level.name, level.variable))
    return [*lines, "        ]"], uses


def _spelled(level: Level) -> str:
    """The items of a level for messages: the reference, or what they are called."""
    source = tree.written(level.items)
    return source if isinstance(source, str) else level.name


def exec_body(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines of `exec`, and the runtime's functions that they use."""
    inputs = next((p for p in batch.parameters if p.key == "inputs"), None)
    variables = _variables(batch)
    lines: list[str] = []
    spelled: list[Node] = []
    in_place: Node | None = None
    in_place_uses: set[str] = set()
    if inputs is not None and is_scope(inputs):
        # The keys of `inputs` are known at run time only, and they come before every other name.
        in_place = parameter(inputs, variables, permissive=batch.permissive)
        spelled.append(in_place)
        lines += [_note(inputs), lay_out(in_place, 2, "inputs = ")]
        lines.append("        scope = self.with_inputs(call, inputs)")
    elif inputs is not None and inputs_are_read(batch.parameters):
        in_place = parameter(inputs, variables, permissive=batch.permissive)
        spelled.append(in_place)
        start, in_place_uses = assigned("inputs", in_place, "Params")
        lines += [_note(inputs), lay_out(in_place, 2, start)]
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
    uses: set[str] = set()
    if entries:
        start, uses = assigned("params", params, "Params")
        call.append(lay_out(params, 2, start))
    waiting = "await " if SHAPES[batch.shape].is_async else ""
    call.append(f"        return {waiting}self.run_inner(call, {'params' if entries else '{}'})")
    return "\n".join(line for line in call if line), functions(*spelled) | uses | in_place_uses


def item_name_body(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The lines of `name_item`, and the runtime's functions that they use; none where items have no names."""
    if batch.item_name is None:
        return "", set()
    source = Parameter("key", batch.item_name, Declared.LENIENT_TEXT, parse_json=False)
    name = parameter(source, _variables(batch), permissive=False)
    lines = [*_binding(batch, set(words(name))), lay_out(name, 2, "return ")]
    return "\n".join(lines), functions(name)


def _variables(batch: LoweredBatch) -> Variables:
    """What lookups in a call start from."""
    return Variables("scope", batch.alias, tuple((level.name, level.variable) for level in batch.levels))


def _binding(batch: LoweredBatch, used: set[str]) -> list[str]:
    """What gives the item and what was captured their names, as far as they are used."""
    parts = ((level.variable, f"call.item[{literal(level.name)}]") for level in batch.levels)
    names = [(name, value) for name, value in parts if name in used]
    if not batch.levels and batch.alias in used:
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


def is_scope(inputs: Parameter) -> bool:
    """Whether `inputs` is a reference, so that its keys are known at run time only."""
    return isinstance(inputs.value, tree.Template)


def inputs_are_read(parameters: tuple[Parameter, ...]) -> bool:
    """Whether another parameter refers to a key of `inputs`, so that it needs a name of its own."""
    keys = next((tree.keys(p.value) for p in parameters if p.key == "inputs"), {})
    starts = (found.start for p in parameters if p.key != "inputs" for found in tree.lookups(p.value))
    return any(isinstance(start, tree.Own | tree.Stored) and start.name in keys for start in starts)


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


def functions(*nodes: Node) -> set[str]:
    """The runtime's functions that `nodes` call."""
    return {word for node in nodes for word in words(node) if word in RUNTIME}
