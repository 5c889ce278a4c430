"""Every order of events under `timeout`, `tolerated_failures`, `${__previous__}` and `resume`, interrupts included.

The harness is that of test_schedule_exhaustive.py, with more that can happen: an attempt's time is over, and its answer
comes later, or never; an item ends the program; after every order another run goes on from the journal.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.every_order import Explorer, Plan, use_clock_of_tests

from pflow_lower.runtime import Batch, Call
from pflow_lower.runtime.controls import Controls
from pflow_lower.runtime.journal import Journal
from pflow_lower.runtime.run import STATE_VARIABLE
from pflow_lower.runtime.timeout import AttemptTimeout, TimeLimit

pytestmark = pytest.mark.slow

ATTEMPTS = 2
TIMES = ("ok", "late ok", "late never", "late fail", "again ok", "again never", "again fail")
FAILURES = ("ok", "again ok", "again fail")
INTERRUPTS = (*FAILURES, "stop", "again stop")


@pytest.fixture(params=["in order", "threads", "tasks"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    use_clock_of_tests(monkeypatch)
    loop = asyncio.new_event_loop() if request.param == "tasks" else None
    yield {"loop": loop, "in_order": request.param == "in order", "attempts": ATTEMPTS}
    if loop is not None:
        loop.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("b-", "pflow-lower"))]


def explore(explorer: Explorer, patterns: Iterable[str], sizes: Iterable[int]) -> Explorer:
    """Every plan of so many items, in every order."""
    for size in sizes:
        for plan in itertools.product(patterns, repeat=size):
            explorer.every_order(lambda _, plan=plan: plan)  # type: ignore[misc]
    return explorer


@pytest.mark.parametrize("fail_fast", [False, True])
def test_every_order_of_times_that_are_over(way: dict[str, Any], fail_fast: bool) -> None:
    explorer = explore(Explorer(**way, fail_fast=fail_fast, times_out=True), TIMES, range(3))
    assert explorer.runs > 57


@pytest.mark.parametrize("tolerated", [0, 1, 2])
def test_every_order_of_failures_that_are_tolerated(way: dict[str, Any], tolerated: int) -> None:
    explore(Explorer(**way, fail_fast=False, tolerated=tolerated), FAILURES, range(5))


@pytest.mark.parametrize("fail_fast", [False, True])
def test_every_order_of_interrupts(way: dict[str, Any], fail_fast: bool) -> None:
    explore(Explorer(**way, fail_fast=fail_fast), INTERRUPTS, range(4))


@pytest.mark.parametrize("fail_fast", [False, True])
def test_every_run_that_goes_on_after_any_other(way: dict[str, Any], fail_fast: bool) -> None:
    way["attempts"] = 1
    explore(Explorer(**way, fail_fast=fail_fast, resume=True), ("ok", "fail", "stop"), range(4))


def test_every_order_of_all_of_them(way: dict[str, Any]) -> None:
    patterns = ("ok", "late ok", "again never", "stop")
    explore(Explorer(**way, fail_fast=False, tolerated=1, times_out=True, resume=True), patterns, (2,))
    explorer = Explorer(**way, fail_fast=False, tolerated=0, times_out=True, resume=True)
    for plan in itertools.permutations(("late ok", "again never", "stop")):
        explorer.every_order(lambda _, plan=plan: plan)  # type: ignore[misc]


# --- What is wrong is found


def fails(way: dict[str, Any], plan: Plan, match: str, **settings: Any) -> None:
    way["attempts"] = max(len(steps.split()) for steps in plan)
    explorer = Explorer(**way, **{"fail_fast": False, **settings})
    with pytest.raises(AssertionError, match=match):
        explorer.every_order(lambda _: plan)


def test_a_failure_too_many_is_tolerated(way: dict[str, Any]) -> None:
    fails(way, ("fail", "fail", "ok", "ok"), "should be", tolerated=0, tolerated_failures=1)


def test_an_item_with_two_outcomes(way: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if way["loop"] is not None:
        pytest.skip("a task has its own way")
    finish = Batch.finish

    def twice(self: Batch, call: Call, result: Any) -> None:
        finish(self, call, result)
        if call.attempt > 1:
            finish(self, call, result)

    monkeypatch.setattr(Batch, "finish", twice)
    fails(way, ("late ok", "again ok"), "should", times_out=True)


def test_a_time_limit_that_does_not_wait_for_its_time(way: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if way["loop"] is not None:
        pytest.skip("a task has its own way")

    def hasty(self: TimeLimit, work: Any) -> Any:
        raise AttemptTimeout("no answer")

    monkeypatch.setattr(TimeLimit, "run", hasty)
    fails(way, ("ok",), "have ended, and should", times_out=True)


def test_an_answer_that_is_not_journalled(way: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Controls.keep

    def forgetful(self: Controls, call: Call, result: Any) -> None:
        if call.index:
            keep(self, call, result)

    monkeypatch.setattr(Controls, "keep", forgetful)
    fails(way, ("ok", "ok", "fail"), "after", resume=True)


def test_an_answer_that_is_not_found_again(way: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "find", lambda self, asked: None)
    fails(way, ("ok", "fail"), "after", resume=True)
