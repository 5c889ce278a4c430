"""The `${...}` language: what a template is made of.

Grammar (pflow's, of its reference version; `tests/conformance/templates.json` has what each template gives there)::

    IDENT      [a-zA-Z_][\\w-]*
    SEGMENT    IDENT, then at most one index: [digits] or [${PATH without a dynamic index}]
    PATH       SEGMENT, then any number of .SEGMENT
    LITERAL    "a JSON string without ??" | true | false | null | a JSON number | [] | {}
    EXPRESSION operand ?? operand ...          an operand is a LITERAL or a PATH
    escape     $${...} stands for the text ${...}

Anything else after an unescaped `${` is an `Issue`: text that looks like a template but is not one.
`parse` never raises. What a template *means* is said once, in `translate.py`, which turns it into Python.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_IDENT = r"[a-zA-Z_][\w-]*"
_DIGITS = r"\[[0-9]+\]"  # ASCII digits only: json.loads takes no others
_STATIC = rf"{_IDENT}(?:{_DIGITS})?(?:\.{_IDENT}(?:{_DIGITS})?)*"
_SEGMENT = rf"{_IDENT}(?:{_DIGITS}|\[\$\{{{_STATIC}\}}\])?"
_PATH = rf"{_SEGMENT}(?:\.{_SEGMENT})*"
_STRING = r'"(?:[^"\\?\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\?(?!\?))*"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_LITERAL = rf"(?:{_STRING}|\btrue\b|\bfalse\b|\bnull\b|{_NUMBER}|\[\]|\{{\}})"
_OPERAND = rf"(?:{_LITERAL}|{_PATH})"

_EXPRESSION = re.compile(rf"\$\{{({_OPERAND}(?:\s*\?\?\s*{_OPERAND})*)\}}")
_OPERATOR = re.compile(r"\s*\?\?\s*")
_WHOLE_LITERAL = re.compile(_LITERAL)
_WHOLE_PATH = re.compile(_PATH)
_ONE_SEGMENT = re.compile(rf"({_IDENT})(?:\[(?:([0-9]+)|\$\{{({_STATIC})\}})\])?\.?")
# An escape takes its balanced braces (one level deep) with it; without them, only `$${`.
_OPENING = re.compile(r"(?P<escape>\$\$\{(?:(?:[^{}]|\{[^{}]*\})*\})?)|(?<!\$)\$\{")


class Field(NamedTuple):
    """`.name`: read from a mapping."""

    name: str


class Index(NamedTuple):
    """`[3]`: read from a list."""

    value: int


class DynamicIndex(NamedTuple):
    """`[${ref}]`: the index is itself looked up."""

    ref: Reference


Step = Field | Index | DynamicIndex


class Reference(NamedTuple):
    """A path: `raw` is its text, `root` its first name, `path` the steps after that."""

    root: str
    path: tuple[Step, ...]
    raw: str

    def references(self) -> Iterator[Reference]:
        """This reference and those inside its dynamic indexes."""
        yield self
        for step in self.path:
            if isinstance(step, DynamicIndex):
                yield step.ref


class Literal(NamedTuple):
    """A JSON literal operand."""

    raw: str

    @property
    def value(self) -> Any:
        return json.loads(self.raw)


class Expression(NamedTuple):
    """`${...}`: its operands in order of preference, its inner text, its place in the template."""

    operands: tuple[Reference | Literal, ...]
    raw: str
    start: int
    end: int

    def references(self) -> Iterator[Reference]:
        """Every reference, those inside dynamic indexes included."""
        for operand in self.operands:
            if isinstance(operand, Reference):
                yield from operand.references()


class Issue(NamedTuple):
    """An unescaped `${` that opens no expression, up to its first `}` or the end."""

    raw: str
    start: int
    end: int


class Template(NamedTuple):
    """A parsed string. In `parts`, a `str` is text with its escapes already undone."""

    source: str
    parts: tuple[str | Expression | Issue, ...]
    escaped: bool

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple(part for part in self.parts if isinstance(part, Expression))

    @property
    def issues(self) -> tuple[Issue, ...]:
        return tuple(part for part in self.parts if isinstance(part, Issue))

    @property
    def is_whole(self) -> bool:
        """Whether the string is one expression, so that its value keeps its type.

        One newline after it is tolerated: a YAML block scalar ends in one.
        """
        return bool(self.parts) and isinstance(self.parts[0], Expression) and self.parts[1:] in ((), ("\n",))

    @property
    def is_dynamic(self) -> bool:
        """Whether the string's value differs from its source. An issue alone stays as it is."""
        return self.escaped or any(isinstance(part, Expression) for part in self.parts)

    def references(self) -> Iterator[Reference]:
        """Every reference in the template, in order, repetitions included."""
        for expression in self.expressions:
            yield from expression.references()


