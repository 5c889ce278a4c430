"""Where a key of a TOML table stands: found by its line, which is how people write these tables."""

from __future__ import annotations

import re

from ..diagnostics.diagnostic import Position

_HEADER = re.compile(r"\s*(\[{1,2})([^\[\]]+)\]{1,2}\s*(#.*)?$")
_PART = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^.\s"']+)\s*(?:\.|$)""")
_KEY = re.compile(r"""\s*((?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+))*)\s*=""")
_INDEX = re.compile(r"\[(\d+)\]")


def position_of(text: str, where: str) -> Position | None:
    """The place of the key `where` (`tool.pflow-lower.lowerings[1].out`) in a TOML text.

    That of the nearest table around it, where the key is written in another way; None, if not even that is found.
    """
    wanted = parts_of(_INDEX.sub("", where))
    numbers = _INDEX.findall(where)
    seen: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    counts = True
    best, depth = None, 0
    for number, line in enumerate(text.splitlines(), 1):
        if (header := _HEADER.match(line)) is not None:
            table = parts_of(header[2])
            if header[1] == "[[":
                seen[table] = seen.get(table, -1) + 1
            counts = not numbers or table not in seen or seen[table] == int(numbers[0])
            found, column = table, len(line) - len(line.lstrip()) + 1
        elif (key := _KEY.match(line)) is not None:
            found, column = (*table, *parts_of(key[1])), key.start(1) + 1
        else:
            continue
        common = min(len(found), len(wanted))
        if counts and common > depth and found[:common] == wanted[:common]:
            best, depth = Position(number, column), common
    return best


def parts_of(key: str) -> tuple[str, ...]:
    """The parts of a dotted key, without their quotes."""
    return tuple(part.strip("\"'") for part in _PART.findall(key))
