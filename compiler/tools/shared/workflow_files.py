"""The folders of a repository in which workflows and generated files can stand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ...diagnostics.diagnostic import Diagnostic, Severity
from ...files import regular_files

SKIPPED = frozenset(
    {
        *(".git", ".hg", ".svn", ".jj", ".idea", ".vscode"),
        *(".direnv", ".eggs", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".tox", ".venv", "venv"),
        *("__pycache__", "bower_components", "node_modules", "site-packages"),
        "pflow_lower_runtime",  # part of the folder it stands in
    }
)
"""Folders of tools, by name. A virtual environment is known by its pyvenv.cfg, whatever its name."""
_NEVER = ".git"
"""git's own: nothing that is checked in can stand in a folder of that name."""


class Folder(NamedTuple):
    """A folder, and the names of what is in it."""

    path: Path
    files: frozenset[str]
    folders: frozenset[str]
    of_a_tool: bool = False
    """Whether it is, or is in, a folder that belongs to a tool."""


def walk(
    root: Path, on_error: Callable[[OSError], None], *, hidden: bool = True, everywhere: bool = False
) -> Iterator[Folder]:
    """`root` and every folder below it, the `hidden` ones too; those of tools `everywhere` only.

    Links to folders are not followed (their target is found where it stands, and a link may lead in circles).
    What cannot be read is handed to `on_error` and left out; so is what belongs to git.
    """
    todo = [(root, False)]
    while todo:
        folder, of_a_tool = todo.pop()
        files, folders = set(), []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    else:
                        files.add(entry.name)
        except OSError as error:
            if not of_a_tool:
                on_error(error)
            continue
        of_a_tool = of_a_tool or "pyvenv.cfg" in files
        if of_a_tool and not everywhere:
            continue
        yield Folder(folder, frozenset(files), frozenset(folders), of_a_tool)
        wanted = [name for name in folders if (hidden or not name.startswith(".")) and name != _NEVER]
        for name in sorted(wanted, reverse=True):
            skipped = of_a_tool or name in SKIPPED
            if everywhere or not skipped:
                todo.append((folder / name, skipped))


def is_skipped(path: Path, root: Path) -> bool:
    """Whether `walk(root)` would not get to the file `path`, for the names of the folders on the way."""
    return any(part in SKIPPED for part in path.relative_to(root).parts[:-1])


def outside(name: str, why: str) -> Diagnostic:
    """The finding about a workflow called `name` that is not read for where it stands."""
    return Diagnostic(
        code="PFL101",
        severity=Severity.ERROR,
        message=f"the file is not read: {why}",
        file=name,
        help=regular_files.HELP,
    )
