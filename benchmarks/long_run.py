"""Long runs: is everything there afterwards, what does an item cost in memory, and does Ctrl-C end it.

    python benchmarks/long_run.py [--short]

100,000 items on 10 threads (and as 10 tasks), 5 % of which fail, with `continue`: every item must have exactly one
outcome, in its place. Then runs that are interrupted at random moments, each in a process of its own: they must end
within a second, say what was done by then, and leave no thread behind. The exit status is 1 if anything is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pocketflow

import pflow_lower

WORKERS = 10
SHAPES = {"threads": "Working", "tasks": "AsyncWorking", "in order": "Working"}


class Working(pocketflow.Node):
    """Fails for every twentieth item; otherwise answers its number."""

    def exec(self, prep_res: Any) -> int:
        """What the item's number comes to."""
        time.sleep(SECONDS)
        return answer(self.params["at"])

    def post(self, shared: Any, prep_res: Any, exec_res: int) -> None:
        """Write the answer."""
        shared["seen"] = exec_res


class AsyncWorking(pocketflow.AsyncNode):
    """The same, asynchronously."""

    async def exec_async(self, prep_res: Any) -> int:
        """What the item's number comes to."""
        await asyncio.sleep(SECONDS)
        return answer(self.params["at"])

    async def post_async(self, shared: Any, prep_res: Any, exec_res: int) -> None:
        """Write the answer."""
        shared["seen"] = exec_res


SECONDS = 0.0  # how long each item takes


def answer(at: int) -> int:
    """Raises: ValueError, for 5 % of all numbers."""
    if at % 20 == 7:
        raise ValueError(f"item {at}")
    return at


def lowered(shape: str) -> Any:
    """A generated node of one of the `SHAPES`."""
    kind = SHAPES[shape]
    batch: dict[str, Any] = {"items": "${xs}", "error_handling": "continue"}
    if shape != "in order":
        batch |= {"parallel": True, "max_concurrent": WORKERS}
    workflow = {
        "ir_version": "0.1.0",
        "inputs": {"xs": {"type": "array"}},
        "nodes": [{"id": "b", "type": kind, "params": {"at": "${__index__}", "it": "${item}"}, "batch": batch}],
    }
    asynchronous = ", async = true" if kind == "AsyncWorking" else ""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "nodes.toml")
        table.write_text(f'[nodes]\n{kind} = {{ class = "long_run:{kind}"{asynchronous} }}\n')
        made = pflow_lower.lower(workflow, nodes=table).load()["b"]
    return made({"Working": Working, "AsyncWorking": AsyncWorking}[kind]())


def run(shape: str, shared: dict[str, Any]) -> None:
    """Run the batch over `shared["xs"]`."""
    node = lowered(shape)
    if shape == "tasks":
        asyncio.run(node.run_async(shared))
    else:
        node.run(shared)


def whole(shape: str, items: int) -> bool:
    """One run, and whether every item has its one outcome in its place; says what it took."""
    shared: dict[str, Any] = {"xs": list(range(items))}
    begun = time.perf_counter()
    run(shape, shared)
    seconds = time.perf_counter() - begun
    problem = lost(shared["b"], items)
    print(
        f"{shape:<9}{items:>8,} items  {seconds:6.2f} s  {seconds / items * 1e6:6.1f} us an item  "
        f"{memory(shape, max(items // 5, 1000)):5.0f} bytes an item  {problem or 'nothing lost'}",
        flush=True,
    )
    return not problem


def lost(outcome: dict[str, Any], items: int) -> str:
    """What is wrong with the outcome of `items` items; or nothing."""
    failed = [at for at in range(items) if at % 20 == 7]
    good = [at for at in range(items) if at % 20 != 7]
    if [(result["seen"], result["item"], result["original_index"]) for result in outcome["results"]] != [
        (at, at, at) for at in good
    ]:
        return "RESULTS ARE WRONG"
    if [(error["index"], error["error"]) for error in outcome["errors"]] != [(at, f"item {at}") for at in failed]:
        return "ERRORS ARE WRONG"
    counts = tuple(outcome[key] for key in ("count", "success_count", "error_count"))
    if counts != (items, len(good), len(failed)):
        return f"COUNTS ARE WRONG: {counts}"
    return "THREADS ARE LEFT" if left() else ""


