"""The stretch of text that a finding is about: a finding itself knows only where that starts."""

from __future__ import annotations

import re

from ...diagnostics.diagnostic import Diagnostic
from ...ir.template import Expression, Issue, parse
from .text import Place, Text

_STRING = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"?')
_INSIDE = re.compile(r'[^"\\\n]*(?:\\.[^"\\\n]*)*')
_BRACKETS = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"?|[{}\[\]]')
_FIRST_MEMBER = re.compile(r"[{\[]\s*[^\r\n]*[^\r\n\s,]")
_WORD = re.compile(r"[^\s,:{}\[\]\"]+")
_SCAN = 4_000  # how far to look for a bracket's other half, in one line


def place_of(finding: Diagnostic, text: Text, name: str, expressions: dict[int, int], *, markdown: bool) -> Place:
    """Where `finding` is to be shown in the file `name`: never empty, and on one line where it can be.

    `expressions` are the known `${...}`: start -> end. What has no place here (no position, or one in another
    file) is shown on the first line.
    """
    position = finding.via or (finding.position if finding.file == name else None)
    if position is None:
        return _visible(Place(0, text.line_end(0)), text)
    start = text.at(position)
    if start in expressions:
        return Place(start, expressions[start])
    end = text.line_end(start)
    if text.text.startswith("${", start):
        limit = end if markdown else _end(_INSIDE, text.text, start)
        part = parse(text.text[start:limit]).parts[0]
        return Place(start, start + part.end) if isinstance(part, (Expression, Issue)) else Place(start, limit)
    if markdown:
        return _visible(Place(start, start + len(text.text[start:end].rstrip())), text)
    if text.text[start : start + 1] == '"':
        return Place(start, _end(_STRING, text.text, start))
    if text.text[start : start + 1] in ("{", "["):
        return _visible(_bracketed(text, start, end), text)
    return _visible(Place(start, _end(_WORD, text.text, start)), text)


def _bracketed(text: Text, start: int, end: int) -> Place:
    """An object or a list: with its end, if that is on the same line, else the key before it, or its first line."""
    depth = 0
    for match in _BRACKETS.finditer(text.text, start, min(end, start + _SCAN)):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
        if depth == 0:
            return Place(start, match.end())
    line = text.text.rfind("\n", 0, start) + 1
    line = max(line, start - _SCAN)
    key = _key_before(text.text[line:start])
    if key is not None:
        return Place(line + key, start + 1)
    member = _FIRST_MEMBER.match(text.text, start, start + _SCAN)
    return Place(start, member.end() if member else start + 1)


def _key_before(text: str) -> int | None:
    """Where the key starts that `text` ends with, its colon included."""
    key = text.rstrip()
    if not key.endswith(":"):
        return None
    key = key[:-1].rstrip()
    strings = [match for match in _STRING.finditer(key) if match.end() == len(key)]
    return strings[-1].start() if strings and key.endswith('"') and len(strings[-1][0]) > 1 else None


def _visible(place: Place, text: Text) -> Place:
    """`place`, or a character beside it if it is empty: editors show nothing of an empty range."""
    if place.end > place.start:
        return place
    if place.start < text.line_end(place.start):
        return Place(place.start, place.start + 1)
    before = text.text[: place.start].rstrip()
    return Place(len(before) - 1, len(before)) if before else Place(0, 0)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start
