"""A batch node inside pflow, run by its interpreter and by the generated class; and the table of what they took."""

from __future__ import annotations

import copy
import gc
import logging
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from pflow_lower import before_pflow  # noqa: F401

os.environ["HOME"] = tempfile.mkdtemp()  # pflow keeps its registry and its caches there

from pflow.execution.result import RunnerConfig
from pflow.execution.runner import WorkflowRunner
from pflow.registry import Registry
from pflow.runtime.engine import batch_executor, engine

import pflow_lower.pflow
from pflow_lower.pflow.engine_0_16 import adapter as attach

interpreted = batch_executor.execute_batch  # before pflow-lower is installed
US = 1e6
Params = dict[str, Any]


class Step:
    """One batch node as pflow's engine runs it: the same node and store for the interpreter and the class."""

    def __init__(self, params: Params, **batch: Any) -> None:
        node = {"id": "b", "type": "bench-echo", "params": params, "batch": {"items": "${xs}", **batch}}
        inputs = {"xs": {"type": "array", "required": True}}
        if "text" in params:
            inputs["style"] = {"type": "string", "default": "terse"}
        self.ir = {"ir_version": "0.1.0", "inputs": inputs, "nodes": [node], "edges": []}
        caught: list[Any] = []

        def catch(node: Any, config: Any, shared: Params, run_one: Any) -> str:
            caught.extend((node, config, dict(shared), run_one))
            return "default"

        with mock.patch.object(engine, "execute_batch", catch):
            self.workflow([0])
        self.node, self.config, self.shared, self.run_one = caught
        assert isinstance(self.config.batch_config, attach.LoweredBatchConfig)

    def workflow(self, items: list[Any]) -> Any:
        """The whole workflow over `items`, by pflow's runner."""
        config = RunnerConfig(trace_enabled=False, cache_enabled=False)
        return WorkflowRunner().run(copy.deepcopy(self.ir), {"xs": items}, config, progress_callback=ignore)

    def run(
        self, items: list[Any], *, lowered: bool, trace: bool = True, clock: Callable[[], float] = time.perf_counter
    ) -> float:
        """Seconds of one run over `items`, and of one pass over its trace events."""
        shared = {**self.shared, "xs": items}
        if not trace:
            del shared["__trace_collector__"]
        gc.collect()
        begun = clock()
        self.execute(shared, lowered=lowered)
        for event in batch_executor._collect_batch_trace(shared, "b") if trace else ():
            dict(event)
        seconds = clock() - begun
        assert shared["b"]["success_count"] == len(items)
        return seconds

    def execute(self, shared: Params, *, lowered: bool) -> None:
        """pflow's `execute_batch`, or the generated class in its place."""
        if lowered:
            attach.execute(interpreted, self.node, self.config, shared, self.run_one)
        else:
            interpreted(self.node, self.config, shared, self.run_one)

    def alone(self, items: list[Any], at_once: int = 1) -> float:
        """Seconds of the node's own work on `items`, on so many bare threads."""
        wanted = self.config.template_config
        keys = {*wanted.template_params, *wanted.static_params}
        wait = wanted.static_params.get("wait")
        every = [{key: value for key, value in resolved(item, wait).items() if key in keys} for item in items]

        def work(share: list[Params]) -> None:
            node = copy.copy(self.node)
            for params in share:
                node.params = params
                node._run({})

        workers = [threading.Thread(target=work, args=(every[n::at_once],)) for n in range(at_once)]
        begun = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.perf_counter() - begun


def ignore(*_: Any, **__: Any) -> None:
    """A progress callback."""


LEAST = {"value": "${item}"}
ECHO = {**LEAST, "text": "Classify in ${style} style: ${item.title}", "obj": {"id": "${item.id}", "at": "${__index__}"}}


def issues(count: int) -> list[Params]:
    """Items."""
    return [{"id": number, "title": f"issue {number}"} for number in range(count)]


def resolved(item: Params, wait: float | None = None) -> Params:
    """What the parameters `ECHO` come to."""
    params = {"value": item, "text": f"Classify in terse style: {item['title']}"}
    params["obj"] = {"id": item["id"], "at": item["id"]}
    return params if wait is None else {**params, "wait": wait}


class Table:
    """The lines of the report, each measured over `rounds` paired rounds."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        print(f"{'':58}{'pflow':>12}{'lowered':>12}   ratio (goal)")

    def paired(self, *sides: Callable[[], float]) -> list[list[float]]:
        """What each side gave in each round; who begins changes from round to round."""
        found: list[list[float]] = [[] for _ in sides]
        for number in range(self.rounds):
            order = list(range(len(sides)))
            for side in order if number % 2 else reversed(order):
                found[side].append(sides[side]())
        return found

    def line(self, what: str, one: list[float], other: list[float], goal: str, unit: str = "us") -> None:
        """Medians of both sides, and the median of their ratios per round."""
        ratio = statistics.median(first / second for first, second in zip(one, other, strict=True))
        texts = [f"{statistics.median(values):9.2f} {unit}" for values in (one, other)]
        print(f"{what:58}{texts[0]:>12}{texts[1]:>12}   {ratio:5.2f} ({goal})", flush=True)

    def times(
        self, what: str, one: list[float], of: list[float], other: list[float], of_: list[float], goal: str
    ) -> None:
        """How many times `of` and `of_` each side takes."""
        found = [statistics.median(x / y for x, y in zip(*pair, strict=True)) for pair in ((one, of), (other, of_))]
        print(f"{what:58}{found[0]:10.3f} x{found[1]:10.3f} x           ({goal})", flush=True)


def less(times: list[float], own: list[float], count: int) -> list[float]:
    """The overhead per item, in microseconds."""
    return [(whole - alone) / count * US for whole, alone in zip(times, own, strict=True)]


def set_up() -> None:
    """Make the nodes of the benchmarks known to pflow, and switch pflow-lower on."""
    logging.disable(logging.CRITICAL)
    registry = Registry()
    nodes = registry.load(include_filtered=True)
    nodes |= {node.pop("name"): node for node in registry.scan_user_nodes(Path(__file__).parent / "nodes")}
    registry.save(nodes)
    pflow_lower.pflow.install()
