"""The plan as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...diagnostics.diagnostic import for_log
from ...runtime.throttle import AdaptiveLimit
from .amount import ONCE, Range
from .clock import TimeBounds
from .cluster import Cluster, Dealt
from .node import Node
from .plan import Plan, costs
from .tokens import METHOD, Price, Tokens

_UNKNOWNS = {
    "n": "n(node): how many items the node has, the most where its runs differ; nobody can know yet",
    "calls": "calls(node): what the workflow makes that the node starts; it could not be read",
    "rounds": "rounds: how often an edge leads back",
}


def as_text(plan: Plan) -> str:
    """The plan for people."""
    nodes = list(plan.flat())
    width = max((2 * depth + len(node.path.rpartition("/")[2]) for depth, node in nodes), default=0)
    kinds = max((len(node.type) for _, node in nodes), default=0)
    lines = [plan.workflow, ""]
    for depth, node in nodes:
        name = "  " * depth + node.path.rpartition("/")[2]
        head = f"  {name:<{width}}  {node.type:<{kinds}}  "
        first, *more = _node_lines(node, plan.price)
        lines += [f"{head}{first}".rstrip(), *(f"{'':<{len(head)}}{line}" for line in more)]
    return "\n".join(map(for_log, [*lines, "", *(f"  {line}" for line in _summary(plan))]))


def _node_lines(node: Node, price: Price | None) -> Iterator[str]:
    """What is said of one node, line by line."""
    if node.items is not None:
        where = "" if node.source == "written in the workflow" else f", {node.source}"
        yield f"{node.items} item{'' if node.items == ONCE else 's'}{where}"
    elif node.inner:
        yield "starts, once," if node.runs == ONCE else f"starts, {node.runs} times,"
    if not node.inner:
        yield f"{_between(node.calls)} {_plural(node.what, node.calls)}{_attempts(node)}"
    if node.dealt is not None:
        yield _on_workers(node.dealt)
    elif node.items is not None and node.in_flight > 1:
        yield _at_a_time(node)
    if node.time is not None:
        yield _spoken(node.time)
    if node.tokens is not None:
        yield from _token_lines(node.tokens, price)
    yield from node.notes


def _at_a_time(node: Node) -> str:
    first = int(AdaptiveLimit.START)
    if not node.is_adaptive or node.in_flight <= first:
        return f"{node.in_flight} at a time"
    return f"{first} at a time at first, more as it goes well, {node.in_flight} at most"


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


def _token_lines(tokens: Tokens, price: Price | None) -> Iterator[str]:
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


def _on_workers(dealt: Dealt) -> str:
    workers = "1 worker" if dealt.workers == 1 else f"{dealt.workers} workers"
    threads = f" of {dealt.threads} threads" if dealt.threads > 1 else ""
    chunks = "1 chunk" if dealt.chunks == 1 else f"{dealt.chunks} chunks"
    return f"{chunks} on {workers}{threads}, the cluster is busy {dealt.utilisation:.0%} of that time"


def _summary(plan: Plan) -> Iterator[str]:
    for number, (what, calls) in enumerate(plan.kinds().items()):
        yield f"{'' if number else 'together '}{_between(calls)} {_plural(what, calls)}"
    if plan.time is not None:
        yield _spoken(plan.time)
    if plan.cluster is not None:
        yield _nodes_said(plan.cluster, plan)
    if plan.tokens is not None:
        yield from _token_lines(plan.tokens, plan.price)
        yield f"tokens are estimated as {METHOD}; no tokenizer was asked"
    if plan.missing:
        given = " ".join(f"{name}=..." for name in plan.missing)
        yield f"not given, and a run needs {'it' if len(plan.missing) == 1 else 'them'}: {given}"
    names = {name.partition("(")[0] for part in plan.calls for names, _ in part.terms for name in names}
    for name, meaning in _UNKNOWNS.items():
        if name in names:
            yield meaning


def _nodes_said(cluster: Cluster, plan: Plan) -> str:
    time = plan.time
    nodes = "1 node" if cluster.nodes == 1 else f"{cluster.nodes} nodes"
    costs = [None if time is None else cluster.cost(seconds) for seconds in (time or ())[:2]]
    if not costs:
        options = list(dict.fromkeys(_options_for_time(plan.nodes)))
        wanted = f"is not known: say {' '.join(options[:4])}" if options else "depends on what is not known yet"
        return f"{nodes}; for how long {wanted}"
    if costs[0] is None or costs[1] is None:
        return f"{nodes}; what they cost is not known: say --node-price, by the hour"
    first = money(costs[0]) if money(costs[0]) == money(costs[1]) else f"{money(costs[0])} to {money(costs[1])}"
    return f"{nodes} cost {first} for as long"


def _options_for_time(nodes: Sequence[Node]) -> Iterator[str]:
    """The options that say how long those of `nodes` take of which only that is not known. Items have one for all."""
    for node in nodes:
        if node.time is not None or node.runs != ONCE:
            continue
        if node.items is None and node.inner:
            yield from _options_for_time(node.inner)
        elif node.items is None and not node.not_walked:
            yield f"--item-time {node.path}=TIME"
        elif node.items is not None and node.items.high.value is not None:
            yield "--item-time TIME"


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
