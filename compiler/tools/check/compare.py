"""Compare one folder of generated files with what its workflow is lowered to; refresh it if asked to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ... import pipeline
from ...diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity
from ...files import regular_files
from ...files.atomic_write import LEFT_OVER
from ...ir.known_to_pflow import ours_in
from ...node_types.project_file import as_argument, shown_path
from ...write import generated_folder as output
from ...write.generated_folder import MAP
from ...write.in_the_way import Obstacle, in_the_way
from ...write.write import write
from ..shared.lowerings import Lowering
from .difference import first_difference, unified

DRIFT = frozenset({"PFL611", "PFL612", "PFL613", "PFL614"})
"""Findings that say what differs; every other error says why it could not be known."""
_CANNOT_RUN = frozenset({"PFL330", "PFL332", "PFL336", "PFL346"})
"""Warnings of a step whose class is not there: a program with one ends with an error as it is made."""


_MOST_NAMED = 5
"""So many of the files that are left over in a folder, or missing, are named."""


class Outcome(NamedTuple):
    """What checking one folder gave."""

    folder: str
    workflow: str
    findings: tuple[Diagnostic, ...] = ()
    differences: tuple[str, ...] = ()
    """A unified diff per file whose bytes differ."""
    refreshed: tuple[str, ...] = ()
    """The files that were written."""
    removed: tuple[str, ...] = ()
    """The files, and the folders that were empty then, that were removed."""
    is_portable: bool = True
    """Whether plain pflow knows every key of its batches."""
    in_the_way: tuple[str, ...] = ()
    """What has to be moved or deleted before `--update` can write, as arguments of a command."""
    can_be_refreshed: bool = True
    """Whether `--update` writes it, once nothing is in the way."""
    is_disputed: bool = False
    """Whether tables give the folder to several workflows, so that nobody knows what it should be."""

    @property
    def drifted(self) -> bool:
        """Whether the files are not what they should be."""
        return any(finding.code in DRIFT for finding in self.findings)

    @property
    def failed(self) -> bool:
        """Whether it could not be found out, or not be put right."""
        return self.is_disputed or any(code not in DRIFT | _CANNOT_RUN for code in self._errors())

    @property
    def cannot_run(self) -> bool:
        """Whether it is a program that surely ends with an error, however up to date it is."""
        return any(code in _CANNOT_RUN for code in self._errors())

    def _errors(self) -> Iterator[str]:
        return (finding.code for finding in self.findings if finding.severity is Severity.ERROR)


def disputed(lowering: Lowering) -> Outcome:
    """What checking a folder gives of which nobody knows what it should be."""
    return Outcome(folder=shown_path(lowering.folder), workflow=shown_path(lowering.workflow), is_disputed=True)


def compare(lowering: Lowering, *, update: bool = False) -> Outcome:
    """Lower the workflow in memory and compare bytes; with `update`, write what differs, all or nothing."""
    outcome = Outcome(folder=shown_path(lowering.folder), workflow=shown_path(lowering.workflow))
    if not lowering.workflow.exists():
        return outcome._replace(findings=(_gone(lowering),))
    if (top := regular_files.repository_of(lowering.folder)) is not None:
        for file in filter(None, (lowering.workflow, lowering.nodes_file)):
            if why := regular_files.why_not(file, top):
                message = f"{shown_path(file)}, which it is made from, is not read: {why}"
                return outcome._replace(findings=(_finding("PFL615", lowering, "", message, regular_files.HELP),))
    try:
        compiled = pipeline.run(shown_path(lowering.workflow), lowering.options)
        files = compiled.files
        with regular_files.given(lowering.workflow.parent):
            present = {path: _present(lowering.folder / path) for path in files}
        extra = [path.relative_to(lowering.folder).as_posix() for path in output.left_over(files, lowering.folder)]
    except LowerError as error:
        return outcome._replace(findings=error.diagnostics)
    except OSError as error:
        return outcome._replace(findings=(_unreadable(lowering, error),))
    batches = [node.data["batch"] for node in compiled.source.nodes if isinstance(node.data.get("batch"), dict)]
    outcome = outcome._replace(is_portable=not any(map(ours_in, batches)))
    stale = [path for path in sorted(files) if present[path] != files[path].encode()]
    try:
        found = in_the_way(files, lowering.folder, stale, source=lowering.workflow, is_declared=True) if stale else []
    except OSError as error:
        return outcome._replace(findings=(_unreadable(lowering, error),))
    outcome = _with_obstacles(outcome, found)
    help = _remedy(lowering, outcome, found)
    findings = list(_stale(lowering, stale, present, files, help))
    differences = [_difference(lowering, path, present[path], files[path].encode()) for path in stale]
    # Files may differ only because a class is not here that was there when they were made.
    wrong = frozenset(("PFL331",) if findings and not update else ()) | (
        _CANNOT_RUN if lowering.program else frozenset()
    )
    said = [
        finding._replace(severity=Severity.ERROR) if finding.code in wrong else finding
        for finding in compiled.diagnostics
    ]
    findings += _left_over(lowering, extra, help)
    outcome = outcome._replace(findings=(*findings, *said), differences=tuple(text for text in differences if text))
    return _refresh(lowering, outcome, files, extra, said) if update and findings else outcome


def _refresh(
    lowering: Lowering, outcome: Outcome, files: Mapping[str, str], extra: list[str], said: Iterable[Diagnostic]
) -> Outcome:
    """Write what differs; `said` is what lowering the workflow warns of, which stays."""
    try:
        written = write(files, lowering.folder, source=lowering.workflow, is_declared=True)
        removed = output.remove(lowering.folder / path for path in extra)
    except LowerError as error:
        return outcome._replace(findings=error.diagnostics)
    except OSError as error:
        return outcome._replace(findings=(_unreadable(lowering, error),))
    return outcome._replace(
        findings=tuple(said),
        differences=(),
        refreshed=tuple(sorted(map(shown_path, written))),
        removed=tuple(sorted(map(shown_path, removed))),
    )


def _present(file: Path) -> bytes | OSError | None:
    """The bytes of a file, None if there is none, or why it cannot be read."""
    try:
        return regular_files.read(file, below=regular_files.bound_of(file.parent))
    except (FileNotFoundError, NotADirectoryError):
        return None if not file.is_symlink() else OSError(0, "it is a link to nowhere")
    except OSError as error:
        return error


def _left_over(lowering: Lowering, paths: Sequence[str], help: str) -> Iterator[Diagnostic]:
    """What is left over: one finding for each folder, which may be a whole runtime, and reason."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for path in paths:
        groups.setdefault((os.path.dirname(path), path.endswith(LEFT_OVER)), []).append(path)
    for (folder, is_unfinished), alike in groups.items():
        one = len(alike) == 1
        these = "this file" if one else f"these {len(alike)} files"
        why = f"nothing generates {these} any more"
        why = f"a write that did not come to its end left {these}" if is_unfinished else why
        yield _finding("PFL613", lowering, alike[0] if one else folder, why + _which(alike), help)


