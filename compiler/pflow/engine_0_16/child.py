"""What a sub-workflow is, for whoever keeps its answers: a changed file gives other ones."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..pflow_values import WORKFLOW_FILE

_DEEPEST = 10
"""Levels of sub-workflows that are looked at: pflow itself runs no more by default."""


def child_of(node: Any, params: Mapping[str, Any], shared: Mapping[str, Any]) -> str | None:
    """A digest of the sub-workflow that `node` runs with `params`, and of those that it runs in turn.

    None for another node, or if pflow cannot load it: the run itself says why then.
    """
    if not hasattr(node, "_compile_sub_workflow"):
        return None
    known: dict[Any, str | None] = vars(node).setdefault("_pflow_lower_children", {})
    name = params.get("workflow")
    if not isinstance(name, str):
        return None
    if name not in known:
        found: list[Any] = []
        _collect(node, name, dict(shared), found, _DEEPEST)
        text = json.dumps(found, sort_keys=True, default=repr)
        known[name] = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return known[name]


def _collect(node: Any, name: str, shared: dict[str, Any], found: list[Any], levels: int) -> None:
    """Add the workflow `name` to `found`, then those of its nodes that are sub-workflows."""
    loader = copy.copy(node)
    loader.params = {**(node.params or {}), "workflow": name}
    try:
        ir, path, *_ = loader._load_workflow(shared, [])
    except Exception:  # noqa: BLE001  whatever is wrong with it, the node says so when it runs
        found.append(name)
        return
    found.append(_without_lines(ir))
    inside = {**shared, WORKFLOW_FILE: str(Path(path).resolve())} if path else shared
    for part in ir.get("nodes", ()):
        inner = (part.get("params") or {}).get("workflow") if part.get("type") == "workflow" else None
        if isinstance(inner, str) and "${" not in inner and levels > 1:
            _collect(node, inner, inside, found, levels - 1)


def _without_lines(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_lines(part) for key, part in value.items() if not str(key).startswith("_source_")}
    return [_without_lines(part) for part in value] if isinstance(value, list) else value
