"""Which node of the new workflow was which of the old one: the same id, or so alike that it was renamed.

What a node says is compared as it was written (`.data`): a key that nobody here knows is a part like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...ir.workflow import SourceIR, SourceNode
from .canonical import Names, canonical

_ALIKE = 0.6
"""The share of equal parts from which on a node counts as renamed rather than as removed and added."""


def pair_up(old: SourceIR, new: SourceIR) -> tuple[list[tuple[SourceNode, SourceNode]], list[SourceNode]]:
    """The nodes that are in both, in the order of `new`, and the old ones that are gone."""
    before = {node.id: node for node in old.nodes}
    after = {node.id for node in new.nodes}
    pairs = [(before[node.id], node) for node in new.nodes if node.id in before]
    removed = {node.number: node for node in old.nodes if node.id not in after}
    added = {node.number: node for node in new.nodes if node.id not in before}
    if len(removed) * len(added) <= 10_000:  # with more of them it is another workflow, not a renaming
        for _, one, two in sorted(_alike(removed.values(), added.values())):
            if one in removed and two in added:
                pairs.append((removed.pop(one), added.pop(two)))
    return sorted(pairs, key=lambda pair: pair[1].number), list(removed.values())


def _alike(removed: Iterable[SourceNode], added: Iterable[SourceNode]) -> Iterator[tuple[float, int, int]]:
    """The numbers of two nodes that may be one renamed; of these triples, the least is the most alike."""
    numbers: dict[str, int] = {}

    def told(node: SourceNode) -> frozenset[int]:
        """What `node` says. A part may be a long text and is compared with many others, so each has a number."""
        return frozenset(numbers.setdefault(part, len(numbers)) for part in _parts(node))

    after = [(node, told(node)) for node in added]
    for one in removed if after else ():
        parts = told(one)
        for two, others in after:
            if one.type == two.type and (one.batch is None) == (two.batch is None):
                equal = len(parts & others)
                share = equal / (len(parts) + len(others) - equal or 1)
                if share >= _ALIKE:
                    yield -share, one.number, two.number


def _parts(node: SourceNode) -> set[str]:
    """What a node says, one text for each part; whatever else is equal, it counts as one part more."""
    names = Names.of(node, (), {})
    traits = {f"params.{key} {canonical(value, names.of_parameter(key))!r}" for key, value in node.params.items()}
    told = {f"batch.{key}": value for key, value in (node.data.get("batch") or {}).items() if key != "as"}
    told |= {key: node.data[key] for key in ("retry", "loop", "purpose") if key in node.data}
    return traits | {f"{key} {canonical(value, names)!r}" for key, value in told.items()}
