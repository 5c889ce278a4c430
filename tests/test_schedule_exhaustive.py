"""Every order of events for small batches: up to 4 items, 2 workers, 3 attempts, every pattern of failures.

An attempt stays inside the inner node until it is told to end. As soon as everything that the contract says is
under way has got there, the next choice is made: which one ends now. So a run is a sequence of choices, nothing
else decides anything, and all sequences are tried. What is under way at each choice is compared with `Model`, which
is the contract in twenty lines: no attempt that it does not have can start, and none that it has can be missing.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pocketflow
import pytest
from helpers.scripted import lowered_class, store

from pflow_lower.runtime import Engine

pytestmark = pytest.mark.slow

WORKERS = 2
ATTEMPTS = 3
PATTERNS = {"ok": 1, "again ok": 2, "again again ok": 3, "again again fail": 3}
"""What an item's attempts do, and how many there are."""

Plan = tuple[str, ...]
Choices = list[tuple[int, int]]
"""Which of how many was taken, choice by choice."""


class Model:
    """What the contract says."""

    def __init__(self, plan: Plan, *, fail_fast: bool) -> None:
        self.steps = [steps.split() for steps in plan]
        self.fail_fast = fail_fast
        self.under_way: dict[int, int] = {}
        self.ended: dict[int, str] = {}
        self.attempts: Counter[int] = Counter()
        self.closed = False
        for _ in range(WORKERS):
            self.start()

    def start(self) -> None:
        index = len(self.attempts)
        if not self.closed and index < len(self.steps):
            self.under_way[index] = 1
            self.attempts[index] = 1

    def end(self, index: int) -> str:
        """One attempt of an item ends; answers how."""
        step = self.steps[index][self.under_way[index] - 1]
        if step == "again":
            self.under_way[index] += 1
            self.attempts[index] += 1
            return step
        del self.under_way[index]
        self.ended[index] = step
        self.closed = self.closed or (self.fail_fast and step == "fail")
        self.start()
        return step


class Stage:
    """Where attempts wait for their end."""

    def __init__(self, plan: Plan, choices: list[int], *, fail_fast: bool) -> None:
        self.model = Model(plan, fail_fast=fail_fast)
        self.made: Choices = []
        self.entered: Counter[int] = Counter()
        self.most = 0
        self.workers: set[Any] = set()
        self.wrong = ""
        self._choices = choices
        self._waiting: dict[int, Callable[[str], None]] = {}
        self._lock = threading.Lock()

    def enter(self, index: int, worker: Any, release: Callable[[str], None]) -> None:
        """An attempt of an item has begun in `worker`; `release` tells it how it ends."""
        with self._lock:
            if index in self._waiting:
                self.wrong = f"item {index} is under way twice"
            self.entered[index] += 1
            self.workers.add(worker)
            self._waiting[index] = release
            self.most = max(self.most, len(self._waiting))
            self._go_on()

    def left(self) -> None:
        """An item has its outcome."""
        with self._lock:
            self._go_on()

    def _go_on(self) -> None:
        under_way = self.model.under_way
        if not self._waiting.keys() <= under_way.keys():
            self.wrong = self.wrong or f"under way are {sorted(self._waiting)}, and should be {sorted(under_way)}"
        if self.wrong:
            while self._waiting:
                self._waiting.popitem()[1]("ok")
        if not self._waiting or self._waiting.keys() != under_way.keys():
            return  # another one is on its way here
        options = sorted(self._waiting)
        n = len(self.made)
        choice = self._choices[n] if n < len(self._choices) else 0
        self.made.append((choice, len(options)))
        release = self._waiting.pop(options[choice])
        release(self.model.end(options[choice]))


