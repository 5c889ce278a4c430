"""What a template means, said once, in Python: `${a.b ?? "x"}` becomes a lookup, text an f-string.

`evaluate` runs the very code that generated classes contain; there is no second interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ..ir.template import DynamicIndex, Expression, Field, Reference, Step, Template, is_dynamic, parse
from ..ir.template import Literal as LiteralOperand
from .python_text import Call, Code, Entry, Keyword, Literal, Mapping, Node, Sequence, Text

_TEXT_TYPES = ("str", "string")
_CONTAINERS = {"dict": "as_dict", "object": "as_dict", "list": "as_list", "array": "as_list"}


class Scope(Protocol):
    """Says where the value of a name is found at the place for which code is written."""

    def access(self, ref: Reference) -> tuple[str, tuple[Step, ...], bool]:
        """The Python expression to start from, the steps left to take, and whether it is surely there."""
        ...


class StoreScope:
    """Every name is looked up in one mapping, the Python variable `name`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def access(self, ref: Reference) -> tuple[str, tuple[Step, ...], bool]:
        return self._name, (Field(ref.root), *ref.path), True


def lookup(ref: Reference, scope: Scope, function: str = "find") -> Node:
    """`ref` as a call of a function that takes a value and a path.

    `find` and `peek` are left out where nothing is left to look up, and nothing can be missing.
    """
    base, path, sure = scope.access(ref)
    if not path:
        return Code(base) if function == "peek" or (function == "find" and sure) else Call(function, (Code(base),))
    return Call(function, (Code(base), *(_step(step, scope) for step in path)))


def expression(expr: Expression, scope: Scope, function: str = "find") -> Node:
    """`expr` as Python, the value handed to `function`: "peek" gives Missing, the others raise `Unresolved`."""
    operands = [_operand(operand, scope) for operand in expr.operands]
    sure = next((n for n, operand in enumerate(operands) if not _may_miss(operand)), None)
    if sure is not None:
        operands = operands[: sure + 1]
    if len(operands) == 1:
        only = expr.operands[0]
        if isinstance(only, Reference):
            return lookup(only, scope, function)
    chain = operands[0] if len(operands) == 1 else Call("first", tuple(operands))
    return chain if function == "peek" or (function == "find" and sure is not None) else Call(function, (chain,))


def template(source: Template, scope: Scope, *, permissive: bool = False, parse_json: bool = False) -> Node:
    """A string: a whole reference keeps its type, anything else is text.

    With `permissive`, a reference that finds nothing stays as it is written. With `parse_json`, a
    whole reference to a string that holds a JSON object or array gives that object or array.
    """
    if source.is_whole:
        return _whole(source, scope, "parsed" if parse_json else "find", permissive)
    parts: list[str | Node] = []
    for part in source.parts:
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, Expression):
            parts.append(_inside_text(part, source, scope, permissive))
        else:
            parts.append(part.raw)
    if any(_is_hard_to_quote(part) for part in parts if not isinstance(part, str)):
        return Call("joined", tuple(Literal(part) if isinstance(part, str) else part for part in parts))
    return Text(tuple(parts))


def applied(function: str, node: Node) -> Node:
    """`node`, a value that is surely there, handed to `function`."""
    plain = function == "find" or (function == "parsed" and _is_number(node))
    return node if plain else Call(function, (node,))


def _whole(source: Template, scope: Scope, function: str, permissive: bool) -> Node:
    """A whole reference, its value handed to `function`."""
    expr = source.expressions[0]
    if permissive:
        return applied(function, _found_or(expression(expr, scope, "peek"), source.source))
    node = expression(expr, scope, "peek")
    return node if _is_number(node) and function == "parsed" else expression(expr, scope, function)


