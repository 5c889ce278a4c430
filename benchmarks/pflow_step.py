"""What a batch costs inside pflow: its interpreter beside the generated class.

    python benchmarks/pflow_step.py [--short]

Both sides run the same compiled workflow in one process, in turn; medians over the rounds. Measured is
pflow's `execute_batch`, interpreted and lowered, and then one pass over the trace events that it left,
as pflow's collector makes one. "Overhead" is the time per item less the node's own, measured alone.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import gc
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pocketflow
from _step import ECHO, LEAST, US, Params, Step, Table, ignore, issues, less, resolved, set_up
from pflow.runtime.engine import batch_executor

import pflow_lower
import pflow_lower.pflow


def sequential(table: Table, count: int) -> None:
    """One item after the other: with everything, with less in it, without a trace, and ten times as many."""
    items, many = issues(count), issues(10 * count)

    def stubbed() -> float:
        with mock.patch.object(batch_executor, "_capture_item_trace", ignore):
            return step.run(items, lowered=False, trace=False)

    three, one = f"in order, {count:,} items, three parameters", "  one parameter"
    for what, params, goal in ((three, ECHO, ">= 4"), (one, LEAST, "no goal")):
        step = Step(params)
        theirs, ours, own = table.paired(
            lambda: step.run(items, lowered=False),  # noqa: B023  called in this round of the loop
            lambda: step.run(items, lowered=True),  # noqa: B023
            lambda: step.alone(items),  # noqa: B023
        )
        table.line(what, less(theirs, own, count), less(ours, own, count), goal)
    step = Step(ECHO)
    theirs, stub, ours, own = table.paired(
        lambda: step.run(items, lowered=False, trace=False),
        stubbed,
        lambda: step.run(items, lowered=True, trace=False),
        lambda: step.alone(items),
    )
    theirs, stub, ours = (less(times, own, count) for times in (theirs, stub, ours))
    table.line("  three, no trace collector (pflow makes events even so)", theirs, ours, "no goal")
    table.line("  the same, pflow's trace function taken out", stub, ours, "no goal")
    theirs, ours, theirs_many, ours_many = table.paired(
        lambda: step.run(items, lowered=False),
        lambda: step.run(items, lowered=True),
        lambda: step.run(many, lowered=False) / 10,
        lambda: step.run(many, lowered=True) / 10,
    )
    table.times(f"  an item of {10 * count:,}: times one of {count:,}", theirs_many, theirs, ours_many, ours, "<= 1.2")


def whole(table: Table, count: int) -> None:
    """A run from beginning to end: pflow's validation, compiler and trace collector are the same on both sides."""
    items, step = issues(count), Step(ECHO)

    def run(switch: Callable[[], None]) -> float:
        switch()
        gc.collect()
        begun = time.perf_counter()
        assert step.workflow(items).success
        return (time.perf_counter() - begun) / count * US

    try:
        theirs, ours = table.paired(lambda: run(pflow_lower.pflow.uninstall), lambda: run(pflow_lower.pflow.install))
    finally:
        pflow_lower.pflow.install()
    table.line(f"a whole run of pflow, {count:,} items, per item", theirs, ours, "no goal")


def in_threads(table: Table, count: int) -> None:
    """Ten at once, with a node that gives way; and the standard library's own pool around the same node."""
    step, items = Step({**ECHO, "wait": 0}, parallel=True, max_concurrent=10), issues(count)

    def pooled() -> float:
        def one(item: Params) -> Params:
            node, store = copy.copy(step.node), {}
            node.params = resolved(item, 0)
            node._run(store)
            return store

        begun = time.perf_counter()
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(one, items))
        return time.perf_counter() - begun

    theirs, ours, pool, own = table.paired(
        lambda: step.run(items, lowered=False),
        lambda: step.run(items, lowered=True),
        pooled,
        lambda: step.alone(items, at_once=10),
    )
    table.line(f"threads, 10 at once, {count:,} items", less(theirs, own, count), less(ours, own, count), ">= 4")
    table.line("  ThreadPoolExecutor.map for pflow", less(pool, own, count), less(ours, own, count), ">= 1.5")


class AsyncEcho(pocketflow.AsyncNode):  # type: ignore[misc]  # pocketflow is not typed
    """`bench-echo` as an asynchronous node."""

    async def prep_async(self, shared: Params) -> Params:
        return dict(self.params)

    async def exec_async(self, params: Params) -> Params:
        await asyncio.sleep(params["wait"])
        return params

    async def post_async(self, shared: Params, prep_res: Params, exec_res: Params) -> str:
        for param, output in (("value", "echo"), ("text", "text"), ("obj", "obj")):
            if param in exec_res:
                shared[output] = exec_res[param]
        return "default"


