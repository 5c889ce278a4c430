"""The `./files` that a JSON workflow refers to, put in their places.

pflow reads such files before it compiles, whatever a workflow came from; a prompt may stand in one, with
its `${item}` in it. Its rules: only the parameters below, in `params` and in the objects of an inline
item list, and only values that look like a path. Markdown workflows have this done by pflow itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..diagnostics.diagnostic import Diagnostic, LowerError, Severity, refusal
from ..files import regular_files
from ..files.text_faults import Fault, not_utf_8
from ..ir.document import Positions
from ..ir.paths import Path as DataPath
from ..ir.paths import address, where
from ..node_types.pflow_types import FILE_DATA, FILE_SUFFIXES, FILE_TEXTS
from .json_errors import repeated_keys, syntax_error
from .json_positions import JsonPositions
from .plain_data import NotJson, to_plain_json


def read_files(data: dict[str, Any], name: str, folder: Path | None, positions: Positions) -> None:
    """Replace references to files by what the files hold; `_source_files` of the node says which.

    Without a folder (a dict, standard input) a batch node must not refer to files, and other nodes
    keep their references: whoever runs them reads the files. Raises LowerError (PFL115).
    """
    nodes = data.get("nodes")
    for index, node in enumerate(nodes if isinstance(nodes, list) else ()):
        if not isinstance(node, dict) or (folder is None and "batch" not in node):
            continue
        sources: dict[str, str] = {}
        for path, holder in _holders(node, ("nodes", index)):
            for key in [key for key in holder if _reads_file(key, path) and _is_path(holder[key])]:
                reference = holder[key]
                at = (*path, key)
                try:
                    holder[key] = _content(reference, folder, key)
                except _Unreadable as error:
                    place = positions.find(at)
                    if error.found is not None:  # in the file itself
                        found = error.found._replace(where=where(data, at), via=place)
                        raise LowerError([found]) from error.__cause__
                    raise refusal(
                        "PFL115", name, str(error), place, where=where(data, at), help=error.help
                    ) from error.__cause__
                sources[key if path[-1] == "params" else address((*path[2:], key))] = reference
        known = node.setdefault("_source_files", {}) if sources else None
        if isinstance(known, dict):
            known.update(sources)


class _Unreadable(Exception):
    def __init__(self, message: str, help: str = "", found: Diagnostic | None = None) -> None:
        super().__init__(message)
        self.help = help
        self.found = found


def fault_in_file(fault: Fault, file: Path) -> Diagnostic:
    """The finding about a `fault` of a file that a workflow refers to."""
    name = os.path.normpath(file)
    return Diagnostic("PFL115", Severity.ERROR, fault.message, file=name, position=fault.position, help=fault.help)


def _content(reference: str, folder: Path | None, key: str) -> Any:
    if folder is None:
        help = "give the path of the workflow instead, or write the content here"
        raise _Unreadable(f"{reference} is a file beside the workflow, but the workflow came without a folder", help)
    try:
        read = regular_files.read_beside(folder / reference, folder)
    except regular_files.Refused as error:
        raise _Unreadable(f"the file {reference} is not read: {error.strerror}", regular_files.HELP) from error
    except OSError as error:
        raise _Unreadable(f"cannot read the file {reference}: {regular_files.reason(error)}") from error
    except ValueError as error:
        raise _Unreadable(f"cannot read the file {reference}: there is a NUL in its name") from error
    if fault := not_utf_8(read):
        raise _Unreadable(fault.message, found=fault_in_file(fault, folder / reference))
    content = read.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")  # as text files are read
    if key in FILE_TEXTS:
        return content
    if not reference.endswith(".json"):
        raise _Unreadable(f"{reference}: a JSON workflow reads `{key}` from .json files only")
    twice = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        found = dict(pairs)
        twice = twice or len(found) != len(pairs)
        return found

    try:
        data = to_plain_json(json.loads(content, object_pairs_hook=members)).data
        if twice:
            raise LowerError(repeated_keys(content, data, os.path.normpath(folder / reference), JsonPositions(content)))
        return data
    except json.JSONDecodeError as error:
        name = os.path.normpath(folder / reference)
        (finding,) = syntax_error(error, content, name, JsonPositions(content)).diagnostics
        found = Diagnostic("PFL115", Severity.ERROR, finding.message, "", name, finding.position, finding.help)
        raise _Unreadable(finding.message, found=found) from error
    except (ValueError, RecursionError, NotJson) as error:
        raise _Unreadable(f"the file {reference} is not plain JSON: {error}") from error


def _holders(node: dict[str, Any], path: DataPath) -> Iterator[tuple[DataPath, dict[str, Any]]]:
    """Every object of a node in which a value can be the path of a file."""
    params = node.get("params", {})
    if not isinstance(params, dict):
        return
    yield (*path, "params"), params
    yield path, node  # the whole batch
    batch = node.get("batch")
    items = batch.get("items") if isinstance(batch, dict) else None
    for at, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield (*path, "batch", "items", at), item


def _reads_file(key: str, path: DataPath) -> bool:
    return key == "batch" if len(path) == 2 else key in FILE_TEXTS or key in FILE_DATA


def _is_path(value: object) -> bool:
    """Whether pflow takes a value for the path of a file."""
    if not isinstance(value, str) or not value or any(mark in value for mark in ("${", "\n", " ", "://")):
        return False
    if value.startswith(("./", "../")):
        return True
    return "/" in value and Path(value).suffix.lower() in FILE_SUFFIXES
