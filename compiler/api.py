"""The Python API: `lower` and what it gives back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import pipeline
from .diagnostics.diagnostic import Diagnostic
from .files import regular_files
from .ir.lowered import LoweredIR
from .options import Options


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """A lowered workflow."""

    ir: Mapping[str, Any]
    """The expanded IR: the workflow with no `batch` key left in it."""
    files: Mapping[str, str]
    """The generated files by path: `lowered.json`, `nodes.py`, and what else was asked for."""
    diagnostics: tuple[Diagnostic, ...]
    """Warnings, sorted by place. (Errors are raised.)"""
    _lowered: LoweredIR = field(repr=False)
    _marked: Mapping[str, str] = field(repr=False)

    def load(self) -> dict[str, type]:
        """The generated classes by node id, from modules that exist in memory only.

        A class takes the node to run for each item: `lowered.load()["classify"](LLMNode())`. Its
        methods' source is known to tracebacks, debuggers and `inspect.getsource`.
        """
        from .write.write import load_classes

        return load_classes(self._lowered, self._marked)

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the files into `folder` and return the paths of those that changed.

        Raises: LowerError (PFL601, PFL602), if a file of yours is in the way or writing fails; then
        nothing was replaced.
        """
        from .write.write import write

        return write(self.files, Path(folder))


def lower(
    workflow: str | os.PathLike[str] | Mapping[str, Any],
    *,
    nodes: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    program: bool = False,
    standalone: bool = False,
    maps: bool = False,
    allow_outside: bool = False,
) -> Lowered:
    """Lower `workflow`: the path of a `.json` or `.pflow.md` file, or the IR itself as a dict.

    `nodes` is a TOML file that says which class each node type is; `out` the folder the files are
    meant for, which their headers name the workflow relative to; `program` adds `flow.py`,
    `standalone` a copy of the runtime, and `maps` source maps, as on the command line.

    Files that the workflow names (`"prompt": "./ask.md"`) are read from its repository, or from its folder where that
    is not part of one; with `allow_outside`, from anywhere.

    Raises: LowerError, with every finding, if the workflow cannot be lowered.
    """
    options = Options(
        nodes_file=None if nodes is None else Path(nodes),
        out=None if out is None else Path(out),
        program=program,
        standalone=standalone,
        maps=maps,
    )
    with regular_files.outside_allowed(allow_outside):
        compiled = pipeline.run(workflow, options)
    return Lowered(
        ir=compiled.lowered.document,
        files=compiled.files,
        diagnostics=compiled.diagnostics,
        _lowered=compiled.lowered,
        _marked=compiled.marked,
    )
