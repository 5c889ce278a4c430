"""A node of the forecast as it is reached: how often, for how many items, and what of them is under way at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...ir.batch_keys import batch_key
from ...ir.lowered import Budget
from ...ir.workflow import SourceNode
from ...runtime.pace import rate_of
from ..shared.node_facts import retry_budget_of
from .amount import ONCE, Range
from .items import Items
from .limits import Starts
from .node import Node
from .tokens import Tokens
from .totals import Totals


class Reached(NamedTuple):
    """A node of a workflow: how often it is reached, and with what items."""

    node: SourceNode
    path: str
    line: int | None
    runs: Range
    rounds: Range
    """How often a loop of its own has it run each time that it is reached."""
    items: Items | None
    """None without a batch."""
    limit: Budget | None
    """What its `rate` says, or what the budget that it names stands for."""
    notes: list[str]
    problem: str = ""
    """Why a run fails here, if so."""

    @property
    def item_count(self) -> Range:
        """How many items one run has; once without a batch."""
        return self.items.number if self.items is not None else ONCE

    @property
    def bound(self) -> int:
        """How many items may run at the same time."""
        if self.node.batch is None or not self.node.batch.parallel:
            return 1
        found = self.node.batch.max_concurrent  # `auto` finds out, up to the most that may be written
        most = found if isinstance(found, int) else int(batch_key("max_concurrent").schema["maximum"])
        shared = self.limit.max_concurrent if self.limit is not None else None
        return most if shared is None else min(most, shared)

    @property
    def in_flight(self) -> int:
        """How many items run at the same time at most."""
        most = self.item_count.high.value
        return self.bound if most is None else min(self.bound, most)

    def starts(self, calls: int, seconds: float) -> Mapping[str, Starts]:
        """What its limit has to let through: `calls` that take `seconds` each, every attempt at worst."""
        spec, limit = self.node.batch, self.limit
        if spec is None or limit is None:
            return {}
        apart = rate_of(limit.rate).apart if limit.rate is not None else 0.0
        name = f"budget {spec.rate}" if spec.names_a_budget else self.path
        worst = calls * retry_budget_of(self.node).worst
        busy = (calls * seconds, calls * seconds, worst * seconds)
        return {name: Starts(apart, limit.max_concurrent, (calls, calls, worst), busy)}

    def forecast(
        self,
        what: str,
        calls: Range,
        passage: Totals,
        *,
        tokens: Tokens | None = None,
        inner: tuple[Node, ...] = (),
        not_walked: str = "",
    ) -> Node:
        """The forecast of the node, whose calls are `what`; it takes the time of `passage`."""
        return Node(
            path=self.path,
            type=self.node.type,
            what=what,
            line=self.line,
            items=self.items.number if self.items is not None else None,
            source=self.items.source if self.items is not None else "",
            runs=self.runs,
            calls=calls,
            budget=retry_budget_of(self.node),
            in_flight=self.in_flight,
            is_adaptive=self.in_flight > 1 and self.node.batch is not None and self.node.batch.max_concurrent == "auto",
            time=passage.time,
            tokens=tokens,
            passage=passage,
            notes=tuple(self.notes),
            inner=inner,
            not_walked=not_walked,
            is_wrong=bool(self.problem),
        )
