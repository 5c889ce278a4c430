"""What can be wrong with JSON text, in words of ours and with the place.

`json.loads` says where a text stops being JSON, in words that differ between Python versions; what it
lets through (repeated keys, NaN, halves of surrogate pairs) it does not locate. Here the text is looked
at again, but only once something is wrong.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

from ..diagnostics.diagnostic import Diagnostic, LowerError, Severity, printable, refusal
from ..files.text_faults import conflict_in_broken
from ..ir.paths import where
from .json_positions import JsonPositions, deeper_than, index, spelled, tokens
from .normalise import repeated_key
from .plain_data import BOTH_HALVES, MAX_DEPTH, half_of_a_pair

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_WORD = re.compile(r'"[^"\\\n]*"?|\w+|\S')
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


def repeated_keys(text: str, data: object, name: str, positions: JsonPositions) -> Iterator[Diagnostic]:
    """Every key that its object already has, at the repetition."""
    for repeated in index(text)[1]:
        address = where(data, repeated.path[:-1])
        yield repeated_key(repeated, positions.at, name, address, Severity.ERROR, "JSON readers")


def numbers(text: str, name: str, positions: JsonPositions) -> Iterator[Diagnostic]:
    """Every number that JSON or Python cannot hold."""
    for at, token in tokens(text):
        if token in ("NaN", "Infinity", "-Infinity"):
            message = f"{token} is not JSON"
        elif _NUMBER.fullmatch(token) and _is_too_large(token):
            message = f"the number {_short(token)} is too large"
        else:
            continue
        yield Diagnostic(
            code="PFL107",
            severity=Severity.ERROR,
            message=message,
            file=name,
            position=positions.at(at),
            help="write a finite number, null, or a string",
        )


def _is_too_large(number: str) -> bool:
    """Whether a JSON number is infinite for Python, or an integer with more digits than it reads."""
    if not number.lstrip("-").isdecimal():
        return math.isinf(float(number))
    try:
        int(number)
    except ValueError:
        return True
    return False


def surrogates(text: str, name: str, positions: JsonPositions) -> Iterator[Diagnostic]:
    """Every half of a surrogate pair, in strings and keys."""
    for at, token in tokens(text):
        if token[0] != '"' or not SURROGATE.search(token):
            continue
        value, offsets = spelled(token[1:-1])
        for character, offset in zip(value, offsets, strict=True):
            if "\ud800" <= character <= "\udfff":
                yield Diagnostic(
                    code="PFL108",
                    severity=Severity.ERROR,
                    message=half_of_a_pair(character),
                    file=name,
                    position=positions.at(at + 1 + offset),
                    help=BOTH_HALVES,
                )


def deep_json(text: str, name: str, positions: JsonPositions) -> LowerError:
    """Too many levels, at the first bracket that is one too many."""
    at = deeper_than(text, MAX_DEPTH) or 0
    return refusal("PFL109", name, f"nested more than {MAX_DEPTH} levels deep", positions.at(at))


def syntax_error(error: json.JSONDecodeError, text: str, name: str, positions: JsonPositions) -> LowerError:
    """The parser's finding in words of ours: those of json.loads differ between Python versions."""
    at = error.pos
    if fault := conflict_in_broken(text, at):
        return refusal("PFL105", name, fault.message, fault.position, help=fault.help)
    before = text[:at].rstrip()
    if text[at : at + 1] in ("}", "]") and before.endswith(","):
        at = len(before) - 1
    after = text[at + 1 : at + 200].lstrip()
    here = text[at : at + 1]
    help = ""
    if error.msg.startswith("Unterminated"):
        message = "the string that starts here has no closing quote"
    elif error.msg.startswith("Invalid control"):
        message, help = f"a string cannot contain {here!r} as it is", "write it as an escape: \\n, \\t or \\u00XX"
    elif error.msg.startswith("Invalid \\"):
        message, help = f"{_short(text[at : at + 6])} is not a JSON escape", "a backslash itself is written \\\\"
    elif at >= len(text.rstrip()):
        message, help = "the file ends in the middle", "a bracket or a brace is not closed"
    elif error.msg.startswith("Extra data"):
        message = f"the JSON value has ended, but {_word(text, at)} follows"
    elif here == "," and after[:1] in ("}", "]"):
        message, help = f"a comma before {after[0]}", "remove it: JSON has no trailing commas"
    elif here == "'":
        message, help = f"{_word(text, at)} is not JSON", 'strings are written in double quotes: "..."'
    elif here == "#" or text.startswith(("//", "/*"), at):
        message, help = "a comment is not JSON", "remove it; a node's `purpose` can say the same"
    elif error.msg.startswith("Expecting ','"):
        message = f"a comma is missing before {_word(text, at)}"
    elif error.msg.startswith("Expecting ':'"):
        message = f"a colon is missing before {_word(text, at)}"
    elif error.msg.startswith("Expecting property"):
        message, help = f"a key was expected, not {_word(text, at)}", "keys are strings in double quotes"
    else:
        message = f"a value was expected, not {_word(text, at)}"
    return refusal("PFL105", name, message, positions.at(min(at, len(text))), help=help)


def _word(text: str, at: int) -> str:
    match = _WORD.match(text, at)
    return f"`{_short(match[0])}`" if match else "the end"


def _short(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= 30 else shown[:27] + "..."
