"""`pflow-lower lint`, from its arguments to what it prints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from ... import pipeline
from ...diagnostics.diagnostic import Diagnostic, LowerError, Severity, each_once, printable, refusal
from ...diagnostics.formats.show import show_findings
from ...exit_status import of as exit_status
from ...files import regular_files
from ...ir.document import Document
from ...node_types.run_tables import unread_for
from ...options import Options
from ..shared.workflow_files import outside
from .files import nothing_there, why_not, workflows
from .findings import folder_of
from .fix import fix, write
from .suppress import Suppressions, suppressions_for
from .table import Choice, LintFinding, lint


def run(
    arguments: Sequence[str],
    select: Sequence[str],
    ignore: Sequence[str],
    mend: bool,
    nodes: Path | None,
    form: str,
    quiet: bool,
) -> int:
    """Lint the workflows that `arguments` stand for; print what was found; answer the exit status."""
    if mend and "-" in arguments:
        raise click.UsageError("--fix changes files; standard input is not a file")
    linter = Linter(Choice(tuple(select) or ("PFL",), tuple(ignore)), nodes)
    for argument in dict.fromkeys(arguments):
        names = list(workflows([argument], linter.pass_by))
        if not names:
            linter.found.append(nothing_there(argument))
            linter.failed += 1
        for name in names:
            if why := why_not(name, argument):
                linter.found.append(outside(name, why))
                linter.failed += 1
            else:
                with regular_files.given(None if name == argument else Path(argument)):
                    linter.look_at(name, mend)
    found = each_once([*linter.found, *linter.unused()])
    show_findings(found, form, err=False)
    if not quiet and form == "text":
        for line in linter.fixed:
            click.echo(line, err=True)
        for path, why in linter.passed_by.items():
            click.echo(f"not looked at: {printable(path)} ({why})", err=True)
        click.echo(_summary(linter, found), err=True)
    return exit_status(found=bool(found), failed=linter.failed > 0)


class Linter:
    """Lints one workflow after the other and keeps what was found."""

    def __init__(self, choice: Choice, nodes: Path | None = None) -> None:
        self.found: list[Diagnostic] = []
        self.fixed: list[str] = []
        self.passed_by: dict[str, str] = {}
        """What may have been a workflow, and why nobody can say."""
        self.failed = 0
        self.files = 0
        self._choice = choice
        self._looked_at: set[str] = set()
        self._nodes = nodes
        self._tables: dict[Path, Suppressions | None] = {}
        self._by_file: dict[Path, Suppressions] = {}

    def look_at(self, name: str, mend: bool = False) -> None:
        """Lint the workflow `name`, and mend it; one that was looked at before is not looked at again."""
        if name in self._looked_at:
            return
        self._looked_at.add(name)
        self.files += 1
        try:
            found, document = self._found(name)
            if mend and (fixed := _mend(name, document, found)):
                self.fixed += fixed
                found, _ = self._found(name)
        except LowerError as error:
            self.failed += 1
            self.found += error.diagnostics
            return
        self.found += [one.diagnostic for one in found]

    def pass_by(self, path: str, why: str) -> None:
        """Take note of a file that may have been a workflow."""
        self.passed_by[os.path.normpath(path)] = why

    def unused(self) -> list[Diagnostic]:
        """The suppressions that were not needed."""
        return [finding for table in self._by_file.values() for finding in table.unused(self._choice)]

    def _found(self, name: str) -> tuple[list[LintFinding], Document]:
        compiled = pipeline.run(name, Options(nodes_file=self._nodes, code=False, ask_pflow=True))
        found = lint(compiled.source, compiled.diagnostics, self._choice)
        table = self._table(folder_of(name))
        return found if table is None else table.left(name, found), compiled.source.document

    def _table(self, folder: Path) -> Suppressions | None:
        if folder not in self._tables:
            self.found += unread_for(folder)  # one of them may be meant for the suppressions
            table = suppressions_for(folder)
            self._tables[folder] = None if table is None else self._by_file.setdefault(table.file, table)
        return self._tables[folder]


def _mend(name: str, document: Document, found: Sequence[LintFinding]) -> list[str]:
    """Mend the file; answers a line for each thing done. Raises: LowerError (PFL602)."""
    if all(one.remove is None for one in found):
        return []
    try:
        fixed = fix(Path(name).read_bytes(), document, found)
        if fixed.done:
            write(name, fixed.content)
    except OSError as error:
        raise refusal("PFL602", name, f"cannot write here: {regular_files.reason(error)}") from error
    return [_line(finding) for finding in fixed.done]


def _line(finding: Diagnostic) -> str:
    place = f":{finding.position.line}" if finding.position else ""
    return f"{finding.file}{place}: fixed[{finding.code}]: removed {finding.where}"


def _summary(linter: Linter, found: Sequence[Diagnostic]) -> str:
    errors = sum(finding.severity is Severity.ERROR for finding in found)
    parts = [f"{linter.files} workflow{'' if linter.files == 1 else 's'}"]
    parts.append(f"{len(found)} finding{'' if len(found) == 1 else 's'}" if found else "nothing found")
    if errors:
        parts.append(f"{linter.failed} invalid")
    if linter.fixed:
        parts.append(f"{len(linter.fixed)} fixed")
    return ", ".join(parts)