class Watching(Engine):
    """Tells the stage when an item has its outcome. Does without what is of no interest here, to be quick."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def finished(self, call: Any, record: Any) -> None:
        self.stage.left()

    def error_record(self, call: Any) -> dict[str, Any]:
        return {"index": call.index, "error": call.error, "exception": call.exception}

    def store(self, call: Any) -> dict[str, Any]:
        return {}

    def copy_factory(self, inner: Any) -> Callable[[], Any]:
        return lambda: copy.copy(inner)


class Staged(pocketflow.Node):
    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def exec(self, _: Any) -> None:
        told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.stage.enter(self.params["at"], threading.current_thread(), told.put)
        act(told.get(timeout=60), self.params["at"])


class AsyncStaged(pocketflow.AsyncNode):
    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    async def exec_async(self, _: Any) -> None:
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.stage.enter(self.params["at"], asyncio.current_task(), told.set_result)
        act(await told, self.params["at"])


def act(step: str, index: int) -> None:
    if step != "ok":
        raise ValueError(f"item {index}")


class Explorer:
    """Runs plans, as often as there are orders of their events: as tasks of `loop`, or on threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None, *, fail_fast: bool, **wrong: Any) -> None:
        self.loop = loop
        self.fail_fast = fail_fast
        self.runs = 0
        options: dict[str, Any] = {
            "node": "Scripted" if loop is None else "AsyncScripted",
            "params": (("at", "${__index__}"), ("style", "${style}")),
            "parallel": True,
            "max_concurrent": WORKERS,
            "max_retries": ATTEMPTS,
            "error_handling": "fail_fast" if fail_fast else "continue",
        }
        self.made = lowered_class(**options | wrong)

    def every_order(self, plan: Callable[[int], Plan]) -> None:
        """Run `plan(n)`, the plan of the n-th order, for all of them."""
        choices: list[int] = []
        for n in itertools.count():
            made = self.run(plan(n), choices)
            while made and made[-1][0] == made[-1][1] - 1:
                made.pop()
            if not made:
                return
            choices = [choice for choice, _ in made[:-1]] + [made[-1][0] + 1]

    def run(self, plan: Plan, choices: list[int]) -> Choices:
        """One run, with everything that can be said about it."""
        self.runs += 1
        stage = Stage(plan, choices, fail_fast=self.fail_fast)
        shared: Any = store(list(plan))
        raised = None
        node = self.made(Staged(stage) if self.loop is None else AsyncStaged(stage))
        node.engine = Watching(stage)
        try:
            if self.loop is None:
                node._run(shared)
            else:
                self.loop.run_until_complete(asyncio.wait_for(node.run_async(shared), 10))
        except Exception as error:  # noqa: BLE001  looked at below
            raised = error
        try:
            self.check(plan, stage, shared.get("b"), raised)
        except AssertionError as error:
            raise AssertionError(f"{plan}, choices {stage.made}: {stage.wrong or error}") from error
        return stage.made

    def check(self, plan: Plan, stage: Stage, outcome: Any, raised: Exception | None) -> None:
        """Raises: AssertionError."""
        model = stage.model
        assert not stage.wrong
        assert stage.most <= WORKERS
        assert len(stage.workers) <= WORKERS, f"{len(stage.workers)} workers"
        assert stage.entered == model.attempts
        assert max(stage.entered.values(), default=0) <= ATTEMPTS
        failed = [error["index"] for error in outcome["errors"]]
        good = [result["original_index"] for result in outcome["results"]]
        assert failed == sorted(index for index, step in model.ended.items() if step == "fail")
        assert good == sorted(index for index, step in model.ended.items() if step == "ok")
        assert not model.under_way
        assert outcome["count"] == len(failed) + len(good) == len(stage.entered)
        if not self.fail_fast:
            assert len(good) + len(failed) == len(plan)
            assert (type(raised) is RuntimeError) == (bool(failed) and not good)
            return
        lowest = next((n for n, steps in enumerate(plan) if steps.endswith("fail")), None)
        assert (str(raised) if raised else None) == (f"item {lowest}" if lowest is not None else None)
        assert failed[:1] == ([] if lowest is None else [lowest])


@pytest.fixture(params=["threads", "tasks"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop | None]:
    if request.param == "threads":
        yield None
    else:
        loop = asyncio.new_event_loop()
        yield loop
        loop.close()


@pytest.mark.parametrize("fail_fast", [False, True])
def test_every_order_of_up_to_three_items(loop: Any, fail_fast: bool) -> None:
    explorer = Explorer(loop, fail_fast=fail_fast)
    for size in range(4):
        for plan in itertools.product(PATTERNS, repeat=size):
            explorer.every_order(lambda _, plan=plan: plan)  # type: ignore[misc]
    assert explorer.runs == (2628 if fail_fast else 3466) - 1


@pytest.mark.parametrize("first", PATTERNS)
def test_every_order_of_four_items_fail_fast(loop: Any, first: str) -> None:
    explorer = Explorer(loop, fail_fast=True)
    for rest in itertools.product(PATTERNS, repeat=3):
        if "again again fail" in (first, *rest):  # without a failure, it is as with `continue`, below
            explorer.every_order(lambda _, plan=(first, *rest): plan)  # type: ignore[misc]
    assert quiet()


def test_every_order_of_four_items_continue(loop: Any) -> None:
    """How an item's last attempt ends changes nothing of what runs next, so the orders share the patterns out."""
    explorer = Explorer(loop, fail_fast=False)
    seen: set[Plan] = set()
    for attempts in itertools.product(range(1, ATTEMPTS + 1), repeat=4):
        alike = [[steps for steps, count in PATTERNS.items() if count == most] for most in attempts]
        plans = list(itertools.product(*alike))

        def plan(n: int, plans: list[Plan] = plans) -> Plan:
            seen.add(plans[n % len(plans)])
            return plans[n % len(plans)]

        explorer.every_order(plan)
    assert explorer.runs == 12432
    assert len(seen) == len(PATTERNS) ** 4


def quiet() -> bool:
    """Whether no thread of a batch is left."""
    return not [thread for thread in threading.enumerate() if thread.name.startswith(("b-", "pflow-lower"))]


# --- What is wrong is found


def test_a_worker_too_many() -> None:
    explorer = Explorer(None, fail_fast=False, max_concurrent=WORKERS + 1)
    with pytest.raises(AssertionError, match=r"should be|workers"):
        explorer.every_order(lambda _: ("ok",) * 4)


def test_an_item_that_starts_after_a_failure() -> None:
    explorer = Explorer(None, fail_fast=True, error_handling="continue")
    with pytest.raises(AssertionError, match="should be"):
        explorer.run(("again again fail", "again again fail", "ok", "ok"), [])


def test_attempts_beyond_the_budget() -> None:
    explorer = Explorer(None, fail_fast=False, max_retries=ATTEMPTS + 1)
    with pytest.raises(AssertionError):
        explorer.run(("again again fail",), [])
