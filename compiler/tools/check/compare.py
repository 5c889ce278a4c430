"""Compare one folder of generated files with what its workflow is lowered to; refresh it if asked to."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ... import pipeline
from ... import write as output
from ...diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity
from ...emit.emit import STANDALONE_RUNTIME
from .difference import first_difference, unified
from .lowering import MAP, Lowering, shown

DRIFT = frozenset({"PFL611", "PFL612", "PFL613", "PFL614"})
"""Findings that say what differs; every other one says why it could not be known."""

_GENERATED = re.compile(r"(flow|nodes(_[0-9a-f]+)?)\.py|lowered\.json")
"""What a source map can be the map of."""


class Outcome(NamedTuple):
    """What checking one folder gave."""

    folder: str
    workflow: str
    findings: tuple[Diagnostic, ...] = ()
    differences: tuple[str, ...] = ()
    """A unified diff per file whose bytes differ."""
    refreshed: tuple[str, ...] = ()
    """The files that were written or removed."""

    @property
    def drifted(self) -> bool:
        """Whether the files are not what they should be."""
        return any(finding.code in DRIFT for finding in self.findings)

    @property
    def failed(self) -> bool:
        """Whether it could not be found out, or not be put right."""
        return any(finding.code not in DRIFT for finding in self.findings)


def compare(lowering: Lowering, *, update: bool = False) -> Outcome:
    """Lower the workflow in memory and compare bytes; with `update`, write what differs, all or nothing."""
    outcome = Outcome(folder=shown(lowering.folder), workflow=shown(lowering.workflow))
    if not lowering.workflow.exists():
        return outcome._replace(findings=(_gone(lowering),))
    try:
        files = pipeline.run(shown(lowering.workflow), lowering.options).files
        present = {path: _bytes(lowering.folder / path) for path in files}
        extra = sorted(_extra(lowering.folder, files))
    except LowerError as error:
        return outcome._replace(findings=error.diagnostics)
    except OSError as error:
        return outcome._replace(findings=(_unreadable(lowering, error),))
    findings: list[Diagnostic] = []
    differences = []
    for path in sorted(files):
        content, wanted = present[path], files[path].encode()
        if content is None:
            findings.append(_finding("PFL612", lowering, path, "this generated file is missing"))
        elif content != wanted:
            findings.append(_stale(lowering, path, content, wanted))
            differences.append(unified(shown(lowering.folder / path), content, wanted))
    findings += [_finding("PFL613", lowering, path, "nothing generates this file any more") for path in extra]
    outcome = outcome._replace(findings=tuple(findings), differences=tuple(text for text in differences if text))
    return _refresh(lowering, outcome, files, extra) if update and findings else outcome


def _refresh(lowering: Lowering, outcome: Outcome, files: Mapping[str, str], extra: list[str]) -> Outcome:
    try:
        written = output.write(files, lowering.folder, source=lowering.workflow)
        for path in extra:
            (lowering.folder / path).unlink()
    except LowerError as error:
        return outcome._replace(findings=error.diagnostics)
    except OSError as error:
        return outcome._replace(findings=(_unreadable(lowering, error),))
    refreshed = [*written, *(lowering.folder / path for path in extra)]
    return outcome._replace(findings=(), differences=(), refreshed=tuple(sorted(map(shown, refreshed))))


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _extra(folder: Path, files: Mapping[str, str]) -> set[str]:
    """The files in `folder` that pflow-lower made and `files` has no more; a source map may outlive its module."""
    if not folder.is_dir():
        return set()
    found = {path.name for path in output.left_over(files, folder)}
    found |= {
        path.name
        for path in folder.glob(f"*{MAP}")
        if path.name not in files and _GENERATED.fullmatch(path.name.removesuffix(MAP))
    }
    known = {path.partition("/")[2] for path in files if "/" in path}
    runtime = folder / STANDALONE_RUNTIME
    return found | {f"{STANDALONE_RUNTIME}/{path.name}" for path in output.left_over(known, runtime)}


def _stale(lowering: Lowering, path: str, content: bytes, wanted: bytes) -> Diagnostic:
    line = first_difference(content, wanted)
    if content.replace(b"\r\n", b"\n") == wanted:
        help = "keep git from changing them: in .gitattributes, give these files the attribute -text"
        message = "the line ends are not those that are generated"
        return _finding("PFL611", lowering, path, message, Position(line, 1), help)
    message = f"not what {shown(lowering.workflow)} is lowered to"
    return _finding("PFL611", lowering, path, message, Position(line, 1))


def _gone(lowering: Lowering) -> Diagnostic:
    message = f"the workflow {shown(lowering.workflow)} is gone"
    help = "remove this folder, or lower the workflow from where it is now; --update does neither"
    return Diagnostic(
        code="PFL614",
        severity=Severity.ERROR,
        message=message,
        file=shown(lowering.said_by),
        position=Position(1, 1),
        help=help,
    )


def _finding(
    code: str, lowering: Lowering, path: str, message: str, position: Position | None = None, help: str = ""
) -> Diagnostic:
    help = help or f"pflow-lower check --update {as_argument(lowering.folder)}"
    return Diagnostic(
        code=code,
        severity=Severity.ERROR,
        message=message,
        file=shown(lowering.folder / path),
        position=position,
        help=help,
    )


def as_argument(folder: Path) -> str:
    """`folder` as an argument of a command."""
    name = shown(folder)
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def _unreadable(lowering: Lowering, error: OSError) -> Diagnostic:
    name = os.fsdecode(error.filename) if error.filename else shown(lowering.folder)
    reason = (error.strerror or str(error)).lower()
    return Diagnostic(
        code="PFL615", severity=Severity.ERROR, message=f"cannot be read or written: {reason}", file=shown(Path(name))
    )
