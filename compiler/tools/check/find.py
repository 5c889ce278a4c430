"""Find what there is to check: generated folders by the headers in them, and what tables list."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ...diagnostics.diagnostic import Diagnostic, Severity
from ...files import regular_files
from ...files.generated_header import HEADER_BYTES, header_of
from ...node_types.project_file import shown_path
from ...write.generated_folder import GENERATED
from ..shared import lowering_tables as tables
from ..shared.lowerings import Lowering, from_header
from ..shared.workflow_files import walk
from .git_index import checked_in, deleted_modules
from .remains import Remains, remains


class PassedBy(NamedTuple):
    """A folder of generated files that is not looked at."""

    folder: Path
    why: str


_INSTALLED = "part of an installed program: its workflow is not there"


class Found(NamedTuple):
    """What there is to check, sorted by folder, and what stands in the way."""

    lowerings: list[Lowering]
    problems: list[Diagnostic]
    passed_by: list[PassedBy] = []  # noqa: RUF012  never changed
    disputed: frozenset[str] = frozenset()
    """The absolute paths of folders that tables give to several lowerings: none of them is the right one."""


def find(paths: Sequence[Path]) -> Found:
    """The lowerings at or below `paths`; none of them means this folder.

    A path is a folder, a generated file, a table, or a workflow: then what the working directory holds of it.
    Tables count that stand below a path or above it, up to the root of the repository. A path at which there is
    nothing to check is a problem.
    """
    found: dict[str, Lowering] = {}
    problems: dict[Diagnostic, None] = {}
    passed_by: dict[PassedBy, None] = {}
    disputed: set[str] = set()
    for path in paths or (Path(),):
        lowerings, findings, passed, theirs = _at(path)
        disputed.update(theirs)
        passed_by.update(dict.fromkeys(passed))
        if paths and not lowerings and not findings:
            help = "it holds nothing that `pflow-lower WORKFLOW -o DIR` wrote, and no table lists anything in it"
            if empty := _empty_folders(path):
                help += f"\nempty folders in it: {', '.join(empty)}"
            findings = [_problem("PFL117", path, "nothing to check is found here", help)]
        problems.update(dict.fromkeys(findings))
        for lowering in lowerings:
            first = found.setdefault(os.path.abspath(lowering.folder), lowering)
            if first is not lowering:
                found[os.path.abspath(lowering.folder)] = _chosen(first, lowering)
                problems.update(dict.fromkeys(_two_owners(first, lowering)))
                disputed.update(_disputed((first, lowering))[0])
    return Found([found[key] for key in sorted(found)], list(problems), list(passed_by), frozenset(disputed))


def _disputed(lowerings: Iterable[Lowering]) -> tuple[frozenset[str], list[Diagnostic]]:
    """The folders that several lowerings of tables would write, each in its way; and what to say of two tables."""
    first: dict[str, Lowering] = {}
    owned = [(os.path.abspath(one.folder), one) for one in lowerings if _is_table(one.said_by)]
    folders = [folder for folder, one in owned if first.setdefault(folder, one).clash(one)]
    return frozenset(folders), [said for folder, one in owned for said in _two_owners(first[folder], one)]


def _empty_folders(path: Path) -> list[str]:
    """The first few folders in which there is nothing (any more)."""
    if not path.is_dir():
        return []
    empty = (shown_path(one.path) for one in walk(path, lambda _: None) if not one.files and not one.folders)
    return list(islice(empty, 5))


def _chosen(one: Lowering, two: Lowering) -> Lowering:
    """Which of two lowerings of one folder counts: the table's, for it is what somebody wrote down."""
    return two if _is_table(two.said_by) and not _is_table(one.said_by) else one


def _two_owners(one: Lowering, two: Lowering) -> Iterable[Diagnostic]:
    """The problem of two tables that give one folder to different workflows, or say different things of one."""
    if not (_is_table(one.said_by) and _is_table(two.said_by)) or _same(one.said_by, two.said_by):
        return  # of one table it is said there
    if clash := one.clash(two):
        message = f"{clash}; the first by {shown_path(one.said_by)}"
        yield _problem("PFL616", two.said_by, message, "list each workflow in one table, with a folder of its own")


def _at(path: Path) -> Found:
    try:
        if path.is_dir():
            return _below(path)
        if not os.path.lexists(path):
            return _missing(path)
        if path.name in tables.TABLES:
            lowerings, findings = tables.read(path)
            return Found(lowerings, findings, disputed=_disputed(lowerings)[0])
        is_json = path.suffix == ".json" and not GENERATED.fullmatch(path.name)
        header = None if is_json else header_of(regular_files.read_start(path, HEADER_BYTES))
    except ValueError:  # a NUL in the name
        return Found([], [_not_there(path)])
    except OSError as error:
        return Found([], [_problem("PFL615", path, f"cannot be read: {regular_files.reason(error)}")])
    if header is not None or GENERATED.fullmatch(path.name):
        found = _below(path.parent, deep=False)
        return found._replace(lowerings=[one for one in found.lowerings if _same(one.folder, path.parent)])
    return _of_path(path)


