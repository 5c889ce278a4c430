"""What a stage gave, as JSON that a person can read: for `--print-after`."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from typing import Any

from .ir import Document, LoweredIR, SourceIR


def dump_stage(result: Any) -> str:
    """`result`, whatever stage it came from, as indented JSON; generated files as their texts."""
    if isinstance(result, Mapping) and all(isinstance(text, str) for text in result.values()):
        return "\n".join(f"# {path}\n{text}" for path, text in result.items())
    return json.dumps(_plain(result), indent=2, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Document):
        return value.data
    if isinstance(value, SourceIR):
        return {"nodes": [_plain(node) for node in value.nodes]}
    if isinstance(value, LoweredIR):
        return {"document": value.document, "batches": [_plain(batch) for batch in value.batches]}
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
