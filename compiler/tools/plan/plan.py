"""The plan of a workflow: the forecasts of its nodes, and what they come to together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...diagnostics.diagnostic import Diagnostic
from .amount import Range
from .clock import TimeBounds
from .cluster import Cluster
from .node import Node
from .tokens import Price, Tokens
from .totals import Totals


class Plan(NamedTuple):
    """Forecasts, and what they were made with."""

    workflow: str
    nodes: tuple[Node, ...]
    price: Price | None
    totals: Totals
    """All nodes together."""
    missing: tuple[str, ...] = ()
    """Inputs that a run has to be given and that are not known here."""
    findings: tuple[Diagnostic, ...] = ()
    """What lowering the workflow warns of."""
    unread_journal: str = ""
    """Why it is not known what a run that is resumed leaves out; "" where there is no journal, or it could be read."""
    cluster: Cluster | None = None
    """Where parallel batches run, if not in one process."""

    def flat(self) -> Iterator[tuple[int, Node]]:
        """Every node with how deep it stands in sub-workflows."""
        yield from _flat(self.nodes, 0)

    @property
    def calls(self) -> Range:
        return self.totals.calls

    def kinds(self) -> dict[str, Range]:
        """The calls by what they are, in the order of the nodes."""
        names = dict.fromkeys(node.what for _, node in self.flat() if node.calls.high.terms)
        found = {what: self.totals.kinds[what] for what in names if what in self.totals.kinds}
        return {what: calls for what, calls in found.items() if calls.high.terms}

    @property
    def time(self) -> TimeBounds | None:
        return self.totals.time

    @property
    def tokens(self) -> Tokens | None:
        return self.totals.tokens


def _flat(nodes: Sequence[Node], depth: int) -> Iterator[tuple[int, Node]]:
    for node in nodes:
        yield depth, node
        yield from _flat(node.inner, depth + 1)


def costs(tokens: Tokens, price: Price) -> tuple[float | None, float | None, float | None]:
    """What the input costs at best and at worst, and the output at most; None where it is not known."""
    low, high = tokens.input.low.value, tokens.input.high.value if tokens.exact else None
    output = tokens.output.value if tokens.output is not None else None
    million = 1_000_000
    return (
        None if low is None else low * price.input / million,
        None if high is None else high * price.input / million,
        None if output is None else output * price.output / million,
    )
