"""Files of items as they are found before a run: there, not there, or for a step of the run to make."""

from __future__ import annotations

import glob
import os
import posixpath
from collections.abc import Iterable
from pathlib import Path

from ...files import regular_files
from ...ir.batch_keys import FILE_KINDS
from ...ir.edges import walk
from ...ir.file_patterns import may_read
from ...ir.report import nearest
from ...ir.template import is_dynamic
from ...ir.workflow import SourceIR, SourceNode
from ...node_types.pflow_types import pflow_type
from ...runtime.streams import is_many


def is_there(path: str, folder: Path) -> bool:
    """Whether there is such a file, or one of many, seen from `folder`; also where nobody is to look."""
    file = folder / Path(path).expanduser()
    if regular_files.why_not(file, folder):
        return True
    if not is_many(os.fspath(file)):
        return os.path.exists(file)
    if "*" in os.fspath(file.parent):  # to go through whole trees takes as long as it takes
        return True
    return any(glob.iglob(os.fspath(file)))


def alike(path: str, folder: Path) -> str:
    """The file beside the one that is not there with nearly its name; "" if there is none."""
    try:
        names = [name for name in os.listdir((folder / path).parent) if name.endswith(FILE_KINDS)]
    except (OSError, ValueError):
        return ""
    return nearest(os.path.basename(path), names) or ""


def may_be_made(path: str, ways: Iterable[tuple[SourceIR, SourceNode]]) -> bool:
    """Whether a step may write `path` before it is read.

    `ways` are the nodes on the way there, each with its workflow: the one that reads it, the one that starts that
    workflow, and so on.
    """
    return any(_may_write(other, path) for ir, node in ways for other in _before(ir, node))


def _before(ir: SourceIR, node: SourceNode) -> list[SourceNode]:
    """The nodes that may run before `node`."""
    sources: dict[str, list[str]] = {}
    for edge in ir.edges_taken:
        sources.setdefault(edge.target, []).append(edge.source)
    found: set[str] = set()
    for name in sources.get(node.id, ()):
        walk(sources, name, found)
    return [other for other in ir.nodes if other.id in found]


def _may_write(node: SourceNode, path: str) -> bool:
    results = node.batch.results_file if node.batch is not None else None
    if results is not None and _may_be(results, path, are_results=True):
        return True
    known = pflow_type(node.type)
    if known is not None and known.writes_file:
        return _may_be(node.params.get(known.writes_file), path, are_results=False)
    # A command, code, an agent or a tool may write whatever it likes.
    return known is None or (known.effects == "perhaps" and node.type != "http")


def _may_be(written: object, path: str, *, are_results: bool) -> bool:
    if not isinstance(written, str) or is_dynamic(written):
        return True
    return may_read(posixpath.normpath(path), posixpath.normpath(written), are_results=are_results)
