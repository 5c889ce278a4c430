"""Older spellings become today's, and what is not plain JSON, or stands twice, is said with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity, refusal
from ..ir.paths import Path as DataPath
from ..ir.paths import where
from .json_positions import Repeated
from .plain_data import NotJson, json_key


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


def non_string_key(path: DataPath, data: object, name: str, position: Position | None) -> Diagnostic:
    """The warning about a key that is not a string."""
    return Diagnostic(
        code="PFL114",
        severity=Severity.WARNING,
        where=where(data, path[:-1]),
        message=f"the key {path[-1]!r} is not a string; in the expanded IR it is {json.dumps(json_key(path[-1]))}",
        file=name,
        position=position,
        help="put it in quotes if a string is meant",
    )


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
