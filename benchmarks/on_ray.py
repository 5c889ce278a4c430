"""Batches on Ray, against plain Ray tasks written by hand, with deaths, and from one worker to two.

    python benchmarks/on_ray.py            everything: some minutes
    python benchmarks/on_ray.py --short    what CI runs

Needs `pip install ray psutil`; without them it says so and does nothing. Ratios are of medians of paired rounds in
one run on one machine.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import os
import pickle
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pocketflow import Node

import pflow_lower
from pflow_lower.runtime.ray_worker import SEND_SECONDS
from pflow_lower.runtime.run import Run, running


class Work(Node):  # type: ignore[misc]
    """Burns processor time, and writes down that it began."""

    def prep(self, shared: Any) -> Any:
        return self.params

    def exec(self, params: Any) -> int:
        if params["ledger"]:
            with open(params["ledger"], "a") as file:
                file.write(f"{params['x']}\n")
        if params["seconds"]:
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


def ours(items: int, workers: int, chunk: int, seconds: float) -> float:
    """The seconds of a batch."""
    return batch(items, workers, chunk=chunk, seconds=seconds)[1]


@functools.cache
def tasks_by_hand() -> tuple[Any, Any]:
    """The tasks of `by_hand`, one for all rounds, so that workers have them: one answers a chunk, one streams it."""
    import ray

    node = Work()

    def outcomes(numbers: list[int], seconds: float, ledger: str) -> Iterator[tuple[Any, ...]]:
        for number in numbers:
            begun = time.perf_counter()
            own = copy.copy(node)  # nodes keep their parameters on themselves
            own.set_params({"x": number, "seconds": seconds, "ledger": ledger})
            shared = {"item": number}
            try:
                own._run(shared)
            except Exception as error:  # noqa: BLE001  kept apart, as ours are
                yield number, None, time.perf_counter() - begun, error
            else:
                yield number, {"response": shared["response"]}, time.perf_counter() - begun, None

    @ray.remote(max_retries=0)
    def whole(numbers: bytes, seconds: float, ledger: str) -> bytes:
        return pickle.dumps(list(outcomes(pickle.loads(numbers), seconds, ledger)))

    @ray.remote(max_retries=0, num_returns="streaming")
    def streamed(numbers: bytes, seconds: float, ledger: str) -> Iterator[bytes]:
        ready, sent = [], time.perf_counter()
        for outcome in outcomes(pickle.loads(numbers), seconds, ledger):
            ready.append(outcome)
            if time.perf_counter() - sent > SEND_SECONDS:
                yield pickle.dumps(ready)
                ready, sent = [], time.perf_counter()
        yield pickle.dumps(ready)

    return whole, streamed


def by_hand(items: int, workers: int, chunk: int, seconds: float = 0) -> float:
    """The seconds of the same work as plain Ray tasks, as somebody would write them for this one node: parameters made
    for each item, a fresh node, errors kept apart, how long items took, results with the item and its index in input
    order, a bounded number of tasks; and what else our outcome says: how many items ended well and how many failed,
    the times in short, which results are empty. As ours, it streams items that take time (a finished one comes back
    before its chunk ends), and answers chunks of those that take none in one piece. Another attempt, a limit of time,
    a rate, a journal, deaths and interrupts are not in it.
    """
    import ray

    whole, streamed = tasks_by_hand()
    task = streamed if seconds and chunk > 1 else whole
    begun = time.perf_counter()
    results: list[Any] = [None] * items
    errors: list[Any] = []
    times: list[float] = []
    numbers = list(range(items))
    left = iter(range(0, items, chunk))
    running_tasks: set[Any] = set()
    while True:
        while len(running_tasks) < workers and (start := next(left, None)) is not None:
            running_tasks.add(task.remote(pickle.dumps(numbers[start : start + chunk]), seconds, ""))
        if not running_tasks:
            break
        (ready,), _ = ray.wait(list(running_tasks))
        try:
            found = pickle.loads(ray.get(ready if task is whole else next(ready)))
        except StopIteration:
            running_tasks.remove(ready)
            continue
        if task is whole:
            running_tasks.remove(ready)
        for index, outputs, took, error in found:
            times.append(took)
            if error is None:
                results[index] = {**outputs, "item": numbers[index], "original_index": index}
            else:
                errors.append({"index": index, "item": numbers[index], "error": error})
    kept = [result for result in results if result is not None]
    outcome = {
        "results": kept,
        "count": len(kept) + len(errors),
        "success_count": len(kept),
        "error_count": len(errors),
        "errors": errors,
        "times": {"sum": sum(times), "mean": sum(times) / len(times), "min": min(times), "max": max(times)},
        "empty": [result["original_index"] for result in kept if result["response"] in (None, "")],
    }
    assert outcome["success_count"] == items and not errors and not outcome["empty"]
    return time.perf_counter() - begun


def costs(rounds: int, scale: int) -> None:
    """What an item costs in chunks of several sizes: items that do nothing, and items that take a while."""
    print("an item takes so long, and costs so much of the processors; against plain Ray tasks with the same chunks")
    sizes = (
        (1, 300, 0.0),
        (10, 3_000, 0.0),
        (100, 20_000, 0.0),
        (1_000, 60_000, 0.0),
        (100, 4_000, 0.001),
        (50, 400, 0.01),
    )
    for chunk, items, seconds in sizes:
        items //= scale
        pairs: list[list[tuple[float, float]]] = []
        for number in range(rounds):
            sides = ours, by_hand
            took = {}
            for side in sides if number % 2 else reversed(sides):  # each goes first as often as the other
                before = processor_seconds()
                seconds_taken = side(items, 2, chunk, seconds)
                took[side] = seconds_taken, processor_seconds() - before
            pairs.append([took[side] for side in sides])
        what = f"items of {seconds * 1000:g} ms" if seconds else "empty items"
        said = []
        for number in range(2):
            mine, theirs = (statistics.median(pair[side][number] for pair in pairs) / items * 1e6 for side in range(2))
            ratio = statistics.median(pair[0][number] / pair[1][number] for pair in pairs)
            said.append(f"{mine:8.1f} us, by hand {theirs:8.1f} ({ratio:.2f})")
        print(f"  {what:14} chunks of {chunk:5}: {said[0]}   processors: {said[1]}")


def processor_seconds() -> float:
    """What this process and its cluster have used of the processors: others that run here do not change that much."""
    import psutil

    used = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # it has ended
            times = process.cpu_times()
            used += times.user + times.system
    return used


def scaling(rounds: int, items: int, seconds: float) -> None:
    """How much faster two workers are than one, in pairs; and what two processes without Ray come to here, since the
    cores may be shared with others."""
    pairs = [[batch(items, workers, seconds=seconds)[1] for workers in (1, 2)] for _ in range(rounds)]
    ratio = statistics.median(one / two for one, two in pairs)
    bare = statistics.median(in_processes(items, 1, seconds) / in_processes(items, 2, seconds) for _ in range(rounds))
    print(f"{items} items of {seconds * 1000:g} ms of processor time, {rounds} rounds:")
    print(f"  two workers are {ratio:.2f} times as fast as one; two processes without Ray {bare:.2f} times")


def in_processes(items: int, processes: int, seconds: float) -> float:
    """The seconds of as many items in bare processes that share them evenly: what the machine has to give."""
    code = f"""
