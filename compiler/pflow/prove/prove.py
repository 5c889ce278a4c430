"""`pflow-lower prove`: pflow's interpreter and the generated class, side by side on the same scripted results.

The inner nodes are replaced by scripted ones, time is virtual, and what the steps before a batch would have given is
made up; so nothing is called, nothing is waited for, and every run is the same each time. What is compared is
everything that a batch does: which calls it makes of its node, with what, when, and what it says of them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pflow.registry import Registry
from pflow.runtime.compilation.compiler import compile_workflow
from pflow.runtime.engine.batch_executor import execute_batch
from pflow.runtime.engine.engine import WorkflowEngine
from pflow.runtime.engine.types import NodeConfig

from ... import pipeline
from ...files import regular_files
from ...ir.edges import edges_of, kept
from ...node_types.pflow_types import asks_a_model, is_mcp, pflow_type
from ...options import Options
from ...runtime.arguments import named
from ...runtime.declared_inputs import typed
from ...runtime.started_workflow import WORKFLOW_FILE
from ..batch_names import as_pflow_knows_it, our_keys
from ..engine_0_16.adapter import LoweredBatchConfig, compiled_with_classes, execute
from .sample_data import store_for, values_for
from .scripted_node import Scenario, Script, ScriptedNode, StandIn, scripts
from .virtual_time import virtual_time

FACETS = ("calls", "attempts", "order", "in flight", "outputs", "progress", "trace", "warnings", "raised error")
"""What is compared of a run."""

SIZES = (0, 1, 5)
"""How many items are made up."""

_SHOWN = 3  # differences of one kind that are shown
_LONGEST = 600  # characters that are shown of one


class Difference(NamedTuple):
    """One run that did not give the same."""

    facet: str
    run: str
    interpreted: Any
    lowered: Any


class Proof(NamedTuple):
    """What is known of one batch node. Without `runs` there is nothing to compare, and `why` says why."""

    node_id: str
    runs: int = 0
    calls: int = 0
    most_attempts: int = 0
    most_in_flight: int = 0
    raising: int = 0
    aborted: int = 0
    """Runs of which `_OF_WHO_NOTICED` was not compared."""
    stopped: int = 0
    """Runs in which pflow's counts were compared without the items that never ran."""
    differences: tuple[Difference, ...] = ()
    why: str = ""

    def lines(self) -> Iterator[str]:
        """The report."""
        if not self.runs:
            yield f"{self.node_id}: nothing to compare, {self.why}"
            return
        yield f"{self.node_id}: {self.runs} runs"
        seen = {
            "calls": f"{self.calls}, with the same parameters",
            "attempts": f"at most {self.most_attempts} for an item",
            "in flight": f"at most {self.most_in_flight}",
            "raised error": f"in {self.raising} runs",
        }
        for facet in FACETS:
            found = [difference for difference in self.differences if difference.facet == facet]
            if not found:
                unseen = f"not compared in {self.aborted} aborted runs" if facet in _OF_WHO_NOTICED else ""
                facts = [seen.get(facet, ""), unseen if self.aborted else ""]
                yield f"  {facet:<14}agree  {'; '.join(filter(None, facts))}".rstrip()
                continue
            yield f"  {facet:<14}DIFFER in {len(found)} runs"
            for difference in found[:_SHOWN]:
                yield f"    {difference.run}"
                yield f"      interpreted  {_short(difference.interpreted)}"
                yield f"      lowered      {_short(difference.lowered)}"
        if self.stopped:
            left_out = "items that never ran are left out: pflow counts them as failed"
            yield f"  in {self.stopped} runs that stopped, {left_out}"


