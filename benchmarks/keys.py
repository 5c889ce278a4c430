"""What the keys of a batch cost an item that they do not hold up: none, `rate`, `timeout`, `resume`.

    python benchmarks/keys.py [--short] [--items N] [--rounds N]

One generated class a line, over items whose node does nothing, in order, on threads and as tasks. Every line is beside
the same batch without a key, in one process and in turn: medians of the rounds, of the differences and of the ratios,
by the clock and by the processor time of all threads, which says more where others use the machine.
The first line is that batch itself, beside one that cannot have keys at all: what keys cost where none is written.
`resume` counts everything: opening the journal, a row an item, every fsync, closing it. "restored" is a run that finds
all its items in the journal. Nothing is asserted: machines are noisy, and the ratios say more than the times.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pocketflow

import pflow_lower
from pflow_lower.runtime.inner import run_inner, run_inner_async
from pflow_lower.runtime.run import STATE_VARIABLE, Run, running

WAYS = ("in order", "threads", "tasks")
RATE = "100000000/s"
"""A rate that no machine reaches, so nobody waits for it."""


class Echo(pocketflow.Node):
    """Gives its parameter."""

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        """Write it."""
        shared["response"] = self.params["text"]


class AsyncEcho(pocketflow.AsyncNode):
    """`Echo` for tasks."""

    async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        """Write it."""
        shared["response"] = self.params["text"]


def generated(way: str, **keys: Any) -> Any:
    """A node of the class that is generated for a batch with `keys`."""
    batch: dict[str, Any] = {"items": "${numbers}", "as": "n", **keys}
    if way != "in order":
        batch |= {"parallel": True, "max_concurrent": 10}
    node = {"id": "echo", "type": "echo", "params": {"text": "item ${n}"}, "batch": batch}
    workflow = {"ir_version": "0.1.0", "inputs": {"numbers": {"type": "array"}}, "nodes": [node], "edges": []}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "nodes.toml"
        table.write_text(f'[nodes]\necho = {{ class = "keys:Echo", async = {str(way == "tasks").lower()} }}\n')
        made = pflow_lower.lower(workflow, nodes=table).load()["echo"]
    return made(AsyncEcho() if way == "tasks" else Echo())


def without_controls(way: str) -> Any:
    """The batch without a key, whose items are run as if there were no keys."""
    node = generated(way)
    if way == "tasks":

        async def run_async(self: Any, call: Any, params: dict[str, Any]) -> Any:
            return await run_inner_async(self.inner, call, params)

        node.__class__ = type("WithoutControls", (type(node),), {"run_inner": run_async})
    else:

        def run(self: Any, call: Any, params: dict[str, Any]) -> Any:
            return run_inner(self.inner if call.batch.inner is None else call.batch.inner, call, params)

        node.__class__ = type("WithoutControls", (type(node),), {"run_inner": run})
    return node


class Took(NamedTuple):
    """Seconds."""

    clock: float
    processor: float


def seconds_of(node: Any, items: list[int]) -> Took:
    """How long a batch over `items` takes, in a run that begins and ends with it."""
    shared: dict[str, Any] = {"numbers": items}
    gc.collect()
    begun, worked = time.perf_counter(), time.process_time()
    with running(Run("keys")):
        node._run(shared)
    taken = Took(time.perf_counter() - begun, time.process_time() - worked)
    assert shared["echo"]["success_count"] == len(items)
    return taken


class _Stops(Exception):
    """Ends a run, so that its journal stays."""


def restored_seconds_of(node: Any, items: list[int]) -> Took:
    """`seconds_of`, where an earlier run has left every item's answer in the journal."""
    try:
        with running(Run("keys")):
            node._run({"numbers": items})
            raise _Stops
    except _Stops:
        return seconds_of(node, items)


def line(name: str, one: Callable[[], Took], other: Callable[[], Took], items: int, rounds: int) -> None:
    """Measure `one` beside `other` in turn, and print what an item takes."""
    one(), other()
    pairs = [(one(), other()) for _ in range(rounds)]
    shown = []
    for kind in Took._fields:
        both = [(getattr(a, kind), getattr(b, kind)) for a, b in pairs]
        ours, more = (statistics.median(values) / items * 1e6 for values in ([a for a, _ in both], _differences(both)))
        shown.append(f"{kind} {ours:8.2f} us {more:+8.2f} us {statistics.median(a / b for a, b in both):6.2f} x")
    print(f"{name:31}{'   '.join(shown)}", flush=True)


def _differences(pairs: list[tuple[float, float]]) -> list[float]:
    return [a - b for a, b in pairs]


def measure(way: str, count: int, rounds: int) -> None:
    """Every line of one way to run items."""
    items = list(range(count))
    plain = generated(way)

    def beside() -> Took:
        return seconds_of(plain, items)

    bare = without_controls(way)
    line(f"{way}: no key", beside, lambda: seconds_of(bare, items), count, rounds)
    for name, keys in (("rate", {"rate": RATE}), ("timeout", {"timeout": 60}), ("resume", {"resume": True})):
        node = generated(way, **keys)
        line(f"{way}: {name}", lambda node=node: seconds_of(node, items), beside, count, rounds)  # type: ignore[misc]
    node = generated(way, resume=True)
    line(f"{way}: resume, all restored", lambda: restored_seconds_of(node, items), beside, count, rounds)


def main() -> None:
    """Run everything and print one line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--short", action="store_true", help="fewer items and rounds")
    parser.add_argument("--items", type=int, help="items of a batch (10,000; 500 with --short)")
    parser.add_argument("--rounds", type=int, help="rounds a line (9; 3 with --short)")
    options = parser.parse_args()
    count = options.items or (500 if options.short else 10_000)
    rounds = options.rounds or (3 if options.short else 9)
    with tempfile.TemporaryDirectory() as state:
        os.environ[STATE_VARIABLE] = state
        for way in WAYS:
            measure(way, count, rounds)


if __name__ == "__main__":
    main()
