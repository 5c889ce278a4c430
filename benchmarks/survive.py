"""Kill a batch again and again, start it again each time, and see what was lost and what was done twice.

    python benchmarks/survive.py                          2,000 items, 50 SIGKILLs, each way
    python benchmarks/survive.py --short                  200 items, 5 kills, for CI
    python benchmarks/survive.py --way threads

The ways: in order, on threads, as tasks, and in pflow (where it is installed). An item notes its start and takes two
milliseconds. After each kill the journal is read: what it held before must be there still, and what it holds must
never start again. In the end, results must be those of a run that nobody disturbed, byte for byte.

When a kill comes is drawn from how far the items are, so that as many are left as there are kills to come; one in
ten comes while the process starts. A machine that is held up may let a run end before its kill nevertheless: then its
results are compared, and the kills that are left go to another run.

The exit status is 0, or 1 if anything was lost, done again after it was in the journal, or given differently.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

WAYS = ("order", "threads", "tasks", "pflow")
SECONDS = 0.002  # an item
AT_ONCE = 10
LINE = len("0000000\n")  # of the log: of one length, so that its size says how many items have started
AT_THE_START = 0.1  # the share of kills that come before the first item is known to have started

FLOW = """\
# Survive

## Inputs

### numbers

The items.

- type: array
- required: true

## Steps

### each

Notes that it has started, and takes a moment.

- type: code
- inputs:
    number: ${item}
- batch:
    items: ${numbers}
    parallel: true
    max_concurrent: 10
    resume: true

```python code
number: int

import os, time
log = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(log, f"{number:07}\\n".encode())
os.close(log)
time.sleep(0.002)
result: str = f"answer {number}"
```

## Outputs

### answers

All.

