"""The ways through a workflow: which nodes run, which may be passed by, which come again."""

from __future__ import annotations

from itertools import accumulate

from ..ir.edges import followers, walk
from ..ir.workflow import SourceIR
from .node_order import Order, order


class Reachability:
    """What the edges of a workflow say of its nodes. Failures that end a run are left out."""

    def __init__(self, ir: SourceIR) -> None:
        edges = ir.edges_taken
        self._after: dict[str, list[str]] = {node.id: [] for node in ir.nodes} | followers(edges)
        goes_on = {edge.source for edge in edges if edge.name == "default"}
        self._order = order(ir, edges)
        self._goes_on = goes_on
        self._start = ir.start
        self._reached: set[str] = set()
        self.walk(self._start, self._reached)
        self._passed = self._passed_by(goes_on)

    def runs_at_all(self, name: str) -> bool:
        """Whether a way leads there from the start."""
        return name in self._reached

    def follows(self, name: str) -> tuple[str, ...]:
        """The nodes that an edge leads to from `name`."""
        return tuple(dict.fromkeys(self._after[name]))

    def may_end_at(self, name: str) -> bool:
        """Whether the workflow can end after `name`: no edge is taken for its action `default`."""
        return name not in self._goes_on

    @property
    def start(self) -> str:
        """The node that runs first."""
        return self._start

    @property
    def has_loops(self) -> bool:
        """Whether an edge leads back, so that nodes run in several rounds."""
        return bool(self._order.reaches)

    def order(self) -> list[str]:
        """The nodes that run, in their order."""
        return [name for name in self._order.position if name in self._reached]

    def leads_on(self, first: str, then: str) -> bool:
        """Whether a way leads from `first` to `then`, another node, without going back."""
        place = self._order.position
        seen, waiting = {first}, [first] if first != then else []
        while waiting:
            name = waiting.pop()
            if name == then:
                return True
            on = {after for after in self._after[name] if place[name] < place[after] <= place[then]} - seen
            seen |= on
            waiting += on
        return False

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

    def walk(self, start: str, seen: set[str]) -> None:
        """Add `start` to `seen`, and every node that the edges lead to from there."""
        walk(self._after, start, seen)


def ways_of(ir: SourceIR, order: Order) -> Reachability | None:
    """The ways through a workflow; None where its nodes and edges make none, which is reported as what it is."""
    ids = {node.id for node in ir.nodes}
    known = len(ids) == len(ir.nodes) and all({edge.source, edge.target} <= ids for edge in ir.edges)
    start = ir.start_node
    return None if order.cycle or not known or (start and start not in ids) else Reachability(ir)
