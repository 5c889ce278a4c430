"""A million items through a stream: flat memory, killed three times on the way, complete and right in the end.

    python benchmarks/stream.py [--short] [--items N] [--kills N] [--workers N]

A workflow reads its items from a file and writes its results to one, with `resume` and ten workers. The process that
runs it is killed (SIGKILL) at random moments and started again by the same command, until it ends by itself. Then there
must be one result for every item, the right one; what was called twice must have been under way at a kill; and no
process may have grown by more than 50 MB from its first item to its last. The exit status is 1 if anything is not so.
With --short: 20,000 items, for every push.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pocketflow

import pflow_lower
from pflow_lower.runtime.run import STATE_VARIABLE, Run, running

MOST_GROWTH = 50.0
"""Megabytes that a process may grow by."""

WORKFLOW = {
    "ir_version": "0.1.0",
    "nodes": [
        {
            "id": "label",
            "type": "labeller",
            "params": {"number": "${line.n}", "text": "${line.text}"},
            "batch": {
                "items": {"file": "in.jsonl"},
                "results": {"file": "out.jsonl"},
                "as": "line",
                "parallel": True,
                "max_concurrent": 10,
                "error_handling": "continue",
                "resume": True,
            },
        }
    ],
    "edges": [],
}


class Labeller(pocketflow.Node):
    """Answers from an item's number; writes down that it was called."""

    calls: Any = None
    """The file of calls, one line each."""

    def prep(self, shared: Any) -> Any:
        """The item."""
        return self.params["number"]

    def exec(self, prep_res: Any) -> str:
        """The label."""
        os.write(self.calls, b"%d\n" % prep_res)
        return label(prep_res)

    def post(self, shared: Any, prep_res: Any, exec_res: str) -> None:
        """Write it."""
        shared["label"] = exec_res


def label(number: int) -> str:
    """What an item's label is."""
    return f"label {number * 7 % 11}"


def rss() -> float:
    """Megabytes that this process has in memory now."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def work(folder: Path, workers: int) -> None:
    """One process of the campaign: run the workflow, and keep writing down how much it has grown."""
    os.chdir(folder)
    Labeller.calls = os.open("calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    workflow = json.loads(json.dumps(WORKFLOW))
    workflow["nodes"][0]["batch"]["max_concurrent"] = workers
    node = pflow_lower.lower(workflow).load()["label"](Labeller())
    start = peak = rss()
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.05):
            peak = max(peak, rss())
            Path("growing").write_text(f"{start} {peak}")
            os.replace("growing", f"growth-{os.getpid()}")  # a kill in between leaves the one before

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    shared: dict[str, Any] = {}
    try:
        with running(Run("stream.json")):
            node._run(shared)
    finally:
        over.set()
        watcher.join()
    Path("outcome.json").write_text(json.dumps(shared["label"]))


def campaign(folder: Path, items: int, kills: int, workers: int) -> list[str]:
    """Run until it ends by itself; what is not as it must be."""
    with open(folder / "in.jsonl", "w") as file:
        file.writelines(f'{{"n": {n}, "text": "item {n} {"x" * 80}"}}\n' for n in range(items))
    environment = {**os.environ, STATE_VARIABLE: str(folder / "state")}
    command = [sys.executable, __file__, "--work", str(folder), "--workers", str(workers)]
    chance, killed, begun = random.Random(9), 0, time.perf_counter()
    moments = sorted(chance.uniform((n + 0.2) / (kills + 1), (n + 0.8) / (kills + 1)) for n in range(kills))
    while True:
        with subprocess.Popen(command, env=environment) as process:
            until = items * moments[killed] if killed < kills else None
            while process.poll() is None and (until is None or called(folder) < until):
                time.sleep(0.005)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed += 1
                print(f"killed after {called(folder):,} calls")
                continue
        if process.returncode:
            return [f"the run ended with exit status {process.returncode}"]
        break
    print(f"{items:,} items, {workers} workers, {killed} kills: {time.perf_counter() - begun:.0f} s")
    return [
        *wrong_results(folder, items),
        *wrong_memory(folder),
        *([] if killed == kills else ["it was too fast to kill"]),
    ]


def called(folder: Path) -> int:
    """About how many calls there were; a line has seven bytes or fewer."""
    file = folder / "calls"
    return file.stat().st_size // 7 if file.exists() else 0


def wrong_results(folder: Path, items: int) -> list[str]:
    """What is wrong with the file of results, the outcome and the calls."""
    wrong = []
    seen = bytearray(items)
    with open(folder / "out.jsonl", encoding="utf-8") as file:
        for line in file:
            result = json.loads(line)
            number = result["original_index"]
            seen[number] += 1
            if result["label"] != label(number) or result["item"]["n"] != number:
                wrong.append(f"item {number} has the result {line[:80]}")
    if seen.count(1) != items:
        wrong.append(f"{items - seen.count(1):,} items have no result, or several")
    outcome = json.loads((folder / "outcome.json").read_text())
    if outcome["count"] != items or outcome["success_count"] != items or outcome["errors"]:
        wrong.append(f"the outcome is {outcome}")
    with open(folder / "calls") as file:
        calls = sum(1 for _ in file)
    print(f"{calls:,} calls: {calls - items:,} were made again, since a kill came before they were on the disk")
    if calls < items:
        wrong.append(f"only {calls:,} calls were made")
    return wrong[:5]


def wrong_memory(folder: Path) -> list[str]:
    """Which process has grown too much."""
    wrong = []
    for file in sorted(folder.glob("growth-*")):
        start, peak = map(float, file.read_text().split())
        print(f"{file.name}: {start:.0f} MB at the start, {peak - start:+.1f} MB at the most")
        if peak - start > MOST_GROWTH:
            wrong.append(f"{file.name} grew by {peak - start:.1f} MB")
    return wrong


def main() -> int:
    """Run the campaign and say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--items", type=int)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work is not None:
        work(asked.work, asked.workers)
        return 0
    items = asked.items or (20_000 if asked.short else 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        wrong = campaign(Path(folder), items, asked.kills, asked.workers)
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
