"""What follows from the table of batch keys for the schema, for editors and for the guide."""

from __future__ import annotations

from typing import Any

from .batch_keys import BATCH_KEYS, DEEPEST, REQUIRED, batch_key, file_kinds_text


def batch_schema(*, ours: bool = True) -> dict[str, Any]:
    """The JSON Schema of an annotation; without ours, exactly as pflow accepts it."""
    rows = [row for row in BATCH_KEYS if ours or not row.ours]
    return {
        "type": "object",
        "required": [row.key for row in rows if row.default is REQUIRED],
        "additionalProperties": False,
        "properties": {row.key: row.schema_of_ours() if ours else dict(row.schema) for row in rows},
    }


def descriptions() -> dict[str, dict[str, Any]]:
    """What editors are told of each key, by its address in the schema of workflows."""
    found = {
        f"nodes.[].batch.{row.key}": {
            "description": row.about,
            **({} if row.default is REQUIRED or row.default is None else {"default": row.default}),
            **row.editor,
        }
        for row in BATCH_KEYS
    }
    around = "nodes.[].batch"
    for _ in range(DEEPEST - 1):  # a batch inside says of its own items what the outermost says of its
        around += ".batch"
        found[around] = found["nodes.[].batch.batch"]
        found |= {f"{around}.{key}": {"description": batch_key(key).about} for key in ("items", "as")}
    found["nodes.[].batch.results.file"] = {"description": f"The path of the file: {file_kinds_text('`')}."}
    return found


def markdown_table() -> str:
    """The table of the keys, as the guide shows it; a test compares."""
    rows = [f"| `{row.key}` | {row.values_text()} | {row.about[:-1]} |" for row in BATCH_KEYS]
    return "\n".join(["| key | default | |", "| --- | --- | --- |", *rows])
