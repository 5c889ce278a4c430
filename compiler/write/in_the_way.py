"""What stands where generated files are to be written and is not replaced: of what a person wrote, nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..diagnostics.diagnostic import Diagnostic, Severity
from ..emit.emit import STANDALONE_RUNTIME
from ..files import git, regular_files
from ..files.generated_header import header_of, read_header
from ..files.generated_names import CLASSES, LOWERED, MADE_BY, PROGRAM
from .generated_folder import (
    GENERATED,
    MODULE,
    REQUIREMENTS,
    belongs_to,
    header_in,
    is_expanded_ir,
    is_map,
    is_ours,
    source_in_map,
)

PAGE_MARK = f"<!doctype html>\n<!-- {MADE_BY}"
"""How the pages of `view` start."""
_LEADS_OUT = "a link leads out of the repository here"


class Obstacle(NamedTuple):
    """Something that has to go before anything can be written."""

    path: Path
    message: str
    code: str = "PFL601"
    instead: str = ""
    """What to do about it, if moving or deleting `path` is not it."""

    @property
    def finding(self) -> Diagnostic:
        """The error with which writing is refused."""
        help = self.instead or "move or delete it, or choose another folder"
        return Diagnostic(code=self.code, severity=Severity.ERROR, message=self.message, file=str(self.path), help=help)


def in_the_way(
    files: Mapping[str, str],
    folder: Path,
    changed: Collection[str],
    *,
    source: Path | None = None,
    is_declared: bool = False,
) -> list[Obstacle]:
    """What keeps those of `files` that have `changed` from being written into `folder`; nothing is written by asking.

    `is_declared` says that a table names `source` as the workflow of the folder.

    Raises: OSError.
    """
    if not regular_files.may_lead_outside() and regular_files.leads_out(folder):
        instead = "write to where the link leads, or say --allow-outside"
        return [Obstacle(folder, _LEADS_OUT, "PFL602", instead)]
    if (wall := _not_a_folder(folder)) is not None:
        return [Obstacle(wall, "cannot write here: this is not a folder", "PFL602")]
    ours = is_ours(folder) or any(_holds_most(folder / path, files[path]) for path in changed)
    found = [
        obstacle
        for path in changed
        if (obstacle := _obstacle(folder / path, folder, files[path], source, ours=ours)) is not None
    ]
    return list(dict.fromkeys([*found, *_another_workflow(files, folder, changed, is_declared=is_declared)]))


def _obstacle(target: Path, folder: Path, text: str, source: Path | None, *, ours: bool) -> Obstacle | None:
    beside = target.parent
    if beside != folder and beside.is_symlink():
        return Obstacle(beside, "this is a link")
    if beside != folder and (wall := _not_a_folder(beside)) is not None:
        return Obstacle(wall, "this is not a folder")
    if source is not None and _is_source(target, source):
        return Obstacle(target, "this is the workflow itself", instead="choose another output folder")
    if not os.path.lexists(target):
        return None
    if target.is_symlink():
        if not regular_files.may_lead_outside() and regular_files.leads_out(target):
            return Obstacle(target, _LEADS_OUT)
        if ours:
            return None  # what it leads to stays
    elif target.is_dir():
        return Obstacle(target, "a folder that is not empty stands here") if any(target.iterdir()) else None
    return None if _may_replace(target, text, ours=ours) else Obstacle(target, "this file is not pflow-lower's")


def _not_a_folder(path: Path) -> Path | None:
    """What stands on the way to the folder `path`, or in its place, and is none."""
    there = next((one for one in (path, *path.parents) if os.path.lexists(one)), None)
    return None if there is None or there.is_dir() else there


def _is_source(target: Path, source: Path) -> bool:
    """Whether writing `target` would take the workflow away; a link to it would only be replaced."""
    if os.path.abspath(target) == os.path.abspath(source):
        return True
    return not target.is_symlink() and target.exists() and target.samefile(source)


def _may_replace(target: Path, text: str, *, ours: bool) -> bool:
    if target.is_dir():
        return False
    if not target.is_symlink() and target.is_file() and target.stat().st_size == 0:
        return True  # nobody loses anything
    if target.suffix == ".json":
        return ours or (target.name == LOWERED and is_expanded_ir(target)) or is_map(target)
    if header_in(target) is not None:
        return True
    try:
        if regular_files.read_start(target, len(PAGE_MARK)) == PAGE_MARK.encode():
            return True
    except OSError:  # what cannot be read: ours by its name, in a folder that is ours
        known = GENERATED.fullmatch(target.name) is not None or target.parent.name == STANDALONE_RUNTIME
        return ours and known
    return ours and _is_what_is_left(target, text)


def _is_what_is_left(target: Path, text: str) -> bool:
    """Whether a file without our header was ours, and replacing it by `text` loses no line.

    At least half of it are lines of `text`, or of what git has at that path with the header of this workflow; the
    others, a person's, are in git.
    """
    found, ours = _lines_in(target), _lines(text)
    if found is None or found <= ours:
        return found is not None
    others: set[str] = set()
    for content in git.versions(target):
        version = content.decode("utf-8", "replace")
        (ours if _source_in(version) == _source_in(text) != "" else others).update(_lines(version))
    return found <= ours | others and 2 * len(found & ours) >= len(found)


def _source_in(text: str) -> str:
    """The workflow that a header names; "" without one."""
    parsed = read_header(header_of(text) or "")
    return "" if parsed is None else parsed.source


def _holds_most(target: Path, text: str) -> bool:
    """Whether half of a module stands in a file, whatever became of its header."""
    if target.suffix != ".py" or not target.is_file():
        return False
    lines, found = _lines(text), _lines_in(target)
    return found is not None and 2 * len(lines & found) >= len(lines)


def _lines_in(file: Path) -> set[str] | None:
    """The lines of a file; None if it cannot be read."""
    try:
        return _lines(regular_files.read(file, below=regular_files.top_of(file.parent)).decode("utf-8", "replace"))
    except OSError:
        return None


def _lines(text: str) -> set[str]:
    """The lines of a text, as they still are when a formatter has moved them or somebody has commented them out."""
    return {bare for line in text.split("\n") if (bare := line.lstrip("\ufeff# \t").rstrip())}


def _another_workflow(
    files: Mapping[str, str], folder: Path, changed: Collection[str], *, is_declared: bool
) -> Iterator[Obstacle]:
    """What another workflow, which is still there, was lowered to and `folder` holds; or what may be that."""
    new = next((head for name in sorted(files) if (head := header_of(files[name])) is not None), None)
    if new is None:
        return
    is_left = LOWERED in changed and _is_left_alone(folder)
    found = next(_whose(folder, is_left=is_left), None)
    if found is None:
        if is_left and not is_declared:
            message = "this is left of a lowering, and nothing beside it says of which workflow"
            instead = "choose another folder; or delete it, if it was made from this workflow or nobody needs it"
            yield Obstacle(folder / LOWERED, message, "PFL603", instead)
        return
    file, source = found
    parsed = read_header(new)
    if parsed is not None and (parsed.source == source or _same_file(folder / parsed.source, folder / source)):
        return
    if (folder / source).is_file():  # else it was moved or renamed: this may be it
        message = f"this folder holds what {source} is lowered to"
        yield Obstacle(file, message, "PFL603", "choose another folder: each workflow has one of its own")


def _is_left_alone(folder: Path) -> bool:
    """Whether there is a `lowered.json` of ours, and none of the modules that were written with it."""
    file = folder / LOWERED
    if any(MODULE.fullmatch(name) and (folder / name).stat().st_size for name in _names_in(folder)):
        return False
    return file.is_file() and file.stat().st_size > 0 and is_expanded_ir(file)


def _whose(folder: Path, *, is_left: bool) -> Iterator[tuple[Path, str]]:
    """The workflow that what stands in `folder` was made from, relative to it, and the file that says so.

    Git is asked where a module is gone and its `lowered.json` `is_left`: who has emptied the folder may use it again.
    """
    if (found := belongs_to(folder)) is not None:
        module, header = found
        yield module, header.source
    for name in _names_in(folder):
        file = folder / name
        source = _source_in(header_in(file) or "") if name == REQUIREMENTS else source_in_map(file)
        if source:
            yield file, source
    for module in (folder / CLASSES, folder / PROGRAM) if is_left else ():
        for content in git.versions(module):
            if (source := _source_in(content.decode("utf-8", "replace"))) and (folder / source).is_file():
                yield folder / LOWERED, source


def _names_in(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if (folder / name).is_file()) if folder.is_dir() else []


def _same_file(one: Path, two: Path) -> bool:
    try:
        return one.samefile(two)
    except OSError:
        return False
