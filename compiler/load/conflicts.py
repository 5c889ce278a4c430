"""Conflicts of a merge that nobody has resolved: to Markdown and to a prompt their markers are text like any other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..diagnostics.diagnostic import Diagnostic, Position, Severity
from ..files import regular_files
from ..files.text_faults import NOT_RESOLVED, ONE_SIDE, conflict
from .json_positions import LineIndex


def in_text(text: str, name: str, at: Callable[[int], Position]) -> Iterator[Diagnostic]:
    """The first conflict in a text, at its first marker; a file with one usually has more."""
    first = conflict(text)
    if first is not None:
        message = f"{NOT_RESOLVED}: its markers `<<<<<<<`, `=======` and `>>>>>>>` are read as text"
        yield Diagnostic("PFL120", Severity.WARNING, message, file=name, position=at(first), help=ONE_SIDE)


def in_files(data: Mapping[str, Any], folder: Path) -> Iterator[Diagnostic]:
    """The same of every file that the nodes of a workflow in `folder` have been read from."""
    nodes = data.get("nodes")
    references: dict[str, None] = {}
    for node in nodes if isinstance(nodes, list) else ():
        sources = node.get("_source_files") if isinstance(node, Mapping) else None
        if isinstance(sources, Mapping):
            references.update(dict.fromkeys(name for name in sources.values() if isinstance(name, str)))
    for reference in references:
        text = regular_files.read_beside(folder / reference, folder).decode("utf-8")
        yield from in_text(text, os.path.normpath(folder / reference), LineIndex(text).position)
