"""What there is to check: a folder of generated files, and how they were made."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import NamedTuple

from ...options import Options

LOWERED = "lowered.json"
"""The expanded IR, which stands in every folder of generated files."""
MAP = ".map.json"
"""How the name of a source map ends."""


class Lowering(NamedTuple):
    """A folder that holds, or should hold, what `workflow` is lowered to."""

    folder: Path
    workflow: Path
    said_by: Path
    """The file that says so: a generated module, by its header, or a table."""
    program: bool = False
    standalone: bool = False
    nodes_file: Path | None = None

    @property
    def options(self) -> Options:
        """What makes the files again."""
        return Options(
            nodes_file=self.nodes_file, out=self.folder, program=self.program, standalone=self.standalone, code=True
        )


def from_header(module: Path, head: str) -> Lowering | None:
    """The lowering that the header of a generated module tells of; None if this version cannot read it.

    A header without a source (the workflow came from standard input) tells nothing either.
    """
    lines = head.split("\n")
    command = lines[2] if len(lines) > 2 else ""
    if lines[1:2] != ["#"] or not command.startswith("#     pflow-lower "):
        return None
    try:
        name, source, *flags = shlex.split(command[1:])
    except ValueError:  # no closing quote: the line was cut, or the name of a file has odd characters
        return None
    if name != "pflow-lower" or flags[:2] != ["-o", "."]:
        return None
    program = standalone = False
    nodes_file = None
    rest = iter(flags[2:])
    for flag in rest:
        if flag == "--program":
            program = True
        elif flag == "--standalone":
            standalone = True
        elif flag == "--nodes":
            nodes_file = next(rest, None)
        else:
            return None
    return Lowering(
        folder=module.parent,
        workflow=beside(module.parent, source),
        said_by=module,
        program=program,
        standalone=standalone,
        nodes_file=None if nodes_file is None else beside(module.parent, nodes_file),
    )


def beside(folder: Path, name: str) -> Path:
    """`name`, relative to `folder`, as a path without `..` in its middle; links are not followed, as in `cd`."""
    return Path(os.path.normpath(folder / name))


def shown(path: Path) -> str:
    """`path` as users read it: relative to the working directory where it is at or below it."""
    try:
        return Path(os.path.abspath(path)).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()
