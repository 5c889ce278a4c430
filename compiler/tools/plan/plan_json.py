"""The plan as data, of the form plan.schema.json."""

from __future__ import annotations

import json
from typing import Any

from .amount import Amount, Range
from .clock import TimeBounds
from .cluster import Dealt
from .node import Node
from .plan import Plan, costs
from .tokens import METHOD, Price, Tokens


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain data, of the form plan.schema.json."""
    return {
        "workflow": plan.workflow,
        "missing": list(plan.missing),
        "nodes": [_node(node, plan.price) for node in plan.nodes],
        "total": {
            "calls": _range(plan.calls),
            "kinds": {what: _range(calls) for what, calls in plan.kinds().items()},
            "time": _time(plan.time),
            **_nodes_cost(plan),
            "tokens": _tokens(plan.tokens),
            "cost": _cost(plan.tokens, plan.price),
        },
    }


def _node(node: Node, price: Price | None) -> dict[str, Any]:
    return {
        "node": node.path,
        "type": node.type,
        "line": node.line,
        "items": None if node.items is None else {**_range(node.items), "source": node.source},
        "runs": _range(node.runs),
        "call": node.what,
        "calls": _range(node.calls),
        "attempts": {"batch": node.budget.batch, "own": node.budget.own, "sure": node.budget.known is not None},
        "in_flight": node.in_flight,
        "time": _time(node.time),
        **_on_cluster(node.dealt),
        "tokens": _tokens(node.tokens),
        "cost": _cost(node.tokens, price),
        "notes": list(node.notes),
        "nodes": [_node(inner, price) for inner in node.inner],
    }


def _amount(amount: Amount) -> dict[str, Any]:
    return {"number": amount.value, "text": str(amount)}


def _range(found: Range) -> dict[str, Any]:
    return {"best": _amount(found.low), "worst": _amount(found.high)}


def _time(span: TimeBounds | None) -> dict[str, float] | None:
    if span is None:
        return None
    return {"at_least": round(span.low, 3), "at_most": round(span.high, 3), "with_retries": round(span.worst, 3)}


def _on_cluster(dealt: Dealt | None) -> dict[str, dict[str, float]]:
    if dealt is None:
        return {}
    return {
        "on_cluster": {
            "workers": dealt.workers,
            "threads": dealt.threads,
            "chunks": dealt.chunks,
            "seconds": round(dealt.seconds, 3),
            "utilisation": round(dealt.utilisation, 3),
        }
    }


def _nodes_cost(plan: Plan) -> dict[str, dict[str, float]]:
    if plan.cluster is None or plan.cluster.price is None or plan.time is None:
        return {}
    low, high = (plan.cluster.cost(seconds) or 0.0 for seconds in plan.time[:2])
    return {"nodes_cost": {"at_least": round(low, 6), "at_most": round(high, 6)}}


def _tokens(tokens: Tokens | None) -> dict[str, Any] | None:
    if tokens is None:
        return None
    return {
        "method": METHOD,
        "input": _range(tokens.input),
        "input_is_all": tokens.exact,
        "output_at_most": None if tokens.output is None else _amount(tokens.output),
    }


def _cost(tokens: Tokens | None, price: Price | None) -> dict[str, float | None] | None:
    if tokens is None or price is None:
        return None
    low, high, output = (None if cost is None else round(cost, 6) for cost in costs(tokens, price))
    return {"input_at_least": low, "input_at_most": high, "output_at_most": output}


def dump(plan: Plan) -> str:
    """The plan as JSON text."""
    return json.dumps(to_json(plan), indent=2, ensure_ascii=False)
