"""Tables that list workflows and the folders of their generated files.

    [[tool.pflow-lower.lowerings]]           # in pyproject.toml; in pflow-lower.toml: [[lowerings]]
    workflows = ["flows/*.pflow.md"]         # one pattern or several, relative to this file; `!` takes some away
    out = "generated/{name}"                 # {name}: the workflow's, {folder}: that of its folder
    program = true                           # as --program; also: standalone, maps, nodes

A table is needed only for files that are not there yet: a generated module knows its source.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...diagnostics.diagnostic import Diagnostic, LowerError
from ...files import regular_files
from ...files.generated_header import LOWERED
from ...node_types.project_file import (
    PROJECT_FILE,
    near,
    not_a_truth,
    read_toml,
    shown_path,
    table_in,
    table_problem,
)
from ...node_types.run_tables import OWN_FILE, unread_in
from ...write.generated_folder import MAP
from .globs import Glob
from .lowerings import Lowering, beside
from .suppression_table import KEYS as SUPPRESSIONS
from .suppression_table import entries_of

TABLES = (OWN_FILE, PROJECT_FILE)
"""The files in which a table may stand."""
KEYS = ("maps", "nodes", "out", "program", "standalone", "workflows")
PLACEHOLDERS = ("{name}", "{folder}")
_WRITE = {
    "nodes": 'write nodes = "nodes.toml"',
    "out": 'write out = "generated/{name}"',
    "workflows": 'write workflows = ["flows/*.json"]',
}
"""What to do where a key has no value of use."""
_PLACEHOLDER = re.compile(r"\{[^{}]*\}?|\}")
_SECTION = "tool.pflow-lower.lowerings"
_ENDS = (".pflow.md", ".md", ".json")


def read(file: Path) -> tuple[list[Lowering], list[Diagnostic]]:
    """The lowerings that the table in `file` lists, and what is wrong with it; nothing if it has no table.

    In pflow-lower.toml the table may be written as in pyproject.toml, too. Of a pyproject.toml it is also said what is
    wrong with its table of suppressions: nobody else reads that, until a workflow is linted.
    """
    suppressions = _wrong_suppressions(file) if file.name == PROJECT_FILE else ()
    found, problems = _read(file)
    return found, list(dict.fromkeys([*problems, *suppressions]))


def _wrong_suppressions(file: Path) -> Sequence[Diagnostic]:
    try:
        table = table_in(file, *SUPPRESSIONS, code="PFL616")
        if table is not None:
            list(entries_of(table.value, file))
    except LowerError as error:
        return error.diagnostics
    return ()


def _read(file: Path) -> tuple[list[Lowering], list[Diagnostic]]:
    section = _SECTION
    try:
        table = table_in(file, "lowerings", code="PFL616")
        entries = None if table is None else table.value
        if file.name != PROJECT_FILE:
            data = read_toml(file, "PFL616")
            if wrong := list(_unknown(data, file)):
                return [], wrong
            if "lowerings" in data:
                section, entries = "lowerings", data["lowerings"]
    except LowerError as error:
        return [], list(error.diagnostics)
    if entries is None:
        return [], []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return [], [_problem(file, section, "not a list of tables", f"write [[{section}]]")]
    found: list[Lowering] = []
    problems: list[Diagnostic] = []
    for number, entry in enumerate(entries):
        where = f"{section}[{number}]"
        wrong = list(_problems(entry, file, where))
        lowerings, none = ([], []) if wrong else _lowerings(entry, file, where)
        problems += [*wrong, *none]
        found += lowerings
    problems += _doubles(found, file, section)
    return found, problems


def above(root: Path) -> Iterator[Path]:
    """The tables above `root` in the same repository; none outside of one."""
    start = Path(os.path.abspath(root))
    parents = list(start.parents)
    top = next((at for at, parent in enumerate((start, *parents)) if (parent / ".git").exists()), 0)
    for parent in parents[:top]:
        for name in TABLES:
            if (parent / name).is_file():
                yield Path(os.path.relpath(parent / name))


def _unknown(data: dict[str, Any], file: Path) -> Iterator[Diagnostic]:
    """What nobody reads in a pflow-lower.toml, and what stands twice in it."""
    yield from unread_in(data, file, "PFL616")
    if "lowerings" in data and "lowerings" in data.get("tool", {}).get("pflow-lower", {}):
        yield _problem(file, _SECTION, "the table stands twice in this file", "write one [[lowerings]]")


def _lowerings(entry: dict[str, Any], file: Path, where: str) -> tuple[list[Lowering], list[Diagnostic]]:
    folder = file.parent
    found: list[Lowering] = []
    workflows, problems = _chosen(entry["workflows"], file, f"{where}.workflows")
    for workflow in workflows:
        name, inside = _name(workflow), workflow.relative_to(folder).parent.as_posix()
        out = entry["out"].replace("{name}", name).replace("{folder}", inside)
        if name in ("", ".", "..") and "{name}" in entry["out"]:
            help = "give the workflow another name, or write its folder without {name}"
            problems.append(_problem(file, f"{where}.out", f"{shown_path(workflow)} has no name for a folder", help))
            continue
        wrong = list(_outside(folder, workflow, out, file, where))
        problems += wrong
        if wrong:
            continue
        found.append(
            Lowering(
                folder=beside(folder, out),
                workflow=workflow,
                said_by=file,
                program=entry.get("program", False),
                standalone=entry.get("standalone", False),
                nodes_file=beside(folder, entry["nodes"]) if "nodes" in entry else None,
                maps=entry.get("maps", False),
            )
        )
    return found, problems


def _chosen(patterns: str | list[str], file: Path, where: str) -> tuple[list[Path], list[Diagnostic]]:
    """The workflows that `patterns` choose, each of which adds some or takes some away; and what is wrong with them."""
    folder = file.parent
    chosen: dict[Path, None] = {}
    problems: list[Diagnostic] = []
    for text in [patterns] if isinstance(patterns, str) else patterns:
        unread: list[OSError] = []
        try:
            pattern = Glob(text)
        except ValueError as error:
            problems.append(_problem(file, where, str(error)))
            continue
        if pattern.takes_away:
            found = [path for path in chosen if pattern.matches(path.relative_to(folder).as_posix())]
            chosen = {path: None for path in chosen if path not in found}
        else:
            found = [path for path in pattern.files(folder, unread.append) if _may_be_a_workflow(path)]
            chosen.update(dict.fromkeys(found))
        problems += [_cannot_look(file, where, text, each) for each in unread]
        if not found and not unread:
            help = "correct the pattern, or remove it together with the generated files"
            no_file = f"{text!r} matches no file"
            if pattern.takes_away:
                no_file += " that a pattern before it does"
                help = "correct the pattern, or remove it; it stands after those from which it takes files away"
            problems.append(_problem(file, where, no_file, help))
    return list(chosen), problems


_OUT_OF_ITS_FOLDER = "out of the folder of this table"
_HIGHER_UP = "put the table at or above what it lists"


def _outside(folder: Path, workflow: Path, out: str, file: Path, where: str) -> Iterator[Diagnostic]:
    """A table that came with a checkout reads and writes nowhere else, whatever its links and placeholders are."""
    if not _is_inside(out):
        yield _problem(file, f"{where}.out", f"for {shown_path(workflow)} it leads {_OUT_OF_ITS_FOLDER}", _HIGHER_UP)
    else:
        for key, path in (("out", beside(folder, out)), ("workflows", workflow)):
            if why := regular_files.why_not(path, folder):
                message = f"{shown_path(path)} is not used: {why}"
                yield _problem(file, f"{where}.{key}", message, regular_files.HELP)


def _cannot_look(file: Path, where: str, pattern: str, error: OSError) -> Diagnostic:
    """A folder that may hold what is asked for, and that cannot be read."""
    place = shown_path(Path(error.filename or file.parent))
    message = f"{pattern!r} may match files in {place}: {regular_files.reason(error)}"
    return table_problem(
        file, where, message, "make the folder readable, or name the folders to look in", code="PFL615"
    )


def _may_be_a_workflow(path: Path) -> bool:
    return path.name != LOWERED and not path.name.endswith(MAP) and path.name not in TABLES


def _name(workflow: Path) -> str:
    """The workflow's name: that of its file, without what says which kind of file it is."""
    for end in _ENDS:
        if workflow.name.endswith(end):
            return workflow.name.removesuffix(end)
    return workflow.stem


