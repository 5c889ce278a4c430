"""The tables of pflow-lower in TOML files: pyproject.toml, and files that hold nothing else.

A pyproject.toml in which `pflow-lower` does not occur is somebody else's: it may be broken. A table in it that is meant
for pflow-lower, and stands where nobody reads it, is an error all the same.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity
from ..files import regular_files
from ..files.text_faults import conflict_in_broken, not_utf_8
from ..ir.report import nearest
from .table_positions import position_of

PROJECT_FILE = "pyproject.toml"
TABLES = ("journal", "lint", "lowerings", "nodes", "on", "rates")
"""What may stand under `[tool.pflow-lower]`."""

_MEANT = re.compile(r"(?:tools?\.)?p_?flow[-_. ]{0,2}l?ow?er(?:s|ed|ings?)?(\..*)?", re.IGNORECASE | re.DOTALL)
_MAY_BE_MEANT = re.compile(rb"p_?flow|lowering", re.IGNORECASE)
_DEEPEST = 3  # `tool`, `pflow`, `lower`

_PLAIN_KEY = re.compile(r"[\w-]+")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Table(NamedTuple):
    """What stands under a key of `[tool.pflow-lower]`, and where."""

    file: Path
    section: str
    """The key with those around it, as the file has it: `tool.pflow-lower.rates`."""
    value: Any


def nearest_table(folder: Path, *keys: str, own_file: str = "") -> Table | None:
    """The table `tool.pflow-lower.<keys>` of the nearest pyproject.toml that has it, at `folder` or above; or None.

    With `own_file`, a file of that name comes before the pyproject.toml beside it; there, the table may be called
    `<keys>` alone. Within a repository nothing above it is asked.

    Raises: LowerError (PFL410), if a file on the way that mentions pflow-lower cannot be read.
    """
    for parent in folders_asked(folder):
        for name in (own_file, PROJECT_FILE) if own_file else (PROJECT_FILE,):
            file = parent / name
            table = table_in(file, *keys, is_ours=name == own_file) if file.is_file() else None
            if table is not None:
                return table
    return None


def folders_asked(folder: Path) -> Iterator[Path]:
    """`folder` and those above it in which tables for it may stand: up to the root of its repository."""
    start = Path(os.path.abspath(folder))
    repository = regular_files.repository_of(start)
    for parent in (start, *start.parents):
        yield parent
        if parent == repository:  # what stands above is not the repository's
            break


def table_in(file: Path, *keys: str, code: str = "PFL410", is_ours: bool = False) -> Table | None:
    """The table `tool.pflow-lower.<keys>` of the TOML file `file`; None if it has no such table.

    A file that holds nothing but tables of ours (`is_ours`) may call it `<keys>` alone.

    Raises: LowerError with one finding of the code `code`, if it cannot be read.
    """
    content = read_content(file, code)
    letters = content.replace(b"\0", b"")  # of UTF-16 and UTF-32, too, of which it is then said that they are
    is_meant = is_ours or b"pflow-lower" in letters
    if not is_meant and _MAY_BE_MEANT.search(letters) is None:
        return None
    try:
        data = parse_toml(content, file, code)
    except LowerError:
        if is_meant:
            raise
        return None
    if is_ours and (table := _table_at(data, file, keys)) is not None:
        return table
    if wrong := [*_misplaced(data, file, code), *_unknown(data, file, code)]:
        raise LowerError(wrong)
    return _table_at(data, file, ("tool", "pflow-lower", *keys))


def _table_at(data: Any, file: Path, keys: tuple[str, ...]) -> Table | None:
    for key in keys:
        if not isinstance(data, dict) or key not in data:
            return None
        data = data[key]
    return Table(file, ".".join(keys), data)


def _unknown(data: Mapping[str, Any], file: Path, code: str) -> Iterator[Diagnostic]:
    """What nobody reads under `[tool.pflow-lower]`: a misspelt name is a table that is not there."""
    tool = data.get("tool")
    table = tool if isinstance(tool, dict) else {}
    for where, known in (("tool.pflow-lower", TABLES), ("tool.pflow-lower.lint", ("ignore",))):
        key = where.rpartition(".")[2]
        if key not in table:
            return
        table = table[key]
        if not isinstance(table, dict):
            yield table_problem(file, where, "not a table", f"write [{where}]", code=code)
            return
        yield from (unknown_key(file, where, key, known, code=code) for key in table if key not in known)


def _misplaced(data: Mapping[str, Any], file: Path, code: str) -> Iterator[Diagnostic]:
    """Tables that are meant to be `[tool.pflow-lower]`, or in it: `[tool.pflow_lower]`, `[tools.pflow-lower.nodes]`.

    A table of another tool whose name is no more than a part of ours, or begins with it, is not one.
    """
    for path, rest in _meant(data):
        instead = "[[tool.pflow-lower.lowerings]]" if rest == ".lowerings" else f"[tool.pflow-lower{rest}]"
        help = f"did you mean {instead}?"
        yield table_problem(file, _as_key(path), f"unknown table {path[-1]!r}", help, code=code)
    if file.name == PROJECT_FILE and _is_table(data.get("lowerings")):
        help = "write [[tool.pflow-lower.lowerings]]; [[lowerings]] is for pflow-lower.toml"
        yield table_problem(file, "lowerings", "nobody reads this table here", help, code=code)


def _meant(data: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The ways to tables that are meant to be ours, and what in their last name comes after that: `.lowerings`."""
    for key, value in data.items():
        here = (*path, key)
        if here == ("tool", "pflow-lower") or not _is_table(value):
            continue
        if found := _MEANT.fullmatch(".".join(here)):
            yield here, found[1] or ""
        elif isinstance(value, dict) and len(here) < _DEEPEST:
            yield from _meant(value, here)


