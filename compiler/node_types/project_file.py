"""The tables of pflow-lower in TOML files: pyproject.toml, and files that hold nothing else.

A pyproject.toml in which `pflow-lower` does not occur is somebody else's: it is not parsed, and may be broken.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from ..diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity

PROJECT_FILE = "pyproject.toml"

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Table(NamedTuple):
    """What stands under a key of `[tool.pflow-lower]`, and in which file."""

    file: Path
    value: Any


def nearest_table(folder: Path, *keys: str) -> Table | None:
    """The table `tool.pflow-lower.<keys>` of the nearest pyproject.toml that has it, at `folder` or above; or None.

    Raises: LowerError (PFL410), if a file on the way that mentions pflow-lower cannot be read.
    """
    start = Path(os.path.abspath(folder))
    for parent in (start, *start.parents):
        file = parent / PROJECT_FILE
        table = table_in(file, *keys) if file.is_file() else None
        if table is not None:
            return table
    return None


def table_in(file: Path, *keys: str, code: str = "PFL410") -> Table | None:
    """The table `tool.pflow-lower.<keys>` of the pyproject.toml `file`; None if it has no such table.

    Raises: LowerError with one finding of the code `code`, if it cannot be read.
    """
    content = read_content(file, code)
    if b"pflow-lower" not in content:
        return None
    value: Any = parse_toml(content, file, code)
    for key in ("tool", "pflow-lower", *keys):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return Table(file, value)


def read_toml(file: Path, code: str = "PFL410") -> dict[str, Any]:
    """What a TOML file holds. Raises LowerError with one finding of the code `code`."""
    return parse_toml(read_content(file, code), file, code)


def read_content(file: Path, code: str = "PFL410") -> bytes:
    """The bytes of a TOML file. Raises LowerError with one finding of the code `code`."""
    try:
        return file.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise LowerError([table_problem(file, "", f"cannot be read: {reason}", code=code)]) from error


def parse_toml(content: bytes, file: Path, code: str = "PFL410") -> dict[str, Any]:
    """The TOML in `content`, which is that of `file`. Raises LowerError with one finding of the code `code`."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        data: dict[str, Any] = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise LowerError([table_problem(file, "", "not UTF-8 text", code=code)]) from error
    except RecursionError as error:
        raise LowerError([table_problem(file, "", "nested too deeply", code=code)]) from error
    except tomllib.TOMLDecodeError as error:
        text = str(error)
        place = _PLACE.search(text)
        position = Position(int(place[1]), int(place[2])) if place and place[1] else None
        message = f"TOML: {text[: place.start()] if place else text}"
        raise LowerError([table_problem(file, "", message, code=code, position=position)]) from error
    return data


def table_problem(
    file: Path, where: str, message: str, help: str = "", *, code: str, position: Position | None = None
) -> Diagnostic:
    """An error of the code `code` at the key `where` of a TOML file."""
    return Diagnostic(
        code=code,
        severity=Severity.ERROR,
        message=message,
        where=where,
        file=shown_path(file),
        position=position,
        help=help,
    )


def shown_path(file: Path) -> str:
    """The file's name relative to the working directory, where it is at or below it."""
    absolute = Path(os.path.abspath(file))
    try:
        return absolute.relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return str(file)
