"""Find what there is to check: generated folders by the headers in them, and what tables list."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...diagnostics.diagnostic import Diagnostic, Severity
from ...write import MARK
from ..shared.workflow_files import walk
from . import tables
from .lowering import LOWERED, Lowering, from_header, shown

_MODULE = re.compile(r"nodes(_0+)?\.py")  # the first module: a large workflow's classes are in nodes_00.py and so on


class Found(NamedTuple):
    """What there is to check, sorted by folder, and what stands in the way."""

    lowerings: list[Lowering]
    problems: list[Diagnostic]


def find(paths: Sequence[Path]) -> Found:
    """The lowerings at or below `paths`.

    A path is a folder, a generated file, a table, or a workflow: then what the working directory holds of it.
    Tables count that stand below a path or above it, up to the root of the repository.
    """
    found: dict[str, Lowering] = {}
    problems: dict[Diagnostic, None] = {}
    for path in paths:
        lowerings, said = _at(path)
        problems.update(dict.fromkeys(said))
        for lowering in lowerings:
            key = os.path.abspath(lowering.folder)
            if key not in found or not _is_table(lowering.said_by) or _is_table(found[key].said_by):
                found.setdefault(key, lowering)
            else:
                found[key] = lowering
    return Found([found[key] for key in sorted(found)], list(problems))


def _at(path: Path) -> tuple[list[Lowering], list[Diagnostic]]:
    if path.is_dir():
        return _below(path)
    if not path.is_file():
        return [], [_problem("PFL615", path, "there is no such file or folder")]
    if path.name in tables.TABLES:
        return tables.read(path)
    head = _head(path)
    if path.suffix == ".py" and head is not None:
        return _generated(path, head)
    root = Path() if Path(os.path.abspath(path)).is_relative_to(Path.cwd()) else path.parent
    lowerings, problems = _below(root)
    wanted = os.path.abspath(path)
    return [one for one in lowerings if wanted in map(os.path.abspath, (one.workflow, one.folder / LOWERED))], problems


def _below(root: Path) -> tuple[list[Lowering], list[Diagnostic]]:
    problems: list[Diagnostic] = []
    listed: list[Lowering] = []
    generated: list[Lowering] = []

    def unreadable(error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        problems.append(_problem("PFL615", Path(error.filename or root), f"cannot be read: {reason}"))

    for file in _tables_above(root):
        lowerings, said = tables.read(file)
        problems += said
        listed += [one for one in lowerings if _is_below(one.folder, root) or _is_below(one.workflow, root)]
    for folder, files in walk(root, unreadable):
        for name in tables.TABLES:
            if name in files:
                lowerings, said = tables.read(folder / name)
                listed += lowerings
                problems += said
        module = min((name for name in files if _MODULE.fullmatch(name)), default=None)
        if module is None:
            continue
        try:
            head = _head(folder / module)
        except OSError as error:
            unreadable(error)
            continue
        if head is not None:
            lowerings, said = _generated(folder / module, head)
            generated += lowerings
            problems += said
    known = {os.path.abspath(one.folder) for one in listed}
    problems = [one for one in problems if one.code != "PFL615" or os.path.abspath(Path(one.file).parent) not in known]
    return [*listed, *(one for one in generated if os.path.abspath(one.folder) not in known)], problems


def _generated(module: Path, head: str) -> tuple[list[Lowering], list[Diagnostic]]:
    """The lowering that a generated module is part of."""
    lowering = from_header(module, head)
    if lowering is not None:
        return [lowering], []
    first = head.partition("\n")[0]
    if first == f"{MARK}. Do not edit.":
        message = "it was made from standard input or from Python: its header names no workflow"
    else:
        message = "its header does not say, in a form that this version knows, how it was made"
    help = "list the workflow in a table, [[tool.pflow-lower.lowerings]] in pyproject.toml, or lower it from a file"
    return [], [_problem("PFL615", module, message, help)]


def _head(file: Path) -> str | None:
    """The beginning of a generated module; None if pflow-lower did not make the file."""
    with open(file, "rb") as opened:
        content = opened.read(8192)
    if not content.startswith(MARK.encode()):
        return None
    return content.decode("utf-8", "replace").replace("\r\n", "\n")


def _tables_above(root: Path) -> Iterable[Path]:
    """The tables above `root` in the same repository; none outside of one."""
    start = Path(os.path.abspath(root))
    parents = list(start.parents)
    top = next((at for at, parent in enumerate((start, *parents)) if (parent / ".git").exists()), 0)
    for parent in parents[:top]:
        for name in tables.TABLES:
            if (parent / name).is_file():
                yield Path(os.path.relpath(parent / name))


def _is_below(path: Path, root: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(root))


def _is_table(file: Path) -> bool:
    return file.name in tables.TABLES


def _problem(code: str, path: Path, message: str, help: str = "") -> Diagnostic:
    return Diagnostic(code=code, severity=Severity.ERROR, message=message, file=shown(path), help=help)
