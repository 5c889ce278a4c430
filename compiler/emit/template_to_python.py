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


class Variables(NamedTuple):
    """The Python variables that hold what lookups start from."""

    store: str
    """The mapping in which names of the store are looked up."""
    item: str = ""
    parts: tuple[tuple[str, str], ...] = ()
    """Where batches stand inside each other: what the item of each is called, and the variable that holds it."""

    def of(self, start: tree.Start) -> tuple[str, tuple[Field, ...]]:
        """The Python expression to start from, and the step to take first."""
        if isinstance(start, tree.Item):
            return self.item, ()
        if isinstance(start, tree.ItemPart):
            return dict(self.parts)[start.name], ()
        if isinstance(start, tree.Previous):
            return "call.previous", ()
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
    """`found` as a call of a function that takes a value and a path.

    `find` and `peek` are left out where nothing is left to look up, and nothing can be missing.
    """
    base, first = variables.of(found.start)
    steps = (*first, *found.steps)
    if not steps:
        plain = function == "peek" or (function == "find" and not found.may_miss)
        return Code(base) if plain else Call(function, (Code(base),))
    return Call(function, (Code(base), *(_step(step, variables) for step in steps)))


def choice(found: tree.Choice, variables: Variables, function: str = "find") -> Node:
    """`found` as Python, the value handed to `function`: "peek" gives Missing, the others raise `Unresolved`."""
    operands = []
    for operand in found.operands:
        operands.append(operand)
        if not (isinstance(operand, tree.Lookup) and operand.may_miss):
            break  # what comes after it is never looked at
    only = operands[0] if len(operands) == 1 else None
    if isinstance(only, tree.Lookup):
        return lookup(only, variables, function)
    made = [_operand(operand, variables) for operand in operands]
    chain = made[0] if len(made) == 1 else Call("first", tuple(made))
    return chain if function == "peek" or (function == "find" and not found.may_miss) else Call(function, (chain,))


def template(
    source: tree.Template, variables: Variables, *, permissive: bool = False, parse_json: bool = False
) -> Node:
    """A string: a whole reference keeps its type, anything else is text.

    With `permissive`, a reference that finds nothing stays as it is written. With `parse_json`, a
    whole reference to a string that holds a JSON object or array gives that object or array.
    """
    if source.unless_run:
        runs = (lookup(node, variables, "peek") for node in source.unless_run)
        node: Node = Call("none_unless_run", (items(source, variables), *runs))
        return Call("parsed", (node,)) if source.whole is not None and parse_json else node
    if source.whole is not None:
        return _whole(source, source.whole, variables, "parsed" if parse_json else "find", permissive)
    parts: list[str | Node] = []
    for part in source.parts:
        if isinstance(part, tree.Choice):
            parts.append(_inside_text(part, variables, permissive))
        else:
            parts.append(part.raw if isinstance(part, Issue) else part)
    if any(_is_hard_to_quote(part) for part in parts if not isinstance(part, str)):
        return Call("joined", tuple(Literal(part) if isinstance(part, str) else part for part in parts))
    return Text(tuple(parts))


def _whole(source: tree.Template, whole: tree.Choice, variables: Variables, function: str, permissive: bool) -> Node:
    """A whole reference, its value handed to `function`."""
    if function == "parsed" and _is_number(whole):
        function = "find"
    if not permissive:
        return choice(whole, variables, function)
    node = _found_or(whole, variables, source.source)
    return node if function == "find" else Call(function, (node,))


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
        return Call("as_json_text", (Literal(made.value),)) if is_text and _is_container(made) else Literal(made.value)
    if not isinstance(made, tree.Template):
        node = value(made, variables, permissive=permissive, parse_json=source.parse_json)
        return Call("as_json_text", (node,)) if is_text else node
    if made.whole is None or declared is None:
        return template(made, variables, permissive=permissive)
    return _whole(made, made.whole, variables, _MAKES[declared], permissive)


_MAKES = {
    Declared.TEXT: "as_text",
    Declared.LENIENT_TEXT: "as_json_text",
    Declared.OBJECT: "as_dict",
    Declared.LIST: "as_list",
}


def items(source: tree.Value, variables: Variables) -> Node:
    """The items of a batch: Missing where the reference finds nothing; inline references stay as text."""
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
    is_position = isinstance(step.lookup.start, tree.ItemIndex) and not step.lookup.steps
    return lookup(step.lookup, variables, "peek" if is_position else "position")


def _operand(operand: tree.Lookup | tree.Literal, variables: Variables) -> Node:
    return lookup(operand, variables, "peek") if isinstance(operand, tree.Lookup) else Literal(operand.value)


def _is_number(found: tree.Choice) -> bool:
    """Whether it is the position of an item, or the number of items: reads the same as text, and is no JSON."""
    first = found.operands[0]
    return isinstance(first, tree.Lookup) and first.is_number


def _inside_text(found: tree.Choice, variables: Variables, permissive: bool) -> Node:
    if _is_number(found):
        return choice(found, variables)  # reads the same without `text`
    if permissive:
        return Call("text", (_found_or(found, variables, found.written),))
    return choice(found, variables, "text")


def _found_or(found: tree.Choice, variables: Variables, written: str) -> Node:
    """`found`, but the reference as it is written where there is nothing."""
    node = choice(found, variables, "peek")
    return Call("found_or", (node, Literal(written))) if found.may_miss else node


def _is_hard_to_quote(node: Node) -> bool:
    """Whether `node` cannot stand inside an f-string: before Python 3.12 there is no room for its quotes."""
    if isinstance(node, Call):
        return any(_is_hard_to_quote(argument) for argument in node.arguments)
    if not isinstance(node, Literal):
        return False
    return any(not c.isprintable() or c in "'\"\\#" for c in str(node.value))
