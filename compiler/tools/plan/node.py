"""The forecast of one node, and how forecasts add up where a workflow runs several times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..shared.node_facts import RetryBudget
from .amount import ONCE, Range, total
from .clock import TimeBounds
from .cluster import Dealt
from .tokens import Tokens
from .totals import Totals


class Node(NamedTuple):
    """The forecast of one node, for all its runs together."""

    path: str
    """Its id; inside a sub-workflow after the id of the node that starts it: `sub/ask`."""
    type: str
    what: str
    """What a call of it is."""
    line: int | None
    items: Range | None
    """How many items its runs have; None without a batch."""
    source: str
    """Where the items come from."""
    runs: Range
    calls: Range
    """The calls of this node itself; those of a sub-workflow are its own nodes'."""
    budget: RetryBudget
    in_flight: int
    time: TimeBounds | None
    tokens: Tokens | None
    passage: Totals
    """What it comes to, with all that it starts, each time that it is reached."""
    dealt: Dealt | None = None
    """How its items are dealt out to the workers of a cluster."""
    is_adaptive: bool = False
    """Whether fewer items than `in_flight` run at first, and more as it goes well."""
    notes: tuple[str, ...] = ()
    inner: tuple[Node, ...] = ()
    not_walked: str = ""
    """Why the workflow that it starts, or one below that, is not looked at, if so."""
    is_wrong: bool = False
    """Whether a run fails here, or a file that says how many items there are could not be read: a note says why."""


def together(each: Sequence[tuple[Node, ...]], runs: Range) -> tuple[Node, ...]:
    """The forecasts that a workflow has for each item, added up node by node."""
    columns: dict[str, list[Node]] = {}
    for nodes in each:
        for node in nodes:
            columns.setdefault(node.path, []).append(node)
    return tuple(repeated(_sum(column), runs) for column in columns.values())


def _sum(nodes: Sequence[Node]) -> Node:
    first = nodes[0]
    if len(nodes) == 1:
        return first
    counted = [node.items for node in nodes if node.items is not None]
    tokens = [node.tokens for node in nodes if node.tokens is not None]
    added = tokens[0] if tokens else None
    for more in tokens[1:]:
        added = added.plus(more) if added is not None else more
    notes = tuple(dict.fromkeys(note for node in nodes for note in node.notes))
    return first._replace(
        items=total(counted) if counted else None,
        runs=total(node.runs for node in nodes),
        calls=total(node.calls for node in nodes),
        in_flight=max(node.in_flight for node in nodes),
        time=None,
        dealt=None,
        tokens=added,
        notes=notes,
        is_wrong=any(node.is_wrong for node in nodes),
        inner=together([node.inner for node in nodes], ONCE),
    )


def repeated(node: Node, times: Range) -> Node:
    """The forecast of a node whose workflow runs `times` times."""
    if times == ONCE:
        return node
    tokens = node.tokens.times(times) if node.tokens is not None else None
    return node._replace(
        runs=node.runs.times(times),
        calls=node.calls.times(times),
        time=None,
        dealt=None,
        tokens=tokens,
        inner=tuple(repeated(inner, times) for inner in node.inner),
    )
