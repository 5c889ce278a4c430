"""A million items in files on Ray: neither items nor results pass through the driver, whose memory stays flat.

    python benchmarks/ray_files.py [--short] [--items N] [--files N]

Prints the driver's memory before the first item and at its highest; the exit status is 1 if it has grown by more than
50 MB, or a result is missing or wrong. Needs `pip install ray`; without it it says so and does nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from pocketflow import Node

import pflow_lower
from pflow_lower.runtime.run import Run, running

MOST_GROWTH = 50.0
"""Megabytes that the driver may grow by."""


class Label(Node):  # type: ignore[misc]
    """Answers from an item's number and its text."""

    def prep(self, shared: Any) -> Any:
        """The item."""
        return self.params["line"]

    def exec(self, line: Any) -> str:
        """The label."""
        return label(line)

    def post(self, shared: Any, prep_res: Any, exec_res: str) -> None:
        """Write it."""
        shared["label"] = exec_res


def item(n: int) -> dict[str, Any]:
    """One of the items."""
    return {"n": n, "text": f"text of item {n} " + "x" * 100}


def label(line: dict[str, Any]) -> str:
    """What its label is."""
    return f"{line['n'] * 7 % 11} {line['text'][:20]}"


def rss() -> float:
    """Megabytes that this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--items", type=int)
    parser.add_argument("--files", type=int, default=50)
    asked = parser.parse_args()
    items = asked.items or (20_000 if asked.short else 1_000_000)
    try:
        import ray
    except ImportError as error:
        print(f"not run: {error}")
        return
    if not sys.platform.startswith("linux"):
        print("not run: the memory of a process is read as Linux has it")
        return
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="FATAL")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.exit(1 if measure(items, asked.files) else 0)


def measure(items: int, files: int) -> bool:
    """Run; whether something is not as it must be."""
    Path("in").mkdir()
    apart = -(-items // files)
    for number in range(files):
        with open(f"in/{number:04}.jsonl", "w") as file:
            for n in range(number * apart, min(items, (number + 1) * apart)):
                file.write(json.dumps(item(n)) + "\n")
    size = sum(path.stat().st_size for path in Path("in").iterdir()) / 1e6
    settings = {"items": {"file": "in/*.jsonl"}, "results": {"file": "out/*.jsonl"}, "parallel": True}
    node = {"id": "b", "type": "label", "params": {"line": "${item}"}, "batch": {**settings, "max_concurrent": 2}}
    made = pflow_lower.lower({"ir_version": "0.1.0", "nodes": [node], "edges": []}).load()["b"]
    start = peak = rss()
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.05):
            peak = max(peak, rss())

    watcher = threading.Thread(target=watch)
    watcher.start()
    shared: dict[str, Any] = {}
    begun = time.perf_counter()
    with running(Run("benchmark", on="ray")):
        made(Label())._run(shared)
    took = time.perf_counter() - begun
    over.set()
    watcher.join()
    seen = bytearray(items)
    wrong = 0
    for path in Path("out").glob("*.jsonl"):
        for line in path.open():
            row = json.loads(line)
            n = row["original_index"]
            seen[n] += 1
            wrong += row["item"] != item(n) or row["label"] != label(item(n))
    missing = items - seen.count(1)
    manifest = json.loads(Path("out/manifest.json").read_text())
    print(
        f"{items} items ({size:.0f} MB) in {files} files: {took:.1f} s, {took / items * 1e6:.1f} us an item; "
        f"the driver had {start:.0f} MB before and {peak:.0f} MB at most ({peak - start:+.1f}); "
        f"{missing} missing or twice, {wrong} wrong, the manifest counts {manifest['success_count']}"
    )
    return bool(missing or wrong or manifest["success_count"] != items or peak - start > MOST_GROWTH)


if __name__ == "__main__":
    main()
