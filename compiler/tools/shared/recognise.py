"""Is this file a workflow? What lint, diff and the language server ask, and the one answer to it.

A file is a workflow if its name ends in `.pflow.md` or `.pflow.json`, or if it is JSON that looks like one: an object
with `ir_version`, or with a list of `nodes` of which one has `id` and `type`, none has what the graphs of other
programs have (`position`, `data`), and either some node has `params` or `batch`, or no edge is one of another program.
JSON that is broken is one if it mentions all that, or begins as one does; so is JSON in UTF-16, or with `nodes`
misspelt. Whoever reads it then says what is wrong, and that is an error. What pflow-lower itself wrote, `lowered.json`
and source maps, is not one. All other Markdown is left alone.

Of other JSON it may be said that nobody can know (`why_unclear`), which is not an error: by its name it is not a
workflow, and nobody named it. JSON that is clearly something else is passed by.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ...files.generated_header import LOWERED
from ...write.generated_folder import MAP

_FOREIGN = frozenset({"position", "data", "typeVersion"})
_NODES = re.compile(r'"nodes"\s*:\s*\[')
_ID = re.compile(r'"id"\s*:')
_TYPE = re.compile(r'"type"\s*:')
_BEGINNING = re.compile(r'\s*\{\s*"(?:nodes|ir_version)(?:"|$)')
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
    text = _text(text)
    if not before and not any(hint in text for hint in ('"nodes', '"ir_version', '"id"')):
        return False
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        begins_or_mentions_all = _BEGINNING.match(text) or all(part.search(text) for part in (_NODES, _ID, _TYPE))
        return before or '"ir_version"' in text or bool(begins_or_mentions_all and not _FOREIGN_BROKEN.search(text))
    misspelt = _misspelt(data)
    nodes = [node for node in data[misspelt] if isinstance(node, dict)] if misspelt else []
    return _is_one(data, before) or any({"params", "batch"} & node.keys() for node in nodes)


def why_unclear(content: bytes) -> str:
    """Why nobody can say whether what does not look like a workflow was one; "" if one can.

    It is empty, or not JSON; or its nodes are not in a list, have no `id` and `type`, or stand under another name.
    """
    text = _text(content)
    if not text.strip():
        return "it is empty"
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return "it is not JSON"
    if misspelt := _misspelt(data):
        return f'it has no "nodes", but "{misspelt}"'
    nodes = data.get("nodes", []) if isinstance(data, dict) else []
    if not isinstance(nodes, list):
        return 'its "nodes" are not a list'
    if any(
        isinstance(node, dict) and {"params", "batch"} & node.keys() and not _FOREIGN & node.keys() for node in nodes
    ):
        return "none of its nodes has an id and a type"
    return ""


def _text(content: str | bytes) -> str:
    """The text of JSON in any encoding that JSON may have: who reads it as a workflow says that it is not UTF-8."""
    if isinstance(content, str):
        return content
    return content.decode(json.detect_encoding(content), "replace")


def _misspelt(data: Any) -> str:
    """The key under which there is a list like that of nodes; "" if there is none, or if there are `nodes`."""
    for key in data if isinstance(data, dict) and "nodes" not in data else ():
        # No other word that is like it: `models` and `notes` are lists of other people's.
        is_meant = key.lower() in ("node", "nodes") or sorted(key.lower()) == sorted("nodes")
        if is_meant and _is_one({**data, "nodes": data[key]}, before=False):
            return str(key)
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