@functools.lru_cache(maxsize=4096)
def parse(source: str) -> Template:
    """The template that `source` is. Never raises: what is malformed becomes an `Issue`."""
    parts: list[str | Expression | Issue] = []
    text = ""
    escaped = False
    at = 0
    while opening := _OPENING.search(source, at):
        text += source[at : opening.start()]
        if opening["escape"]:
            text += opening["escape"][1:]
            escaped = True
            at = opening.end()
            continue
        if text:
            parts.append(text)
            text = ""
        part = _expression(source, opening.start()) or _issue(source, opening.start())
        parts.append(part)
        at = part.end
    text += source[at:]
    if text:
        parts.append(text)
    return Template(source, tuple(parts), escaped)


def strings(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every string inside `value` (dict values and list items, at any depth) with its path."""
    todo: list[tuple[tuple[str | int, ...], Any]] = [(path, value)]
    while todo:  # a loop, not recursion: the depth is the author's
        at, current = todo.pop()
        if isinstance(current, str):
            yield at, current
        elif isinstance(current, dict):
            todo.extend(((*at, key), current[key]) for key in reversed(list(current)))
        elif isinstance(current, list):
            todo.extend(((*at, index), current[index]) for index in reversed(range(len(current))))


def templates(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Template]]:
    """Every string inside `value` that has `${` in it, parsed, with its path."""
    for at, text in strings(value, path):
        if "${" in text:
            yield at, parse(text)


def is_dynamic(value: Any) -> bool:
    """Whether some string inside `value` is a template whose value differs from its source."""
    return any(template.is_dynamic for _, template in templates(value))


def _expression(source: str, start: int) -> Expression | None:
    match = _EXPRESSION.match(source, start)
    if match is None:
        return None
    operands: list[Reference | Literal] = []
    for text in _OPERATOR.split(match[1]):
        operand = _literal(text) or _reference(text)
        if operand is None:  # a number too long for Python to read
            return None
        operands.append(operand)
    return Expression(tuple(operands), match[1], match.start(), match.end())


def _literal(text: str) -> Literal | None:
    if not _WHOLE_LITERAL.fullmatch(text):
        return None
    try:
        json.loads(text)
    except ValueError:
        return None
    return Literal(text)


def _reference(text: str) -> Reference | None:
    if not _WHOLE_PATH.fullmatch(text):
        return None
    steps: list[Step] = []
    for name, index, inner in _ONE_SEGMENT.findall(text):
        steps.append(Field(name))
        if inner:
            ref = _reference(inner)
            if ref is None:
                return None
            steps.append(DynamicIndex(ref))
        elif index:
            try:
                steps.append(Index(int(index)))
            except ValueError:
                return None
    root = steps[0]
    assert isinstance(root, Field)  # the grammar starts with a name
    return Reference(root.name, tuple(steps[1:]), text)


def _issue(source: str, start: int) -> Issue:
    close = source.find("}", start)
    end = len(source) if close < 0 else close + 1
    return Issue(source[start:end], start, end)
