"""Text -> lines of HTML in which words have colours: a few classes, and nothing that is not escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

COLOURED = 4_000_000
"""How many characters a text may have to be coloured: a lexer takes its time, and the page has to open."""

# The token types of pygments that are seen, by their short names, each with the class that colours it.
_CLASSES = (
    ("Comment", "c"),
    ("Literal.String.Doc", "d"),
    ("Literal.String.Interpol", "i"),
    ("Literal.String", "s"),
    ("Literal.Number", "m"),
    ("Name.Tag", "y"),
    ("Name.Class", "f"),
    ("Name.Function", "f"),
    ("Name.Decorator", "f"),
    ("Name.Builtin.Pseudo", "b"),
    ("Keyword", "k"),
    ("Operator.Word", "k"),
    ("Generic.Heading", "h"),
    ("Generic.Subheading", "h"),
)
_REFERENCE = re.compile(r"(?<!\$)(\$\{[^{}\n]*\})")
_SETTING = re.compile(r"(\s*)([\w-]+)(?=:)")
# What is not seen, or makes its neighbours look as if they stood elsewhere. Joiners inside emoji are left alone.
_UNSEEN = re.compile(
    "([\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb])"
)


def lines(text: str, language: str) -> list[str]:
    """Every line of `text` as finished HTML, coloured as `language` ("json", "python", "markdown").

    Lines end at line feeds only, as positions count them. Characters that are not seen are named.
    """
    done: list[str] = []
    line: list[str] = []
    for colour, value in _tokens(text, language):
        first, *rest = value.split("\n")
        _add(line, colour, first)
        for part in rest:
            done.append("".join(line))
            line = []
            _add(line, colour, part)
    if line or not done:
        done.append("".join(line))
    return done


def _add(line: list[str], colour: str, text: str) -> None:
    if not text:
        return
    shown = "".join(_reference(part) if at % 2 else _plain(part) for at, part in enumerate(_REFERENCE.split(text)))
    line.append(f'<span class="{colour}">{shown}</span>' if colour else shown)


def _reference(text: str) -> str:
    return f'<span class="v">{_plain(text)}</span>'


def _plain(text: str) -> str:
    parts = _UNSEEN.split(text)
    if len(parts) == 1:
        return escape(text)
    return "".join(
        f'<span class="x">U+{ord(part):04X}</span>' if at % 2 else escape(part) for at, part in enumerate(parts)
    )


def _tokens(text: str, language: str) -> Iterator[tuple[str, str]]:
    """Stretches of `text` of one colour each; together they are `text`."""
    # A lexer would make a line of every carriage return, and drop a mark at the start.
    text = text.replace("\r\n", "\n")
    if len(text) > COLOURED or "\r" in text or text.startswith("\ufeff"):
        return iter([("", text)])
    from pygments.lexers import get_lexer_by_name

    lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    found = _coloured(lexer.get_tokens(text))
    return _joined(_settings(found) if language == "markdown" else found)


def _coloured(tokens: Iterable[tuple[Any, str]]) -> Iterator[tuple[str, str]]:
    known: dict[Any, str] = {}
    for token, part in tokens:
        if token not in known:
            known[token] = _class_of(str(token).removeprefix("Token."))
        colour = known[token]
        # Only a single brace belongs to an f-string; `{this}` in other strings is what pygments takes for one.
        yield "s" if colour == "i" and len(part) > 1 else colour, part


def _settings(tokens: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The keys of `- type: llm`, which to Markdown are words like any other, as keys."""
    bullet = False
    for colour, part in tokens:
        key = _SETTING.match(part) if bullet and not colour else None
        if key:
            yield from ((colour, key[1]), ("y", key[2]), (colour, part[key.end() :]))
        else:
            yield colour, part
        if not part.isspace() or "\n" in part:
            bullet = part.strip() == "-"


def _joined(tokens: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Neighbours of one colour as one; white space takes the colour of what it follows."""
    colour, value = "", ""
    for found, part in tokens:
        if part.isspace():
            found = colour
        if found == colour:
            value += part
            continue
        yield colour, value
        colour, value = found, part
    yield colour, value


def _class_of(name: str) -> str:
    return next((colour for start, colour in _CLASSES if name == start or name.startswith(start + ".")), "")