def _problems(entry: dict[str, Any], file: Path, where: str) -> Iterator[Diagnostic]:
    for key in sorted(entry.keys() - set(KEYS)):
        yield _problem(file, f"{where}.{key}", f"unknown key {key!r}", near(key, KEYS))
    for key in ("maps", "program", "standalone"):
        if not isinstance(entry.get(key, False), bool):
            yield _problem(file, f"{where}.{key}", not_a_truth(entry[key]))
    workflows = entry.get("workflows")
    patterns = [workflows] if isinstance(workflows, str) else workflows
    if not isinstance(patterns, list) or not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        yield _problem(file, f"{where}.workflows", "not a pattern or a list of them", _WRITE["workflows"])
        patterns = []
    if not isinstance(entry.get("out"), str):
        yield _problem(file, f"{where}.out", "no output folder", _WRITE["out"])
    else:
        for written in _PLACEHOLDER.findall(entry["out"]):
            if written not in PLACEHOLDERS:
                alike = get_close_matches(written, PLACEHOLDERS, 1)
                help = f"did you mean {alike[0]}?" if alike else f"the placeholders are {' and '.join(PLACEHOLDERS)}"
                yield _problem(file, f"{where}.out", f"unknown placeholder {written}", help)
    if not isinstance(entry.get("nodes", ""), str):
        yield _problem(file, f"{where}.nodes", "not the name of a file", _WRITE["nodes"])
    paths = [*(("workflows", pattern.removeprefix("!")) for pattern in patterns)]
    paths += [(key, entry[key]) for key in ("out", "nodes") if isinstance(entry.get(key), str)]
    for key, path in paths:
        if not path:
            yield _problem(file, f"{where}.{key}", "it is empty", _WRITE[key])
        elif key != "nodes" and not _is_inside(path):
            yield _problem(file, f"{where}.{key}", f"{path!r} leads {_OUT_OF_ITS_FOLDER}", _HIGHER_UP)


def _is_inside(path: str) -> bool:
    """Whether a relative path stays in its folder: a table that came with a checkout writes nowhere else."""
    if "\0" in path or os.path.isabs(path) or Path(path).drive:
        return False
    return os.path.normpath(path).replace("\\", "/").split("/")[0] != ".."


def _doubles(found: list[Lowering], file: Path, section: str) -> Iterator[Diagnostic]:
    by_folder: dict[Path, Lowering] = {}
    for lowering in found:
        first = by_folder.setdefault(lowering.folder, lowering)
        if message := first.clash(lowering):
            is_one = first.workflow == lowering.workflow
            help = "say each workflow once, or give it another `out`" if is_one else "put {name} or {folder} into `out`"
            yield _problem(file, section, message, help)


def _problem(file: Path, where: str, message: str, help: str = "") -> Diagnostic:
    return table_problem(file, where, message, help, code="PFL616")
