"""The ways through a workflow: which nodes run, which may be passed by, which come again."""

from __future__ import annotations

from ..ir import SourceIR
from ..surfaces import order


class Ways:
    """What the edges of a workflow say of its nodes."""

    def __init__(self, ir: SourceIR) -> None:
        self._after: dict[str, list[str]] = {node.id: [] for node in ir.nodes}
        for edge in ir.data.get("edges") or ():
            self._after[edge["from"]].append(edge["to"])
        self._start = str(ir.data.get("start_node") or ir.nodes[0].id)
        self._order = order(ir)
        self._reached = self._walk(None)

    def runs_at_all(self, name: str) -> bool:
        """Whether an edge leads there from the start."""
        return name in self._reached

    def may_be_skipped(self, name: str) -> bool:
        """Whether the workflow can come to an end without the node; failures aside."""
        if name == self._start:
            return False
        return any(not self._after[other] for other in self._walk(name))

    def may_come_again(self, name: str) -> bool:
        """Whether an edge leads back over the node, so that it can run in several rounds."""
        place = self._order.position.get(name, 0)
        return any(self._order.position[then] <= place <= last for then, last in self._order.reaches.items())

    def _walk(self, without: str | None) -> set[str]:
        seen: set[str] = set()
        todo = [self._start]
        while todo:
            name = todo.pop()
            if name != without and name not in seen:
                seen.add(name)
                todo.extend(self._after[name])
        return seen
