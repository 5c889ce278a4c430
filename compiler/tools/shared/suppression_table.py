"""The table of findings that their author has looked at and accepts, in pyproject.toml.

[tool.pflow-lower.lint.ignore]
"flows/*.json" = { classify = ["PFL501"], "*" = ["PFL513"] }

The first key is a pattern for the workflow's path, relative to the table's folder (see `Glob`), the second a node's
id or `*`. Under a pattern with `!` stands what is not accepted there, although a pattern above it accepts it. A place
of their own, because a workflow has none: pflow refuses keys that it does not know, and a comment in Markdown would
become part of what the node is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...diagnostics.codes import CODES
from ...diagnostics.diagnostic import LowerError
from ...node_types.project_file import NOT_NODES, table_problem
from .globs import Glob

KEYS = ("lint", "ignore")
TABLE = "tool.pflow-lower.lint.ignore"


class Entry(NamedTuple):
    """One code that is accepted in one place."""

    pattern: Glob
    node: str
    code: str


def is_linted(code: str) -> bool:
    """Whether `lint` shows findings of `code`: its own, and what reading and validation warn of."""
    return code.startswith(("PFL1", "PFL2", "PFL3", "PFL5"))


def known_codes() -> list[str]:
    """Every code that `lint` can show, sorted."""
    return sorted(code for code in CODES if is_linted(code))


def entries_of(table: object, file: Path) -> Iterator[Entry]:
    """What the table in `file` accepts. Raises: LowerError (PFL591)."""
    example = 'write "flows/*.json" = { NODE = ["PFL501"] }'
    if not isinstance(table, dict):
        raise _wrong(file, TABLE, "not a table", example)
    for pattern, nodes in table.items():
        if not isinstance(nodes, dict):
            raise _wrong(file, f'{TABLE}."{pattern}"', NOT_NODES, example)
        try:
            glob = Glob(pattern)
        except ValueError as error:
            raise _wrong(file, f'{TABLE}."{pattern}"', str(error), example) from error
        for node, codes in nodes.items():
            where = f'{TABLE}."{pattern}".{node}'
            listed = [codes] if isinstance(codes, str) else codes
            if not isinstance(listed, list) or not all(isinstance(code, str) for code in listed):
                raise _wrong(file, where, "not a list of codes", example)
            for code in listed:
                if not code or not any(known.startswith(code) for known in known_codes()):
                    raise _wrong(file, where, f"{code!r} is not a lint code or prefix", example)
                yield Entry(glob, node, code)


def _wrong(file: Path, where: str, message: str, help: str) -> LowerError:
    return LowerError([table_problem(file, where, message, help, code="PFL591")])