def _of_path(path: Path) -> Found:
    """What there is to check of a workflow; or in a folder in whose place something else stands."""
    root = Path() if _is_below(path, Path()) else path.parent
    return _about(path, _below(root))


def _missing(path: Path) -> Found:
    """What there is to check in a folder that is not there: a table lists it, or git knows it."""
    inside = _is_below(path, Path())
    root = Path() if inside else next(parent for parent in Path(os.path.abspath(path)).parents if parent.is_dir())
    found = _about(path, _below(root, deep=inside))
    return found if found.lowerings else Found([], [_not_there(path)])


def _not_there(path: Path) -> Diagnostic:
    return _problem("PFL615", path, "there is no such file or folder")


def _about(path: Path, found: Found) -> Found:
    lowerings = [one for one in found.lowerings if _same(path, one.workflow) or _is_below(one.folder, path)]
    return found._replace(lowerings=lowerings)


def _below(root: Path, *, deep: bool = True) -> Found:
    """What there is to check in `root`, and with `deep` in every folder below it, whatever that is called."""
    problems: list[Diagnostic] = []
    listed: list[Lowering] = []
    generated: dict[Path, Remains] = {}
    installed: dict[Path, Remains] = {}
    dumped: list[PassedBy] = []

    def unreadable(error: OSError) -> None:
        message = f"cannot be read: {regular_files.reason(error)}"
        problems.append(_problem("PFL615", Path(error.filename or root), message))

    every: list[Lowering] = []
    for file in tables.above(root):
        lowerings, findings = tables.read(file)
        problems += findings
        every += lowerings
        listed += [one for one in lowerings if _is_below(one.folder, root) or _is_below(one.workflow, root)]
    for folder in walk(root, unreadable, everywhere=True):
        for name in tables.TABLES if not folder.of_a_tool else ():
            if name in folder.files:
                lowerings, findings = tables.read(folder.path / name)
                listed += lowerings
                problems += findings
        found = remains(folder.path, folder.files | folder.folders)
        if found.passed_by:
            dumped.append(PassedBy(folder.path, found.passed_by))
        elif found != Remains():
            (installed if folder.of_a_tool and _has_no_workflow(found) else generated)[folder.path] = found
        if not deep:
            break
    # In the folders of tools (virtual environments, packages) that is somebody's installed program, unless it is
    # checked in: then it is part of this repository, whatever its folder is called.
    known_to_git = checked_in(root, installed)
    generated |= {folder: found for folder, found in installed.items() if folder in known_to_git}
    known = {os.path.abspath(one.folder) for one in listed}
    left = [found for folder, found in generated.items() if os.path.abspath(folder) not in known]
    deleted = _deleted(root, {*known, *map(os.path.abspath, [*generated, *installed])}) if deep else ()
    passed = [one for one in dumped if os.path.abspath(one.folder) not in known]
    disputed, clashes = _disputed([*every, *listed])
    return Found(
        [*listed, *(found.lowering for found in left if found.lowering is not None), *deleted],
        [*problems, *clashes, *(found.problem for found in left if found.problem is not None)],
        [*(PassedBy(folder, _INSTALLED) for folder in installed if folder not in known_to_git), *passed],
        disputed,
    )


def _has_no_workflow(found: Remains) -> bool:
    return found.lowering is None or not found.lowering.workflow.exists()


def _deleted(root: Path, known: Iterable[str]) -> Iterable[Lowering]:
    """What was deleted with its whole folder, none of the folders `known`, and is checked in; its workflow is there."""
    seen = set(known)
    for module, header in deleted_modules(root):
        lowering = from_header(module, header)
        if os.path.abspath(lowering.folder) not in seen and lowering.workflow.exists():
            seen.add(os.path.abspath(lowering.folder))
            yield lowering


def _is_below(path: Path, root: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(root))


def _same(one: Path, two: Path) -> bool:
    return os.path.abspath(one) == os.path.abspath(two)


def _is_table(file: Path) -> bool:
    return file.name in tables.TABLES


def _problem(code: str, path: Path, message: str, help: str = "") -> Diagnostic:
    return Diagnostic(code=code, severity=Severity.ERROR, message=message, file=shown_path(path), help=help)
