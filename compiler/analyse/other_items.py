"""The item of another batch: which batch that is, and what to read in its place where it does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from ..ir.item_alias import is_name
from ..ir.template import Reference, templates
from ..ir.workflow import SourceIR, SourceNode
from .node_order import Order
from .reachability import Reachability, ways_of
from .sentences import respelled
from .template_sites import SiteKind, TemplateSite


class OtherItems:
    """The items of all batches of a workflow, as a node sees them that is none of these batches."""

    def __init__(self, ir: SourceIR, order: Order) -> None:
        self._ir = ir
        self._order = order
        self._batches: dict[str, list[SourceNode]] = {}
        for node in ir.nodes:
            for alias in node.aliases:
                self._batches.setdefault(alias, []).append(node)

    @property
    def names(self) -> frozenset[str]:
        """What items are called, whichever batch they are of."""
        return frozenset(self._batches)

    def advice(self, site: TemplateSite, node: SourceNode, reference: Reference) -> tuple[str, str]:
        """Whose item `reference` names, a name that `node` does not give; and what to do, each line a way out."""
        batches = self._batches[reference.root]
        before = self._last_before(batches, node)
        batch = before or batches[0]
        ways = [respelled(reference, own) for own in _own_items(site, node)]
        gives = f"${{{batch.id}.{'results' if batch.batch is None or batch.batch.results is None else 'file'}}}"
        if not self._ir.namespaced:
            return batch.id, "\n".join(ways)  # what a batch gives cannot be named
        if before is not None:
            ways.append(f"read what the batch gives: {gives}")
        elif not ways and self._ways is not None and not _reads(batch, node.id):
            ways.append(f"let `{batch.id}` run before `{node.id}`, which can then read what the batch gives: {gives}")
        return batch.id, "\n".join(ways)

    def _last_before(self, batches: list[SourceNode], node: SourceNode) -> SourceNode | None:
        """The last of `batches` whose results are there, in every round, when `node` runs."""
        ways = self._ways
        if ways is None:
            return None
        place = self._order.position
        for batch in sorted(batches, key=lambda batch: place[batch.id], reverse=True):
            is_seen = self._order.runs_before(batch.id, node.id) and ways.runs_at_all(batch.id)
            if is_seen and ways.leads_on(batch.id, node.id):
                return batch
        return None

    @cached_property
    def _ways(self) -> Reachability | None:
        return ways_of(self._ir, self._order)


def _reads(node: SourceNode, name: str) -> bool:
    """Whether `node` reads what `name` gives, so that it cannot run before it."""
    said = (node.params, node.data.get("batch"))
    return any(ref.root == name for part in said for _, template in templates(part) for ref in template.references())


def _own_items(site: TemplateSite, node: SourceNode) -> Iterator[str]:
    """The items that `node` can read at `site`, the innermost first: one of them may have had another name."""
    there = {
        SiteKind.PARAMETER: len(node.aliases),
        SiteKind.INNER_ITEMS: site.path.count("batch") - 1,  # those of the batches around
    }.get(site.kind, 0)
    return (alias for alias in reversed(node.aliases[:there]) if is_name(alias))
