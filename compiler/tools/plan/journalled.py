"""What the journal of an earlier run spares a plan's nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...journals import journal_folder_of
from ...runtime.journal_file import describe
from ...runtime.run import journal_name
from .node import Node


def with_journal(nodes: tuple[Node, ...], workflow: Path) -> tuple[Node, ...]:
    """`nodes` with a note on each that has items in the journal of the workflow in the file `workflow`.

    Raises: JournalError, if it cannot be read: a run that is resumed cannot, either.
    """
    path = journal_folder_of(str(workflow)) / journal_name(str(workflow))
    found = describe(path, to_its_end=True).nodes if path.is_file() else {}
    return _with_notes(nodes, found) if found else nodes


def _with_notes(nodes: tuple[Node, ...], found: Mapping[str, int]) -> tuple[Node, ...]:
    made = []
    for node in nodes:
        count = found.get(node.path.rpartition("/")[2], 0) if node.items is not None else 0
        noted = _noted(node, f"{count} in the journal: a resumed run leaves out those that have not changed")
        made.append((noted if count else node)._replace(inner=_with_notes(node.inner, found)))
    return tuple(made)


def _noted(node: Node, note: str) -> Node:
    return node._replace(notes=(*node.notes, note))
