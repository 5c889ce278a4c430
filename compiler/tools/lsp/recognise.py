"""Is this buffer a workflow? An editor starts the server for every `.json` file; most are something else.

A buffer is a workflow if

- its language is `pflow`, or its name ends in `.pflow.md` or `.pflow.json`; or
- it is JSON (by its language or its name) and looks like one: an object with `ir_version`, or with a list of `nodes`
  of which one has `id` and `type`, one has `params` or `batch`, and none has what the graphs of other programs have
  (a `position`, `data`). A buffer that looked like one stays one while it is edited, until it has no `nodes`.

All other Markdown is left alone.
"""

from __future__ import annotations

import json
import re
from typing import Any

LANGUAGES = frozenset({"pflow", "pflow-markdown", "pflow-json"})
_JSON = frozenset({"json", "jsonc", "json5"})
_FOREIGN = frozenset({"position", "data", "typeVersion"})
_BROKEN = (
    re.compile(r'"nodes"\s*:\s*\['),
    re.compile(r'"type"\s*:'),
    re.compile(r'"(?:params|batch)"\s*:'),
)


def is_workflow(text: str, name: str, language: str, before: bool = False) -> bool:
    """Whether to say anything about a buffer. `before` is the answer to the same question before the last edit."""
    name = name.lower()
    if language in LANGUAGES or name.endswith((".pflow.md", ".pflow.json")):
        return True
    if language not in _JSON and not name.endswith(".json"):
        return False
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return before or '"ir_version"' in text or all(part.search(text) for part in _BROKEN)
    return _looks_like_one(data, before)


def _looks_like_one(data: Any, before: bool) -> bool:
    if not isinstance(data, dict):
        return False
    if "ir_version" in data:
        return True
    nodes = data.get("nodes")
    if before or not isinstance(nodes, list):
        return before and nodes is not None
    nodes = [node for node in nodes if isinstance(node, dict)]
    return (
        any({"id", "type"} <= node.keys() for node in nodes)
        and any("params" in node or "batch" in node for node in nodes)
        and not any(_FOREIGN & node.keys() for node in nodes)
    )
