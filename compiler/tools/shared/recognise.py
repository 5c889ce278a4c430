"""Is this file a workflow? What lint, diff and the language server ask, and the one answer to it.

A file is a workflow if its name ends in `.pflow.md` or `.pflow.json`, or if it is JSON that looks like one: an object
with `ir_version`, or with a list of `nodes` of which one has `id` and `type`, none has what the graphs of other
programs have (`position`, `data`), and either some node has `params` or `batch`, or no edge is one of another program.
JSON that is broken is one if it mentions all that; whoever reads it then says what is wrong. What pflow-lower itself
wrote, `lowered.json` and source maps, is not one. All other Markdown is left alone.
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import Any

from ...generated_folder import MAP
from ...generated_header import LOWERED

_FOREIGN = frozenset({"position", "data", "typeVersion"})
_NODES = re.compile(r'"nodes"\s*:\s*\[')
_ID = re.compile(r'"id"\s*:')
_TYPE = re.compile(r'"type"\s*:')
_FOREIGN_BROKEN = re.compile(rf'"(?:{"|".join(sorted(_FOREIGN))})"\s*:')


def has_workflow_name(name: str) -> bool:
    """Whether the name alone says that the file `name` is a workflow."""
    return name.lower().endswith((".pflow.md", ".pflow.json"))


def may_be_workflow(name: str) -> bool:
    """Whether the file `name` is a workflow, or JSON that may be one: whether its content has to be looked at."""
    base = name.lower().replace("\\", "/").rpartition("/")[2]
    return has_workflow_name(name) or (base.endswith(".json") and base != LOWERED and not base.endswith(MAP))


def is_workflow(name: str, text: str | bytes) -> bool:
    """Whether the file `name` with the content `text` is a workflow."""
    return has_workflow_name(name) or (may_be_workflow(name) and looks_like_workflow(text))


def looks_like_workflow(text: str | bytes, before: bool = False) -> bool:
    """Whether JSON is a workflow rather than any other data.

    `before` is the answer to the same question before an edit: what looked like a workflow stays one until it has
    no `nodes`.
    """
    text = text if isinstance(text, str) else text.decode("utf-8-sig", "replace")
    if not before and '"nodes"' not in text and '"ir_version"' not in text:
        return False
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        mentions_all = all(part.search(text) for part in (_NODES, _ID, _TYPE)) and not _FOREIGN_BROKEN.search(text)
        return before or '"ir_version"' in text or mentions_all
    return _is_one(data, before)


def why_unclear(text: bytes) -> str:
    """Why nobody can say whether what does not look like a workflow was one: it is empty, no JSON, or has a list like
    its nodes under another name; "" if one can."""
    if not text.strip():
        return "it is empty"
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return "it is not JSON"
    for key in get_close_matches("nodes", data, 1, 0.7) if isinstance(data, dict) and "nodes" not in data else ():
        if _is_one({**data, "nodes": data[key]}, before=False):
            return f'it has no "nodes", but "{key}"'
    return ""


def _is_one(data: Any, before: bool) -> bool:
    if not isinstance(data, dict):
        return False
    if "ir_version" in data:
        return True
    nodes = data.get("nodes")
    if before or not isinstance(nodes, list):
        return before and nodes is not None
    nodes = [node for node in nodes if isinstance(node, dict)]
    edges = data.get("edges")
    edges = edges if isinstance(edges, list) else []
    return (
        any({"id", "type"} <= node.keys() for node in nodes)
        and not any(_FOREIGN & node.keys() for node in nodes)
        and (
            any("params" in node or "batch" in node for node in nodes)
            or all(isinstance(edge, dict) and {"from", "to"} <= edge.keys() for edge in edges)
        )
    )