def prove(workflow: str, given: Iterable[str]) -> Iterator[Proof]:
    """Prove each batch node of the file `workflow`; `given` are inputs, `name=value`.

    Raises: LowerError or pflow's own errors, if it cannot be read or compiled; ValueError, for an input that it
    does not have or whose text does not fit.
    """
    # Every stage first: pflow's compiler runs many a batch that pflow's validator refuses.
    with regular_files.outside_allowed():  # pflow reads them, too
        source = pipeline.run(workflow, Options(code=False)).source
    ir: dict[str, Any] = dict(source.data)
    ir.setdefault("edges", [])
    inputs = ir.get("inputs") or {}
    values = {name: typed(name, text, inputs[name].get("type")) for name, text in named(given, inputs).items()}
    # Its file, too: tables of the folder that it stands in say what a named rate is.
    given_to_it = {**values_for(inputs, values), WORKFLOW_FILE: str(Path(workflow).absolute())}
    compiled = compiled_with_classes(_compiled, copy.deepcopy(ir), registry=StandIns(ir), initial_params=given_to_it)
    ids = [node["id"] for node in ir["nodes"]]
    nodes = _nodes(compiled.start_node)
    for written in ir["nodes"]:
        config = compiled.node_configs[written["id"]]
        if config.batch_config is None:
            continue
        is_lowered = isinstance(config.batch_config, LoweredBatchConfig) and source.document.is_plain
        if not is_lowered or written["id"] not in nodes:
            yield Proof(written["id"], why="it runs interpreted")
            continue
        if keys := our_keys(written):
            yield Proof(written["id"], why=f"pflow does not know `{keys[0]}` as its annotation says it")
            continue
        if config.batch_config.names:
            yield Proof(written["id"], why=f"it uses ${{{config.batch_config.names[0]}}}, which pflow does not have")
            continue
        stores: list[dict[str, Any]] = []
        for size in _sizes(config.batch_config):
            store = store_for(written, inputs, values, ids, size)
            if store not in stores:
                stores.append(store)
        yield _proof(nodes[written["id"]], config, stores)


_PREFIX = "stand-in for "


def _compiled(ir: Any, *arguments: Any, **keywords: Any) -> Any:
    """`compile_workflow`, which is shown names, types and models that it knows."""
    nodes = []
    for node in as_pflow_knows_it(ir)["nodes"]:
        params = node.get("params") or {}
        if asks_a_model(node["type"]) and not params.get("model"):
            params = {**params, "model": "openai/none"}  # pflow would look for a key, to choose one
        name = node["type"] if _is_pflows(node["type"]) else f"{_PREFIX}{node['type']}"
        nodes.append({**node, "type": name, "params": params})
    edges = [ir["edges"][edge.number] for edge in kept(edges_of(ir))]  # of each that another replaces, pflow warns
    return compile_workflow({**as_pflow_knows_it(ir), "nodes": nodes, "edges": edges}, *arguments, **keywords)


def _is_pflows(name: str) -> bool:
    return pflow_type(name) is not None and not is_mcp(name)


class StandIns(Registry):  # type: ignore[misc]  # pflow is not typed for us
    """pflow's registry, in which every type of a workflow is known: what is not pflow's own is stood in for.

    Inner nodes are scripted, so that the author's class is neither needed nor imported, and no server either.
    """

    def __init__(self, ir: Mapping[str, Any]) -> None:
        super().__init__()
        self._types = {node["type"] for node in ir["nodes"] if not _is_pflows(node["type"])}

    def load(self, include_filtered: bool = False) -> dict[str, dict[str, Any]]:
        """pflow's types as they are, and a class of ours for the workflow's others."""
        known = dict(super().load(include_filtered))
        for name in self._types:
            known[f"{_PREFIX}{name}"] = {**_STAND_IN, "interface": known.get(name, _STAND_IN).get("interface", {})}
        return known


_STAND_IN: dict[str, Any] = {
    "module": StandIn.__module__,
    "class_name": StandIn.__name__,
    "type": "core",
    "file_path": "",
    "interface": {},
}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _sizes(batch: Any) -> list[int]:
    """How many items to make up: where several run at once, so many that some have to wait, too."""
    return sorted({*SIZES, batch.max_concurrent + 2}) if batch.parallel else list(SIZES)


