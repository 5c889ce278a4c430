"""Which lines of a generated value come from which part of the value in the workflow.

A dict or list is followed entry by entry. A text over several lines is followed line by line, so that the third
line of a prompt in generated code leads to the third line of the prompt in the workflow.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...ir.paths import Path
from ...ir.template import Expression, Template, parse

_WRAPPERS = frozenset(
    {"as_json_text", "parsed", "as_text", "as_dict", "as_list", "find", "found_or", "none_unless_run", "ItemsFile"}
)


class Lines(NamedTuple):
    """Generated lines, and the place of the workflow that they come from."""

    first: int
    last: int
    path: Path
    rule: str
    text: str = ""
    offset: int | None = None
    """Where in `text`, the string at `path`, the lines begin."""


def values(code: ast.expr, path: Path, value: Any, rule: str, source: list[str]) -> Iterator[Lines]:
    """The lines of `code` for the parts of `value`, which stands at `path`. `source` are the file's lines.

    What fits on one line has no parts worth telling apart.
    """
    while isinstance(code, ast.Call) and isinstance(code.func, ast.Name) and code.func.id in _WRAPPERS and code.args:
        code = code.args[0]
    if isinstance(code, ast.Dict) and isinstance(value, dict):
        keys = [key for key in code.keys if key is not None]
        last = code.lineno
        for key, made, name in zip(keys, code.values, value, strict=False):
            first = max(with_comments(key.lineno, source), last + 1) if key.lineno > last else key.lineno
            last = made.end_lineno or made.lineno
            yield Lines(first, last, (*path, name), rule)
            if last > made.lineno:
                yield from values(made, (*path, name), value[name], rule, source)
    elif isinstance(code, ast.List) and isinstance(value, list):
        for number, made in enumerate(code.elts[: len(value)]):
            last = made.end_lineno or made.lineno
            yield Lines(made.lineno, last, (*path, number), rule)
            if last > made.lineno:
                yield from values(made, (*path, number), value[number], rule, source)
    elif isinstance(value, str) and isinstance(code, ast.JoinedStr | ast.Constant):
        yield from _text(code, path, value, rule, source)


def lines_of(statement: ast.stmt, path: Path, rule: str) -> Lines:
    """The lines of a whole statement."""
    return Lines(statement.lineno, statement.end_lineno or statement.lineno, path, rule)


def with_comments(line: int, source: list[str]) -> int:
    """The first of the comment lines right above `line`, or `line`."""
    while source[line - 2].lstrip().startswith("#"):
        line -= 1
    return line


def _text(code: ast.expr, path: Path, value: str, rule: str, source: list[str]) -> Iterator[Lines]:
    first, last = code.lineno, code.end_lineno or code.lineno
    offsets = iter(_offsets(value, parse(value)))
    for number in range(first, last + 1) if last > first else ():
        start = None
        for _ in range(_pieces(source[number - 1])):
            offset = next(offsets, None)
            start = offset if start is None else start
        if start is not None:
            yield Lines(number, number, path, rule, value, start)


def _pieces(line: str) -> int:
    """Of how many characters and expressions the string on this line is made."""
    made = ast.parse(line.strip(), mode="eval").body
    parts = made.values if isinstance(made, ast.JoinedStr) else [made]
    return sum(
        len(part.value) if isinstance(part, ast.Constant) and isinstance(part.value, str) else 1 for part in parts
    )


def _offsets(value: str, template: Template) -> Iterator[int]:
    """Where in `value` each character and each expression of the text begins that is made of it."""
    if not template.is_dynamic:
        yield from range(len(value))
        return
    at = 0
    for part in template.parts:
        if isinstance(part, Expression):
            yield part.start
            at = part.end
            continue
        for character in part if isinstance(part, str) else part.raw:
            if character == "$" and value.startswith("$${", at):
                at += 1  # the escape's first sign is not part of the text
            yield at
            at += 1
