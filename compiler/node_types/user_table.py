"""The author's own table of node types: `[tool.pflow-lower.nodes]`, or the file given with `--nodes`.

[tool.pflow-lower.nodes]
shout = "shop.nodes:Shout"
fetch = { class = "shop.nodes:Fetch", async = true, params = { url = "str" } }
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..diagnostics.diagnostic import Diagnostic, LowerError, Severity
from .declared_type import JSON_TYPES, outer_type
from .project_file import nearest_table, not_a_truth, read_toml, table_problem, unknown_key

if TYPE_CHECKING:
    from .class_search import Looked

KEYS = ("class", "async", "params")
TYPES = (*(name for names in JSON_TYPES.items() for name in names), "any")

_CODE = "PFL411"


class Entry(NamedTuple):
    """One line of the table."""

    module: str
    class_name: str
    is_async: bool | None
    """None if the table does not say."""
    params: Mapping[str, str]
    folder: Path
    """Where the table stands; its modules are looked for there."""
    file: Path
    where: str
    """The key of the line: `tool.pflow-lower.nodes.fetch`."""


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
    table = None if folder is None else nearest_table(folder, "nodes")
    entries = {} if table is None else _entries(table.value, table.file, table.section)
    if nodes_file is not None:
        data = read_toml(nodes_file)
        nested = isinstance(data.get("nodes"), dict) and not isinstance(data["nodes"].get("class"), str)
        if nested and len(data) > 1:
            others = ", ".join(sorted(data.keys() - {"nodes"}))
            raise LowerError([_problem(nodes_file, "", f"beside [nodes] there is {others}", "move it into [nodes]")])
        entries |= _entries(data["nodes"] if nested else data, nodes_file, "nodes" if nested else "")
    return entries


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
            entries[name] = _entry(value, file, where)
    if found:
        raise LowerError(found)
    return entries


def _entry(value: Any, file: Path, where: str) -> Entry:
    spec: dict[str, Any] = {"class": value} if isinstance(value, str) else value
    module, name = class_path(spec["class"]) or ("", "")
    return Entry(
        module=module,
        class_name=name,
        is_async=spec.get("async"),
        params={key: outer_type(declared) for key, declared in spec.get("params", {}).items()},
        folder=Path(os.path.abspath(file)).parent,
        file=file,
        where=where,
    )


def otherwise_by_source(entry: Entry, looked: Looked) -> Diagnostic | None:
    """What is wrong if the table says of a class whether it is asynchronous, and its source says otherwise.

    A warning: where the application is not installed, there is no source to say so.
    """
    if entry.is_async is None or looked.runs_async in (None, entry.is_async):
        return None
    is_not = "is not" if entry.is_async else "is"
    place = f"{entry.module}:{entry.class_name}"
    said = f"the table says async = {str(entry.is_async).lower()}"
    message = f"{said}, but the class {place} {is_not} asynchronous: it inherits from {looked.base}"
    help = (
        "write async = false, or leave it out: a step of this class, or items side by side, would fail"
        if entry.is_async
        else "write async = true, or leave it out: items side by side run in threads, not as tasks"
    )
    found = table_problem(entry.file, f"{entry.where}.async", message, help, code="PFL338")
    return found._replace(severity=Severity.WARNING)


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
        yield unknown_key(file, where, key, KEYS, code=_CODE)
    if not isinstance(spec.get("async", False), bool):
        yield _problem(file, f"{where}.async", not_a_truth(spec["async"]))
    params = spec.get("params", {})
    if not isinstance(params, dict):
        yield _problem(file, f"{where}.params", "not a table", 'write params = { prompt = "str" }')
        return
    for key, declared in params.items():
        members = declared.split("|") if isinstance(declared, str) else [""]
        if not all(outer_type(member).strip() in TYPES for member in members):
            message = f"{declared!r} is not a parameter type"
            yield _problem(file, f"{where}.params.{key}", message, f"the types are {', '.join(TYPES)}")


def _problem(file: Path, where: str, message: str, help: str = "") -> Diagnostic:
    return table_problem(file, where, message, help, code=_CODE)