- type: array
- source: ${each.results}
"""


class Campaign(NamedTuple):
    """What came of killing one way of running."""

    way: str
    kills: int
    lost: int
    """Items that were in the journal, and then were not."""
    repeated: int
    """Items that started although they were in the journal."""
    twice: int
    """Items that were under way at a kill, and so started again."""
    runs: int
    """How many ended well."""
    equal: bool
    seconds: float

    @property
    def is_good(self) -> bool:
        return not self.lost and not self.repeated and self.equal

    def __str__(self) -> str:
        results = "equal to those of an undisturbed run" if self.equal else "NOT those of an undisturbed run"
        return (
            f"{self.way:8} {self.kills} kills in {self.runs} run{'s' * (self.runs != 1)}: {self.lost} lost, "
            f"{self.repeated} run again, "
            f"{self.twice} under way at a kill ({self.twice / max(1, self.kills):.1f} each), "
            f"results {results}; {self.seconds:.0f} s"
        )


def campaign(way: str, items: int, kills: int, folder: Path, seed: int = 0) -> Campaign:
    """Run `items` items in `folder`, killed `kills` times, and once without."""
    begun, chance = time.monotonic(), random.Random(seed)
    calm = _place(folder / "calm", items)
    process, started = _start(way, calm, items), time.monotonic()
    while process.poll() is None and not _size(calm):
        time.sleep(0.001)
    start_up = time.monotonic() - started
    if process.wait():
        raise RuntimeError(_why_failed(way, process, calm))
    expected = _results(way, calm)
    place = _place(folder / "killed", items)
    done, lost, repeated, twice, killed, runs = set[int](), 0, 0, 0, 0, 0
    begun_before, equal, is_over = set[int](), True, False
    while killed < kills or not is_over:
        before = _size(place)
        process = _start(way, place, items)
        if killed < kills:
            if chance.random() < AT_THE_START:
                _kill(process, time.monotonic() + start_up * chance.random())
            else:
                most = max(1, 2 * (items - len(done)) // (kills - killed + 1))
                _kill_at(process, place, before + chance.randint(1, most), chance.random() * SECONDS)
        process.wait()
        started_now = Counter(_started(place)[before:])
        repeated += len(done.intersection(started_now)) + sum(count - 1 for count in started_now.values())
        twice += len(begun_before.intersection(started_now) - done)
        begun_before.update(started_now)
        if process.returncode not in (0, -signal.SIGKILL):
            raise RuntimeError(_why_failed(way, process, place))
        killed += process.returncode != 0
        is_over = process.returncode == 0 or _has_given(place)  # or killed on its way out
        if is_over:  # the next one is new
            equal = equal and _results(way, place) == expected
            done, begun_before, runs = set(), set(), runs + 1
            continue
        found = _journalled(place)
        lost += len(done - found)
        done |= found
    return Campaign(way, killed, lost, repeated, twice, runs, equal, time.monotonic() - begun)


def _why_failed(way: str, process: subprocess.Popen[bytes], place: Path) -> str:
    said = (place / "said.txt").read_text(encoding="utf-8", errors="replace")
    return f"{way}: exit status {process.returncode}\n{said}"


def _kill_at(process: subprocess.Popen[bytes], place: Path, wanted: int, later: float) -> None:
    """Kill `process` so many seconds after item number `wanted` has started, unless it ends before."""
    while process.poll() is None:
        if _size(place) >= wanted:
            _kill(process, time.monotonic() + later)
            return
        time.sleep(0.0005)


def _kill(process: subprocess.Popen[bytes], moment: float) -> None:
    """Kill `process` at `moment` (of `time.monotonic`), unless it ends before."""
    while process.poll() is None:
        if time.monotonic() >= moment:
            process.send_signal(signal.SIGKILL)
            return
        time.sleep(0.0002)


def _place(folder: Path, items: int) -> Path:
    (folder / "home").mkdir(parents=True)
    (folder / "flow.pflow.md").write_text(FLOW, encoding="utf-8")
    (folder / "log").touch()
    return folder


def _start(way: str, place: Path, items: int) -> subprocess.Popen[bytes]:
    home = str(place / "home")
    state = str(place / "state")
    env = {**os.environ, "HOME": home, "USERPROFILE": home, "PFLOW_LOWER_STATE": state, "PYTHONUTF8": "1"}
    env.pop("PFLOW_LOWER_RESUME", None)
    command = [str(Path(__file__).resolve()), "--work", way, "--items", str(items)]
    if way == "pflow":
        numbers = f"numbers={json.dumps(list(range(items)))}"
        flags = ["--no-cache", "--no-trace", "--output-format", "json"]
        command = ["-m", "pflow_lower", "run", "./flow.pflow.md", numbers, *flags]
    with (place / "out.json").open("wb") as out, (place / "said.txt").open("wb") as said:
        return subprocess.Popen([sys.executable, *command], cwd=place, env=env, stdout=out, stderr=said)


def _size(place: Path) -> int:
    """How many items have started."""
    return (place / "log").stat().st_size // LINE


def _started(place: Path) -> list[int]:
    return [int(line) for line in (place / "log").read_text().splitlines()]


def _journalled(place: Path) -> set[int]:
    from pflow_lower.runtime.journal_file import read_rows

    files = [*(place / "state").rglob("*.db")]
    rows = (row for file in files if file.stat().st_size for row in read_rows(file))
    return {int(str(row.result.get("result") or row.result.get("response")).split()[-1]) for row in rows}


def _has_given(place: Path) -> bool:
    """Whether the results were written before the kill."""
    try:
        return bool(json.loads((place / "out.json").read_text(encoding="utf-8")))
    except ValueError:
        return False


def _results(way: str, place: Path) -> str:
    found: dict[str, Any] = json.loads((place / "out.json").read_text(encoding="utf-8"))
    return json.dumps(found["result"] if way == "pflow" else found)


# --- What is killed


def work(way: str, items: int) -> None:
    """Run the items in one of the ways of plain PocketFlow, and print what they give."""
    from pocketflow import AsyncNode, Node

    from pflow_lower import runtime
    from pflow_lower.runtime.run import Run, running

    def note(number: int) -> None:
        log = os.open("log", os.O_WRONLY | os.O_APPEND)
        os.write(log, f"{number:07}\n".encode())
        os.close(log)

    class Blocking(Node):  # type: ignore[misc]  # pocketflow is not typed
        def exec(self, _: Any) -> str:
            note(self.params["number"])
            time.sleep(SECONDS)
            return f"answer {self.params['number']}"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["response"] = exec_res

    class Asynchronous(AsyncNode):  # type: ignore[misc]  # pocketflow is not typed
        async def exec_async(self, _: Any) -> str:
            note(self.params["number"])
            await asyncio.sleep(SECONDS)
            return f"answer {self.params['number']}"

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["response"] = exec_res

    class Settings:
        node_id = "each"
        max_concurrent = AT_ONCE
        resume = True

        def prep(self: Any, shared: Any) -> Any:
            return self.open(shared, list(range(items)))

    class InOrder(Settings, runtime.SequentialBatchNode):
        def exec(self, call: Any) -> Any:
            return self.run_inner(call, {"number": call.item})

    class OnThreads(Settings, runtime.ThreadedBatchNode):
        def exec(self, call: Any) -> Any:
            return self.run_inner(call, {"number": call.item})

    class AsTasks(Settings, runtime.ConcurrentBatchNode):
        async def exec_async(self, call: Any) -> Any:
            return await self.run_inner(call, {"number": call.item})

    shape: Any = {"order": InOrder, "threads": OnThreads, "tasks": AsTasks}[way]
    shared: dict[str, Any] = {}
    with running(Run("flow")):
        shape(Asynchronous() if way == "tasks" else Blocking())._run(shared)
        outcome = shared["each"]  # given before the journal is forgotten
        print(json.dumps({key: outcome[key] for key in ("results", "count", "errors")}), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run campaigns; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--short", action="store_true", help="200 items, 5 kills")
    parser.add_argument("--way", choices=WAYS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", choices=WAYS, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.short:
        asked.items, asked.kills = 200, 5
    if asked.work:
        work(asked.work, asked.items)
        return 0
    good = True
    for way in asked.way or WAYS:
        folder = Path(tempfile.mkdtemp(prefix="survive-"))
        try:
            found = campaign(way, asked.items, asked.kills, folder, asked.seed)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(found, flush=True)
        good = good and found.is_good
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