def _which(paths: Sequence[str]) -> str:
    """The first few of several `paths` in a folder, by name; nothing of one, which the finding is about."""
    names = [os.path.basename(path) for path in paths[:_MOST_NAMED]]
    more = f" and {len(paths) - len(names)} more" if len(paths) > len(names) else ""
    return f": {', '.join(names)}{more}" if len(paths) > 1 else ""


def _stale(
    lowering: Lowering,
    paths: Sequence[str],
    present: Mapping[str, bytes | OSError | None],
    files: Mapping[str, str],
    help: str,
) -> Iterator[Diagnostic]:
    """What is missing or differs: a finding for each file, but one for those that a folder inside, a runtime, lacks."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        folder = os.path.dirname(path) if present[path] is None else ""
        groups.setdefault(folder or path, []).append(path)
    for where, alike in groups.items():
        content = present[alike[0]]
        if content is not None:
            yield _drift(lowering, where, content, files[where].encode(), help)
        elif len(alike) == 1:
            yield _finding("PFL612", lowering, alike[0], "this generated file is missing", help)
        else:
            message = f"these {len(alike)} generated files are missing{_which(alike)}"
            yield _finding("PFL612", lowering, where, message, help)


def _drift(lowering: Lowering, path: str, content: bytes | OSError, wanted: bytes, help: str) -> Diagnostic:
    if isinstance(content, OSError):
        message = f"this generated file cannot be read: {regular_files.reason(content)}"
        return _finding("PFL611", lowering, path, message, help)
    line = first_difference(content, wanted)
    message = f"not what {shown_path(lowering.workflow)} is lowered to"
    if content.replace(b"\r\n", b"\n") == wanted:
        help = "keep git from changing them: in .gitattributes, give these files the attribute -text"
        message = "the line ends are not those that are generated"
    elif path.endswith(MAP):
        message = f"a source map whose lines are not those of {shown_path(lowering.workflow)}"
    return _finding("PFL611", lowering, path, message, help, Position(line, 1))


def _difference(lowering: Lowering, path: str, content: bytes | OSError | None, wanted: bytes) -> str:
    """A diff; "" where there is nothing that anybody would read: of a file that is not there, of a source map."""
    if not isinstance(content, bytes) or path.endswith(MAP):
        return ""
    return unified(shown_path(lowering.folder / path), content, wanted)


def _gone(lowering: Lowering) -> Diagnostic:
    message = f"the workflow {shown_path(lowering.workflow)} is gone"
    help = "remove this folder, or lower the workflow from where it is now; --update does neither"
    return Diagnostic(
        code="PFL614",
        severity=Severity.ERROR,
        message=message,
        file=shown_path(lowering.said_by),
        position=Position(1, 1),
        help=help,
    )


def _finding(
    code: str, lowering: Lowering, path: str, message: str, help: str, position: Position | None = None
) -> Diagnostic:
    return Diagnostic(
        code=code,
        severity=Severity.ERROR,
        message=message,
        file=shown_path(lowering.folder / path),
        position=position,
        help=help,
    )


def _with_obstacles(outcome: Outcome, found: Sequence[Obstacle]) -> Outcome:
    names = dict.fromkeys(as_argument(obstacle.path) for obstacle in found if not obstacle.instead)
    return outcome._replace(in_the_way=tuple(names), can_be_refreshed=not any(obstacle.instead for obstacle in found))


def _remedy(lowering: Lowering, outcome: Outcome, found: Sequence[Obstacle]) -> str:
    """What brings the folder up to date: every word of it can be followed."""
    for obstacle in found:
        if obstacle.instead:
            return f"--update does not write here: {shown_path(obstacle.path)}: {obstacle.message}\n{obstacle.instead}"
    return first_clear(outcome.in_the_way, f"pflow-lower check --update {as_argument(lowering.folder)}")


def first_clear(names: Iterable[str], command: str) -> str:
    """`command`, after what is in its way has been moved or deleted."""
    listed = " and ".join(names)
    return f"move or delete {listed}, which --update does not replace; then: {command}" if listed else command


def _unreadable(lowering: Lowering, error: OSError) -> Diagnostic:
    name = os.fsdecode(error.filename) if error.filename else shown_path(lowering.folder)
    message = f"cannot be read or written: {regular_files.reason(error)}"
    return Diagnostic(code="PFL615", severity=Severity.ERROR, message=message, file=shown_path(Path(name)))
