"""What git's index knows of a repository: what is checked in, whatever of it is on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...files.generated_header import Header, header_of, read_header
from ...files.git import ask
from ...write.generated_folder import MODULE

_NOT_ON_DISK = b"S "  # of a sparse checkout, which leaves the file out on purpose


def checked_in(root: Path, folders: Iterable[Path]) -> set[Path]:
    """Those of `folders`, in the repository of `root`, in which git knows a file."""
    names = {os.path.abspath(folder): folder for folder in folders}
    top = _top(root) if names else None
    if top is None:
        return set()
    parents = {os.path.realpath(os.path.join(top, os.path.dirname(name))) for name in _listed(root, names)}
    return {folder for name, folder in names.items() if os.path.realpath(name) in parents}


def deleted_modules(root: Path) -> Iterator[tuple[Path, Header]]:
    """The generated modules at or below `root` that are checked in and not there, with what their headers say."""
    top = _top(root)
    for name in _listed(root, [os.path.abspath(root)]) if top is not None else ():
        file = os.path.join(top or "", name)
        if MODULE.fullmatch(os.path.basename(name)) and not os.path.lexists(file):
            header = header_of(ask(root, "cat-file", "blob", f":{name}") or b"")
            parsed = None if header is None else read_header(header)
            if parsed is not None:
                yield Path(os.path.relpath(file)), parsed


def _listed(root: Path, below: Iterable[str]) -> Iterator[str]:
    """The files that git knows at or below each of `below`, by their path from the top; none if it cannot tell."""
    for entry in (ask(root, "ls-files", "-t", "-z", "--full-name", "--", *below) or b"").split(b"\0"):
        if entry and not entry.startswith(_NOT_ON_DISK):
            yield os.fsdecode(entry[2:])


def _top(root: Path) -> str | None:
    """The top of the repository; None outside of one, or without git."""
    found = ask(root, "rev-parse", "--show-toplevel")
    return None if found is None else os.fsdecode(found).rstrip("\n")
