"""The JSON Schema of workflows: `schema.json`, with the batch annotation of `ir/batch_keys.py` in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..ir.batch_schema import batch_schema, descriptions

_HERE = Path(__file__).parent


def workflow_schema(*, ours: bool = True) -> dict[str, Any]:
    """What a workflow may be; with `ours` false, what pflow accepts: without the keys that only pflow-lower has."""
    schema: dict[str, Any] = json.loads((_HERE / "schema.json").read_text(encoding="utf-8"))
    schema["properties"]["nodes"]["items"]["properties"]["batch"] = batch_schema(ours=ours)
    return schema


def schema_descriptions() -> dict[str, dict[str, Any]]:
    """What editors are told of each part of the schema, by its address: `nodes.[].batch.items`."""
    texts: dict[str, dict[str, Any]] = json.loads((_HERE / "schema_descriptions.json").read_text(encoding="utf-8"))
    return {**texts, **descriptions()}
