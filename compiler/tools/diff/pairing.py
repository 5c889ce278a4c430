"""Which node of the new workflow was which of the old one: the same id, or so alike that it was renamed.

What a node says is compared as it was written (`.data`): a key that nobody here knows is a part like any other.
"""

from __future__ import annotations

from ...ir.workflow import SourceIR, SourceNode
from .canonical import Names, canonical

_ALIKE = 0.6
"""The share of equal parts from which on a node counts as renamed rather than as removed and added."""


def pair_up(old: SourceIR, new: SourceIR) -> tuple[list[tuple[SourceNode, SourceNode]], list[SourceNode]]:
    """The nodes that are in both, in the order of `new`, and the old ones that are gone."""
    before = {node.id: node for node in old.nodes}
    after = {node.id for node in new.nodes}
    pairs = [(before[node.id], node) for node in new.nodes if node.id in before]
    removed = [node for node in old.nodes if node.id not in after]
    added = [node for node in new.nodes if node.id not in before]
    if len(removed) * len(added) > 10_000:  # another workflow, not a renaming
        return pairs, removed
    scores = sorted(
        ((-_alikeness(one, two), one.number, two.number, one, two) for one in removed for two in added),
        key=lambda score: score[:3],
    )
    for score, _, _, one, two in scores:
        if -score >= _ALIKE and one in removed and two in added:
            pairs.append((one, two))
            removed.remove(one)
            added.remove(two)
    return sorted(pairs, key=lambda pair: pair[1].number), removed


def _alikeness(old: SourceNode, new: SourceNode) -> float:
    """The share of the parts of two nodes that are equal, 0 for nodes of different types."""
    if old.type != new.type or (old.batch is None) != (new.batch is None):
        return 0.0
    one, two = _parts(old), _parts(new)
    return len(one & two) / (len(one | two) or 1)


def _parts(node: SourceNode) -> set[str]:
    """What a node says, one text for each part; whatever else is equal, it counts as one part more."""
    names = Names.of(node, (), {})
    traits = {f"params.{key} {canonical(value, names.of_parameter(key))!r}" for key, value in node.params.items()}
    told = {f"batch.{key}": value for key, value in (node.data.get("batch") or {}).items() if key != "as"}
    told |= {key: node.data[key] for key in ("retry", "loop", "purpose") if key in node.data}
    return traits | {f"{key} {canonical(value, names)!r}" for key, value in told.items()}
