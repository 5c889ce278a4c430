"""What can be wrong with a file of text whatever is written in it: it is not UTF-8, or Git left a conflict in it."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..diagnostics.diagnostic import Position

NOT_RESOLVED = "a merge conflict is not resolved"
ONE_SIDE = "keep one of the two sides and remove the lines with the markers"

_BOMS = ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_MARKERS = [re.compile(rf"^{mark}\r?$", re.MULTILINE) for mark in ("<{7}(?: .*)?", "={7}", ">{7}(?: .*)?")]
"""As git writes them, in their order, at the start of a line. One alone, an underlined heading say, is none."""
_ANY_MARKER = re.compile(r"(?:([<|>])\1{6}(?: .*)?|={7})\r?$", re.MULTILINE)
_SURE_MARKER = re.compile(r"^([<|>])\1{6}(?: .*)?\r?$", re.MULTILINE)
"""What nobody writes but Git; what underlines a heading is not among it."""


class Fault(NamedTuple):
    """What is wrong with a text, what to do about it, and where."""

    message: str
    help: str
    position: Position | None = None


def not_utf_8(content: bytes) -> Fault | None:
    """What keeps `content` from being UTF-8, with or without a byte order mark: its first wrong byte. None: it is."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return Fault(f"the file is {encoding}", "save it as UTF-8")
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:  # counts from behind the mark
        before = error.object[: error.start].decode("utf-8")
        message = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        return Fault(message, "save the file as UTF-8", _position(before, len(before)))
    return None


def is_marker(line: str) -> bool:
    """Whether Git wrote the line, without its end, around or between the sides of a conflict."""
    return _ANY_MARKER.match(line) is not None


def conflict(text: str) -> int | None:
    """Where the first whole conflict begins; a file with one usually has more. None: there is none."""
    first: int | None = None
    end = 0
    for marker in _MARKERS:
        found = marker.search(text, end)
        if found is None:
            return None
        first, end = found.start() if first is None else first, found.end()
    return first


def conflict_in_broken(text: str, at: int | None = None, *, is_lone_elsewhere: bool = True) -> Fault | None:
    """The conflict in a text that no parser takes; also what is left of one: a marker in the line of `at`, or, with
    `is_lone_elsewhere`, in any line.

    None: there is none, and the parser's own finding is the one to tell.
    """
    found = conflict(text)
    line = None if at is None else text.rfind("\n", 0, at) + 1
    if found is None and line is not None and _ANY_MARKER.match(text, line):
        found = line
    if found is None and is_lone_elsewhere and (sure := _SURE_MARKER.search(text)):
        found = sure.start()
    if found is None:
        return None
    message = f"{NOT_RESOLVED}: its marker `{text[found : found + 7]}` stands here"
    return Fault(message, ONE_SIDE, _position(text, found))


def _position(text: str, offset: int) -> Position:
    return Position(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))
