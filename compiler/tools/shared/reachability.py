"""The ways through a workflow: which nodes run, which may be passed by, which come again."""

from __future__ import annotations

from itertools import accumulate

from ...analyse.node_order import order
from ...ir.workflow import SourceIR


class Ways:
    """What the edges of a workflow say of its nodes. Failures that end a run are left out."""

    def __init__(self, ir: SourceIR) -> None:
        self._after: dict[str, list[str]] = {node.id: [] for node in ir.nodes}
        goes_on: set[str] = set()
        for edge in ir.data.get("edges") or ():
            self._after[edge["from"]].append(edge["to"])
            if edge.get("action", "default") == "default":
                goes_on.add(edge["from"])
        self._order = order(ir)
        self._reached = self._walk(str(ir.data.get("start_node") or ir.nodes[0].id))
        self._passed = self._passed_by(goes_on)

    def runs_at_all(self, name: str) -> bool:
        """Whether a way leads there from the start."""
        return name in self._reached

    def may_be_skipped(self, name: str) -> bool:
        """Whether the workflow can come to an end without the node."""
        return self._passed[self._order.position[name]]

    def may_come_again(self, name: str) -> bool:
        """Whether an edge leads back over the node, so that it can run in several rounds."""
        place = self._order.position[name]
        return any(self._order.position[then] <= place <= last for then, last in self._order.reaches.items())

    def _passed_by(self, goes_on: set[str]) -> list[bool]:
        """For each place in the order, whether some way passes it by: over it, or by ending before it."""
        place = self._order.position
        over = [0] * (len(place) + 2)
        for name in self._reached:
            for then in self._after[name]:
                if place[then] > place[name] + 1:
                    over[place[name] + 1] += 1
                    over[place[then]] -= 1
            if name not in goes_on:
                over[place[name] + 1] += 1
        return [depth > 0 for depth in accumulate(over)]

    def _walk(self, start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo.extend(self._after[name])
        return seen
