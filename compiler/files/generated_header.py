"""Generated files, as they are told from others: the header of modules, and the command that makes them again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from .generated_names import LOWERED as LOWERED
from .generated_names import MADE_BY
from .text_faults import is_marker

MADE_WITHOUT_A_FILE = "it was made from standard input or from Python"
MARK = f"# {MADE_BY}"
"""How the header of every generated module starts."""
FOR_A_RUN = " for a run in pflow"
"""What the header says besides of code that a run has made for itself."""
DUMP = "PFLOW_LOWER_DUMP"
"""The environment variable that names a folder for such files."""
HEADER_BYTES = 8192
"""A header is looked for in so many bytes at the beginning of a file."""

FLAGS = ("--program", "--standalone", "--maps")
"""The options without a value that the command in a header may have: fields of `Header`, and of `Options`."""

_COMMAND = "#     pflow-lower "


class Header(NamedTuple):
    """What the header of a generated module says: how to make the files again."""

    source: str
    """The workflow, relative to the folder of the file."""
    program: bool = False
    standalone: bool = False
    nodes_file: str | None = None
    maps: bool = False


def header_of(content: bytes | str) -> str | None:
    """The header that a file begins with, from its mark on; None if pflow-lower did not make the file.

    What a formatter, a licence hook or a merge writes above it does not take the file away from us: comments, blank
    lines, a byte order mark, the markers of a conflict.
    """
    if isinstance(content, bytes):
        content = content[:HEADER_BYTES].decode("utf-8", "replace")
    lines = content[:HEADER_BYTES].removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines):
        if line.startswith(MARK):
            return "\n".join(lines[number:])
        if line.strip() and not line.startswith("#") and not is_marker(line):
            return None
    return None


def is_dumped(header: str) -> bool:
    """Whether a header (see `header_of`) is that of what a run was told to write down."""
    return header.startswith(f"{MARK}{FOR_A_RUN}.")


def is_expanded(data: Mapping[str, Any]) -> bool:
    """Whether a workflow may be what a `lowered.json` holds: no node of it has a batch."""
    nodes = data.get("nodes")
    return isinstance(nodes, list) and all(isinstance(node, dict) and "batch" not in node for node in nodes)


def read_header(header: str) -> Header | None:
    """What a header (see `header_of`) says; None if this version cannot read it.

    A header without a source (the workflow came from standard input) says nothing either.
    """
    lines = header.split("\n")
    command = lines[2] if len(lines) > 2 else ""
    if lines[1:2] != ["#"] or not command.startswith(_COMMAND):
        return None
    try:
        name, source, *flags = shlex.split(command[1:])
    except ValueError:  # no closing quote: the line was cut, or the name of a file has odd characters
        return None
    if name != "pflow-lower" or flags[:2] != ["-o", "."]:
        return None
    chosen: dict[str, Any] = {}
    rest = iter(flags[2:])
    for flag in rest:
        if flag in FLAGS:
            chosen[flag.removeprefix("--")] = True
        elif flag == "--nodes":
            chosen["nodes_file"] = next(rest, None)
        else:
            return None
    return Header(source.removeprefix("./"), **chosen)
