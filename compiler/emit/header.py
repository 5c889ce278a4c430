"""Where generated files come from, and the command that makes them again, as their header says it.

`generated_header` reads it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from ..diagnostics.diagnostic import is_utf_8, refusal
from ..files.generated_header import FLAGS
from ..ir.document import Workflow, file_of
from ..options import Options
from .emit import SourceHeader


def source_header(
    workflow: Workflow, options: Options, class_folders: Iterable[Path] = (), journals: tuple[Path, str] | None = None
) -> SourceHeader:
    """What the header says of files made from `workflow`: its path relative to the output folder, and a command.

    Files made from data or from standard input have no source to go back to. A program looks for the classes of its
    steps in `class_folders`, and has its journals where a table says so: its folder, and what it says.
    """
    path = file_of(workflow)
    if path is None:
        return SourceHeader(source="", command="")
    for name in (path, options.nodes_file or path, options.out or path):
        if not is_utf_8(os.path.abspath(name)):
            message = "a name on the way to it is not UTF-8 (in this locale), and could not be written into a header"
            raise refusal("PFL602", str(name), message, help="rename the file, or the folder")
    out = options.out if options.out is not None else path.parent
    source = _relative(path, out)
    flags = [flag for flag in FLAGS if getattr(options, flag.removeprefix("--"))]
    if options.nodes_file is not None:
        flags += ["--nodes", _relative(options.nodes_file, out)]
    return SourceHeader(
        source=source,
        command=shlex.join(["pflow-lower", _as_argument(source), "-o", ".", *flags]),
        class_folders=tuple(_relative(folder, out) for folder in class_folders),
        journals=_journals(journals, out),
    )


def _journals(said: tuple[Path, str] | None, out: Path) -> str:
    if said is None:
        return ""
    folder, name = said
    return name if os.path.isabs(name) else _relative(folder / name, out)


def _as_argument(source: str) -> str:
    """The path of a workflow on the command line, where it must be neither an option nor the name of a command."""
    is_plain = not source.startswith("-") and ("/" in source or "." in source)
    return source if is_plain else f"./{source}"


def _relative(path: Path, folder: Path) -> str:
    """`path` as seen from `folder`, with forward slashes; links are not followed, as in `cd`."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive, on Windows
        return path.absolute().as_posix()
