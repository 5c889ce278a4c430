"""What is known of a generated file: where its lines come from, and whether that is still true.

The workflow is lowered again in memory, with a source map. Where that gives another file, the map that was written
beside it (`--maps`) tells of the state that it was made from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...diagnostics.diagnostic import LowerError, Position, printable
from ...emit.source_map import RULES, VERSION, Mapped, checksum, map_text, maps_of
from ...files import regular_files
from ...files.generated_header import MADE_WITHOUT_A_FILE, Header, header_of, read_header
from ...files.generated_names import PROGRAM
from ...load.load import MAX_BYTES
from ...options import Options
from ...write.generated_folder import MAP


class CannotExplain(Exception):
    """There is no such code, file or line, or nothing is known of it."""


class GeneratedFile(NamedTuple):
    """What is known of a generated file."""

    lines: Sequence[Mapped]
    workflow: Path
    """The workflow's file, whether it is still there or not."""
    remarks: tuple[str, ...] = ()
    """Why what is known may not be true any more."""


def known_of(file: Path, text: str) -> GeneratedFile:
    """The map of a generated file, and whether it is still true.

    Raises: CannotExplain for a file that is not generated, and where neither a map nor the workflow is there.
    """
    name, folder = file.name, file.parent
    written = _read_map(file, text)
    command = _command(file, text)
    workflow = folder / str(written["source"]) if written else folder / command.source if command else None
    if workflow is None:
        message = f"is not a file that pflow-lower generated, or {MADE_WITHOUT_A_FILE}"
        raise CannotExplain(
            f"{printable(str(file))} {message}: no source map is beside it, and no header names a workflow"
        )
    header = command or Header(source=str(workflow), program=name == PROGRAM)
    made, problem = _made_again(workflow, folder, header, name)
    if made is not None and made[0] == text:
        return GeneratedFile(made[1], workflow)
    why = problem or f"{name} is not what {shown(workflow)} is lowered to today"
    if written is None:
        raise CannotExplain(f"{name} cannot be explained: {why}, and no source map is beside it")
    if problem is None:
        problem = f"{why}: what is said here is of an earlier state"
    return GeneratedFile([_mapped(row) for row in written["lines"]], workflow, (problem,))


def map_of(file: str) -> str:
    """The source map of a generated file, made anew; "" if it is not what its workflow is lowered to today."""
    path = Path(file)
    text = read(path)
    header = _command(path, text)
    if header is None:
        return ""
    made, _ = _made_again(path.parent / header.source, path.parent, header, path.name)
    return map_text(path.name, text, header.source, made[1]) if made is not None and made[0] == text else ""


def _made_again(
    workflow: Path, folder: Path, header: Header, name: str
) -> tuple[tuple[str, Sequence[Mapped]] | None, str | None]:
    """The file as it would be generated today with its mapped lines, or why it cannot be."""
    from ... import pipeline

    if not workflow.is_file():
        return None, f"{shown(workflow)} is not there any more"
    options = Options(
        nodes_file=folder / header.nodes_file if header.nodes_file is not None else None,
        out=folder,
        program=header.program or name == PROGRAM,
        standalone=header.standalone,
        maps=header.maps,
    )
    try:
        compiled = pipeline.run(shown(workflow), options)
    except LowerError as error:
        first = error.diagnostics[0].render().splitlines()[0]
        return None, f"{shown(workflow)} cannot be lowered any more: {first}"
    if name not in compiled.files:
        return None, f"{shown(workflow)} is not lowered to a file {name} any more"
    marked = {name: compiled.marked[name]} if name in compiled.marked else {}
    return (compiled.files[name], maps_of(compiled.lowered, marked).get(name, [])), None


def _command(file: Path, text: str) -> Header | None:
    """What the header says; a file without a header of its own has its neighbour's."""
    head = header_of(text)
    if head is None and file.suffix == ".json":
        modules = sorted(path for path in file.parent.glob("*.py") if path.is_file())
        head = next((found for path in modules if (found := header_of(_text(path))) is not None), None)
    return None if head is None else read_header(head)


def _read_map(file: Path, text: str) -> dict[str, Any] | None:
    """The content of the map beside `file`; None if there is none, or none of this version and this very file."""
    beside = file.with_name(f"{file.name}{MAP}")
    try:
        data = json.loads(_text(beside) or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("version") != VERSION or data.get("file") != file.name:
        return None
    if data.get("crc32") != checksum(text):
        return None
    return data if isinstance(data.get("source"), str) and _are_rows(data.get("lines")) else None


def _are_rows(rows: object) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, dict)
        and all(isinstance(row.get(key), int) for key in ("first", "last"))
        and all(isinstance(row.get(key), int | None) for key in ("line", "column"))
        and all(isinstance(row.get(key), str) for key in ("node", "field"))
        and row.get("rule") in RULES
        for row in rows
    )


def _mapped(row: dict[str, Any]) -> Mapped:
    position = Position(row["line"], row["column"] or 1) if row["line"] else None
    path = tuple(row["field"].split(".")) if row["field"] else ()
    return Mapped(row["first"], row["last"], path, row["node"], row["field"], row["rule"], position)


def shown(path: Path) -> str:
    """The path as short as it can be said from here."""
    try:
        return os.path.relpath(path)
    except ValueError:  # another drive, on Windows
        return str(path)


def read(file: Path) -> str:
    """The text of a generated file. Raises: CannotExplain."""
    try:
        return regular_files.read(file, most=MAX_BYTES).decode("utf-8")
    except OSError as error:
        raise CannotExplain(f"{printable(str(file))}: {regular_files.reason(error)}") from error
    except UnicodeDecodeError as error:
        raise CannotExplain(f"{printable(str(file))} is not UTF-8 text") from error


def _text(file: Path) -> str:
    """The text of a file that need not be there."""
    try:
        return regular_files.read(file).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def lines_of(workflow: Path) -> list[str]:
    """The lines of the workflow; none if it cannot be read."""
    text = _text(workflow)
    return text.split("\n") if text else []
