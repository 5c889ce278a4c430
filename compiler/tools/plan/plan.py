"""The plan of a workflow: the forecasts of its nodes, and what they come to together; as text and as data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .amount import ONCE, Amount, Range
from .clock import TimeBounds
from .node import Node
from .tokens import METHOD, Price, Tokens
from .totals import Totals

_UNKNOWNS = {
    "n": "n(node): how many items the node has, the most where its runs differ; nobody can know yet",
    "calls": "calls(node): what the workflow makes that the node starts; it could not be read",
    "rounds": "rounds: how often an edge leads back",
}


class Plan(NamedTuple):
    """Forecasts, and what they were made with."""

    workflow: str
    nodes: tuple[Node, ...]
    price: Price | None
    totals: Totals
    """All nodes together."""
    missing: tuple[str, ...] = ()
    """Inputs that a run has to be given and that are not known here."""

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


def _tokens(tokens: Tokens | None) -> dict[str, Any] | None:
    if tokens is None:
        return None
    return {
        "method": METHOD,
        "input": _range(tokens.input),
        "input_is_all": tokens.exact,
        "output_at_most": None if tokens.output is None else _amount(tokens.output),
    }


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


def _cost(tokens: Tokens | None, price: Price | None) -> dict[str, float | None] | None:
    if tokens is None or price is None:
        return None
    low, high, output = (None if cost is None else round(cost, 6) for cost in costs(tokens, price))
    return {"input_at_least": low, "input_at_most": high, "output_at_most": output}


def as_text(plan: Plan) -> str:
    """The plan for people."""
    nodes = list(plan.flat())
    width = max((2 * depth + len(node.path.rpartition("/")[2]) for depth, node in nodes), default=0)
    kinds = max((len(node.type) for _, node in nodes), default=0)
    lines = [plan.workflow, ""]
    for depth, node in nodes:
        name = "  " * depth + node.path.rpartition("/")[2]
        head = f"  {name:<{width}}  {node.type:<{kinds}}  "
        first, *more = _said(node, plan.price)
        lines += [f"{head}{first}".rstrip(), *(f"{'':<{len(head)}}{line}" for line in more)]
    return "\n".join([*lines, "", *(f"  {line}" for line in _summary(plan))])


def _said(node: Node, price: Price | None) -> Iterator[str]:
    """What is said of one node, line by line."""
    if node.items is not None:
        where = "" if node.source == "written in the workflow" else f", {node.source}"
        yield f"{node.items} item{'' if node.items == ONCE else 's'}{where}"
    elif node.inner:
        yield "starts, once," if node.runs == ONCE else f"starts, {node.runs} times,"
    if not node.inner:
        yield f"{_between(node.calls)} {_plural(node.what, node.calls)}{_attempts(node)}"
    if node.items is not None and node.in_flight > 1:
        yield f"{node.in_flight} at a time"
    if node.time is not None:
        yield _spoken(node.time)
    if node.tokens is not None:
        yield from _tokens_said(node.tokens, price)
    yield from node.notes


def _between(found: Range) -> str:
    """A range whose ends may be sums."""
    sums = len(found.low.terms) > 1 or len(found.high.terms) > 1
    return f"at best {found.low}, at worst {found.high}" if sums and found.low != found.high else str(found)


def _plural(what: str, calls: Range) -> str:
    if calls == ONCE:
        return what
    return "runs of code" if what.startswith("run ") else f"{what}s"


def _attempts(node: Node) -> str:
    budget = node.budget
    if budget.worst == 1:
        return ""
    product = f"{budget.batch} x {budget.own}" if budget.batch > 1 and budget.own > 1 else f"{budget.worst}"
    return f" (up to {product} attempts{' for an item' if node.items is not None else ''})"


def _spoken(span: TimeBounds) -> str:
    first = shown(span.low) if round(span.low, 1) == round(span.high, 1) else f"{shown(span.low)} to {shown(span.high)}"
    worse = f", {shown(span.worst)} with every retry" if round(span.worst, 1) > round(span.high, 1) else ""
    return f"takes {first}{worse}"


def _tokens_said(tokens: Tokens, price: Price | None) -> Iterator[str]:
    sent = f"{_between(tokens.input)} tokens" if tokens.exact else f"{tokens.input.low} tokens or more"
    answer = "unknown" if tokens.output is None else f"{tokens.output} tokens at most"
    yield f"input {sent}, output {answer}"
    if price is None:
        return
    low, high, most = costs(tokens, price)
    cost = "unknown" if low is None else f"{money(low)} or more"
    if low is not None and high is not None:
        cost = money(low) if high == low else f"{money(low)} to {money(high)}"
    yield f"costs {cost} for input, {'unknown' if most is None else f'{money(most)} at most'} for output"


def _summary(plan: Plan) -> Iterator[str]:
    for number, (what, calls) in enumerate(plan.kinds().items()):
        yield f"{'' if number else 'together '}{_between(calls)} {_plural(what, calls)}"
    if plan.time is not None:
        yield _spoken(plan.time)
    if plan.tokens is not None:
        yield from _tokens_said(plan.tokens, plan.price)
        yield f"tokens are estimated as {METHOD}; no tokenizer was asked"
    if plan.missing:
        given = " ".join(f"{name}=..." for name in plan.missing)
        yield f"not given, and a run needs {'it' if len(plan.missing) == 1 else 'them'}: {given}"
    names = {name.partition("(")[0] for part in plan.calls for names, _ in part.terms for name in names}
    for name, meaning in _UNKNOWNS.items():
        if name in names:
            yield meaning


def shown(seconds: float) -> str:
    """A duration for people."""
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest)
    return " ".join(parts)


def money(cost: float) -> str:
    """An amount of money, in the currency of the price that was given."""
    if cost >= 1:
        return f"{cost:,.2f}"
    return f"{cost:.4f}" if cost >= 0.01 or not cost else f"{cost:.2g}" if cost >= 0.0001 else "less than 0.0001"


def dump(plan: Plan) -> str:
    """The plan as JSON text."""
    return json.dumps(to_json(plan), indent=2, ensure_ascii=False)