def _nodes(start: Any) -> dict[str, Any]:
    """The nodes that can be reached from `start`, by their ids."""
    found: dict[str, Any] = {}
    todo = [start]
    while todo:
        node = todo.pop()
        if node.node_id not in found:
            found[node.node_id] = node
            todo.extend(node.successors.values())
    return found


# --- The runs


def _proof(node: Any, config: NodeConfig, stores: list[dict[str, Any]]) -> Proof:
    batch = config.batch_config
    runs = calls = attempts = most = raising = aborted = stopped = 0
    differences: list[Difference] = []
    for store in stores:
        count = _count(batch.generated, store)
        for name, script in scripts(count, batch.max_retries):
            their = _run(execute_batch, node, config, store, name, script)
            our = _run(_lowered, node, config, store, name, script)
            runs += 1
            calls += len(our["calls"])
            attempts = max([attempts, *our["attempts"].values()])
            most = max(most, our["in flight"])
            raising += our["raised error"] is not None
            if batch.parallel and _is_aborted(their, our):
                aborted += 1
                their, our = _first_attempts(their), _first_attempts(our)
            elif batch.parallel:
                stopped += bool(_never_ran(their["outputs"]))
                their, our = _as_designed(their, our, fail_fast=batch.error_handling == "fail_fast")
            our = _on_their_clock(their, our)
            differences += [
                Difference(facet, f"{count} items, {name}", their[facet], our[facet])
                for facet in FACETS
                if their[facet] != our[facet]
            ]
    return Proof(config.node_id, runs, calls, attempts, most, raising, aborted, stopped, tuple(differences))


def _lowered(node: Any, config: NodeConfig, shared: dict[str, Any], run_one: Callable[..., Any]) -> str:
    return execute(execute_batch, node, config, shared, run_one)


def _count(generated: Any, store: dict[str, Any]) -> int:
    """How many items a run has; 0 where it ends before the first."""
    try:
        return len(generated(None).prep(copy.deepcopy(store)).items)
    except (ValueError, TypeError):
        return 0


def _run(
    executor: Callable[..., str], node: Any, config: NodeConfig, store: Mapping[str, Any], name: str, script: Script
) -> dict[str, Any]:
    """What one run gives, by facet."""
    progress: list[Any] = []

    def listen(*said: Any, **more: Any) -> None:
        progress.append([round(value, 2) if isinstance(value, float) else value for value in said] + [more])

    shared = copy.deepcopy(dict(store))
    shared |= {"__progress_callback__": listen, "__trace_collector__": object(), "_pflow_depth": 0}
    engine = WorkflowEngine.__new__(WorkflowEngine)
    raised = None
    with virtual_time() as made:
        scenario = Scenario(name, script, made.clock)
        try:
            executor(ScriptedNode(node, scenario), config, shared, engine._execute_single_node)
        except Exception as error:  # noqa: BLE001  whatever a batch raises is one of the facets
            raised = f"{type(error).__name__}: {error}"
        made.join()
    return {
        "calls": sorted(call[1:] for call in scenario.calls),
        "attempts": dict(sorted(scenario.attempts.items())),
        "order": [call[1:3] for call in sorted(scenario.calls)],
        "in flight": scenario.most,
        "outputs": _as_plain_data(shared.get(config.node_id)),
        "progress": progress,
        "trace": _as_plain_data(list((shared.get("_batch_trace") or {}).get(config.node_id) or [])),
        "warnings": _as_plain_data([shared.get("__warnings__"), sorted(shared.get("__template_errors__") or {})]),
        "raised error": raised,
    }


