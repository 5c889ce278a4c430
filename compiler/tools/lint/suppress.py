"""Findings that their author has looked at and accepts, listed in pyproject.toml.

[tool.pflow-lower.lint.ignore]
"flows/*.json" = { classify = ["PFL501"], "*" = ["PFL513"] }

The first key is a pattern for the workflow's path, relative to the table's folder (see `Glob`), the second a node's
id or `*`. A place of their own, because a workflow has none: pflow refuses keys that it does not know, and a
comment in Markdown would become part of what the node is for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ...diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity
from ...node_types.project_file import NOT_NODES, nearest_table, shown_path, table_problem
from ..shared.globs import Glob
from .table import Choice, LintFinding, known_codes

_TABLE = "tool.pflow-lower.lint.ignore"


class Entry(NamedTuple):
    """One code that is accepted in one place."""

    pattern: Glob
    node: str
    code: str


class Suppressions:
    """The table of one pyproject.toml, and which of its entries were needed."""

    def __init__(self, file: Path, entries: Iterable[Entry]) -> None:
        self.file = file
        self._entries = tuple(entries)
        self._used: set[Entry] = set()
        self._looked_at: set[Entry] = set()

    def left(self, workflow: str, found: Iterable[LintFinding]) -> list[LintFinding]:
        """Those of `found` about the file `workflow` that no entry accepts."""
        name = Path(os.path.relpath(os.path.abspath(workflow), self.file.parent)).as_posix()
        entries = [entry for entry in self._entries if entry.pattern.matches(name)]
        self._looked_at.update(entries)
        kept = []
        for one in found:
            accepting = [e for e in entries if e.node in ("*", one.node) and one.diagnostic.code.startswith(e.code)]
            self._used.update(accepting)
            if not accepting:
                kept.append(one)
        return kept

    def unused(self, choice: Choice) -> Iterator[Diagnostic]:
        """A finding for every entry whose workflows were looked at and that accepted nothing."""
        if not choice.wants("PFL590"):
            return
        for entry in self._entries:
            codes = [code for code in known_codes() if code.startswith(entry.code)]
            if entry in self._looked_at and entry not in self._used and all(map(choice.wants, codes)):
                yield Diagnostic(
                    code="PFL590",
                    severity=Severity.WARNING,
                    message=f"`{entry.node}` of {entry.pattern.text} has no finding {entry.code} (any more)",
                    where=_TABLE,
                    file=shown_path(self.file),
                    position=_position(self.file, entry),
                    help="remove the entry",
                )


def suppressions_for(folder: Path) -> Suppressions | None:
    """The table in the nearest pyproject.toml that has one, at `folder` or above.

    Raises: LowerError (PFL410 the file cannot be read, PFL591 a wrong entry).
    """
    table = nearest_table(folder, "lint", "ignore")
    return None if table is None else Suppressions(table.file, _entries(table.value, table.file))


def _entries(table: object, file: Path) -> Iterator[Entry]:
    example = 'write "flows/*.json" = { NODE = ["PFL501"] }'
    if not isinstance(table, dict):
        raise _wrong(file, _TABLE, "not a table", example)
    for pattern, nodes in table.items():
        if not isinstance(nodes, dict):
            raise _wrong(file, f'{_TABLE}."{pattern}"', NOT_NODES, example)
        try:
            glob = Glob(pattern)
        except ValueError as error:
            raise _wrong(file, f'{_TABLE}."{pattern}"', str(error), example) from error
        for node, codes in nodes.items():
            where = f'{_TABLE}."{pattern}".{node}'
            listed = [codes] if isinstance(codes, str) else codes
            if not isinstance(listed, list) or not all(isinstance(code, str) for code in listed):
                raise _wrong(file, where, "not a list of codes", example)
            for code in listed:
                if not code or not any(known.startswith(code) for known in known_codes()):
                    raise _wrong(file, where, f"{code!r} is not a lint code or prefix", example)
                yield Entry(glob, node, code)


def _wrong(file: Path, where: str, message: str, help: str) -> LowerError:
    return LowerError([table_problem(file, where, message, help, code="PFL591")])


def _position(file: Path, entry: Entry) -> Position | None:
    """Where the code stands after the pattern; None if the table is spelled in another way."""
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    for number, line in enumerate(lines, 1):
        pattern = entry.pattern.text
        after = line.find(pattern) if f'"{pattern}"' in line or f"'{pattern}'" in line else -1
        at = line.find(entry.code, line.find(entry.node, after)) if after >= 0 else -1
        if at >= 0:
            return Position(number, at + 1)
    return None
