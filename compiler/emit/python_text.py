"""How values and expressions are written down as Python, laid out the way `ruff format` would.

Text from a workflow reaches generated code through three doors only: `literal`, `docstring` and
`comment`. Whatever the text is, it comes out as a literal, as prose inside quotes, or as one comment
line; it can never become code.

Longer expressions are small trees (python_tree.py) that `lay_out` writes on one line if they fit and opens up, bracket
by bracket, if they do not.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from ..diagnostics.diagnostic import printable
from .marks import Origin, mark, marked
from .python_tree import PyCall, PyDict, PyEntry, PyExpr, PyFString, PyKeyword, PyList, PyLiteral, PyName, values_in

WIDTH = 88
_INDENT = "    "


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
    if isinstance(value, tuple):  # names of ours, where a list would be a mutable attribute of a class
        return f"({', '.join(literal(item, quote) for item in value)}{',' * (len(value) == 1)})"
    raise TypeError(f"a {type(value).__name__} is not workflow data")


def docstring(text: str) -> str:
    """`text` as a docstring of one line, quotes included."""
    body = printable(text)
    last = body.endswith('"')  # it would run into the closing quotes
    body = (body[:-1] if last else body).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{body}\\""""' if last else f'"""{body}"""'


def comment(text: str, width: int = WIDTH) -> str:
    """`text` as one comment line, at most `width` characters long, the `# ` included."""
    line = printable(text)
    if len(line) > width - 2:
        line = line[: width - 3].rstrip() + "…"
    return f"# {line}".rstrip()


# --- Layout


def lay_out(node: PyExpr, indent: int = 0, head: str = "", tail: str = "") -> str:
    """`head` + `node` + `tail`, indented by `indent` levels, over as many lines as it takes.

    The first line carries its indentation; there is no newline at the end. Marked are the parts of `node`, and the
    parts of those that take several lines: what fits on one line has no parts worth telling apart.
    """
    text = _laid_out(node, indent, head, tail)
    return text if "\n" in text else _marks_of_parts(node) + text


def _laid_out(node: PyExpr, indent: int, head: str = "", tail: str = "") -> str:
    pad = _INDENT * indent
    if isinstance(node, PyKeyword):
        return marked(_laid_out(node.value, indent, f"{head}{node.name}=", tail), node.origin)
    flat = _flat(node)
    if flat is not None and columns(pad + head + flat + tail) <= WIDTH:
        return pad + head + flat + tail
    if isinstance(node, PyLiteral):
        node = _opened(node)
    if isinstance(node, PyFString):
        room = WIDTH - len(pad) - len(_INDENT)
        pieces = [("", flat)] if flat is not None and columns(flat) <= room else [*_pieces(node)]
        if len(pieces) > 1 or columns(pieces[0][1]) <= room:
            lines = [f"{begin if len(pieces) > 1 else ''}{pad}{_INDENT}{piece}" for begin, piece in pieces]
            return _open(pad, f"{head}(", f"){tail}", lines)
    if isinstance(node, PyCall) and node.arguments:
        row = [_flat(argument) for argument in node.arguments]
        inside = f"{pad}{_INDENT}{', '.join(text for text in row if text is not None)}"
        if None not in row and columns(inside) <= WIDTH:
            lines = [_marks_of_parts(node) + inside]
        else:
            lines = [_laid_out(argument, indent + 1, tail=",") for argument in node.arguments]
        return _open(pad, f"{head}{node.name}(", f"){tail}", lines)
    if isinstance(node, PyList) and node.items:
        items = [
            marked(_laid_out(item, indent + 1, tail=","), _part(node.origin, number))
            for number, item in enumerate(node.items)
        ]
        return _open(pad, f"{head}[", f"]{tail}", items)
    if isinstance(node, PyDict) and node.entries:
        entries = [marked(_entry(entry, indent + 1), _part(node.origin, entry.key)) for entry in node.entries]
        return _open(pad, f"{head}{{", f"}}{tail}", entries)
    return pad + head + (flat if flat is not None else _flat_anyway(node)) + tail


def _open(pad: str, opening: str, closing: str, lines: Sequence[str]) -> str:
    return "\n".join([pad + opening, *lines, pad + closing])


def _entry(entry: PyEntry, indent: int) -> str:
    line = _laid_out(entry.value, indent, head=f"{literal(entry.key)}: ", tail=",")
    if not entry.comment:
        return line
    pad = _INDENT * indent
    return f"{pad}{comment(entry.comment, WIDTH - len(pad))}\n{line}"


def _part(origin: Origin | None, step: str | int) -> Origin | None:
    return None if origin is None else origin.part(step)


def _marks_of_parts(node: PyExpr) -> str:
    """The marks of the parts of a `node` that stands on one line, those inside a call included."""
    marks = ""
    while isinstance(node, PyCall) and node.arguments:
        marks += "".join(mark(argument.origin) for argument in node.arguments if isinstance(argument, PyKeyword))
        node = node.arguments[0]
    if isinstance(node, PyLiteral):
        node = _opened(node)
    if isinstance(node, PyDict):
        return marks + "".join(mark(_part(node.origin, entry.key)) for entry in node.entries)
    if isinstance(node, PyList):
        return marks + "".join(mark(_part(node.origin, number)) for number in range(len(node.items)))
    return marks


def _flat(node: PyExpr, quote: str | None = None) -> str | None:
    """`node` on one line; None if it must not stand on one, because it has comments, or surely does not fit on one."""
    if _is_long(node) or (isinstance(node, PyDict) and any(entry.comment for entry in node.entries)):
        return None
    return _flat_anyway(node, quote)


def _is_long(node: PyExpr) -> bool:
    """Whether `node` has too many values in it for one line: seen without writing them, at each level once more."""
    enough = WIDTH // len("0, ") + 1
    return values_in(node, enough) >= enough


def _flat_anyway(node: PyExpr, quote: str | None = None) -> str:
    if isinstance(node, PyName):
        return node.text
    if isinstance(node, PyLiteral):
        return literal(node.value, quote)
    if isinstance(node, PyCall):
        return f"{node.name}({', '.join(_flat_anyway(a, quote) for a in node.arguments)})"
    if isinstance(node, PyKeyword):
        return f"{node.name}={_flat_anyway(node.value, quote)}"
    if isinstance(node, PyList):
        return f"[{', '.join(_flat_anyway(item, quote) for item in node.items)}]"
    if isinstance(node, PyDict):
        entries = (f"{literal(e.key, quote)}: {_flat_anyway(e.value, quote)}" for e in node.entries)
        return f"{{{', '.join(entries)}}}"
    return _f_string(node.parts, quote)


def _opened(node: PyLiteral) -> PyExpr:
    """A literal that does not fit on one line, as the tree of its parts."""
    value, origin = node.value, node.origin
    if isinstance(value, str):
        lines = text_lines(value)
        starts = itertools.accumulate((len(line) for line in lines[:-1]), initial=0)
        return PyFString(tuple(lines), tuple(starts) if lines else (), origin)
    if isinstance(value, list):
        return PyList(tuple(PyLiteral(item, _part(origin, number)) for number, item in enumerate(value)), origin)
    if isinstance(value, dict):
        entries = (PyEntry(key, PyLiteral(member, _part(origin, key))) for key, member in value.items())
        return PyDict(tuple(entries), origin)
    return node


def text_lines(text: str) -> list[str]:
    """The lines of `text`, each with the newline that ends it; none of an empty text."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _f_string(parts: Sequence[str | PyExpr], quote: str | None = None) -> str:
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


def _pieces(node: PyFString) -> Iterator[tuple[str, str]]:
    """The strings, one a line, that make up a text of several lines, each with its mark: a line of the text each.

    However long it is: what is cut cannot be read as it was written, and a changed word would move all others.
    """
    row: list[str | PyExpr] = []
    begin = ""
    for part, offset in itertools.zip_longest(node.parts, node.offsets):
        for piece in text_lines(part) if isinstance(part, str) else [part]:
            if not row and node.origin is not None and offset is not None:
                begin = mark(node.origin._replace(offset=offset))
            row.append(piece)
            if isinstance(piece, str) and piece.endswith("\n"):
                yield begin, _f_string(row)
                row = []
    if row:
        yield begin, _f_string(row)


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
