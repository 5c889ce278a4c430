"""The `${...}` language: what a template is made of.

Grammar (pflow's, of its reference version; `tests/conformance/templates.json` has what each template gives there)::

    IDENT      [a-zA-Z_][\\w-]*
    SEGMENT    IDENT, then at most one index: [digits] or [${PATH without a dynamic index}]
    PATH       SEGMENT, then any number of .SEGMENT
    LITERAL    "a JSON string without ??" | true | false | null | a JSON number | [] | {}
    EXPRESSION operand ?? operand ...          an operand is a LITERAL or a PATH
    escape     $${...} stands for the text ${...}

Anything else after an unescaped `${` is an `Issue`: text that looks like a template but is not one.
`parse` never raises. What a template *means* is said once, in `emit/template_to_python.py`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

# The words of the grammar. None of them can match the same text in two ways, and what may follow one is never
# part of it: the longest match is the only one, so that the scanner below goes forward and never back.
_IDENT = re.compile(r"[a-zA-Z_][\w-]*")
_DIGITS = re.compile(r"[0-9]+")  # ASCII digits only: json.loads takes no others
_STRING = re.compile(r'"(?:[^"\\?\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\?(?!\?))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_SPACES = re.compile(r"\s*")
_BRACE = re.compile(r"[{}]")
CONSTANTS = frozenset({"true", "false", "null"})
"""Words that are values: nothing that is called so can be referred to."""
_EMPTY = ("[]", "{}")


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

    def __str__(self) -> str:
        """The reference as an author writes it."""
        return f"${{{self.raw}}}"

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
    """The template that `source` is. Never raises: what is malformed becomes an `Issue`.

    The time is linear in the text. An expression that fails is left at its first `}`, and what was read beyond
    that holds no opening that could be read as far again: a string ends at the next quote, an index is an
    expression of its own.
    """
    parts: list[str | Expression | Issue] = []
    text: list[str] = []
    escaped = False
    at = 0
    while (opening := source.find("${", at)) >= 0:
        if opening > at and source[opening - 1] == "$":
            end = _escape_end(source, opening + 2)
            text += (source[at : opening - 1], source[opening:end])
            escaped = True
            at = end
            continue
        text.append(source[at:opening])
        if before := "".join(text):
            parts.append(before)
        text.clear()
        part = _Scanner(source, opening + 2).expression() or _issue(source, opening)
        parts.append(part)
        at = part.end
    text.append(source[at:])
    if rest := "".join(text):
        parts.append(rest)
    return Template(source, tuple(parts), escaped)


_HOLDING = (str, dict, list)
"""What is a string or may have some inside."""


def strings(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every string inside `value` (dict values and list items, at any depth) with its path."""
    todo: list[tuple[tuple[str | int, ...], Any]] = [(path, value)]
    while todo:  # a loop, not recursion: the depth is the author's
        at, current = todo.pop()
        if isinstance(current, str):
            yield at, current
        elif isinstance(current, dict):
            todo.extend(((*at, key), inner) for key, inner in reversed(current.items()) if isinstance(inner, _HOLDING))
        elif isinstance(current, list):
            inside = enumerate(current)
            todo.extend(reversed([((*at, index), inner) for index, inner in inside if isinstance(inner, _HOLDING)]))


def templates(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Template]]:
    """Every string inside `value` that has `${` in it, parsed, with its path."""
    for at, text in strings(value, path):
        if "${" in text:
            yield at, parse(text)


def roots(value: Any) -> list[str]:
    """The first names of all references inside `value`, each once, in order."""
    return list(dict.fromkeys(reference.root for _, found in templates(value) for reference in found.references()))


def is_dynamic(value: Any) -> bool:
    """Whether some string inside `value` is a template whose value differs from its source."""
    return any(template.is_dynamic for _, template in templates(value))


def _escape_end(source: str, inner: int) -> int:
    """Where the escape whose text starts at `inner` ends: behind its brace, or at `inner` where that is missing.

    An escape takes its balanced braces with it, one level deep.
    """
    at = inner
    while brace := _BRACE.search(source, at):
        if brace[0] == "}":
            return brace.end()
        closing = _BRACE.search(source, brace.end())
        if closing is None or closing[0] == "{":
            break
        at = closing.end()
    return inner


def _issue(source: str, start: int) -> Issue:
    close = source.find("}", start)
    end = len(source) if close < 0 else close + 1
    return Issue(source[start:end], start, end)


class _Scanner:
    """Reads one expression, from behind its `${`. Each method reads one thing at `at` and steps behind it.

    A method that gives `None` has found that the text is not an expression at all; nothing else is tried then.
    """

    def __init__(self, source: str, at: int) -> None:
        self.source = source
        self.at = at

    def expression(self) -> Expression | None:
        """EXPRESSION, and the brace that closes it."""
        start = self.at
        operands: list[Reference | Literal] = []
        while True:
            operand = self.operand()
            if operand is None:
                return None
            operands.append(operand)
            if self.skip("}"):
                return Expression(tuple(operands), self.source[start : self.at - 1], start - 2, self.at)
            self.word(_SPACES.match)
            if not self.skip("??"):
                return None
            self.word(_SPACES.match)

    def operand(self) -> Reference | Literal | None:
        """LITERAL or PATH. A path may begin like a constant: `true.x`, `null-1`."""
        for empty in _EMPTY:
            if self.skip(empty):
                return Literal(empty)
        if string := self.word(_STRING.match):
            return Literal(string)
        if number := self.word(_NUMBER.match):
            return Literal(number) if _is_number(number) else None
        reference = self.path(dynamic=True)
        if reference is not None and reference.raw in CONSTANTS:
            return Literal(reference.raw)
        return reference

    def path(self, *, dynamic: bool) -> Reference | None:
        """PATH; with `dynamic=False` one without a dynamic index."""
        start = self.at
        root = self.word(_IDENT.match)
        if not root:
            return None
        steps: list[Step] = []
        while True:
            if self.skip("["):
                index = self.index(dynamic=dynamic)
                if index is None:
                    return None
                steps.append(index)
            if not self.skip("."):
                return Reference(root, tuple(steps), self.source[start : self.at])
            name = self.word(_IDENT.match)
            if not name:
                return None
            steps.append(Field(name))

    def index(self, *, dynamic: bool) -> Index | DynamicIndex | None:
        """What stands behind a `[`, and the `]`."""
        found: Index | DynamicIndex | None = None
        if digits := self.word(_DIGITS.match):
            found = Index(int(digits)) if _is_number(digits) else None
        elif dynamic and self.skip("${"):
            inner = self.path(dynamic=False)
            found = DynamicIndex(inner) if inner is not None and self.skip("}") else None
        return found if self.skip("]") else None

    def word(self, matching: Callable[[str, int], re.Match[str] | None]) -> str:
        """The text that a pattern matches here; "" if it does not."""
        match = matching(self.source, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match[0]

    def skip(self, text: str) -> bool:
        """Whether `text` stands here."""
        found = self.source.startswith(text, self.at)
        if found:
            self.at += len(text)
        return found


def _is_number(text: str) -> bool:
    """Whether Python reads these digits: it refuses integers of some thousand digits."""
    try:
        float(text) if "." in text else int(text)
    except ValueError:
        return False
    return True
