"""The forecast of each node: how many items, how many calls, how long, how many tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...analyse.reachability import Reachability
from ...ir.workflow import SourceIR, SourceNode
from ...node_types.pflow_types import WORKFLOW_TYPES
from ...node_types.run_tables import budgets_for
from ...runtime.ray_place import NO_AUTO
from ...runtime.visits import MOST_VISITS
from ..shared.node_facts import retry_budget_of
from ..shared.prompt_cache import cached_texts
from ..shared.sub_workflows import NotWalked, Walk
from .amount import NOTHING, ONCE, Amount, Range
from .clock import TimeBounds, Times, makespan, of_calls
from .cluster import dealt
from .items import Items, items_of
from .known import UNKNOWN, KnownValues
from .known_items import wrong_with
from .limits import Starts
from .node import Node, repeated, together
from .notes import limit_of, notes_of
from .reached import Reached
from .tokens import Tokens, tokens_of
from .totals import Totals, along
from .totals import together as all_together

_MOST_CHILDREN = 500  # items that get a forecast of their own of what they start


def forecast_without_inputs(ir: SourceIR, folder: Path) -> tuple[Node, ...]:
    """The forecast of every node of `ir`, which stands in `folder`, for a run here without inputs."""
    return forecast(ir, KnownValues(ir, {}, Path.cwd()), Times(), folder=folder)[0]


class _Place(NamedTuple):
    """The workflow that is looked at, and how it was come by."""

    ir: SourceIR
    known: KnownValues
    times: Times
    folder: Path
    above: str
    in_item: bool
    walk: Walk
    around: tuple[tuple[SourceIR, SourceNode], ...]
    """The node that starts it, with its workflow, the one that starts that, and so on."""


def forecast(
    ir: SourceIR,
    known: KnownValues,
    times: Times,
    *,
    folder: Path,
    above: str = "",
    in_item: bool = False,
    walk: Walk | None = None,
    around: tuple[tuple[SourceIR, SourceNode], ...] = (),
) -> tuple[tuple[Node, ...], Totals]:
    """A forecast of every node of `ir`, in the order of the document, and what they come to together.

    `folder` is where the workflow stands, `above` the path of the node that starts it, `in_item` whether that happens
    for an item of a batch; `walk` is how the workflow was come by, if another one starts it, and `around` are the nodes
    that start it, from the inside out, each with its workflow.
    """
    place = _Place(ir, known, times, folder, above, in_item, walk or Walk.of(folder / Path(ir.name).name), around)
    ways = Reachability(ir)
    budgets = (
        budgets_for(folder) if any(node.batch is not None and node.batch.names_a_budget for node in ir.nodes) else {}
    )
    made: list[Node] = []
    often: list[Range] = []  # how often each node is reached
    counts: dict[str, Items] = {}
    for node in ir.nodes:
        runs, notes = _runs(ways, node.id)
        often.append(runs)
        rounds = ONCE
        if node.loop is not None:
            most = known.value(node.loop.max_iterations)
            rounds = Range.of(1, most if isinstance(most, int) and not isinstance(most, bool) else MOST_VISITS)
            runs = runs.times(rounds)
            notes.append("a loop ends when its condition says so")
        path = f"{above}{node.id}"
        problem = ""
        items = items_of(node, path, known, counts, ((ir, node), *around)) if node.batch is not None else None
        if items is not None:
            counts[node.id] = items
            problem = items.problem or _refused(place, node) or wrong_with(ir, node, items.values)
            notes += [text for text in (items.note, problem) if text]
        limit = limit_of(node.batch, budgets)
        notes += notes_of(node, limit)
        position = ir.position((*node.path, "id"))
        line = position.line if position is not None else None
        reached = Reached(node, path, line, runs, rounds, items, limit, notes, problem)
        if node.type in WORKFLOW_TYPES:
            made.append(_sub_workflow(place, reached))
        else:
            made.append(_leaf(place, reached))
            if remark := known.learn(node):
                made[-1] = made[-1]._replace(notes=(*made[-1].notes, remark), is_wrong=True)
    ids = [node.id for node in ir.nodes]
    passages = {name: node.passage for name, node in zip(ids, made, strict=True)}
    return tuple(made), along(ways, passages, dict(zip(ids, often, strict=True))).within_limits()


def _runs(ways: Reachability, name: str) -> tuple[Range, list[str]]:
    """How often a node is reached, and what there is to say about it."""
    runs, notes = ONCE, []
    if not ways.runs_at_all(name):
        runs, notes = NOTHING, ["no way leads here: it never runs"]
    elif ways.may_be_skipped(name):
        runs, notes = Range.of(0, 1), ["not on every way through the workflow"]
    if ways.may_come_again(name):
        runs = Range(runs.low, runs.high.times(Amount.unknown("rounds")))
        notes.append(f"an edge leads back over it: once per round, {MOST_VISITS} rounds at most")
    return runs, notes


def _refused(place: _Place, node: SourceNode) -> str:
    """Why no run does the batch there, if so."""
    spec, is_on_ray = node.batch, place.times.cluster is not None and not place.in_item
    is_auto = spec is not None and spec.parallel and spec.max_concurrent == "auto"
    return f"a run is refused: {NO_AUTO}" if is_on_ray and is_auto else ""


def _leaf(place: _Place, reached: Reached) -> Node:
    """A node that makes calls itself."""
    node, count, items, runs, rounds = reached.node, reached.item_count, reached.items, reached.runs, reached.rounds
    budget = retry_budget_of(node)
    samples = place.times.calls(reached.path, for_item=place.in_item or node.batch is not None)
    timeout = node.batch.timeout if node.batch is not None else None
    if timeout is not None:
        samples = tuple(min(sample, timeout) for sample in samples)
    time = on_workers = None
    starts: Mapping[str, Starts] = {}
    number = count.high.value
    if samples and number is not None and runs.high.value == 1:
        time = of_calls(
            samples, number, max(reached.in_flight, 1), budget.worst, budget.waits(), budget.longest(timeout)
        )
        cluster, spec = place.times.cluster, node.batch
        if cluster is not None and spec is not None and spec.parallel and not place.in_item and not reached.problem:
            on_workers = dealt(cluster, node.id, number, sum(samples) / len(samples), reached.bound)
            time = time.at_least(on_workers.seconds, on_workers.seconds, on_workers.seconds * budget.worst)
        starts = reached.starts(number, sum(samples) / len(samples))
    if budget.known is None:
        reached.notes.append(f"`{node.type}` is not one of pflow's types: its class may try more often by itself")
    what = budget.known.call if budget.known else "call"
    values, cached = items.values if items is not None else None, cached_texts(place.ir, node)

    def calls(times: Range) -> Range:
        return Range(times.low.times(count.low), times.high.times(count.high).times(budget.worst))

    def tokens(times: Range) -> Tokens | None:
        return tokens_of(node, place.known, values, times, count, budget.worst, cached)

    passage = Totals(calls(rounds), {what: calls(rounds)}, tokens(rounds), time, starts).within_limits()
    return reached.forecast(what, calls(runs), passage, tokens=tokens(runs))._replace(dealt=on_workers)


def _sub_workflow(place: _Place, reached: Reached) -> Node:
    """A node that runs another workflow: the forecasts of that one, once per item."""
    node, count, items, runs, rounds = reached.node, reached.item_count, reached.items, reached.runs, reached.rounds
    budget = retry_budget_of(node)
    tries = Range.of(1, budget.worst)
    calls, not_walked = NOTHING, ""
    time: TimeBounds | None = None
    inner: tuple[Node, ...] = ()
    values = items.values if items is not None else [UNKNOWN]
    passage = Totals()
    try:
        if values is not None and len(values) <= _MOST_CHILDREN:
            each: list[tuple[tuple[Node, ...], Totals]] = []
            for index, item in enumerate(values):
                more = {**node.batch.named(item), "__index__": index} if node.batch is not None else {}
                each.append(_child(place, reached, more))
            inner = together([nodes for nodes, _ in each], runs.times(tries))
            passage = all_together(totals.tried(budget.worst) for _, totals in each).times(rounds)
            spans = [totals.time for _, totals in each]
        else:
            names = node.batch.aliases if node.batch is not None else ()
            one, totals = _child(place, reached, {**dict.fromkeys(names, UNKNOWN), "__index__": UNKNOWN})
            inner = tuple(repeated(each_node, runs.times(count).times(tries)) for each_node in one)
            passage = totals.tried(budget.worst).times(rounds.times(count))
            number = count.high.value
            spans = [totals.time] * number if totals.time is not None and number is not None else [None]
        if all(span is not None for span in spans) and runs.high.value == 1:
            timeout = node.batch.timeout if node.batch is not None else None
            tried = [span.tried(budget.worst, budget.waits(), timeout) for span in spans if span is not None]
            time = _in_workers(tried, reached.in_flight)
        passage = passage._replace(time=time)
        if time is not None and (number := count.high.value) is not None:
            own = Totals(starts=reached.starts(number, 0.0))
            passage = passage.plus(own).within_limits()
    except NotWalked as why:
        not_walked = str(why)
        reached.notes.append(not_walked)
        unknown = Amount.unknown(f"calls({reached.path})")
        most = count.high.times(budget.worst).times(unknown)
        calls, reached_calls = (Range(Amount.of(0), often.high.times(most)) for often in (runs, rounds))
        passage = Totals(reached_calls, {"call": reached_calls}, time=None)
    not_walked = not_walked or next((found.not_walked for found in inner if found.not_walked), "")
    return reached.forecast("call", calls, passage, inner=inner, not_walked=not_walked)


def _child(place: _Place, reached: Reached, more: Mapping[str, Any]) -> tuple[tuple[Node, ...], Totals]:
    """The forecast of the workflow that the node starts, where `more` is known, too. Raises: NotWalked."""
    params, known = reached.node.params, place.known
    name = known.value(params.get("workflow"), more)
    if not isinstance(name, str):
        raise NotWalked("which workflow this starts is not known yet")
    file = place.folder / Path(name).expanduser()
    below, ir = place.walk.into(file, name, place.folder)
    written = params.get("inputs")
    values: dict[str, Any] = {}
    if isinstance(written, dict):
        values = {key: known.value(value, more) for key, value in written.items()}
    elif written is not None:
        resolved = known.value(written, more)
        values = resolved if isinstance(resolved, dict) else dict.fromkeys(ir.inputs, UNKNOWN)
    return forecast(
        ir,
        KnownValues(ir, values, known.folder),
        place.times,
        folder=file.parent,
        above=f"{reached.path}/",
        in_item=place.in_item or reached.items is not None,
        walk=below,
        around=((place.ir, reached.node), *place.around),
    )


def _in_workers(spans: Sequence[TimeBounds], workers: int) -> TimeBounds:
    workers = max(workers, 1)
    low = makespan([span.low for span in spans], workers)[0]
    high = makespan([span.high for span in spans], workers)[1]
    return TimeBounds(low, high, makespan([span.worst for span in spans], workers)[1])
