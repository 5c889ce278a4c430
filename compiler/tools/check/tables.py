"""Tables that list workflows and the folders of their generated files.

    [[tool.pflow-lower.lowerings]]           # in pyproject.toml; in pflow-lower.toml: [[lowerings]]
    workflows = ["flows/*.pflow.md"]         # one pattern or several, relative to this file
    out = "generated/{name}"                 # {name}: the workflow's, {folder}: that of its folder
    program = true                           # as --program; also: standalone, maps, nodes

A table is needed only for files that are not there yet: a generated module knows its source.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...diagnostics.diagnostic import Diagnostic, LowerError, Severity
from ...generated_folder import LOWERED, MAP
from ...node_types.project_file import PROJECT_FILE, read_toml, table_in
from ..shared.globs import Glob
from .lowering import Lowering, beside, shown

TABLES = ("pflow-lower.toml", "pyproject.toml")
"""The files in which a table may stand."""
KEYS = ("maps", "nodes", "out", "program", "standalone", "workflows")
_ENDS = (".pflow.md", ".md", ".json")


def read(file: Path) -> tuple[list[Lowering], list[Diagnostic]]:
    """The lowerings that the table in `file` lists, and what is wrong with it; nothing if it has no table."""
    try:
        if file.name == PROJECT_FILE:
            table = table_in(file, "lowerings", code="PFL616")
            entries = None if table is None else table.value
        else:
            entries = read_toml(file, "PFL616").get("lowerings")
    except LowerError as error:
        return [], list(error.diagnostics)
    if entries is None:
        return [], []
    section = "tool.pflow-lower.lowerings" if file.name == PROJECT_FILE else "lowerings"
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


def _lowerings(entry: dict[str, Any], file: Path, where: str) -> tuple[list[Lowering], list[Diagnostic]]:
    folder = file.parent
    found: dict[Path, Lowering] = {}
    problems = []
    patterns = entry["workflows"]
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        try:
            workflows = _matches(folder, pattern)
        except ValueError as error:
            problems.append(_problem(file, f"{where}.workflows", str(error)))
            continue
        if not workflows:
            help = "correct the pattern, or remove it together with the generated files"
            problems.append(_problem(file, f"{where}.workflows", f"{pattern!r} matches no file", help))
        for workflow in workflows:
            inside = workflow.relative_to(folder)
            out = entry["out"].replace("{name}", _name(workflow)).replace("{folder}", inside.parent.as_posix())
            found[workflow] = Lowering(
                folder=beside(folder, out),
                workflow=workflow,
                said_by=file,
                program=entry.get("program", False),
                standalone=entry.get("standalone", False),
                nodes_file=beside(folder, entry["nodes"]) if "nodes" in entry else None,
                maps=entry.get("maps", False),
            )
    return list(found.values()), problems


def _matches(folder: Path, pattern: str) -> list[Path]:
    """Raises: ValueError, if it is not a pattern."""
    return [
        path
        for path in Glob(pattern).files(folder)
        if path.name != LOWERED and not path.name.endswith(MAP) and path.name not in TABLES
    ]


def _name(workflow: Path) -> str:
    """The workflow's name: that of its file, without what says which kind of file it is."""
    for end in _ENDS:
        if workflow.name.endswith(end):
            return workflow.name.removesuffix(end)
    return workflow.stem


def _problems(entry: dict[str, Any], file: Path, where: str) -> Iterator[Diagnostic]:
    for key in sorted(entry.keys() - set(KEYS)):
        yield _problem(file, where, f"unknown key {key!r}", f"the keys are {', '.join(KEYS)}")
    for key in ("maps", "program", "standalone"):
        if not isinstance(entry.get(key, False), bool):
            yield _problem(file, f"{where}.{key}", f"{entry[key]!r} is neither true nor false")
    workflows = entry.get("workflows")
    patterns = [workflows] if isinstance(workflows, str) else workflows
    if not isinstance(patterns, list) or not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        yield _problem(
            file, f"{where}.workflows", "not a pattern or a list of them", 'write workflows = ["flows/*.json"]'
        )
        patterns = []
    if not isinstance(entry.get("out"), str):
        yield _problem(file, f"{where}.out", "no output folder", 'write out = "generated/{name}"')
    if not isinstance(entry.get("nodes", ""), str):
        yield _problem(file, f"{where}.nodes", "not the name of a file", 'write nodes = "nodes.toml"')
    paths = [*(("workflows", pattern) for pattern in patterns), ("out", entry.get("out"))]
    for key, path in paths:
        if isinstance(path, str) and not _is_inside(path):
            help = "put the table at or above what it lists"
            yield _problem(file, f"{where}.{key}", f"{path!r} leads out of the folder of this table", help)


def _is_inside(path: str) -> bool:
    """Whether a relative path stays in its folder: a table that came with a checkout writes nowhere else."""
    if not path or "\0" in path or os.path.isabs(path) or Path(path).drive:
        return False
    return os.path.normpath(path).replace("\\", "/").split("/")[0] != ".."


def _doubles(found: list[Lowering], file: Path, section: str) -> Iterator[Diagnostic]:
    by_folder: dict[Path, Lowering] = {}
    for lowering in found:
        first = by_folder.setdefault(lowering.folder, lowering)
        if first.workflow != lowering.workflow:
            names = f"{shown(first.workflow)} and {shown(lowering.workflow)}"
            message = f"{names} are both written to {shown(lowering.folder)}"
            yield _problem(file, section, message, "put {name} or {folder} into `out`")


def _problem(file: Path, where: str, message: str, help: str = "") -> Diagnostic:
    return Diagnostic(code="PFL616", severity=Severity.ERROR, message=message, where=where, file=shown(file), help=help)
