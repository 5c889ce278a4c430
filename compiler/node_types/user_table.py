"""The author's own table of node types: `[tool.pflow-lower.nodes]`, or the file given with `--nodes`.

[tool.pflow-lower.nodes]
shout = "shop.nodes:Shout"
fetch = { class = "shop.nodes:Fetch", async = true, params = { url = "str" } }
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from keyword import iskeyword
from pathlib import Path
from typing import Any, NamedTuple

from ..diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity
from .declared_type import outer_type

KEYS = ("class", "async", "params")
TYPES = (
    *("str", "string", "int", "integer", "float", "number", "bool", "boolean"),
    *("dict", "object", "list", "array", "any"),
)

_SECTION = "tool.pflow-lower.nodes"
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Entry(NamedTuple):
    """One line of the table."""

    module: str
    class_name: str
    is_async: bool | None
    """None if the table does not say."""
    params: Mapping[str, str]
    folder: Path
    """Where the table stands; its modules are looked for there."""


def class_path(text: object) -> tuple[str, str] | None:
    """`pkg.mod:Class` as (module, class); None for anything that an import statement cannot name."""
    if not isinstance(text, str) or not text.isascii():  # Python itself would respell other letters
        return None
    module, colon, name = text.partition(":")
    names = [*module.split("."), name]
    if not colon or not all(part.isidentifier() and not iskeyword(part) for part in names):
        return None
    return module, name


def read_tables(folder: Path | None, nodes_file: Path | None) -> dict[str, Entry]:
    """The entries for a workflow in `folder`; those of `nodes_file` win. Raises LowerError (PFL41x)."""
    entries = {} if folder is None else _from_pyproject(folder)
    if nodes_file is not None:
        data = parse_toml(read_table(nodes_file), nodes_file)
        nested = isinstance(data.get("nodes"), dict) and not isinstance(data["nodes"].get("class"), str)
        if nested and len(data) > 1:
            others = ", ".join(sorted(data.keys() - {"nodes"}))
            raise LowerError([_problem(nodes_file, "", f"beside [nodes] there is {others}", "move it into [nodes]")])
        entries |= _entries(data["nodes"] if nested else data, nodes_file, "nodes" if nested else "")
    return entries


def read_toml(file: Path) -> dict[str, Any]:
    """What a TOML file holds. Raises LowerError (PFL410)."""
    return parse_toml(read_table(file), file)


def _from_pyproject(folder: Path) -> dict[str, Entry]:
    """The table in the nearest pyproject.toml that has one, at `folder` or above."""
    start = Path(os.path.abspath(folder))
    for parent in (start, *start.parents):
        file = parent / "pyproject.toml"
        if not file.is_file():
            continue
        content = read_table(file)
        if b"pflow-lower" not in content:  # saves the parsing, and somebody else's broken file is not ours
            continue
        tool = parse_toml(content, file).get("tool")
        ours = tool.get("pflow-lower") if isinstance(tool, dict) else None
        if isinstance(ours, dict) and "nodes" in ours:
            return _entries(ours["nodes"], file, _SECTION)
    return {}


def _entries(table: object, file: Path, section: str) -> dict[str, Entry]:
    if not isinstance(table, dict):
        raise LowerError([_problem(file, section, "not a table of node types", f"write [{section}]")])
    found: list[Diagnostic] = []
    entries: dict[str, Entry] = {}
    for name, value in table.items():
        where = f"{section}.{name}" if section else name
        problems = list(_problems(value, file, where))
        found += problems
        if not problems:
            entries[name] = _entry(value, file)
    if found:
        raise LowerError(found)
    return entries


def _entry(value: Any, file: Path) -> Entry:
    spec: dict[str, Any] = {"class": value} if isinstance(value, str) else value
    module, name = class_path(spec["class"]) or ("", "")
    return Entry(
        module=module,
        class_name=name,
        is_async=spec.get("async"),
        params={key: outer_type(declared) for key, declared in spec.get("params", {}).items()},
        folder=Path(os.path.abspath(file)).parent,
    )


def _problems(value: object, file: Path, where: str) -> Iterator[Diagnostic]:
    spec = {"class": value} if isinstance(value, str) else value
    example = '"package.module:Class"'
    if not isinstance(spec, dict):
        yield _problem(file, where, "a node type is a string or a table", f"write {example}")
        return
    if "class" not in spec:
        help = f"write class = {example}; a type name with a dot in it needs quotes"
        yield _problem(file, where, "the class is missing", help)
    elif class_path(spec["class"]) is None:
        yield _problem(file, where, f"{spec['class']!r} names no class", f"write {example}")
    for key in spec.keys() - set(KEYS):
        from difflib import get_close_matches  # late: slow to import, and only needed here

        near = get_close_matches(key, KEYS, 1)
        help = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(KEYS)}"
        yield _problem(file, where, f"unknown key {key!r}", help)
    if not isinstance(spec.get("async", False), bool):
        yield _problem(file, f"{where}.async", f"{spec['async']!r} is neither true nor false")
    params = spec.get("params", {})
    if not isinstance(params, dict):
        yield _problem(file, f"{where}.params", "not a table", 'write params = { prompt = "str" }')
        return
    for key, declared in params.items():
        members = declared.split("|") if isinstance(declared, str) else [""]
        if not all(outer_type(member).strip() in TYPES for member in members):
            message = f"{declared!r} is not a parameter type"
            yield _problem(file, f"{where}.params.{key}", message, f"the types are {', '.join(TYPES)}")


def read_table(file: Path, code: str = "PFL410") -> bytes:
    """The bytes of a TOML file. Raises LowerError with one finding of the code `code`."""
    try:
        return file.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise LowerError([_problem(file, "", f"cannot be read: {reason}", code=code)]) from error


def parse_toml(content: bytes, file: Path, code: str = "PFL410") -> dict[str, Any]:
    """The TOML in `content`, which is that of `file`. Raises LowerError with one finding of the code `code`."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        data: dict[str, Any] = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise LowerError([_problem(file, "", "not UTF-8 text", code=code)]) from error
    except RecursionError as error:
        raise LowerError([_problem(file, "", "nested too deeply", code=code)]) from error
    except tomllib.TOMLDecodeError as error:
        text = str(error)
        place = _PLACE.search(text)
        position = Position(int(place[1]), int(place[2])) if place and place[1] else None
        message = f"TOML: {text[: place.start()] if place else text}"
        raise LowerError([_problem(file, "", message, code=code, position=position)]) from error
    return data


def _problem(
    file: Path, where: str, message: str, help: str = "", *, code: str = "PFL411", position: Position | None = None
) -> Diagnostic:
    return Diagnostic(
        code=code,
        severity=Severity.ERROR,
        message=message,
        where=where,
        file=_shown(file),
        position=position,
        help=help,
    )


def _shown(file: Path) -> str:
    """The file's name relative to the working directory, where it is at or below it."""
    absolute = Path(os.path.abspath(file))
    try:
        return absolute.relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return str(file)