def value(source: Any, scope: Scope, *, permissive: bool = False, parse_json: bool = False) -> Node:
    """Any JSON value: templates inside it become code, everything else stays a literal."""
    if not is_dynamic(source):
        return Literal(source)
    if isinstance(source, str):
        return template(parse(source), scope, permissive=permissive, parse_json=parse_json)
    if isinstance(source, dict):
        return Mapping(
            tuple(
                Entry(key, value(item, scope, permissive=permissive, parse_json=parse_json))
                for key, item in source.items()
            )
        )
    return Sequence(tuple(value(item, scope, permissive=permissive, parse_json=parse_json) for item in source))


def parameter(
    source: Any, scope: Scope, *, declared: str | None = None, permissive: bool = False, parse_json: bool = True
) -> Node:
    """The value of a node's parameter whose declared type is `declared` (None: not declared).

    Strings inside containers are read as JSON where they hold some (`parse_json`); a string of its own
    only where a container is declared; and a declared `str` makes text of containers.
    """
    is_text = declared is not None and declared.lower() in _TEXT_TYPES
    if not is_dynamic(source):
        if is_text and isinstance(source, (dict, list)):
            return Call("as_json_text", (Literal(source),))
        return Literal(source)
    if not isinstance(source, str):
        node = value(source, scope, permissive=permissive, parse_json=parse_json)
        return Call("as_json_text", (node,)) if is_text else node
    found = parse(source)
    if not found.is_whole or declared is None:
        return template(found, scope, permissive=permissive)
    function = ("as_text" if declared == "str" else "as_json_text") if is_text else _CONTAINERS.get(declared, "find")
    return _whole(found, scope, function, permissive)


def items(source: str | list[Any], scope: Scope) -> Node:
    """The items of a batch: Missing where the reference finds nothing; inline references stay as text."""
    if isinstance(source, list):
        return value(source, scope, permissive=True, parse_json=True)
    found = parse(source.strip())
    if found.is_whole:
        return expression(found.expressions[0], scope, "peek")
    parts = (
        Literal(part) if isinstance(part, str) else expression(part, scope, "peek")
        for part in found.parts
        if isinstance(part, (str, Expression))
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


def _step(step: Step, scope: Scope) -> Node:
    if isinstance(step, Field):
        return Literal(step.name)
    if isinstance(step, DynamicIndex):
        base, path, sure = scope.access(step.ref)
        if sure and not path and base == "call.index":
            return Code(base)
        return lookup(step.ref, scope, "position")
    return Literal(step.value)


def _operand(operand: Reference | LiteralOperand, scope: Scope) -> Node:
    return lookup(operand, scope, "peek") if isinstance(operand, Reference) else Literal(operand.value)


def _may_miss(node: Node) -> bool:
    return isinstance(node, Call) or (isinstance(node, Code) and node.text.startswith("given."))


def _inside_text(expr: Expression, source: Template, scope: Scope, permissive: bool) -> Node:
    if permissive:
        node = _found_or(expression(expr, scope, "peek"), source.source[expr.start : expr.end])
        return node if _is_number(node) else Call("text", (node,))
    node = expression(expr, scope, "text")
    number = isinstance(node, Call) and len(node.arguments) == 1 and _is_number(node.arguments[0])
    return node.arguments[0] if isinstance(node, Call) and number else node  # reads the same without `text`


def _found_or(node: Node, written: str) -> Node:
    """`node`, but the reference as it is written where `node` finds nothing."""
    return Call("found_or", (node, Literal(written))) if _may_miss(node) else node


def _is_number(node: Node) -> bool:
    """Whether `node` is the position of an item, or the number of items."""
    return isinstance(node, Code) and node.text.startswith("call.")


def _is_hard_to_quote(node: Node) -> bool:
    """Whether `node` cannot stand inside an f-string: before Python 3.12 there is no room for its quotes."""
    if isinstance(node, Call):
        return any(_is_hard_to_quote(argument) for argument in node.arguments)
    if not isinstance(node, Literal):
        return False
    return any(not c.isprintable() or c in "'\"\\#" for c in str(node.value))
