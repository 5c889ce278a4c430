"""References to the item of a batch: does the item have what they read, as far as its items are known?"""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.item_alias import is_name
from ..ir.template import Field, Index, Reference, parse
from ..ir.workflow import SourceIR, SourceNode
from .child_files import Children
from .child_workflows import check_child_output
from .foreseen import missing_in_items
from .known_outputs import Finding, check_item_field
from .known_values import Absent, KnownValues, why_absent
from .node_order import Order
from .pflow_interfaces import Interfaces, check_output
from .reference_findings import ReferenceUse
from .template_sites import SiteKind, TemplateSite


class ItemReferences:
    """What is known of the items of a workflow's batches, and of what batches make of them."""

    def __init__(self, ir: SourceIR, interfaces: Interfaces, order: Order, children: Children | None) -> None:
        self.values = KnownValues(ir, interfaces, order)
        self._ir = ir
        self._interfaces = interfaces
        self._children = children
        self._nodes: Mapping[str, SourceNode] = {node.id: node for node in ir.nodes}

    def check_field(self, site: TemplateSite, node: SourceNode, reference: Reference) -> Finding | None:
        """What pflow refuses of a field of an item, where the items are the results of a batch, if anything."""
        found = check_item_field(node, self._nodes, reference)
        if found is not None or not self._is_item(site, node, reference) or not isinstance(reference.path[0], Field):
            return found
        batch = self._gone_through(node, reference.root)
        if batch is None:
            return None
        of_result = Reference(batch.id, (Field("results"), Index(0), *reference.path), reference.raw)
        found = check_output(self._interfaces, batch, of_result)
        return found or check_child_output(self._children, batch, of_result, self._ir.name)

    def missing(self, use: ReferenceUse, node: SourceNode, then: str) -> Finding | None:
        """That a reference to the item finds nothing in some, where nothing stands in for it; `then` follows."""
        if self._ir.permissive or use.has_fallback or not self._is_item(use.site, node, use.reference):
            return None
        return missing_in_items(self.values.items(node, _depth(use.site, node)), use.reference, then)

    def never_there(self, site: TemplateSite, reference: Reference) -> str:
        """Why what a reference to a node's outputs reads is never there; "" if it may be."""
        node = site.node
        if self._ir.permissive or (node is not None and reference.root in (*node.aliases, *node.inputs)):
            return ""
        found = self.values.of(reference, node)
        return f"{reference} is never there: {why_absent(reference, found)}" if isinstance(found, Absent) else ""

    def _is_item(self, site: TemplateSite, node: SourceNode, reference: Reference) -> bool:
        """Whether a reference reads a part of an item that there is at `site`."""
        root = reference.root
        there = is_name(root) and root in node.aliases[: _depth(site, node)] and root not in node.inputs
        return there and bool(reference.path) and root not in self._nodes and root not in self._ir.inputs

    def _gone_through(self, node: SourceNode, alias: str) -> SourceNode | None:
        """The batch whose results are called `alias`. Of several that they may be pflow takes the first."""
        assert node.batch is not None
        items = node.batch.levels[node.aliases.index(alias)].items
        for source in parse(items).references() if isinstance(items, str) and self._ir.namespaced else ():
            batch = self._nodes.get(source.root)
            if batch is not None and batch.batch is not None and source.path == (Field("results"),):
                return batch
        return None


def _depth(site: TemplateSite, node: SourceNode) -> int:
    """How many of the batches of `node` have an item at `site`, from the outermost on."""
    if site.kind is SiteKind.INNER_ITEMS:
        # ("nodes", 0, "batch", "batch", "items"): as many batches are around it as are named before the last
        return site.path.count("batch") - 1
    return len(node.aliases) if site.kind is SiteKind.PARAMETER else 0