def lowered_async(directory: str) -> type:
    """The generated class for asynchronous nodes."""
    node = {"id": "b", "type": "echo", "params": {**ECHO, "wait": "${wait}"}}
    node["batch"] = {"items": "${xs}", "parallel": True}
    inputs = {"xs": {"type": "array"}, "style": {"type": "string"}, "wait": {"type": "number"}}
    types = Path(directory, "nodes.toml")
    types.write_text('[nodes]\necho = { class = "bench:AsyncEcho", async = true }\n')
    ir = {"ir_version": "0.1.0", "inputs": inputs, "nodes": [node]}
    return pflow_lower.lower(ir, nodes=types).load()["b"]


def tasks(table: Table, count: int) -> None:
    """Asynchronous nodes, which pflow has not: on the left stands `gather` with a semaphore."""
    with tempfile.TemporaryDirectory() as directory:
        generated = lowered_async(directory)

    def ours(items: list[Params], at_once: int, wait: float) -> float:
        node = generated(AsyncEcho())
        node.max_concurrent = at_once
        shared = {"xs": items, "style": "terse", "wait": wait, "__progress_callback__": ignore}
        gc.collect()
        begun = time.perf_counter()
        asyncio.run(node.run_async(shared))
        return time.perf_counter() - begun

    async def one(node: Any, item: Params, wait: float) -> Params:
        node, store = copy.copy(node), {}
        node.set_params(resolved(item, wait))
        await node._run_async(store)
        return store

    async def gathered(items: list[Params], at_once: int, wait: float) -> None:
        free, node = asyncio.Semaphore(at_once), AsyncEcho()

        async def bounded(item: Params) -> Params:
            async with free:
                return await one(node, item, wait)

        await asyncio.gather(*map(bounded, items))

    async def in_turn(items: list[Params]) -> None:
        node = AsyncEcho()
        for item in items:
            await one(node, item, 0)

    def timed(make: Callable[[], Any]) -> float:
        gc.collect()
        begun = time.perf_counter()
        asyncio.run(make())
        return time.perf_counter() - begun

    items = issues(count)
    for at_once in (10, 100):
        theirs, lowered, own = table.paired(
            lambda: timed(lambda: gathered(items, at_once, 0)),  # noqa: B023
            lambda: ours(items, at_once, 0),  # noqa: B023
            lambda: timed(lambda: in_turn(items)),
        )
        what = f"async, {at_once} at once, gather with a semaphore for pflow"
        table.line(what, less(theirs, own, count), less(lowered, own, count), ">= 3")
    for size in (1_000, 10_000):
        wide, ideal = issues(size), [0.05 * size / 1_000] * table.rounds
        theirs, lowered = table.paired(
            lambda: timed(lambda: gathered(wide, 1_000, 0.05)),  # noqa: B023
            lambda: ours(wide, 1_000, 0.05),  # noqa: B023
        )
        what = f"async, 50 ms, {size:,} items, 1,000 at once: times ideal"
        table.times(what, theirs, ideal, lowered, ideal, "<= 1.15")


def waiting(table: Table, short: bool) -> None:
    """A node that waits: how near to the ideal, and what the processor does meanwhile."""
    step, items = Step({**ECHO, "wait": 0.05}, parallel=True, max_concurrent=20), issues(200)
    theirs, ours = table.paired(lambda: step.run(items, lowered=False), lambda: step.run(items, lowered=True))
    ideal = [0.5] * table.rounds
    table.times("threads, 50 ms, 200 items, 20 at once: times ideal", theirs, ideal, ours, ideal, "<= 1.05")

    many = issues(1_000 if short else 4_000)
    step = Step({**ECHO, "wait": 0.05}, parallel=True, max_concurrent=100)

    def processor(lowered: bool) -> float:
        return step.run(many, lowered=lowered, clock=time.process_time) / len(many) * US

    theirs, ours = table.paired(lambda: processor(lowered=False), lambda: processor(lowered=True))
    table.line(f"processor time, 50 ms, {len(many):,} items, 100 at once", theirs, ours, ">= 3")


def memory(count: int, theirs_count: int) -> None:
    """Bytes an item when the batch is done: results and trace events, by tracemalloc."""
    step = Step(LEAST)

    def held(number: int, lowered: bool) -> tuple[float, float]:
        shared = {**step.shared, "xs": list(range(number))}
        gc.collect()
        tracemalloc.start()
        step.execute(shared, lowered=lowered)
        now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return now / number, peak / number

    (theirs, theirs_peak), (ours, ours_peak) = held(theirs_count, lowered=False), held(count, lowered=True)
    print(f"{f'memory, {count:,} items (pflow: {theirs_count:,})':58}{theirs:10.0f} B{ours:10.0f} B   ", end="")
    print(f"{theirs / ours:5.2f} (>= 3, lowered <= 400); at most {theirs_peak:.0f} and {ours_peak:.0f} B")


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--short", action="store_true", help="fewer rounds, fewer items")
    short = parser.parse_args().short
    set_up()
    table = Table(3 if short else 7)
    count = 2_000 if short else 10_000
    sequential(table, count)
    whole(table, count)
    in_threads(table, count)
    tasks(table, count)
    waiting(table, short)
    memory(20_000 if short else 1_000_000, 20_000 if short else 200_000)


if __name__ == "__main__":
    main()
