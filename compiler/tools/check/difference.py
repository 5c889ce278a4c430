"""The difference of two texts, for people to read: what is the same at both ends costs nothing."""

from __future__ import annotations

import difflib
from itertools import takewhile

from ...diagnostics.diagnostic import printable

_CONTEXT = 3
_READABLE = 4000
"""Beyond so many lines that may differ, nobody reads a diff, and difflib takes the square of the time."""


def unified(name: str, old: bytes, new: bytes) -> str:
    """A unified diff from `old` (what stands on disk) to `new` (what would be generated); "" for other line ends.

    Control characters are shown as escapes: the text on disk may be anybody's.
    """
    before, after = _lines(old), _lines(new)
    if before == after:
        return ""
    head = _same(before, after)
    shorter = min(len(before), len(after)) - head
    tail = min(shorter, _same(before[::-1], after[::-1]))
    start = max(0, head - _CONTEXT)
    stop = max(0, tail - _CONTEXT)
    one, two = before[start : len(before) - stop], after[start : len(after) - stop]
    name = printable(name)
    top = f"--- {name}\n+++ {name} (generated)\n"
    if len(one) + len(two) > _READABLE:
        return f"{top}@@ {len(one)} lines from line {head + 1} on are {len(two)} other lines @@\n"
    lines = list(difflib.unified_diff(one, two, n=_CONTEXT))[2:]  # without its own head
    return top + "".join(_moved(line, start) if line[0] == "@" else line[0] + _shown(line[1:]) for line in lines)


def first_difference(old: bytes, new: bytes) -> int:
    """The first line, from 1, in which `old` and `new` differ."""
    before, after = old.split(b"\n"), new.split(b"\n")
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    return min(same + 1, len(before))


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")


def _same(one: list[str], two: list[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))


def _moved(hunk: str, by: int) -> str:
    """The head of a hunk, for lines that begin `by` lines further down: @@ -3,7 +3,8 @@."""
    _, old, new, _ = hunk.split()
    ranges = []
    for part in (old, new):
        first, comma, count = part[1:].partition(",")
        ranges.append(f"{part[0]}{int(first) + by}{comma}{count}")
    return f"@@ {ranges[0]} {ranges[1]} @@\n"


def _shown(line: str) -> str:
    return "".join(printable(part) + tab for part, tab in _by_tabs(line.removesuffix("\n"))) + "\n"


def _by_tabs(line: str) -> list[tuple[str, str]]:
    parts = line.split("\t")
    return [(part, "\t") for part in parts[:-1]] + [(parts[-1], "")]
