"""The edits that findings suggest: what a finding's help says to write instead."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from ...diagnostics.diagnostic import Diagnostic
from ...ir.template import Reference, parse
from .text import Place

_REFERENCE = re.compile(r"did you mean (\$\{.+\})\?", re.DOTALL)
_NAME = re.compile(r"did you mean (?:`([^`]+)`|\"([^\"\\\x00-\x1f]+)\"|([\w-]+))\?")
_SPACES = re.compile(r"without spaces: (\$\{.+\})")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
_PLAIN = re.compile(r"[\w-]+")


class Fix(NamedTuple):
    """An edit: the text between `place`, replaced by `text`; `title` says so."""

    title: str
    place: Place
    text: str


def fix_of(finding: Diagnostic, place: Place, text: str) -> Fix | None:
    """The edit that `finding`, shown at `place` in `text`, suggests; None if it suggests none.

    An edit is offered only where the words that it replaces stand there as the finding says them.
    """
    shown = text[place.start : place.end]
    first = (finding.help.splitlines() or [""])[0]
    if match := _SPACES.fullmatch(first):
        return _fix(place, match[1]) if parse(match[1]).is_whole and shown.startswith("${") else None
    if match := _REFERENCE.fullmatch(first):
        return _reference(finding, place, shown, match[1])
    if match := _NAME.fullmatch(first):
        return _word(finding, place, shown, match[1] or match[2] or match[3])
    return None


def _reference(finding: Diagnostic, place: Place, shown: str, meant: str) -> Fix | None:
    """Replace one path inside `${...}` by another."""
    wrong, right = _operand(finding.message), _operand(meant)
    if wrong is None or right is None:
        return None
    found = re.search(rf"(?<![\w.-]){re.escape(wrong)}(?![\w-])", shown)
    if found is None:
        return None
    start = place.start + found.start()
    return _fix(Place(start, start + len(wrong)), right, f"${{{right}}}")


def _operand(text: str) -> str | None:
    """The path inside the first `${...}` of `text`."""
    expressions = parse(text).expressions
    operand = expressions[0].operands[0] if expressions else None
    return operand.raw if isinstance(operand, Reference) else None


def _word(finding: Diagnostic, place: Place, shown: str, meant: str) -> Fix | None:
    """Replace a key or a value. In Markdown, `place` goes on behind it: to the end of the line."""
    if finding.code == "PFL301":  # a path without ${ }: its first name is what nothing has
        wrong = [re.split(r"[.\[]", finding.message.partition(" ")[0])[0]]
    elif _STRING.fullmatch(shown):
        return _fix(place, json.dumps(meant, ensure_ascii=False), meant)
    else:
        strings = [found for found in _QUOTED.findall(finding.message) if _STRING.fullmatch(found)]
        wrong = [json.loads(found) for found in reversed(strings)]
    for words in wrong:
        at = re.search(rf"(?<![\w-]){re.escape(words)}(?![\w-])", shown)
        if at is not None and _PLAIN.fullmatch(meant):
            return _fix(Place(place.start + at.start(), place.start + at.end()), meant)
    return None


def _fix(place: Place, text: str, shown: str | None = None) -> Fix:
    return Fix(f"Replace by {shown or text}", place, text)
