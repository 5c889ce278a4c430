"""How values and expressions are written down as Python, laid out the way `ruff format` would.

Text from a workflow reaches generated code through three doors only: `literal`, `docstring` and
`comment`. Whatever the text is, it comes out as a literal, as prose inside quotes, or as one comment
line; it can never become code.

Longer expressions are small trees (`Code`, `Literal`, `Call`, `Sequence`, `Mapping`, `Text`) that
`lay_out` writes on one line if they fit and opens up, bracket by bracket, if they do not.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence as Many
from typing import Any, NamedTuple

WIDTH = 88
_INDENT = "    "


class Code(NamedTuple):
    """A name or another piece of Python that the compiler itself made up; never workflow text."""

    text: str


class Literal(NamedTuple):
    """A value of the workflow."""

    value: Any


class Call(NamedTuple):
    """`name(arguments)`."""

    name: str
    arguments: tuple[Node, ...]


class Keyword(NamedTuple):
    """`name=value` among the arguments of a call."""

    name: str
    value: Node


class Sequence(NamedTuple):
    """`[items]`."""

    items: tuple[Node, ...]


class Mapping(NamedTuple):
    """`{key: value}`. A comment, if there is one, stands on the line above its entry."""

    entries: tuple[Entry, ...]


class Entry(NamedTuple):
    """One entry of a `Mapping`."""

    key: Any
    value: Node
    comment: str = ""


class Text(NamedTuple):
    """Text with expressions in it: an f-string."""

    parts: tuple[str | Node, ...]


Node = Code | Literal | Call | Keyword | Sequence | Mapping | Text


# --- The three doors


def literal(value: Any, quote: str | None = None) -> str:
    """`value` (JSON data) as a Python literal on one line; `eval` of it gives an equal value.

    Strings take double quotes unless single ones need fewer escapes, or `quote` says which.
    """
    if isinstance(value, str):
        return _string(value, quote)
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({_string(str(value), quote)})"
    if isinstance(value, list):
        return "[" + ", ".join(literal(item, quote) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k, quote)}: {literal(v, quote)}" for k, v in value.items()) + "}"
    if isinstance(value, float):
        return repr(value).replace("e+", "e")
    if value is None or isinstance(value, (bool, int)):
        return repr(value)
    raise TypeError(f"a {type(value).__name__} is not workflow data")


def docstring(text: str) -> str:
    """`text` as a docstring of one line, quotes included."""
    body = _one_line(text)
    last = body.endswith('"')  # it would run into the closing quotes
    body = (body[:-1] if last else body).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{body}\\""""' if last else f'"""{body}"""'


def comment(text: str, width: int = WIDTH) -> str:
    """`text` as one comment line, at most `width` characters long, the `# ` included."""
    line = _one_line(text)
    if len(line) > width - 2:
        line = line[: width - 3].rstrip() + "…"
    return f"# {line}".rstrip()


# --- Layout


def lay_out(node: Node, indent: int = 0, head: str = "", tail: str = "") -> str:
    """`head` + `node` + `tail`, indented by `indent` levels, over as many lines as it takes.

    The first line carries its indentation; there is no newline at the end.
    """
    pad = _INDENT * indent
    if isinstance(node, Keyword):
        return lay_out(node.value, indent, f"{head}{node.name}=", tail)
    flat = _flat(node)
    if flat is not None and columns(pad + head + flat + tail) <= WIDTH:
        return pad + head + flat + tail
    if isinstance(node, Literal):
        node = _opened(node)
    if isinstance(node, Text):
        room = WIDTH - len(pad) - len(_INDENT)
        pieces = [flat] if flat is not None and columns(flat) <= room else _pieces(node)
        if len(pieces) > 1 or columns(pieces[0]) <= room:
            lines = [f"{pad}{_INDENT}{piece}" for piece in pieces]
            return "\n".join([f"{pad}{head}(", *lines, f"{pad}){tail}"])
    if isinstance(node, Call) and node.arguments:
        row = [_flat(argument) for argument in node.arguments]
        inside = f"{pad}{_INDENT}{', '.join(text for text in row if text is not None)}"
        if None not in row and columns(inside) <= WIDTH:
            return _open(pad, f"{head}{node.name}(", f"){tail}", [inside])
        return _open(pad, f"{head}{node.name}(", f"){tail}", [lay_out(a, indent + 1, tail=",") for a in node.arguments])
    if isinstance(node, Sequence) and node.items:
        return _open(pad, f"{head}[", f"]{tail}", [lay_out(item, indent + 1, tail=",") for item in node.items])
    if isinstance(node, Mapping) and node.entries:
        return _open(pad, f"{head}{{", f"}}{tail}", [_entry(entry, indent + 1) for entry in node.entries])
    return pad + head + (flat if flat is not None else _flat_anyway(node)) + tail


def _open(pad: str, opening: str, closing: str, lines: Many[str]) -> str:
    return "\n".join([pad + opening, *lines, pad + closing])


def _entry(entry: Entry, indent: int) -> str:
    line = lay_out(entry.value, indent, head=f"{literal(entry.key)}: ", tail=",")
    if not entry.comment:
        return line
    pad = _INDENT * indent
    return f"{pad}{comment(entry.comment, WIDTH - len(pad))}\n{line}"


def _flat(node: Node, quote: str | None = None) -> str | None:
    """`node` on one line; None if it must not stand on one, because it has comments."""
    if isinstance(node, Mapping) and any(entry.comment for entry in node.entries):
        return None
    return _flat_anyway(node, quote)


def _flat_anyway(node: Node, quote: str | None = None) -> str:
    if isinstance(node, Code):
        return node.text
    if isinstance(node, Literal):
        return literal(node.value, quote)
    if isinstance(node, Call):
        return f"{node.name}({', '.join(_flat_anyway(a, quote) for a in node.arguments)})"
    if isinstance(node, Keyword):
        return f"{node.name}={_flat_anyway(node.value, quote)}"
    if isinstance(node, Sequence):
        return f"[{', '.join(_flat_anyway(item, quote) for item in node.items)}]"
    if isinstance(node, Mapping):
        entries = (f"{literal(e.key, quote)}: {_flat_anyway(e.value, quote)}" for e in node.entries)
        return f"{{{', '.join(entries)}}}"
    return _f_string(node.parts, quote)


def _opened(node: Literal) -> Node:
    """A literal that does not fit on one line, as the tree of its parts."""
    if isinstance(node.value, str):
        return Text((node.value,))
    if isinstance(node.value, list):
        return Sequence(tuple(Literal(item) for item in node.value))
    if isinstance(node.value, dict):
        return Mapping(tuple(Entry(key, Literal(value)) for key, value in node.value.items()))
    return node


def _f_string(parts: Many[str | Node], quote: str | None = None) -> str:
    """`parts` as one string or f-string, quoted like ruff: the outer quotes that need fewer escapes."""
    static = "".join(part for part in parts if isinstance(part, str))
    if all(isinstance(part, str) for part in parts):
        return _string(static, quote)
    outer = quote or _best_quote(static)
    inner = "'" if outer == '"' else '"'
    body = "".join(
        _escape(part, outer).replace("{", "{{").replace("}", "}}")
        if isinstance(part, str)
        else f"{{{_flat_anyway(part, inner)}}}"
        for part in parts
    )
    return f"f{outer}{body}{outer}"


def _pieces(node: Text) -> list[str]:
    """The strings, one a line, that make up a text of several lines: each line of the text is one of them.

    However long it is: what is cut cannot be read as it was written, and a changed word would move all others.
    """
    rows: list[list[str | Node]] = [[]]
    for part in node.parts:
        if not isinstance(part, str):
            rows[-1].append(part)
            continue
        first, *others = re.split(r"(?<=\n)", part)
        if first:
            rows[-1].append(first)
        rows.extend([line] if line else [] for line in others)
    return [_f_string(row) for row in rows if row]


def columns(text: str) -> int:
    """How wide `text` is in a terminal, and to a formatter: wide characters take two columns."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _best_quote(text: str) -> str:
    return "'" if text.count('"') > text.count("'") else '"'


def _string(text: str, quote: str | None = None) -> str:
    quote = quote or _best_quote(text)
    return f"{quote}{_escape(text, quote)}{quote}"


def _escape(text: str, quote: str) -> str:
    """`text` as it stands between `quote`s: repr's escapes, but for the quotes themselves."""
    # repr of a text with both kinds of quote always chooses single ones and escapes only those.
    body = repr(text + "'\"")[1:-4].replace("\\'", "'")
    return body.replace(quote, f"\\{quote}")


def _one_line(text: str) -> str:
    """`text` with every character that could end a line, or hide, written as an escape."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
