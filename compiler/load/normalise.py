"""Older spellings become today's, and what is not plain JSON, or stands twice, is said with its place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ..diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity, refusal
from ..ir.paths import Path as DataPath
from ..ir.paths import where
from .json_positions import Repeated
from .plain_data import NotJson, Plain, instead_of, json_key, no_json_form


def normalised(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with what pflow fills in before it compiles a workflow (changed in place)."""
    if "ir_version" not in data:
        data["ir_version"] = "0.1.0"
    nodes = data.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, dict) and "parameters" in node and "params" not in node:
            node["params"] = node.pop("parameters")
    return data


def not_json_error(unfit: NotJson, data: object, name: str, position: Position | None) -> LowerError:
    """What `to_plain_json` refused, as an error."""
    return refusal(unfit.code, name, unfit.message, position, where=where(data, unfit.path), help=unfit.help)


def of_yaml_only(
    plain: Plain,
    name: str,
    find: Callable[[DataPath], Position | None],
    find_key: Callable[[DataPath], Position | None],
) -> Iterator[Diagnostic]:
    """The warnings about what pflow reads from YAML and JSON has not: keys that are no strings, dates."""
    for path in plain.non_string_keys:
        yield Diagnostic(
            code="PFL114",
            severity=Severity.WARNING,
            where=where(plain.data, path[:-1]),
            message=f"the key {path[-1]!r} is not a string; {_in_the_ir(json_key(path[-1]))}",
            file=name,
            position=find_key((*path[:-1], str(path[-1]))),
            help="put it in quotes if a string is meant",
        )
    for path, value in plain.replaced:
        now = plain.data
        for step in path:
            now = now[step]
        yield Diagnostic(
            code="PFL113",
            severity=Severity.WARNING,
            where=where(plain.data, path),
            message=f"{no_json_form(value)}; {_in_the_ir(now) if isinstance(now, str) else 'it is read as a list'}",
            file=name,
            position=find(path),
            help=f"{instead_of(value)}; inside pflow the whole workflow stays interpreted until then",
        )


def _in_the_ir(text: str) -> str:
    return f"in the expanded IR it is {json.dumps(text, ensure_ascii=False)}"


def repeated_key(
    repeated: Repeated, at: Callable[[int], Position], name: str, address: str, severity: Severity, readers: str
) -> Diagnostic:
    """The finding about a key that stands twice, of which `readers` keep the last."""
    return Diagnostic(
        code="PFL106",
        severity=severity,
        where=address,
        message=f"the key {json.dumps(repeated.path[-1])} stands twice; first on line {at(repeated.first).line}",
        file=name,
        position=at(repeated.offset),
        help=f"remove one of them; {readers} would silently keep the last",
    )
