"""What a template means, said once, in Python: `${a.b ?? "x"}` becomes a lookup, text an f-string.

`evaluate` runs the very code that generated classes contain; there is no second interpreter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..ir import tree
from ..ir.lowered import Declared, Parameter
from ..ir.template import Field, Index, Issue
from .marks import Origin
from .python_text import text_lines
from .python_tree import PyCall, PyDict, PyEntry, PyExpr, PyFString, PyKeyword, PyList, PyLiteral, PyName


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


def lookup(found: tree.Lookup, variables: Variables, function: str = "find") -> PyExpr:
    """`found` as a call of a function that takes a value and a path.

    `find` and `peek` are left out where nothing is left to look up, and nothing can be missing.
    """
    base, first = variables.of(found.start)
    steps = (*first, *found.steps)
    if not steps:
        plain = function == "peek" or (function == "find" and not found.may_miss)
        return PyName(base) if plain else PyCall(function, (PyName(base),))
    return PyCall(function, (PyName(base), *(_step(step, variables) for step in steps)))


def choice(found: tree.Choice, variables: Variables, function: str = "find") -> PyExpr:
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
    chain = made[0] if len(made) == 1 else PyCall("first", tuple(made))
    return chain if function == "peek" or (function == "find" and not found.may_miss) else PyCall(function, (chain,))


def template(
    source: tree.Template,
    variables: Variables,
    *,
    permissive: bool = False,
    parse_json: bool = False,
    origin: Origin | None = None,
) -> PyExpr:
    """A string: a whole reference keeps its type, anything else is text.

    With `permissive`, a reference that finds nothing stays as it is written. With `parse_json`, a
    whole reference to a string that holds a JSON object or array gives that object or array.
    """
    if source.unless_run:
        runs = (lookup(node, variables, "peek") for node in source.unless_run)
        node: PyExpr = PyCall("none_unless_run", (items(source, variables), *runs))
        return PyCall("parsed", (node,)) if source.whole is not None and parse_json else node
    if source.whole is not None:
        return _whole(source, source.whole, variables, "parsed" if parse_json else "find", permissive)
    parts: list[str | PyExpr] = []
    offsets: list[int] = []
    for part, offset in _lines(source):
        parts.append(_inside_text(part, variables, permissive) if isinstance(part, tree.Choice) else part)
        offsets.append(offset)
    if any(_is_hard_to_quote(part) for part in parts if not isinstance(part, str)):
        whole = (
            _inside_text(part, variables, permissive) if isinstance(part, tree.Choice) else PyLiteral(_text(part))
            for part in source.parts
        )
        return PyCall("joined", tuple(whole))
    return PyFString(tuple(parts), tuple(offsets), origin)


def _text(part: str | Issue) -> str:
    return part.raw if isinstance(part, Issue) else part


def _lines(source: tree.Template) -> Iterator[tuple[str | tree.Choice, int]]:
    """The parts of a text, line by line, and where in it each of them begins."""
    at = 0
    for part in source.parts:
        if isinstance(part, tree.Choice):
            yield part, part.offset
            at = part.offset + len(part.written)
            continue
        for line in text_lines(_text(part)):
            yield line, at
            for dollar in _DOLLAR.finditer(line):
                at += source.source.startswith("$${", at + dollar.start())  # an escape: its first sign is not text
            at += len(line)


_DOLLAR = re.compile(r"\$")


def _whole(source: tree.Template, whole: tree.Choice, variables: Variables, function: str, permissive: bool) -> PyExpr:
    """A whole reference, its value handed to `function`."""
    if function == "parsed" and _is_number(whole):
        function = "find"
    if not permissive:
        return choice(whole, variables, function)
    node = _found_or(whole, variables, source.source)
    return node if function == "find" else PyCall(function, (node,))


def value(
    source: tree.Value,
    variables: Variables,
    *,
    permissive: bool = False,
    parse_json: bool = False,
    origin: Origin | None = None,
) -> PyExpr:
    """Any value: templates inside it become code, everything else stays a literal. `origin` is where it stands."""
    if isinstance(source, tree.Literal):
        return PyLiteral(source.value, origin)
    if isinstance(source, tree.Template):
        return template(source, variables, permissive=permissive, parse_json=parse_json, origin=origin)

    def made(part: tree.Value, step: str | int) -> PyExpr:
        within = None if origin is None else origin.part(step)
        return value(part, variables, permissive=permissive, parse_json=parse_json, origin=within)

    if isinstance(source, tree.Object):
        return PyDict(tuple(PyEntry(key, made(member, key)) for key, member in source.entries), origin)
    return PyList(tuple(made(item, number) for number, item in enumerate(source.items)), origin)


def parameter(
    source: Parameter, variables: Variables, *, permissive: bool = False, origin: Origin | None = None
) -> PyExpr:
    """The value of a node's parameter.

    Strings inside containers are read as JSON where they hold some (`parse_json`); a string of its own
    only where a container is declared; and declared text makes text of containers.
    """
    made, declared = source.value, source.declared
    is_text = declared in (Declared.TEXT, Declared.LENIENT_TEXT)
    if isinstance(made, tree.Literal):
        literal = PyLiteral(made.value, origin)
        return PyCall("as_json_text", (literal,)) if is_text and _is_container(made) else literal
    if not isinstance(made, tree.Template):
        node = value(made, variables, permissive=permissive, parse_json=source.parse_json, origin=origin)
        return PyCall("as_json_text", (node,)) if is_text else node
    if made.whole is None or declared is None:
        return template(made, variables, permissive=permissive, origin=origin)
    return _whole(made, made.whole, variables, _MAKES[declared], permissive)


_MAKES = {
    Declared.TEXT: "as_text",
    Declared.LENIENT_TEXT: "as_json_text",
    Declared.OBJECT: "as_dict",
    Declared.LIST: "as_list",
}


def items(source: tree.Value, variables: Variables, origin: Origin | None = None) -> PyExpr:
    """The items of a batch: Missing where the reference finds nothing; inline references stay as text."""
    if not isinstance(source, tree.Template):
        return value(source, variables, permissive=True, parse_json=True, origin=origin)
    if source.whole is not None:
        return choice(source.whole, variables, "peek")
    parts = (
        choice(part, variables, "peek") if isinstance(part, tree.Choice) else PyLiteral(part)
        for part in source.parts
        if not isinstance(part, Issue)
    )
    return PyCall("joined", tuple(parts))


def output(source: tree.Choice | tree.Value, variables: Variables) -> PyExpr:
    """An output of the workflow: Missing where there is nothing, but None where no node of `${a ?? b}` has run."""
    if isinstance(source, tree.Choice):
        made = choice(source, variables, "peek")
        if len(source.operands) == 1 or not source.may_miss:
            return made
        roots = dict.fromkeys(operand.start for operand in source.operands if isinstance(operand, tree.Lookup))
        runs = (lookup(tree.Lookup(root, (), ""), variables, "peek") for root in roots)
        return PyCall("if_any_ran", (made, *runs))
    if not isinstance(source, tree.Template):
        return value(source, variables)
    parts = (
        choice(part, variables, "peek") if isinstance(part, tree.Choice) else PyLiteral(_text(part))
        for part in source.parts
    )
    return PyCall("joined", tuple(parts))


def names_used_in(node: PyExpr | str) -> Iterable[str]:
    """The functions that `node` calls and the pieces of code (variables) in it."""
    if isinstance(node, PyName):
        yield node.text
    elif isinstance(node, PyCall):
        yield node.name
        for argument in node.arguments:
            yield from names_used_in(argument)
    elif isinstance(node, PyKeyword):
        yield from names_used_in(node.value)
    elif isinstance(node, PyList):
        for item in node.items:
            yield from names_used_in(item)
    elif isinstance(node, PyDict):
        for entry in node.entries:
            yield from names_used_in(entry.value)
    elif isinstance(node, PyFString):
        for part in node.parts:
            yield from names_used_in(part)


def _is_container(value: tree.Literal) -> bool:
    return isinstance(value.value, dict | list)


def _step(step: Field | Index | tree.LookedUpIndex, variables: Variables) -> PyExpr:
    if isinstance(step, Field):
        return PyLiteral(step.name)
    if isinstance(step, Index):
        return PyLiteral(step.value)
    is_position = isinstance(step.lookup.start, tree.ItemIndex) and not step.lookup.steps
    return lookup(step.lookup, variables, "peek" if is_position else "position")


def _operand(operand: tree.Lookup | tree.Literal, variables: Variables) -> PyExpr:
    return lookup(operand, variables, "peek") if isinstance(operand, tree.Lookup) else PyLiteral(operand.value)


def _is_number(found: tree.Choice) -> bool:
    """Whether it is the position of an item, or the number of items: reads the same as text, and is not JSON."""
    first = found.operands[0]
    return isinstance(first, tree.Lookup) and first.is_number


def _inside_text(found: tree.Choice, variables: Variables, permissive: bool) -> PyExpr:
    if _is_number(found):
        return choice(found, variables)  # reads the same without `text`
    if permissive:
        return PyCall("text", (_found_or(found, variables, found.written),))
    return choice(found, variables, "text")


def _found_or(found: tree.Choice, variables: Variables, written: str) -> PyExpr:
    """`found`, but the reference as it is written where there is nothing."""
    node = choice(found, variables, "peek")
    return PyCall("found_or", (node, PyLiteral(written))) if found.may_miss else node


def _is_hard_to_quote(node: PyExpr) -> bool:
    """Whether `node` cannot stand inside an f-string: before Python 3.12 there is no room for its quotes."""
    if isinstance(node, PyCall):
        return any(_is_hard_to_quote(argument) for argument in node.arguments)
    if not isinstance(node, PyLiteral):
        return False
    return any(not c.isprintable() or c in "'\"\\#" for c in str(node.value))
