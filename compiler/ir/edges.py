"""The edges of a workflow: what is written, which of them a run knows, and where they lead."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from .paths import Path


class Edge(NamedTuple):
    """From one node to the next, for one of its actions."""

    source: str
    target: str
    action: str | None = None
    """The action as written; None leaves the default one."""
    number: int = 0
    """The edge's place in the document's `edges`."""

    @property
    def path(self) -> Path:
        return ("edges", self.number)

    @property
    def name(self) -> str:
        """The action that it is taken for."""
        return "default" if self.action is None else self.action


def edges_of(data: Mapping[str, Any]) -> tuple[Edge, ...]:
    """The edges of a valid document, in their order."""
    written = enumerate(data.get("edges") or ())
    return tuple(Edge(edge["from"], edge["to"], edge.get("action"), number) for number, edge in written)


def replacements(edges: Iterable[Edge]) -> dict[int, Edge]:
    """The edges that later ones replace, by their numbers: a node keeps one edge for each action, the last."""
    edges = tuple(edges)
    last = {(edge.source, edge.name): edge for edge in edges}
    counts = ((edge.number, last[edge.source, edge.name]) for edge in edges)
    return {number: later for number, later in counts if later.number != number}


def kept(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """The edges that the nodes of a run have."""
    edges = tuple(edges)
    replaced = replacements(edges)
    return tuple(edge for edge in edges if edge.number not in replaced)


def taken(edges: Iterable[Edge], batches: Collection[str]) -> tuple[Edge, ...]:
    """The edges that a run may take.

    For an answer that is empty, the edge of `default` is looked for; of the nodes `batches`, which answer `default` or
    raise, that is the only one.
    """
    return tuple(edge for edge in kept(edges) if edge.name == "default" or (edge.name and edge.source not in batches))


def followers(edges: Iterable[Edge]) -> dict[str, list[str]]:
    """The nodes that `edges` lead to, by the node that they come from."""
    after: dict[str, list[str]] = {}
    for edge in edges:
        after.setdefault(edge.source, []).append(edge.target)
    return after


def walk(after: Mapping[str, Iterable[str]], start: str, seen: set[str]) -> None:
    """Add `start` to `seen`, and every node that is come to from there."""
    todo = [start]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(after.get(name, ()))
