"""How often one item can make a node do its work: the attempts of the batch times those of the node."""

from __future__ import annotations

import math
from typing import NamedTuple

from ...ir.workflow import Retry, SourceNode
from ...node_types.pflow_types import PflowType, pflow_type


class RetryBudget(NamedTuple):
    """How often one item can make a node work: `batch` times `own`, once each if all goes well."""

    batch: int
    own: int
    batch_wait: float
    own_wait: float
    backoff: bool
    """Whether the wait between the node's own attempts doubles."""
    batch_backoff: bool
    """Whether the wait between the batch's attempts doubles, as it may: that is the longest it can be."""
    known: PflowType | None
    """None for a type that pflow did not ship: its class may try more often by itself."""

    @property
    def worst(self) -> int:
        return self.batch * self.own

    def longest(self, timeout: float | None) -> float:
        """The longest that an item takes in seconds, if every attempt of the batch is given up after `timeout`."""
        if timeout is None:
            return math.inf
        return self.batch * timeout + _waits(self.batch_wait, self.batch, self.batch_backoff)

    def waits(self) -> float:
        """The longest that an item spends waiting between its attempts, in seconds."""
        own = _waits(self.own_wait, self.own, self.backoff)
        return self.batch * own + _waits(self.batch_wait, self.batch, self.batch_backoff)


def _waits(wait: float, attempts: int, doubles: bool) -> float:
    """The seconds between so many attempts; pflow's cap of a minute is ours too."""
    return sum(min(wait * 2**n, 60.0) if doubles else wait for n in range(attempts - 1))


def retry_budget_of(node: SourceNode) -> RetryBudget:
    """How often an item can make `node` work, as far as it is known.

    A batch repeats what raises. An attempt that `timeout` gives up does, whatever the type of the node.
    """
    known = pflow_type(node.type)
    retry = node.retry or Retry()
    own, wait = (known.attempts.own, known.attempts.wait) if known else (1, 0.0)
    if known is None or known.attempts.heeds_retry:
        own = retry.max if "max" in retry.written else own
        wait = retry.wait if retry.wait is not None else wait
    batch = node.batch
    repeated = batch is not None and (known is None or known.attempts.raises or batch.timeout is not None)
    return RetryBudget(
        batch=batch.max_retries if repeated and batch is not None else 1,
        own=int(own),
        batch_wait=float(batch.retry_wait) if batch is not None else 0.0,
        own_wait=float(wait),
        backoff=retry.backoff == "exponential",
        batch_backoff=batch is not None and batch.retry_backoff == "exponential",
        known=known,
    )
