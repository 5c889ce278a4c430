"""Places in a document, as data and as users address them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Path = tuple[str | int, ...]
"""A place in a document: ("nodes", 0, "batch", "items")."""


def address(path: Path) -> str:
    """`path` as text: nodes[0].params.x."""
    text = ""
    for step in path:
        text += (
            f"[{step}]" if isinstance(step, int) and not isinstance(step, bool) else f".{step}" if text else str(step)
        )
    return text


def where(data: Any, path: Path) -> str:
    """`path` as users address it: by the node's id where it has one (`classify.batch.items`)."""
    if len(path) >= 2 and path[0] == "nodes" and isinstance(path[1], int):
        nodes = data.get("nodes") if isinstance(data, Mapping) else None
        node = nodes[path[1]] if isinstance(nodes, list) and path[1] < len(nodes) else None
        name = node.get("id") if isinstance(node, Mapping) else None
        if isinstance(name, str) and name:
            return address((name, *path[2:]))
    return address(path)
