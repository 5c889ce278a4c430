"""Rates: how often calls start, by threads and by processes, one of which is killed."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pflow_lower.runtime import pace
from pflow_lower.runtime.pace import Pace, Rate, SharedBudget, rate_of


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1/s", Rate(1, 1)), ("60/min", Rate(60, 60)), ("500/h", Rate(500, 3600)), ("10000/day", Rate(10000, 86400))],
)
def test_rates(text: str, rate: Rate) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize("text", ["", "60", "0/min", "-1/s", "60/minute", "1.5/s", " 1/s", "1/s ", "60 / min", "1/S"])
def test_what_is_not_a_rate(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        rate_of(text)


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["local", "shared"])
def paced(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Clock, Pace]:
    clock = Clock()
    monkeypatch.setattr(pace.time, "monotonic", clock)
    monkeypatch.setattr(pace, "_since_boot", clock)
    made = Pace(Rate(10, 1)) if request.param == "local" else SharedBudget(tmp_path / "x" / "p", Rate(10, 1))
    return clock, made  # type: ignore[return-value]


def test_starts_are_evenly_spaced_and_unused_ones_are_gone(paced: tuple[Clock, Pace]) -> None:
    clock, pacer = paced
    assert [round(pacer.reserve(), 6) for _ in range(4)] == [0, 0.1, 0.2, 0.3]
    clock.now += 60
    assert [round(pacer.reserve(), 6) for _ in range(3)] == [0, 0.1, 0.2]


def test_a_server_that_asks_to_wait_is_heard_by_all(paced: tuple[Clock, Pace]) -> None:
    _, pacer = paced
    pacer.hold(5)
    assert [round(pacer.reserve(), 6) for _ in range(2)] == [5, 5.1]
    pacer.hold(1)  # sooner than what was said before
    assert round(pacer.reserve(), 6) == 5.2


def test_threads_never_get_the_same_start() -> None:
    pacer = Pace(Rate(1000, 1))
    starts: list[float] = []

    def reserve() -> None:
        for _ in range(50):
            starts.append(time.monotonic() + pacer.reserve())  # noqa: PERF401

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 400 starts of which the last one is 399 steps after the first, however the threads ran.
    assert max(starts) - min(starts) >= 0.399 - 0.02


def test_a_budget_of_before_the_last_boot_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = SharedBudget(tmp_path / "p", Rate(1, 86400))
    budget.reserve()
    assert budget.reserve() > 80_000
    monkeypatch.setattr(pace, "_booted", time.time)  # just now
    assert budget.reserve() == 0


HOLDER = """
import sys, time
from pathlib import Path
from pflow_lower.runtime.pace import SharedBudget
budget = SharedBudget(Path(sys.argv[1]), None, 3)
print(budget.enter(), budget.enter(), flush=True)
time.sleep(60)
"""


def test_calls_under_way_are_bounded_over_processes_and_end_with_them(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "p")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "0 1\n"
    budget = SharedBudget(tmp_path / "p", None, 3)
    assert (budget.enter(), budget.enter()) == (2, None)
    budget.leave(2)
    assert (budget.enter(), budget.enter()) == (2, None)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert sorted([budget.enter(), budget.enter()]) == [0, 1] and budget.enter() is None  # type: ignore[type-var]


def test_without_a_bound_every_call_may_begin(tmp_path: Path) -> None:
    budget = SharedBudget(tmp_path / "p", Rate(1, 1))
    assert [budget.enter() for _ in range(200)] == [-1] * 200
    budget.leave(-1)


CHILD = """
import sys, time
from pathlib import Path
from pflow_lower.runtime.pace import SharedBudget, rate_of
pacer = SharedBudget(Path(sys.argv[1]), rate_of("50/s"))
print("ready", flush=True)
while True:
    left = pacer.reserve()
    print(time.clock_gettime(time.CLOCK_BOOTTIME) + left, flush=True)
    time.sleep(left)
"""


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the child prints Linux's clock")
def test_four_processes_share_one_budget_and_one_of_them_is_killed(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "p.db")], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
    # Each of them gets its share, or this does not end.
    starts = [float(child.stdout.readline()) for child in children for _ in range(5) if child.stdout is not None]
    children[0].send_signal(signal.SIGKILL)
    starts += [float(child.stdout.readline()) for child in children[1:] for _ in range(20) if child.stdout is not None]
    for child in children:
        child.send_signal(signal.SIGKILL)
        assert child.stdout is not None
        starts += map(float, child.stdout.read().split("\n")[:-1])
        child.communicate()
    assert most_within(sorted(starts), 1.0) <= 51  # both ends of a window


def most_within(times: Sequence[float], seconds: float) -> int:
    begin = itertools.count()
    first = next(begin)
    most = 0
    for last, at in enumerate(times):
        while at - times[first] > seconds + 1e-6:
            first = next(begin)
        most = max(most, last - first + 1)
    return most
