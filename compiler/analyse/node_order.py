"""In which order the nodes of a workflow run, as far as its edges say."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from ..ir.edges import Edge
from ..ir.workflow import SourceIR


class Order(NamedTuple):
    """When each node runs. `cycle` is set, and nothing else, if the edges go round in a circle."""

    position: dict[str, int]
    reaches: dict[str, int]
    """For a node that an edge leads back to: the position up to which it may look ahead, because in
    the next round those nodes have run."""
    cycle: tuple[str, ...] = ()

    def runs_before(self, first: str, then: str) -> bool:
        """Whether `then` can see what `first` wrote."""
        if first not in self.position or then not in self.position:
            return True
        return self.position[first] < self.position[then] or self.position[first] <= self.reaches.get(then, -1)


def order(ir: SourceIR, edges: Iterable[Edge] | None = None) -> Order:
    """The order of the nodes: an edge counts if it goes forward in the document or has no action.

    `edges` are all that are written, unless others are given: pflow refuses a workflow for one that no run takes, too.
    """
    place = {node.id: node.number for node in ir.nodes}
    after: dict[str, list[str]] = {node: [] for node in place}
    waiting = dict.fromkeys(place, 0)
    back: list[tuple[str, str]] = []
    for edge in ir.edges if edges is None else edges:
        first, then = edge.source, edge.target
        if first not in place or then not in place:
            continue
        if edge.action is not None:
            back.append((first, then))
        if edge.action is None or place[first] < place[then]:
            after[first].append(then)
            waiting[then] += 1
    ready = deque(sorted((node for node in place if not waiting[node]), key=place.__getitem__))
    position: dict[str, int] = {}
    while ready:
        node = ready.popleft()
        position[node] = len(position)
        freed = []
        for then in after[node]:
            waiting[then] -= 1
            if not waiting[then]:
                freed.append(then)
        ready.extend(sorted(freed, key=place.__getitem__))
    if len(position) < len(place):
        return Order({}, {}, _cycle(after, set(place) - set(position), place))
    reaches: dict[str, int] = {}
    for first, then in back:
        if position[first] >= position[then]:
            reaches[then] = max(reaches.get(then, 0), position[first])
    return Order(position, reaches)


def _cycle(after: dict[str, list[str]], stuck: set[str], place: dict[str, int]) -> tuple[str, ...]:
    """One cycle among the nodes that never got ready, from its first node in the document."""
    before: dict[str, str] = {}  # every stuck node has a stuck predecessor: going back must repeat
    for node in sorted(stuck, key=place.__getitem__):
        for then in after[node]:
            if then in stuck:
                before.setdefault(then, node)
    node = min(stuck, key=place.__getitem__)
    seen: dict[str, None] = {}
    while node not in seen:
        seen[node] = None
        node = before[node]
    walk = list(seen)
    walk = list(reversed(walk[walk.index(node) :]))
    start = walk.index(min(walk, key=place.__getitem__))
    return tuple(walk[start:] + walk[:start])
