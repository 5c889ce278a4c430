"""The way from a workflow into those that its nodes start: bounded, whatever they start in turn.

A workflow may start itself, once or several times, directly or through others; ten workflows that each start the next
one ten times are ten billion. A file is read once, a circle is not gone round, and there is an end to all of it; what
is not looked at is said where it would stand.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ... import pipeline
from ...diagnostics.diagnostic import LowerError
from ...files import regular_files
from ...ir.workflow import SourceIR
from ...options import Options

DEEPEST = 10
"""How deep sub-workflows stand in sub-workflows at most, as in pflow."""
_MOST_NODES = 10_000
"""How many nodes of sub-workflows are looked at at most."""


class NotWalked(Exception):
    """A sub-workflow that is not looked at, and why."""


class _Seen:
    """What was read and how many nodes were come by, wherever in the tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Where the first workflow stands: what is outside of that, none of those below reads."""
        self.nodes = 0
        self.read: dict[Path, SourceIR | str] = {}
        """By file the workflow, or why it cannot be read."""


class Walk(NamedTuple):
    """How a workflow was come by: the files from the first one down to it."""

    files: tuple[Path, ...]
    seen: _Seen

    @classmethod
    def of(cls, file: Path) -> Walk:
        """The start of a walk, at the workflow `file`."""
        return cls((_real(file),), _Seen(file.parent))

    def into(self, file: Path, name: str, folder: Path) -> tuple[Walk, SourceIR]:
        """The walk down into the workflow `file`, which a workflow in `folder` calls `name`; and what it says.

        Raises: NotWalked.
        """
        if not file.is_file():
            raise NotWalked(f"the workflow {name} is not a file here: what it does is not known")
        with regular_files.given(self.seen.folder):
            why = regular_files.why_not(file, folder)
        if why:
            raise NotWalked(f"the workflow {name} is not read: {why}; {regular_files.HELP}")
        real = _real(file)
        if real in self.files:
            raise NotWalked(f"the workflow {name} starts itself: how often is not known, and it is not counted again")
        if len(self.files) > DEEPEST:
            raise NotWalked(f"sub-workflows are nested more than {DEEPEST} deep")
        if real not in self.seen.read:
            with regular_files.given(self.seen.folder):
                self.seen.read[real] = _read(file, name)
        ir = self.seen.read[real]
        if isinstance(ir, str):
            raise NotWalked(ir)
        self.seen.nodes += len(ir.nodes)
        if self.seen.nodes > _MOST_NODES:
            raise NotWalked(
                f"sub-workflows have more than {_MOST_NODES:,} nodes in all: what {name} does is not counted"
            )
        return Walk((*self.files, real), self.seen), ir


def _read(file: Path, name: str) -> SourceIR | str:
    try:
        return pipeline.run(os.fspath(file), Options(code=False, children=False)).source
    except LowerError as error:
        return f"the workflow {name} cannot be read: {error.diagnostics[0].message}"


def _real(file: Path) -> Path:
    return Path(os.path.realpath(file))
