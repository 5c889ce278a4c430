"""Where generated files come from, and the command that makes them again, as their header says it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..ir.document import Workflow
from ..options import Options
from .emit import Origin


def origin_of(workflow: Workflow, options: Options) -> Origin:
    """The origin of files made from `workflow`: its path relative to the output folder, and a command.

    Files made from data or from standard input have no source to go back to.
    """
    if isinstance(workflow, Mapping) or os.fspath(workflow) == "-":
        return Origin(source="", command="")
    path = Path(os.fspath(workflow))
    source = _relative(path, options.out if options.out is not None else path.parent)
    flags = [f"--{flag}" for flag in ("program", "standalone") if getattr(options, flag)]
    if options.nodes_file is not None:
        flags += ["--nodes", _relative(options.nodes_file, options.out if options.out is not None else path.parent)]
    return Origin(source=source, command=shlex.join(["pflow-lower", source, "-o", ".", *flags]))


def _relative(path: Path, folder: Path) -> str:
    """`path` as seen from `folder`, with forward slashes; links are not followed, as in `cd`."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive, on Windows
        return path.absolute().as_posix()
