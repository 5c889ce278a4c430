"""Findings that their author has looked at and accepts: what the table of them leaves, and what it needs not say."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...diagnostics.diagnostic import Diagnostic, Position, Severity
from ...node_types.project_file import nearest_table, shown_path
from ..shared.suppression_table import KEYS, TABLE, Entry, entries_of, known_codes
from ..shared.workflow_files import walk
from .table import Choice, LintFinding


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
            accepting: list[Entry] = []
            for entry in entries:
                if entry.node not in ("*", one.node) or not one.diagnostic.code.startswith(entry.code):
                    continue
                if not entry.pattern.takes_away:
                    accepting.append(entry)
                elif accepting:
                    accepting = []
                    self._used.add(entry)
            self._used.update(accepting)
            if not accepting:
                kept.append(one)
        return kept

    def unused(self, choice: Choice) -> Iterator[Diagnostic]:
        """A finding for every entry whose workflows were looked at and that accepted nothing, or that has none."""
        if not choice.wants("PFL590"):
            return
        without = self._without_files()
        said: set[str] = set()
        for entry in self._entries:
            codes = [code for code in known_codes() if code.startswith(entry.code)]
            pattern = entry.pattern.text
            if entry in self._looked_at:
                if entry not in self._used and all(map(choice.wants, codes)):
                    message = f"`{entry.node}` of {pattern} has no finding {entry.code} (any more)"
                    yield self._finding(entry, message, "remove the entry")
            elif pattern in without and pattern not in said:
                said.add(pattern)
                yield self._finding(entry, f"{pattern!r} matches no file", "correct the pattern, or remove it")

    def _without_files(self) -> set[str]:
        """The patterns of entries for which no workflow was looked at, and that match no file; one walk for all."""
        left = {entry.pattern.text: entry.pattern for entry in self._entries if entry not in self._looked_at}
        folder, unread = self.file.parent, list[OSError]()
        for inner in walk(folder, unread.append, everywhere=True) if left else ():
            for name in inner.files:
                path = (inner.path / name).relative_to(folder).as_posix()
                left = {text: pattern for text, pattern in left.items() if not pattern.matches(path)}
            if not left:
                break
        return set() if unread else set(left)

    def _finding(self, entry: Entry, message: str, help: str) -> Diagnostic:
        return Diagnostic(
            code="PFL590",
            severity=Severity.WARNING,
            message=message,
            where=TABLE,
            file=shown_path(self.file),
            position=_position(self.file, entry),
            help=help,
        )


def suppressions_for(folder: Path) -> Suppressions | None:
    """The table in the nearest pyproject.toml that has one, at `folder` or above.

    Raises: LowerError (PFL410 the file cannot be read, PFL591 a wrong entry).
    """
    table = nearest_table(folder, *KEYS)
    return None if table is None else Suppressions(table.file, entries_of(table.value, table.file))


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
