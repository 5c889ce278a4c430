"""The forecast of each node: how many items, how many calls, how long, how many tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...analyse.reachability import Reachability
from ...ir.batch_keys import batch_key
from ...ir.batch_spec import BatchSpec
from ...ir.workflow import SourceIR, SourceNode
from ...node_types.pflow_types import WORKFLOW_TYPES
from ...runtime.pace import rate_of
from ..shared.node_facts import budget_of
from ..shared.prompt_cache import cached_texts
from ..shared.sub_workflows import NotWalked, Walk
from .amount import NOTHING, ONCE, Amount, Range
from .clock import TimeBounds, Times, makespan, of_calls
from .items import Items, items_of
from .known import UNKNOWN, KnownValues
from .node import Node, repeated, together
from .tokens import tokens_of
from .totals import Totals, along
from .totals import together as all_together

ROUNDS = 100
"""How often pflow runs one node in a run at most."""

_MOST_CHILDREN = 500  # items that get a forecast of their own of what they start


def forecast_without_inputs(ir: SourceIR, folder: Path) -> tuple[Node, ...]:
    """The forecast of every node of `ir`, which stands in `folder`, for a run here without inputs."""
    return forecast(ir, KnownValues(ir, {}, Path.cwd()), Times(), folder=folder)[0]


def forecast(
    ir: SourceIR,
    known: KnownValues,
    times: Times,
    *,
    folder: Path,
    above: str = "",
    in_item: bool = False,
    walk: Walk | None = None,
) -> tuple[tuple[Node, ...], Totals]:
    """A forecast of every node of `ir`, in the order of the document, and what they come to together.

    `folder` is where the workflow stands, `above` the path of the node that starts it, `in_item` whether that happens
    for an item of a batch; `walk` is how the workflow was come by, if another one starts it.
    """
    walk = walk or Walk.of(folder / Path(ir.name).name)
    ways = Reachability(ir)
    made: list[Node] = []
    often: list[Range] = []  # how often each node is reached
    counts: dict[str, Items] = {}
    for node in ir.nodes:
        notes = []
        runs = rounds = ONCE
        if not ways.runs_at_all(node.id):
            runs, notes = NOTHING, ["no edge leads here: it never runs"]
        elif ways.may_be_skipped(node.id):
            runs, notes = Range.of(0, 1), ["not on every way through the workflow"]
        if ways.may_come_again(node.id):
            runs = Range(runs.low, runs.high.times(Amount.unknown("rounds")))
            notes.append(f"an edge leads back over it: once per round, {ROUNDS} rounds at most")
        often.append(runs)
        if node.loop is not None:
            most = known.value(node.loop.max_iterations)
            rounds = Range.of(1, most if isinstance(most, int) and not isinstance(most, bool) else ROUNDS)
            runs = runs.times(rounds)
            notes.append("a loop ends when its condition says so")
        path = f"{above}{node.id}"
        items = items_of(node, path, known, counts, ir) if node.batch is not None else None
        if items is not None:
            counts[node.id] = items
            notes += [items.note] if items.note else []
        if node.type in WORKFLOW_TYPES:
            made.append(_sub_workflow(ir, node, known, times, folder, path, in_item, walk, runs, rounds, items, notes))
        else:
            made.append(_leaf(ir, node, known, times, path, in_item, runs, rounds, items, notes))
            if remark := known.learn(node):
                made[-1] = made[-1]._replace(notes=(*made[-1].notes, remark))
    ids = [node.id for node in ir.nodes]
    passages = {name: node.passage for name, node in zip(ids, made, strict=True)}
    return tuple(made), along(ways, passages, dict(zip(ids, often, strict=True)))


def _leaf(
    ir: SourceIR,
    node: SourceNode,
    known: KnownValues,
    times: Times,
    path: str,
    in_item: bool,
    runs: Range,
    rounds: Range,
    items: Items | None,
    notes: list[str],
) -> Node:
    budget = budget_of(node)
    count = items.number if items is not None else ONCE
    calls = Range(runs.low.times(count.low), runs.high.times(count.high).times(budget.worst))
    samples = times.calls(path, for_item=in_item or node.batch is not None)
    spec = node.batch
    if spec is not None and spec.timeout is not None:
        samples = tuple(min(sample, spec.timeout) for sample in samples)
    in_flight = _in_flight(node, count)
    time = None
    number = count.high.value
    if samples and number is not None and runs.high.value == 1:
        time = of_calls(samples, number, max(in_flight, 1), budget.worst, budget.waits())
    if time is not None and number is not None:
        time = _paced(time, spec, number, number * budget.worst)
    notes += _controls(spec)
    if budget.known is None:
        notes.append(f"`{node.type}` is not one of pflow's types: its class may try more often by itself")
    what = budget.known.call if budget.known else "call"
    values, cached = items.values if items is not None else None, cached_texts(ir, node)
    tokens = tokens_of(node, known, values, runs, count, budget.worst, cached)
    reached = Range(rounds.low.times(count.low), rounds.high.times(count.high).times(budget.worst))
    passage = Totals(
        reached, {what: reached}, tokens_of(node, known, values, rounds, count, budget.worst, cached), time
    )
    return Node(
        path=path,
        type=node.type,
        what=what,
        line=_line(ir, node),
        items=items.number if items is not None else None,
        source=items.source if items is not None else "",
        runs=runs,
        calls=calls,
        budget=budget,
        in_flight=in_flight,
        time=time,
        tokens=tokens,
        passage=passage,
        notes=tuple(notes),
    )


def _sub_workflow(
    ir: SourceIR,
    node: SourceNode,
    known: KnownValues,
    times: Times,
    folder: Path,
    path: str,
    in_item: bool,
    walk: Walk,
    runs: Range,
    rounds: Range,
    items: Items | None,
    notes: list[str],
) -> Node:
    """A node that runs another workflow: the forecasts of that one, once per item."""
    count = items.number if items is not None else ONCE
    in_flight = _in_flight(node, count)
    notes += _controls(node.batch)
    calls, time, not_walked = NOTHING, None, ""
    inner: tuple[Node, ...] = ()
    values = items.values if items is not None else [UNKNOWN]
    each: list[tuple[tuple[Node, ...], Totals]] = []
    passage = Totals()
    try:
        if values is not None and len(values) <= _MOST_CHILDREN:
            for index, item in enumerate(values):
                more = {**node.batch.named(item), "__index__": index} if node.batch is not None else {}
                each.append(_child(node, known, times, folder, path, in_item or items is not None, walk, more))
            inner = together([nodes for nodes, _ in each], runs)
            passage = all_together(totals for _, totals in each).times(rounds)
            spans = [totals.time for _, totals in each]
            if all(span is not None for span in spans) and runs.high.value == 1:
                time = _in_workers([span for span in spans if span is not None], in_flight)
        else:
            more = (
                {**dict.fromkeys(node.batch.aliases, UNKNOWN), "__index__": UNKNOWN} if node.batch is not None else {}
            )
            one, totals = _child(node, known, times, folder, path, True, walk, more)
            inner = tuple(repeated(each_node, runs.times(count)) for each_node in one)
            passage = totals.times(rounds.times(count))
            span, number = totals.time, count.high.value
            if span is not None and number is not None and runs.high.value == 1:
                time = _in_workers([span] * number, in_flight)
        if time is not None and (number := count.high.value) is not None:
            time = _paced(time, node.batch, number, number * budget_of(node).worst)
    except NotWalked as why:
        not_walked = str(why)
        notes.append(not_walked)
        unknown = Amount.unknown(f"calls({path})")
        calls = Range(Amount.of(0), runs.high.times(count.high).times(unknown))
        reached = Range(Amount.of(0), rounds.high.times(count.high).times(unknown))
        passage = Totals(reached, {"call": reached})
    return Node(
        path=path,
        type=node.type,
        what="call",
        line=_line(ir, node),
        items=items.number if items is not None else None,
        source=items.source if items is not None else "",
        runs=runs,
        calls=calls,
        budget=budget_of(node),
        in_flight=in_flight,
        time=time,
        tokens=None,
        passage=passage._replace(time=time),
        notes=tuple(notes),
        inner=inner,
        not_walked=not_walked or next((node.not_walked for node in inner if node.not_walked), ""),
    )


def _child(
    node: SourceNode,
    known: KnownValues,
    times: Times,
    folder: Path,
    path: str,
    in_item: bool,
    walk: Walk,
    more: Mapping[str, Any],
) -> tuple[tuple[Node, ...], Totals]:
    name = known.value(node.params.get("workflow"), more)
    if not isinstance(name, str):
        raise NotWalked("which workflow this starts is not known yet")
    file = folder / Path(name).expanduser()
    below, ir = walk.into(file, name, folder)
    written = node.params.get("inputs")
    values: dict[str, Any] = {}
    if isinstance(written, dict):
        values = {key: known.value(value, more) for key, value in written.items()}
    elif written is not None:
        resolved = known.value(written, more)
        values = resolved if isinstance(resolved, dict) else dict.fromkeys(ir.inputs, UNKNOWN)
    inside = KnownValues(ir, values, known.folder)
    return forecast(ir, inside, times, folder=file.parent, above=f"{path}/", in_item=in_item, walk=below)


def _in_workers(spans: Sequence[TimeBounds], workers: int) -> TimeBounds:
    workers = max(workers, 1)
    low = makespan([span.low for span in spans], workers)[0]
    high = makespan([span.high for span in spans], workers)[1]
    return TimeBounds(low, high, makespan([span.worst for span in spans], workers)[1])


def _controls(spec: BatchSpec | None) -> list[str]:
    """What the keys of a batch say of its calls and of its next run."""
    if spec is None:
        return []
    said = []
    if spec.timeout is not None:
        said.append(f"an attempt is given up after {spec.timeout:g} s")
    if spec.rate is not None:
        said.append(f"calls start at most as often as {spec.rate}")
    if spec.resume:
        said.append("after a failure, the next run does only the items that are left")
    return said


def _paced(time: TimeBounds, spec: BatchSpec | None, calls: int, worst: int) -> TimeBounds:
    """`time`, where the batch's rate keeps the starts of its calls apart; `worst` are they with every attempt."""
    apart = _apart(spec)
    return time.at_least((calls - 1) * apart, (worst - 1) * apart) if calls and apart else time


def _apart(spec: BatchSpec | None) -> float:
    """The seconds between two starts that the batch's rate asks for; 0 where there is none, or only its name."""
    try:
        return rate_of(spec.rate).apart if spec is not None and spec.rate is not None else 0.0
    except ValueError:
        return 0.0


def _in_flight(node: SourceNode, count: Range) -> int:
    """How many items run at the same time at most."""
    bound = 1
    if node.batch is not None and node.batch.parallel:
        found = node.batch.max_concurrent  # `auto` finds out, up to the most that may be written
        bound = found if isinstance(found, int) else int(batch_key("max_concurrent").schema["maximum"])
    most = count.high.value
    return bound if most is None else min(bound, most)


def _line(ir: SourceIR, node: SourceNode) -> int | None:
    position = ir.position((*node.path, "id"))
    return position.line if position is not None else None
