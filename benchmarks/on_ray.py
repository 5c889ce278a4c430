"""Batches on Ray, against plain Ray tasks written by hand, with deaths, and from one worker to two.

    python benchmarks/on_ray.py            everything: some minutes
    python benchmarks/on_ray.py --short    what CI runs

Needs `pip install ray psutil`; without them it says so and does nothing. Ratios are of medians of paired rounds in
one run on one machine.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pocketflow import Node

import pflow_lower
from pflow_lower.runtime.run import Run, running


class Work(Node):  # type: ignore[misc]
    """Burns processor time, and writes down that it began."""

    def prep(self, shared: Any) -> Any:
        return self.params

    def exec(self, params: Any) -> int:
        if params["ledger"]:
            with open(params["ledger"], "a") as file:
                file.write(f"{params['x']}\n")
        end = time.thread_time() + params["seconds"]  # what Ray's own threads do in the process is not the item's
        while time.thread_time() < end:
            pass
        return int(params["x"]) * 2

    def post(self, shared: Any, prep_res: Any, exec_res: int) -> None:
        shared["response"] = exec_res


def batch(
    items: int, workers: int, *, chunk: int = 0, seconds: float = 0, ledger: str = "", resume: bool = False
) -> Any:
    """The outcome of a batch on Ray, and the seconds that it took."""
    params = {"x": "${item}", "seconds": "${seconds}", "ledger": "${ledger}"}
    settings = {"items": "${list}", "parallel": True, "max_concurrent": workers, "resume": resume}
    inputs = {name: {"type": "any"} for name in ("list", "seconds", "ledger")}
    node = {"id": "b", "type": "work", "params": params, "batch": settings}
    made = pflow_lower.lower({"ir_version": "0.1.0", "inputs": inputs, "nodes": [node], "edges": []}).load()["b"]
    shared = {"list": list(range(items)), "seconds": seconds, "ledger": ledger}
    begun = time.perf_counter()
    with running(Run("benchmark", on="ray", on_options={"b": {"chunk": chunk} if chunk else {}})):
        made(Work())._run(shared)
    return shared["b"], time.perf_counter() - begun


@functools.cache
def remote_by_hand() -> Any:
    """The task of `by_hand`: one for all rounds, so that workers have it."""
    import ray

    @ray.remote
    def some(numbers: list[int], seconds: float) -> list[dict[str, Any]]:
        found = []
        for number in numbers:
            node = Work()
            node.set_params({"x": number, "seconds": seconds, "ledger": ""})
            shared: dict[str, Any] = {}
            node._run(shared)
            found.append({**shared, "item": number, "original_index": number})
        return found

    return some


def by_hand(items: int, workers: int, chunk: int, seconds: float = 0) -> float:
    """The seconds of the same work as plain Ray tasks: a PocketFlow node per item, results with the item and its
    index in a list per task, a bounded number of tasks at a time. Attempts, errors, controls and finished items that
    come back before their chunk ends are not in it.
    """
    import ray

    some = remote_by_hand()
    begun = time.perf_counter()
    results: list[Any] = [None] * items
    left = iter(range(0, items, chunk))
    running_tasks: dict[Any, int] = {}
    while True:
        while len(running_tasks) < workers and (start := next(left, None)) is not None:
            running_tasks[some.remote(list(range(start, min(start + chunk, items))), seconds)] = start
        if not running_tasks:
            break
        (done,), _ = ray.wait(list(running_tasks))
        start = running_tasks.pop(done)
        found = ray.get(done)
        results[start : start + len(found)] = found
    assert None not in results
    return time.perf_counter() - begun


def costs(rounds: int, scale: int) -> None:
    """What an item costs in chunks of several sizes: items that do nothing, and items of a millisecond."""
    print("cost per item, against plain Ray tasks with chunks of the same size")
    sizes = ((1, 300, 0.0), (10, 3_000, 0.0), (100, 20_000, 0.0), (1_000, 60_000, 0.0), (100, 4_000, 0.001))
    for chunk, items, seconds in sizes:
        items //= scale
        pairs = [
            (batch(items, 2, chunk=chunk, seconds=seconds)[1], by_hand(items, 2, chunk, seconds)) for _ in range(rounds)
        ]
        ours, theirs = (statistics.median(side) / items * 1e6 for side in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        what = f"items of {seconds * 1000:g} ms" if seconds else "empty items"
        print(
            f"  {what:13} chunks of {chunk:5}: {ours:8.1f} us   by hand {theirs:8.1f} us   "
            f"{ours - theirs:+6.1f} us   ratio {ratio:.2f}"
        )


def scaling(items: int, seconds: float) -> None:
    """How much faster two workers are than one."""
    one, two = batch(items, 1, seconds=seconds)[1], batch(items, 2, seconds=seconds)[1]
    took = f"one worker {one:.1f} s, two {two:.1f} s, {one / two:.2f} x"
    print(f"{items} items of {seconds * 1000:g} ms of processor time: {took}")


def faults(items: int, kills: int, seconds: float) -> None:
    """Workers, and one of three nodes, die at random moments."""
    import psutil
    import ray
    from ray.cluster_utils import Cluster

    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level="FATAL")
    over, chance, killed = threading.Event(), random.Random(5), []

    def kill() -> None:
        while not over.wait(chance.uniform(0.5, 1.5)) and len(killed) < kills:
            if len(killed) == kills // 2 and nodes:
                cluster.remove_node(nodes.pop(), allow_graceful=False)
                killed.append("node")
                continue
            at_work = [p for p in psutil.process_iter(["cmdline"]) if is_at_work(p)]
            if at_work:
                chance.choice(at_work).kill()
                killed.append("worker")

    thread = threading.Thread(target=kill)
    with tempfile.TemporaryDirectory() as folder:
        ledger = str(Path(folder, "ledger"))
        thread.start()
        try:
            outcome, took = batch(items, 3, seconds=seconds, ledger=ledger, resume=True)
        finally:
            over.set()
            thread.join()
        started = Counter(Path(ledger).read_text().split())
    right = [result["response"] for result in outcome["results"]] == [n * 2 for n in range(items)]
    again = sum(started.values()) - items
    print(
        f"{items} items on three nodes, {Counter(killed)}: {'all right' if right else 'WRONG'}, "
        f"{outcome['error_count']} failed, {again} started again, {took:.1f} s"
    )
    ray.shutdown()
    cluster.shutdown()
    if not right or outcome["error_count"]:
        sys.exit(1)


def is_at_work(process: Any) -> bool:
    """Whether a process is a worker that runs items of ours."""
    return (process.info["cmdline"] or [""])[0].startswith("ray::_run_chunk")


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--short", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        import psutil  # noqa: F401
        import ray
    except ImportError as error:
        print(f"not run: {error}")
        return
    os.environ.setdefault("RAY_worker_niceness", "0")  # else whatever else runs on the machine comes first
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="FATAL")
    measures: list[Callable[[], None]] = [
        lambda: costs(2 if asked.short else 5, 10 if asked.short else 1),
        lambda: scaling(20 if asked.short else 200, 0.05),
        lambda: faults(400 if asked.short else 5_000, 4 if asked.short else 20, 0.01),
    ]
    batch(4, 2)  # the first workers start
    by_hand(4, 2, 1)
    for measure in measures:
        measure()


if __name__ == "__main__":
    main()
