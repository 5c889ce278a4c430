"""What the keys of a batch say of its calls, in the words of a plan."""

from __future__ import annotations

from collections.abc import Mapping

from ...analyse.analyse import budget_of
from ...ir.batch_spec import ONLY_WHAT_IS_LEFT, BatchSpec
from ...ir.lowered import Budget
from ...ir.workflow import SourceNode
from ...node_types.pflow_types import pflow_type
from ...runtime.throttle import MOST_THROTTLES


def limit_of(spec: BatchSpec | None, budgets: Mapping[str, Budget]) -> Budget | None:
    """What the batch's rate asks for, written there or by the name of a budget."""
    if spec is None or spec.rate is None:
        return None
    return budget_of(spec, budgets) if spec.names_a_budget else Budget(spec.rate, None)


def notes_of(node: SourceNode, limit: Budget | None) -> list[str]:
    """What the keys of a batch say of its calls and of its next run."""
    spec = node.batch
    if spec is None:
        return []
    said = []
    if spec.timeout is not None:
        said.append(f"an attempt is given up after {spec.timeout:g} s")
    if limit is not None:
        shared = f", shared by all that name the budget {spec.rate}" if spec.names_a_budget else ""
        if limit.rate is not None:
            said.append(f"calls start at most as often as {limit.rate}{shared}")
        if limit.max_concurrent is not None:
            said.append(f"at most {limit.max_concurrent} at a time{shared}")
    if _waits_for_servers(spec) and _asks_a_server(node):
        said.append(f"a call that is answered 429 or 503 comes on top, up to {MOST_THROTTLES} times an item")
    if spec.resume:
        said.append(f"after a failure, {ONLY_WHAT_IS_LEFT}")
    return said


def _waits_for_servers(spec: BatchSpec) -> bool:
    return spec.rate is not None or spec.max_concurrent == "auto" or spec.retry_backoff == "exponential"


def _asks_a_server(node: SourceNode) -> bool:
    known = pflow_type(node.type)
    return known is None or known.asks_a_model or node.type == "http"
