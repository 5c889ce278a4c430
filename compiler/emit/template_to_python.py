"""What a template means, said once, in Python: `${a.b ?? "x"}` becomes a lookup, text an f-string.

`evaluate` runs the very code that generated classes contain; there is no second interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..ir import tree
from ..ir.lowered import Declared, Parameter
from ..ir.template import Field, Index, Issue
from .python_text import Call, Code, Entry, Keyword, Literal, Mapping, Node, Sequence, Text

_RAISING = frozenset({"as_text", "as_dict", "as_list", "parsed", "text"})
"""Functions that raise for what is missing, so that no `find` need stand inside them."""


class Variables(NamedTuple):
    """The Python variables that hold what lookups start from."""

    store: str
    """The mapping in which names of the store are looked up."""
    item: str = ""

    def of(self, start: tree.Start) -> tuple[str, tuple[Field, ...]]:
        """The Python expression to start from, and the step to take first."""
        if isinstance(start, tree.Item):
            return self.item, ()
        if isinstance(start, tree.ItemIndex):
            return "call.index", ()
        if isinstance(start, tree.ItemTotal):
            return "call.total", ()
        if isinstance(start, tree.Captured):
            return f"given.{start.name}", ()
        if isinstance(start, tree.Own):
            return "inputs", (Field(start.name),)
        return self.store, (Field(start.name),)


def lookup(found: tree.Lookup, variables: Variables, function: str = "find") -> Node:
    """`found` as a call of `find` or `peek`, or as the bare variable where nothing is left to look up."""
    base, first = variables.of(found.start)
    steps = (*first, *found.steps)
    if not steps:
        return Call(function, (Code(base),)) if found.may_miss and function == "find" else Code(base)
    return Call(function, (Code(base), *(_step(step, variables) for step in steps)))


def choice(found: tree.Choice, variables: Variables, function: str = "find") -> Node:
    """`found` as Python that raises `Unresolved` (function "find") or gives MISSING ("peek")."""
    operands = []
    for operand in found.operands:
        operands.append(operand)
        if not (isinstance(operand, tree.Lookup) and operand.may_miss):
            break  # what comes after it is never looked at
    if len(operands) == 1:
        return _operand(operands[0], variables, function)
    chain = Call("first", tuple(_operand(operand, variables, "peek") for operand in operands))
    return Call("find", (chain,)) if found.may_miss and function == "find" else chain


def template(
    source: tree.Template, variables: Variables, *, permissive: bool = False, parse_json: bool = False
) -> Node:
    """A string: a whole reference keeps its type, anything else is text.

    With `permissive`, a reference that finds nothing stays as it is written. With `parse_json`, a
    whole reference to a string that holds a JSON object or array gives that object or array.
    """
    whole = source.whole
    if source.unless_run:
        value = items(source, variables)
        runs = (lookup(node, variables, "peek") for node in source.unless_run)
        node: Node = Call("optional", (value, *runs))
        return parsed(node) if whole is not None and parse_json else node
    if whole is not None:
        node = _kept(whole, variables, source.source) if permissive else choice(whole, variables)
        return parsed(node) if parse_json and not _is_number(whole) else node
    parts: list[str | Node] = []
    for part in source.parts:
        if isinstance(part, tree.Choice):
            parts.append(_inside_text(part, variables, permissive))
        else:
            parts.append(part.raw if isinstance(part, Issue) else part)
    if any(_is_hard_to_quote(part) for part in parts if not isinstance(part, str)):
        return Call("joined", tuple(Literal(part) if isinstance(part, str) else part for part in parts))
    return Text(tuple(parts))


def parsed(node: Node) -> Node:
    """`node`, read as JSON where it turns out to be a string that holds an object or an array."""
    return raising("parsed", node)


def raising(name: str, node: Node) -> Node:
    """A call of a function that raises for what is missing."""
    if name in _RAISING and isinstance(node, Call) and node.name == "find" and len(node.arguments) == 1:
        node = node.arguments[0]
    return Call(name, (node,))


def value(source: tree.Value, variables: Variables, *, permissive: bool = False, parse_json: bool = False) -> Node:
    """Any value: templates inside it become code, everything else stays a literal."""
    if isinstance(source, tree.Literal):
        return Literal(source.value)
    if isinstance(source, tree.Template):
        return template(source, variables, permissive=permissive, parse_json=parse_json)

    def made(part: tree.Value) -> Node:
        return value(part, variables, permissive=permissive, parse_json=parse_json)

    if isinstance(source, tree.Object):
        return Mapping(tuple(Entry(key, made(member)) for key, member in source.entries))
    return Sequence(tuple(made(item) for item in source.items))


def parameter(source: Parameter, variables: Variables, *, permissive: bool = False) -> Node:
    """The value of a node's parameter.

    Strings inside containers are read as JSON where they hold some (`parse_json`); a string of its own
    only where a container is declared; and declared text makes text of containers.
    """
    made, declared = source.value, source.declared
    is_text = declared in (Declared.TEXT, Declared.LENIENT_TEXT)
    if isinstance(made, tree.Literal):
        return Call("json_text", (Literal(made.value),)) if is_text and _is_container(made) else Literal(made.value)
    if not isinstance(made, tree.Template):
        node = value(made, variables, permissive=permissive, parse_json=source.parse_json)
        return Call("json_text", (node,)) if is_text else node
    node = template(made, variables, permissive=permissive)
    if made.whole is None or declared is None:
        return node
    return raising(_MAKES[declared], node)


_MAKES = {
    Declared.TEXT: "as_text",
    Declared.LENIENT_TEXT: "json_text",
    Declared.OBJECT: "as_dict",
    Declared.LIST: "as_list",
}


def items(source: tree.Value, variables: Variables) -> Node:
    """The items of a batch: MISSING where the reference finds nothing; inline references stay as text."""
    if not isinstance(source, tree.Template):
        return value(source, variables, permissive=True, parse_json=True)
    if source.whole is not None:
        return choice(source.whole, variables, "peek")
    parts = (
        choice(part, variables, "peek") if isinstance(part, tree.Choice) else Literal(part)
        for part in source.parts
        if not isinstance(part, Issue)
    )
    return Call("joined", tuple(parts))


def words(node: Node | str) -> Iterable[str]:
    """The functions that `node` calls and the pieces of code (variables) in it."""
    if isinstance(node, Code):
        yield node.text
    elif isinstance(node, Call):
        yield node.name
        for argument in node.arguments:
            yield from words(argument)
    elif isinstance(node, Keyword):
        yield from words(node.value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from words(item)
    elif isinstance(node, Mapping):
        for entry in node.entries:
            yield from words(entry.value)
    elif isinstance(node, Text):
        for part in node.parts:
            yield from words(part)


def _is_container(value: tree.Literal) -> bool:
    return isinstance(value.value, dict | list)


def _step(step: Field | Index | tree.LookedUpIndex, variables: Variables) -> Node:
    if isinstance(step, Field):
        return Literal(step.name)
    if isinstance(step, Index):
        return Literal(step.value)
    index = lookup(step.lookup, variables, "peek")
    is_position = isinstance(step.lookup.start, tree.ItemIndex) and not step.lookup.steps
    return index if is_position else Call("position", (index,))


def _operand(operand: tree.Lookup | tree.Literal, variables: Variables, function: str) -> Node:
    return lookup(operand, variables, function) if isinstance(operand, tree.Lookup) else Literal(operand.value)


def _is_number(found: tree.Choice) -> bool:
    """Whether it is the position of an item, or the number of items: reads the same as text, and is no JSON."""
    first = found.operands[0]
    return isinstance(first, tree.Lookup) and first.is_number


def _inside_text(found: tree.Choice, variables: Variables, permissive: bool) -> Node:
    node = _kept(found, variables, found.written) if permissive else choice(found, variables)
    if _is_number(found):
        return node
    only = found.operands[0] if len(found.operands) == 1 else None
    if isinstance(only, tree.Lookup) and isinstance(only.start, tree.Captured) and not only.steps and not permissive:
        return Code(f"given_text.{only.start.name}")  # is text already
    if isinstance(node, Call) and node.name == "find" and len(node.arguments) == 2 and _is_name(node.arguments[1]):
        return Call("text_at", node.arguments)
    return raising("text", node)


def _is_name(node: Node) -> bool:
    return isinstance(node, Literal) and isinstance(node.value, str)


def _kept(found: tree.Choice, variables: Variables, written: str) -> Node:
    """`found`, but the reference as it is written where there is nothing."""
    node = choice(found, variables, "peek")
    return Call("keep", (node, Literal(written))) if found.may_miss else node


def _is_hard_to_quote(node: Node) -> bool:
    """Whether `node` cannot stand inside an f-string: before Python 3.12 there is no room for its quotes."""
    if isinstance(node, Call):
        return any(_is_hard_to_quote(argument) for argument in node.arguments)
    if not isinstance(node, Literal):
        return False
    return any(not c.isprintable() or c in "'\"\\#" for c in str(node.value))