def memory(shape: str, items: int) -> float:
    """Bytes per item that a run holds at its peak, its outcome included, its items not."""
    shared: dict[str, Any] = {"xs": list(range(items))}
    run(shape, {"xs": shared["xs"][:10]})
    gc.collect()
    tracemalloc.start()
    run(shape, shared)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / items


def left() -> list[str]:
    """The threads of a batch that are still there."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("b-", "pflow-lower"))]


def interrupted(shape: str, after: float) -> tuple[float, str]:
    """How long a run took to end that was interrupted after `after` seconds, and what is wrong with it, if anything."""
    command = [sys.executable, __file__, "--child", shape, "--after", str(after)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        return 0.0, f"exit status {done.returncode}: {done.stderr[-300:]}"
    seen = json.loads(done.stdout)
    return seen["seconds"], unsound(seen)


def unsound(seen: dict[str, Any]) -> str:
    """What is wrong with what an interrupted run reported; or nothing."""
    if seen["seconds"] > 1:
        return f"took {seen['seconds']:.2f} s to end"
    if seen["threads"]:
        return f"left {', '.join(seen['threads'])}"
    counts = seen["counts"]
    if counts is None or counts[0] != counts[1] + counts[2] or seen["listed"] != counts[1:]:
        return f"reported {counts}, and listed {seen['listed']}"
    started, ended = seen["started"], counts[0]
    if ended > started or started - ended > WORKERS:
        return f"{started} were started, {ended} reported"
    if seen["notes"] and str(ended) not in seen["notes"][0]:
        return f"said {seen['notes']}"
    return ""


def child(shape: str, after: float) -> None:
    """Run for a long time, be interrupted, print what is left of it."""
    global SECONDS
    SECONDS = 0.002
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started with it ignored
    started: list[int] = []
    exec_before, async_before = Working.exec, AsyncWorking.exec_async
    Working.exec = lambda self, prep_res: (started.append(1), exec_before(self, prep_res))[1]  # type: ignore[method-assign]
    AsyncWorking.exec_async = lambda self, prep_res: (started.append(1), async_before(self, prep_res))[1]  # type: ignore[method-assign]
    at: list[float] = []

    def interrupt() -> None:
        while not started:
            time.sleep(0.001)
        time.sleep(after)
        at.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    shared: dict[str, Any] = {"xs": list(range(1_000_000))}
    threading.Thread(target=interrupt, daemon=True).start()
    notes: list[str] = []
    try:
        run(shape, shared)
    except KeyboardInterrupt as error:
        seconds = time.perf_counter() - at[0]
        notes = list(getattr(error, "__notes__", []))
    outcome = shared.get("b")
    report = {
        "seconds": seconds,
        "threads": left(),
        "started": len(started),
        "counts": outcome and [outcome[key] for key in ("count", "success_count", "error_count")],
        "listed": outcome and [len(outcome["results"]), len(outcome["errors"])],
        "notes": notes,
    }
    print(json.dumps(report))


def main() -> int:
    """Answers the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a tenth of the items, a few interrupts")
    parser.add_argument("--seed", type=int, default=None, help="of the random moments")
    parser.add_argument("--child", choices=SHAPES, help=argparse.SUPPRESS)
    parser.add_argument("--after", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.after)
        return 0
    items, interrupts = (10_000, 2) if arguments.short else (100_000, 12)
    good = [whole(shape, items) for shape in ("threads", "tasks")]
    seed = int(time.time()) if arguments.seed is None else arguments.seed
    moments = random.Random(seed)
    for shape in SHAPES:
        wrong, slowest = 0, 0.0
        for _ in range(interrupts):
            after = moments.uniform(0, 1)
            seconds, problem = interrupted(shape, after)
            slowest = max(slowest, seconds)
            if problem:
                wrong += 1
                print(f"{shape}: interrupted after {after:.3f} s: {problem}", flush=True)
        said = f"{wrong} WRONG" if wrong else f"all well, ended within {slowest * 1000:.0f} ms"
        print(f"{shape:<9}{interrupts} interrupts, --seed {seed}: {said}")
        good.append(not wrong)
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.modules["long_run"] = sys.modules["__main__"]  # as the generated code knows it
    raise SystemExit(main())
