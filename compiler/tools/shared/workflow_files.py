"""The folders of a repository in which workflows and generated files can stand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

SKIPPED = frozenset(
    {
        *(".git", ".hg", ".svn", ".jj", ".idea", ".vscode"),
        *(".direnv", ".eggs", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".tox", ".venv", "venv"),
        *("__pycache__", "bower_components", "node_modules", "site-packages"),
        "pflow_lower_runtime",  # part of the folder it stands in
    }
)
"""Folders of tools, by name. A virtual environment is known by its pyvenv.cfg, whatever its name."""


def walk(
    root: Path, on_error: Callable[[OSError], None], *, hidden: bool = True
) -> Iterator[tuple[Path, frozenset[str]]]:
    """`root` and every folder below it, the `hidden` ones too, each with the names of its files.

    Links to folders are not followed (their target is found where it stands, and a link may lead in circles).
    What cannot be read is handed to `on_error` and left out.
    """
    todo = [root]
    while todo:
        folder = todo.pop()
        files, folders = set(), []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    else:
                        files.add(entry.name)
        except OSError as error:
            on_error(error)
            continue
        if "pyvenv.cfg" in files:
            continue
        yield folder, frozenset(files)
        wanted = (name for name in folders if name not in SKIPPED and (hidden or not name.startswith(".")))
        todo += [folder / name for name in sorted(wanted, reverse=True)]


def is_skipped(path: Path, root: Path) -> bool:
    """Whether `walk(root)` would not get to the file `path`, for the names of the folders on the way."""
    return any(part in SKIPPED for part in path.relative_to(root).parts[:-1])
