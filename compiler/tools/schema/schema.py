"""The JSON Schemas that `pflow-lower schema` prints.

That of workflows is what `validate` works with, with words for people in it; what comes out of commands is
described by the `*.schema.json` of the package.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...node_types.pflow_types import TYPES
from ...validate import schema as validate_schema

_PACKAGE = Path(__file__).parents[2]
_END = ".schema.json"

_PRIVATE = "Written by pflow's parser; not for authors."
_OLD = "An older name of `params`."


def names() -> list[str]:
    """What there are schemas of: `workflow`, and the outputs that have one."""
    return ["workflow", *sorted(_outputs())]


def schema_text(name: str) -> str:
    """The schema of that name (one of `names()`) as JSON text."""
    if name != "workflow":
        return _outputs()[name].read_text(encoding="utf-8").rstrip("\n")
    return json.dumps(workflow_schema(), indent=2, ensure_ascii=False)


def workflow_schema() -> dict[str, Any]:
    """The schema of a workflow as authors write it, for editors.

    It takes what `load` takes: `ir_version` may be missing, `params` may have its older name. Keys that only
    pflow's parser writes are allowed and not suggested.
    """
    schema = validate_schema.workflow_schema()
    words = validate_schema.schema_descriptions()
    for address, part in parts(schema):
        if address in words:
            part |= words[address]
        elif address.rpartition(".")[2].startswith("_"):
            part |= {"description": _PRIVATE, "doNotSuggest": True}
    schema["required"] = ["nodes"]
    node = schema["properties"]["nodes"]["items"]["properties"]
    node["type"]["examples"] = sorted(TYPES)
    node["parameters"] = {**copy.deepcopy(node["params"]), "description": _OLD, "deprecationMessage": _OLD}
    return schema


def parts(schema: dict[str, Any], address: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of a schema with its address: `nodes.[].batch.items`; [] is an item, {} any member."""
    yield address, schema
    below = {**schema.get("properties", {}), "[]": schema.get("items"), "{}": schema.get("additionalProperties")}
    for name, part in below.items():
        if isinstance(part, dict):
            yield from parts(part, f"{address}.{name}" if address else name)


def _outputs() -> dict[str, Path]:
    """The schema files of what commands print, by what they are called."""
    return {file.name.removesuffix(_END): file for file in _PACKAGE.rglob(f"*{_END}")}
