"""A digest of the workflow that a node of pflow's starts: if its file has changed, kept answers do not count."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

WORKFLOW_FILE = "_pflow_workflow_file"
"""Where in its store a workflow of pflow's finds the path of its own file: those that it starts stand beside it."""

_DEEPEST = 10
"""Levels of sub-workflows that are looked at: pflow itself runs no more by default."""


def child_of(
    node: Any, params: Mapping[str, Any], shared: Mapping[str, Any], known: MutableMapping[str, str]
) -> str | None:
    """A digest of the sub-workflow that `node` runs with `params`, and of those that it runs in turn.

    `known` keeps the digests of a batch by the name of the sub-workflow. None for a node of another type; of one that
    pflow cannot load, the name is what counts: the run itself says what is wrong.
    """
    if not hasattr(node, "_compile_sub_workflow"):
        return None
    name = params.get("workflow")
    if not isinstance(name, str):
        return None
    if name not in known:
        text = json.dumps(list(_texts(node, name, dict(shared))), sort_keys=True, default=repr)
        known[name] = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return known[name]


def _texts(node: Any, name: str, shared: dict[str, Any]) -> Iterator[Any]:
    """The workflow `name`, then those that nodes of it run, level by level and each once: several may run the same."""
    seen: set[str] = set()
    level = [(name, shared)]
    for _ in range(_DEEPEST):
        below = []
        for name, around in level:
            loader = copy.copy(node)
            loader.params = {**(node.params or {}), "workflow": name}
            try:
                ir, path, *_ = loader._load_workflow(around, [])
            except Exception:  # noqa: BLE001  whatever is wrong with it, the node says so when it runs
                yield name
                continue
            file = str(Path(path).resolve()) if path else ""
            if (file or name) in seen:
                continue
            seen.add(file or name)
            yield _without_lines(ir)
            inside = {**around, WORKFLOW_FILE: file} if file else around
            for part in ir.get("nodes", ()):
                inner = (part.get("params") or {}).get("workflow") if part.get("type") == "workflow" else None
                if isinstance(inner, str) and "${" not in inner:
                    below.append((inner, inside))
        level = below


def _without_lines(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_lines(part) for key, part in value.items() if not str(key).startswith("_source_")}
    return [_without_lines(part) for part in value] if isinstance(value, list) else value
