"""Which outputs may have been changed since: Python code is given the lists and objects themselves, no copies."""

from __future__ import annotations

from collections.abc import Iterator

from ..ir.template import roots
from ..ir.workflow import SourceIR, SourceNode
from .node_order import Order
from .pflow_interfaces import Interfaces

DEEPEST = 20
"""So many batches over the results of each other are followed at a time."""


class ChangedObjects:
    """What the nodes of a workflow may have done to the outputs of other ones."""

    def __init__(self, ir: SourceIR, interfaces: Interfaces, order: Order) -> None:
        self._interfaces = interfaces
        self._order = order
        self._nodes = {node.id: node for node in ir.nodes}
        self._made_of: dict[str, frozenset[str]] = {}
        self._at_work: dict[str, list[str]] = {}
        """For a node the nodes whose code has its outputs, or what they are made of, in hand."""
        for node in ir.nodes:
            if self.in_code_of(node):
                for read in roots([node.params, node.data.get("batch")]):
                    for name in self._sources(read):
                        self._at_work.setdefault(name, []).append(node.id)

    def in_code_of(self, node: SourceNode) -> bool:
        """Whether what `node` is given is in the hands of Python code: of its own, or of a class that is not known."""
        known = self._interfaces.of(node.type)
        return known is None or known.runs_python

    def may_be_changed(self, node: SourceNode, reader: SourceNode | None) -> bool:
        """Whether the outputs of `node` may be others when `reader` reads them; without one, at the end."""
        return any(
            reader is None or (name != reader.id and self._order.runs_before(name, reader.id))
            for source in self._sources(node.id)
            for name in self._at_work.get(source, ())
        )

    def _sources(self, name: str) -> frozenset[str]:
        """The node `name` and those whose outputs its items are, or parts of them."""
        if name not in self._made_of:
            found, at = {name}, [name]
            for _ in range(DEEPEST):
                at = [source for one in at for source in self._items_of(one) if source not in found]
                found.update(at)
            self._made_of[name] = frozenset(found)
        return self._made_of[name]

    def _items_of(self, name: str) -> Iterator[str]:
        node = self._nodes.get(name)
        for level in node.batch.levels if node is not None and node.batch is not None else ():
            if isinstance(level.items, str):
                yield from roots(level.items)