def _as_designed(
    their: dict[str, Any], our: dict[str, Any], *, fail_fast: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two parallel runs without what pflow leaves to chance, or does otherwise than the design says.

    - Failures are told by position here, and in the order in which they came in pflow; so is the first one.
    - pflow counts items that never ran as failed when a batch stops at the first failure.
    - What is under way when a batch is aborted goes on retrying in pflow, and makes no further attempt here.
    """
    outcome = their["outputs"]
    if not _is_outcome(outcome):
        return their, our
    errors = sorted(outcome["errors"], key=lambda error: int(error["index"]))
    real = [error for error in errors if error not in _never_ran(outcome)]
    never_ran = len(errors) - len(real)
    counts = {"count": outcome["count"] - never_ran, "error_count": outcome["error_count"] - never_ran}
    their = {**their, "outputs": {**outcome, **counts, "errors": real}}
    if never_ran:
        done = [entry for entry in their["progress"] if entry[2]]  # what never ran took no time
        their["progress"] = [
            [*entry[:-1], {**entry[-1], "batch_current": number}] for number, entry in enumerate(done, start=1)
        ]
        timing = our["outputs"]["batch_metadata"]["timing"]  # pflow's average is over all of them
        their["outputs"]["batch_metadata"] = {**outcome["batch_metadata"], "timing": timing}
    if their["raised error"] is not None and real:
        if fail_fast and real[0]["exception"] is not None:
            their["raised error"] = real[0]["exception"]
        else:
            their["raised error"] = _headline(their["raised error"], real[0], fail_fast=fail_fast)
            our = {**our, "raised error": _headline(our["raised error"], real[0], fail_fast=fail_fast)}
    return their, our


def _on_their_clock(their: dict[str, Any], our: dict[str, Any]) -> dict[str, Any]:
    """`our` with their timing, if it is the same but for the last digit: sums of floats depend on their order."""
    timings: list[Any] = [((run["outputs"] or {}).get("batch_metadata") or {}).get("timing") for run in (their, our)]
    if not all(timings) or any(abs(timings[0][key] - timings[1][key]) > 0.011 for key in timings[0]):
        return our
    metadata = {**our["outputs"]["batch_metadata"], "timing": timings[0]}
    return {**our, "outputs": {**our["outputs"], "batch_metadata": metadata}}


def _is_aborted(their: Mapping[str, Any], our: Mapping[str, Any]) -> bool:
    """Whether an exception ended both runs before there was an outcome."""
    return not _is_outcome(their["outputs"]) and their["raised error"] is not None and our["outputs"] is None


def _is_outcome(outputs: Any) -> bool:
    return isinstance(outputs, dict) and "errors" in outputs


def _never_ran(outcome: Any) -> list[Any]:
    """The errors of pflow's outcome that are of items which never ran."""
    errors = outcome["errors"] if _is_outcome(outcome) else []
    return [error for error in errors if str(error["exception"]).startswith("CancelledError")]


_OF_WHO_NOTICED = ("attempts", "progress", "trace", "warnings")
"""What depends, in an aborted run, on when who noticed."""


def _first_attempts(run: dict[str, Any]) -> dict[str, Any]:
    """An aborted run without `_OF_WHO_NOTICED`, and of its calls the first ones."""
    first = {index for index, _ in run["order"]}
    nothing: dict[str, Any] = dict.fromkeys(_OF_WHO_NOTICED)
    calls = [call for call in run["calls"] if call[1] == 1]
    return {**run, **nothing, "calls": calls, "order": sorted(first)}


def _headline(raised: str | None, first: Mapping[str, Any], *, fail_fast: bool) -> str | None:
    """What a RuntimeError about several failures says, but for which of them it names first."""
    if raised is None or not fail_fast:
        return raised and raised.partition(" Errors: ")[0]
    return raised if f"[{first['index']}]" in raised else f"names another item than {first['index']}"


def _as_plain_data(value: Any) -> Any:
    """`value` as plain data: exceptions and diagnostics as their text."""
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, dict):
        return {str(key): _as_plain_data(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_plain_data(inner) for inner in value]
    if hasattr(value, "to_dict"):
        return _as_plain_data(value.to_dict())
    return value if value is None or isinstance(value, (str, int, float)) else repr(value)
