"""The workflows that arguments stand for: files as they are, folders searched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ...diagnostics.diagnostic import Diagnostic, Severity
from ...files import regular_files
from ..shared import lowering_tables
from ..shared.lowering_tables import TABLES
from ..shared.recognise import has_workflow_name, looks_like_workflow, may_be_workflow, why_unclear
from ..shared.workflow_files import walk


def workflows(arguments: Iterable[str], passed_by: Callable[[str, str], None]) -> Iterator[str]:
    """Every workflow once, in order: what is named, and what folders hold.

    In a folder, what `recognise` takes for a workflow is one; hidden folders and those of tools are passed by. So is
    what a table of lowerings lists, wherever it stands and whatever it looks like. A file of which nobody can say
    whether it is one is handed to `passed_by`, with why: that alone is not an error.
    """
    seen: set[str] = set()
    for argument in arguments:
        for name in _inside(argument, passed_by) if argument != "-" and os.path.isdir(argument) else [argument]:
            if name not in seen:
                seen.add(name)
                yield name


def nothing_there(folder: str) -> Diagnostic:
    """The finding about a folder that holds no workflow."""
    return Diagnostic(
        code="PFL117",
        severity=Severity.ERROR,
        message="no workflow is found in this folder",
        file=folder,
        help="workflows are .pflow.md files, and .json files with a list `nodes`",
    )


def why_not(name: str, argument: str) -> str:
    """Why a workflow that was found in the folder `argument`, not named, is not read for where it stands; or ""."""
    return "" if name == argument else regular_files.why_not(name, Path(argument))


def _inside(folder: str, passed_by: Callable[[str, str], None]) -> Iterator[str]:
    unreadable: list[str] = []
    listed = [path for table in lowering_tables.above(Path(folder)) for path in _listed(table, folder)]
    for found in walk(Path(folder), lambda error: unreadable.append(str(error.filename)), hidden=False):
        listed += [path for name in TABLES if name in found.files for path in _listed(found.path / name, folder)]
        for name in sorted(found.files):
            path = os.path.normpath(os.path.join(found.path, name))
            if (
                path in listed
                or has_workflow_name(name)
                or (may_be_workflow(name) and _looks_like_one(path, passed_by))
            ):
                yield path
    yield from listed  # those in folders that are passed by
    yield from unreadable  # to be read like a file, which then says what is wrong


def _listed(table: Path, folder: str) -> list[str]:
    """The workflows in `folder` that the lowerings in the file `table` list; `check` says what is wrong there."""
    lowerings, _ = lowering_tables.read(table)
    top = os.path.abspath(folder)
    paths = [os.path.abspath(one.workflow) for one in lowerings]
    return [
        os.path.normpath(os.path.join(folder, os.path.relpath(path, top)))
        for path in paths
        if Path(path).is_relative_to(top)
    ]


def _looks_like_one(path: str, passed_by: Callable[[str, str], None]) -> bool:
    try:
        content = regular_files.read(path)
    except PermissionError:  # it may be one: whoever reads it says why not
        return True
    except OSError as error:
        passed_by(path, f"cannot be read: {regular_files.reason(error)}")
        return False
    if looks_like_workflow(content):
        return True
    if why := why_unclear(content):
        passed_by(path, why)
    return False
