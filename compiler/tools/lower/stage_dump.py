"""What a stage gave, in a form that a person can read: for `--print-after` and `--print-changed`."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import json
from collections.abc import Mapping
from typing import Any

from ...analyse.analyse import BatchFacts, Facts
from ...ir.batch_spec import BatchSpec
from ...ir.document import Document
from ...ir.lowered import LoweredIR
from ...ir.printer import printed
from ...ir.workflow import SourceIR


def dump_stage(result: Any) -> str:
    """`result`, whatever stage it came from: a lowered workflow as `printed`, files as their texts, else JSON."""
    if isinstance(result, LoweredIR):
        return printed(result).rstrip("\n")
    if isinstance(result, Facts):
        return json.dumps({"batches": _plain(result.batches)}, indent=2, ensure_ascii=False)
    if isinstance(result, Mapping) and all(isinstance(text, str) for text in result.values()):
        return "\n".join(f"# {path}\n{text}" for path, text in result.items())
    return json.dumps(_plain(result), indent=2, ensure_ascii=False)


def workflow_after(result: Any, before: Any) -> Any:
    """The workflow as a stage left it: the document, and what became known of its batch nodes.

    `before` is the same after the stage before, which holds where a stage changes nothing.
    """
    if isinstance(result, Document):
        return result.data
    if isinstance(result, LoweredIR):
        return result.document
    if isinstance(result, SourceIR):
        nodes = {node.number: {"batch": _spec(node.batch)} for node in result.nodes if node.batch is not None}
    elif isinstance(result, Facts):
        nodes = {facts.node.number: {"known": _known(facts)} for facts in result.batches}
    else:
        return before
    listed = [{**node, **nodes.get(number, {})} for number, node in enumerate(before["nodes"])]
    return {**before, "nodes": listed}


def difference(before: tuple[str, Any], after: tuple[str, Any]) -> str:
    """A unified diff between two stages and their workflows; "" if nothing changed."""
    if before[1] == after[1]:
        return ""
    old, new = (json.dumps(data, indent=2, ensure_ascii=False).split("\n") for _, data in (before, after))
    names = f"after {before[0]}", f"after {after[0]}"
    return "\n".join(difflib.unified_diff(old, new, *names, lineterm=""))


def _spec(spec: BatchSpec) -> dict[str, Any]:
    """A batch with its defaults, in the author's words and order of keys."""
    names = {"alias": "as"}
    return {names.get(key, key): _plain(value) for key, value in spec._asdict().items() if key != "written"}


def _known(facts: BatchFacts) -> dict[str, Any]:
    return {"shape": facts.shape.value, "type": _plain(facts.type)}


def _plain(value: Any) -> Any:
    """Any part of a stage's result as JSON data, field by field.

    By reflection, since this is what `--print-after` is for before there is a lowered workflow: a field that a stage
    gets shows up by itself. What the lowered workflow shows is pinned, and has a printer of its own (`ir/printer.py`).
    """
    if isinstance(value, Document):
        return value.data
    if isinstance(value, SourceIR):
        return {"nodes": [_plain(node) for node in value.nodes]}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        fields = value._asdict()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    else:
        fields = None
    if fields is not None:
        # `data` is the node as written, which `params` and `batch` show already
        return {name: _plain(item) for name, item in fields.items() if name != "data"}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
