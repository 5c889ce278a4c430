"""Marks: what generated code comes from, noted in its text while it is written.

A mark stands right before the code that it is about, between two characters that no generated text holds: the
control characters of a workflow's texts are escaped. `plain` takes the marks out, `read` is what `source_map` reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..ir.paths import Path

_MARK = re.compile("\x00([^\x00\x01]*)\x01")


class Origin(NamedTuple):
    """The place of the workflow that code comes from."""

    path: Path
    rule: str
    """What the code does with it: a key of `source_map.RULES`."""
    offset: int | None = None
    """Where in the text at `path` it begins; None for all of it."""

    def part(self, step: str | int) -> Origin:
        """The origin of what is made of one member or item."""
        return Origin((*self.path, step), self.rule)


class Mark(NamedTuple):
    """Lines of a generated text that have an origin, counted from 1; the last one is included."""

    first: int
    last: int
    origin: Origin


def mark(origin: Origin | None, more_lines: int = 0) -> str:
    """The mark of what comes right after it: the rest of its line, and `more_lines`. "" without an origin."""
    if origin is None:
        return ""
    return f"\x00{json.dumps([more_lines, origin.rule, origin.offset, *origin.path])}\x01"


def marked(text: str, origin: Origin | None) -> str:
    """`text` with a mark of all its lines."""
    return mark(origin, text.count("\n")) + text


def read(text: str) -> Iterator[Mark]:
    """The marks of `text` in the order in which they stand there."""
    for number, line in enumerate(text.split("\n"), 1):
        for found in _MARK.finditer(line):
            more_lines, rule, offset, *path = json.loads(found[1])
            yield Mark(number, number + more_lines, Origin(tuple(path), rule, offset))


def plain(text: str) -> str:
    """`text` without its marks."""
    return _MARK.sub("", text)


def plain_files(files: Mapping[str, str]) -> dict[str, str]:
    """`files` without their marks."""
    return {path: plain(text) for path, text in files.items()}