def _is_table(value: object) -> bool:
    """Whether it is a table, or a list of tables."""
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict) for each in value))


def _as_key(path: Sequence[str]) -> str:
    """A way to a table as TOML has it."""
    return ".".join(key if _PLAIN_KEY.fullmatch(key) else f'"{key}"' for key in path)


def unknown_key(file: Path, where: str, key: str, known: Sequence[str], *, code: str) -> Diagnostic:
    """An error of the code `code` about the `key` of the table `where`, in which the `known` ones may stand."""
    return table_problem(file, f"{where}.{key}", f"unknown key {key!r}", near(key, known), code=code)


NOT_NODES = "not a table of nodes"


def not_a_truth(value: object) -> str:
    """What is wrong with a value that must be true or false."""
    return f"{value!r} is neither true nor false"


def near(key: str, known: Sequence[str]) -> str:
    """What to say of an unknown `key` where the `known` ones may stand."""
    found = nearest(key, known)
    return f"did you mean {found}?" if found else f"the keys are {', '.join(known)}"


def read_toml(file: Path, code: str = "PFL410") -> dict[str, Any]:
    """What a TOML file holds. Raises LowerError with one finding of the code `code`."""
    return parse_toml(read_content(file, code), file, code)


def read_content(file: Path, code: str = "PFL410") -> bytes:
    """The bytes of a TOML file. Raises LowerError with one finding of the code `code`."""
    try:
        return regular_files.read_beside(file, file.parent)
    except OSError as error:
        message = f"cannot be read: {regular_files.reason(error)}"
        raise LowerError([table_problem(file, "", message, code=code)]) from error


def parse_toml(content: bytes, file: Path, code: str = "PFL410") -> dict[str, Any]:
    """The TOML in `content`, which is that of `file`. Raises LowerError with one finding of the code `code`."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    if fault := not_utf_8(content):
        raise LowerError([table_problem(file, "", fault.message, fault.help, code=code, position=fault.position)])
    written = content.decode("utf-8-sig")
    try:
        data: dict[str, Any] = tomllib.loads(written)
    except RecursionError as error:
        raise LowerError([table_problem(file, "", "nested too deeply", code=code)]) from error
    except tomllib.TOMLDecodeError as error:
        if fault := conflict_in_broken(written):
            found = table_problem(file, "", fault.message, fault.help, code=code, position=fault.position)
            raise LowerError([found]) from error
        text = str(error)
        place = _PLACE.search(text)
        position = Position(int(place[1]), int(place[2])) if place and place[1] else None
        message = f"TOML: {text[: place.start()] if place else text}"
        raise LowerError([table_problem(file, "", message, code=code, position=position)]) from error
    return data


def table_problem(
    file: Path, where: str, message: str, help: str = "", *, code: str, position: Position | None = None
) -> Diagnostic:
    """An error of the code `code` at the key `where` of a TOML file, with its place, if it is found."""
    if position is None and where:
        try:
            position = position_of(regular_files.read_beside(file, file.parent).decode("utf-8-sig"), where)
        except (OSError, UnicodeDecodeError):
            position = None
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


def as_argument(file: Path) -> str:
    """The file, or folder, as an argument of a command that somebody is told to give."""
    name = shown_path(file)
    return shlex.quote(f"./{name}" if name.startswith("-") else name)
