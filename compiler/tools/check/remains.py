"""What a folder says of the lowering that it holds, or of what is left of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ...diagnostics.diagnostic import Diagnostic, Severity
from ...emit.emit import STANDALONE_RUNTIME
from ...files import git, regular_files
from ...files.generated_header import (
    DUMP,
    HEADER_BYTES,
    LOWERED,
    MADE_WITHOUT_A_FILE,
    MARK,
    header_of,
    is_dumped,
    read_header,
)
from ...files.generated_names import CLASSES, PROGRAM
from ...node_types.project_file import as_argument, shown_path
from ...write.generated_folder import (
    GENERATED,
    MAP,
    MODULE,
    REQUIREMENTS,
    header_in,
    is_expanded_ir,
    is_map,
    source_in_map,
)
from ..shared.lowerings import Lowering, beside, from_header

_HELP = "lower the workflow into this folder again: pflow-lower WORKFLOW -o {folder}; or remove what is left"

_DUMPED = f"written by a run, for {DUMP}: no command makes it again"


class Remains(NamedTuple):
    """What a folder tells: the lowering, or why it cannot be known; nothing, if pflow-lower wrote nothing there."""

    lowering: Lowering | None = None
    problem: Diagnostic | None = None
    passed_by: str = ""
    """Why it is nothing to check."""


def remains(folder: Path, names: Iterable[str]) -> Remains:
    """What the files (and folders) `names` of `folder` tell of the lowering that it holds.

    The header of any module says what it was made from, and so does a source map. Without one there may still be
    what nobody else writes: a `lowered.json`, a copy of the runtime. Then git may know what stood beside it.
    """
    ours = {name for name in names if GENERATED.fullmatch(name) or name == STANDALONE_RUNTIME}
    if not ours:
        return Remains()
    problem = None
    if REQUIREMENTS in ours and header_in(folder / REQUIREMENTS) is None:
        ours.remove(REQUIREMENTS)  # the user's own
    modules = [name for name in ours if MODULE.fullmatch(name) or name == REQUIREMENTS]
    for name in sorted(modules, key=lambda name: (name == PROGRAM, name == REQUIREMENTS, name)):
        try:
            header = header_of(regular_files.read_start(folder / name, HEADER_BYTES))
        except IsADirectoryError:
            continue
        except OSError as error:
            problem = problem or _problem(folder / name, f"cannot be read: {regular_files.reason(error)}")
            continue
        if header is None:
            continue
        if is_dumped(header):
            return Remains(passed_by=_DUMPED)
        parsed = read_header(header)
        if parsed is not None:
            return Remains(from_header(folder / name, parsed))
        problem = problem or _unclear(folder / name, header)
    if (lowering := _from_maps(folder, ours)) is not None:
        return Remains(lowering)
    left = next(_signs(folder, ours), None)
    if left is None and problem is None:
        return Remains()
    if (lowering := _from_git(folder)) is not None:
        return Remains(lowering)
    if left is None or problem is not None:
        return Remains(problem=problem)
    module = shown_path(folder / CLASSES)
    message = f"this is left of a lowering, and no module beside it, as {module}, says what it was made from"
    return Remains(problem=_problem(folder / left, message, _HELP.format(folder=as_argument(folder))))


def _from_maps(folder: Path, ours: set[str]) -> Lowering | None:
    """The lowering that a source map tells of: its workflow; the flags, from the files that are there."""
    for name in sorted(name for name in ours if name.endswith(MAP)):
        if source := source_in_map(folder / name):
            program = any(one in ours for one in (PROGRAM, f"{PROGRAM}{MAP}"))
            return Lowering(
                folder=folder,
                workflow=beside(folder, source),
                said_by=folder / name,
                program=program,
                standalone=STANDALONE_RUNTIME in ours,
                maps=True,
            )
    return None


def _from_git(folder: Path) -> Lowering | None:
    """The lowering that the header of a module tells of which git has in this place, if its workflow is there."""
    for module in (folder / CLASSES, folder / PROGRAM):
        for content in git.versions(module):
            parsed = read_header(header_of(content) or "")
            lowering = None if parsed is None else from_header(module, parsed)
            if lowering is not None and lowering.workflow.exists():
                return lowering
    return None


def _signs(folder: Path, ours: set[str]) -> Iterator[str]:
    """The names of what pflow-lower must have written."""
    for name in sorted(ours):
        file = folder / name
        runtime = name == STANDALONE_RUNTIME and file.is_dir()
        document = name == LOWERED and (file.is_dir() or is_expanded_ir(file))
        if runtime or document or (name.endswith(MAP) and is_map(file)):
            yield name


def _unclear(module: Path, header: str) -> Diagnostic:
    if header.partition("\n")[0] == f"{MARK}. Do not edit.":
        message = f"{MADE_WITHOUT_A_FILE}: its header names no workflow"
    else:
        message = "its header does not say, in a form that this version knows, how it was made"
    help = "list the workflow in a table, [[tool.pflow-lower.lowerings]] in pyproject.toml, or lower it from a file"
    return _problem(module, message, help)


def _problem(path: Path, message: str, help: str = "") -> Diagnostic:
    return Diagnostic(code="PFL615", severity=Severity.ERROR, message=message, file=shown_path(path), help=help)