import time
for _ in range({items // processes}):
    end = time.thread_time() + {seconds}
    while time.thread_time() < end:
        pass
"""
    begun = time.perf_counter()
    for process in [subprocess.Popen([sys.executable, "-c", code]) for _ in range(processes)]:
        process.wait()
    return time.perf_counter() - begun


def faults(items: int, kills: int, seconds: float) -> None:
    """Workers, and one of three nodes, die at random moments."""
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
            if found := at_work():
                chance.choice(found).kill()
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
    # What a worker has under way when it dies is one item, and one that has ended just now may be on its way.
    if not right or outcome["error_count"] or again > 2 * len(killed):
        sys.exit(1)


def at_work() -> list[Any]:
    """The workers of this process's own cluster that run items of ours: others may have clusters here, too."""
    import psutil

    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended
            if " ".join(process.cmdline()).startswith("ray::pflow-lower"):
                found.append(process)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", choices=("costs", "scaling", "faults"), help="one of the three")
    asked = parser.parse_args(arguments)
    try:
        import psutil  # noqa: F401
        import ray
    except ImportError as error:
        print(f"not run: {error}")
        return
    os.environ.setdefault("RAY_worker_niceness", "0")  # else whatever else runs on the machine comes first
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="FATAL")
    measures: dict[str, Callable[[], None]] = {
        "costs": lambda: costs(2 if asked.short else 7, 10 if asked.short else 1),
        "scaling": lambda: scaling(1 if asked.short else 5, 20 if asked.short else 100, 0.05),
        "faults": lambda: faults(400 if asked.short else 5_000, 4 if asked.short else 20, 0.01),
    }
    batch(4, 2)  # the first workers start
    by_hand(4, 2, 1)
    for name, measure in measures.items():
        if asked.only in (None, name):
            measure()


if __name__ == "__main__":
    main()
