"""The workflows that arguments stand for: files as they are, folders searched."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...diagnostics.diagnostic import Diagnostic, Severity
from ..shared.workflow_files import walk

_MOST = 32 * 1024 * 1024


def workflows(arguments: Iterable[str]) -> Iterator[str]:
    """Every workflow once, in order: what is named, and what folders hold.

    In a folder, `.pflow.md` files are workflows, and `.json` files that hold a list `nodes` of objects with a `type`;
    hidden folders, those of tools, and `lowered.json`, which pflow-lower made, are passed by.
    """
    seen: set[str] = set()
    for argument in arguments:
        for name in _inside(argument) if argument != "-" and os.path.isdir(argument) else [argument]:
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


def _inside(folder: str) -> Iterator[str]:
    unreadable: list[str] = []
    for found in walk(Path(folder), lambda error: unreadable.append(str(error.filename)), hidden=False):
        for name in sorted(found.files):
            path = os.path.join(found.path, name)
            is_json = name.endswith(".json") and name != "lowered.json" and not name.endswith(".map.json")
            if name.endswith(".pflow.md") or (is_json and _is_workflow(Path(path))):
                yield os.path.normpath(path)
    yield from unreadable  # to be read like a file, which then says what is wrong


def _is_workflow(file: Path) -> bool:
    """Whether a JSON file looks like one. A file that is not JSON is nobody's workflow as far as can be seen."""
    try:
        content = file.read_bytes() if file.stat().st_size <= _MOST else b""
        data = json.loads(content) if b'"nodes"' in content else None
    except (OSError, ValueError, RecursionError):
        return False
    nodes = data.get("nodes") if isinstance(data, dict) else None
    return isinstance(nodes, list) and bool(nodes) and all(isinstance(n, dict) and "type" in n for n in nodes)
