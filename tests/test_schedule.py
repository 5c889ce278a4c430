"""Which item runs when: nothing lost, nothing twice, nothing left behind; with both retry loops of PocketFlow."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pocketflow
import pytest
from helpers import shapes
from helpers.scripted import AsyncScripted, Refused, Script, Scripted, lowered_class, store

import pflow_lower
from pflow_lower.runtime import Engine
from pflow_lower.runtime.loops import LoopThread

HERE = Path(__file__).parent
PATIENCE, TOO_LONG = 120, 600
"""Seconds: the first is more than a loaded machine needs, the second is what a wait that is not cut short takes."""


# --- PocketFlow as on PyPI, and as on GitHub


def pocketflow_head() -> types.ModuleType:
    """PocketFlow as its GitHub head is: asynchronous nodes count their attempts on themselves."""
    source = inspect.getsource(pocketflow)
    if "for self.cur_retry in range(self.max_retries):\n            try: return await" not in source:
        assert source.count("for i in range(self.max_retries):") == source.count("if i==self.max_retries-1:") == 1
        source = source.replace("for i in range", "for self.cur_retry in range").replace(
            "if i==", "if self.cur_retry=="
        )
    module = types.ModuleType("pocketflow")
    exec(compile(source, "pocketflow_head.py", "exec"), module.__dict__)  # noqa: S102  PocketFlow's own source
    return module


FLOWS = {"PyPI": pocketflow, "GitHub": pocketflow_head()}


class Ledger:
    """Which attempts were made, and how many at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.attempts: dict[int, int] = {}
        self.under_way = self.most = 0

    def __deepcopy__(self, memo: object) -> Ledger:
        return self

    def begin(self, index: int) -> int:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.attempts[index] = self.attempts.get(index, 0) + 1
            return self.attempts[index]

    def end(self, index: int, attempt: int) -> int:
        with self.lock:
            self.under_way -= 1
        if index % 3 == 0 or (index % 3 == 1 and attempt == 1):
            raise ValueError(f"item {index}, attempt {attempt}")
        return index


def counted(flow: types.ModuleType, ledger: Ledger, *, asynchronous: bool) -> Any:
    """A node that notes what is done with it: a third of the items fail for good, a third once."""

    class Counted(flow.Node):  # type: ignore[misc, name-defined]
        def exec(self, _: Any) -> int:
            attempt = ledger.begin(self.params["at"])
            time.sleep(0)
            return ledger.end(self.params["at"], attempt)

        def post(self, shared: Any, _: Any, seen: int) -> None:
            shared["seen"] = seen

    class AsyncCounted(flow.AsyncNode):  # type: ignore[misc, name-defined]
        async def exec_async(self, _: Any) -> int:
            attempt = ledger.begin(self.params["at"])
            await asyncio.sleep(0)
            return ledger.end(self.params["at"], attempt)

        async def post_async(self, shared: Any, _: Any, seen: int) -> None:
            shared["seen"] = seen

    return AsyncCounted() if asynchronous else Counted()


SEVEN = {"max_concurrent": 7}
SHAPES = {name: {**options, **SEVEN} if "parallel" in options else options for name, options in shapes.SHAPES.items()}
SHAPES["in threads, async"] = SHAPES["in threads"]  # the class was not known


def directly(flow: types.ModuleType, node: Any, shared: Any) -> None:
    assert node.run(shared) == "default"


def from_a_flow(flow: types.ModuleType, node: Any, shared: Any) -> None:
    flow.Flow(start=node).run(shared)


def from_an_async_flow(flow: types.ModuleType, node: Any, shared: Any) -> None:
    asyncio.run(flow.AsyncFlow(start=node).run_async(shared))


def inside_a_loop(flow: types.ModuleType, node: Any, shared: Any) -> None:
    async def main() -> None:
        node.run(shared)

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("run", [directly, from_a_flow, from_an_async_flow, inside_a_loop])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("version", FLOWS)
def test_500_items(version: str, shape: str, run: Callable[..., None]) -> None:
    flow, options = FLOWS[version], SHAPES[shape]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pocketflow", flow)
        if flow is not pocketflow:  # a runtime of its own, derived from this one
            patch.setattr(pflow_lower, "runtime", pflow_lower.runtime)
            for name in [name for name in sys.modules if name.startswith("pflow_lower.runtime")]:
                patch.delitem(sys.modules, name)
        cls = lowered_class.__wrapped__(max_retries=2, error_handling="continue", **options)
    assert issubclass(cls, flow.BatchNode)
    ledger = Ledger()
    shared = store(list("abcde" * 100))
    run(flow, cls(counted(flow, ledger, asynchronous="async" in shape or "tasks" in shape)), shared)
    outcome: Any = shared["b"]
    assert ledger.attempts == {index: 1 if index % 3 == 2 else 2 for index in range(500)}
    assert [result["seen"] for result in outcome["results"]] == [index for index in range(500) if index % 3]
    assert [error["index"] for error in outcome["errors"]] == [index for index in range(500) if index % 3 == 0]
    assert [error["error"] for error in outcome["errors"][:2]] == ["item 0, attempt 2", "item 3, attempt 2"]
    assert (outcome["count"], outcome["success_count"], outcome["error_count"]) == (500, 333, 167)
    assert 1 <= ledger.most <= options.get("max_concurrent", 1)
    assert quiet()


def test_github_heads_own_loop_loses_items() -> None:
    """What generated code has to stay clear of; if this fails, the stand-in stands for nothing."""

    class Plain(FLOWS["GitHub"].AsyncParallelBatchNode):  # type: ignore[misc, name-defined]
        async def prep_async(self, shared: Any) -> Any:
            return list(range(30))

        async def exec_async(self, index: int) -> int:
            attempt = ledger.begin(index)
            await asyncio.sleep(0)
            return ledger.end(index, attempt)

        async def exec_fallback_async(self, index: int, exc: Exception) -> str:
            return "failed"

        async def post_async(self, shared: Any, _: Any, results: Any) -> None:
            shared["results"] = results

    ledger = Ledger()
    shared: dict[str, Any] = {}
    asyncio.run(Plain(max_retries=2).run_async(shared))
    right = ["failed" if index % 3 == 0 else index for index in range(30)]
    assert shared["results"] != right


def quiet() -> bool:
    """Whether no thread of a batch is left."""
    return not [t for t in threading.enumerate() if t.name.startswith(("b-", "pflow-lower"))]


# --- Every order of events, for small sizes


class Stage:
    """Lets the calls under way finish in a chosen order; `plan[index]` says what each attempt does."""

    def __init__(self, plan: tuple[str, ...], choices: list[int]) -> None:
        self.plan = plan
        self.made: list[tuple[int, int]] = []
        self.attempts: dict[int, int] = {}
        self.waiting: dict[int, Any] = {}
        self._choices = choices

    def __deepcopy__(self, memo: object) -> Stage:
        return self

    def enter(self, index: int, release: Any) -> None:
        assert index not in self.waiting, "an item is under way twice"
        self.attempts[index] = self.attempts.get(index, 0) + 1
        self.waiting[index] = release

    def leave(self, index: int) -> None:
        step = self.plan[index].split()[self.attempts[index] - 1]
        if step == "raise":
            raise ValueError(str(index))
        if step == "refuse":
            raise Refused(str(index))

    def choose(self) -> int:
        """Which of the calls under way ends next."""
        options = sorted(self.waiting)
        n = len(self.made)
        choice = self._choices[n] if n < len(self._choices) else 0
        self.made.append((choice, len(options)))
        return options[choice]


class Staged(pocketflow.Node):
    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def exec(self, _: Any) -> None:
        release = threading.Event()
        self.stage.enter(self.params["at"], release)
        assert release.wait(PATIENCE)
        self.stage.leave(self.params["at"])


class AsyncStaged(pocketflow.AsyncNode):
    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    async def exec_async(self, _: Any) -> None:
        release = asyncio.Event()
        self.stage.enter(self.params["at"], release)
        try:
            await release.wait()
        finally:
            self.stage.waiting.pop(self.params["at"], None)
        self.stage.leave(self.params["at"])


class Model:
    """What the contract says is under way, step by step."""

    def __init__(self, plan: tuple[str, ...], workers: int, *, fail_fast: bool) -> None:
        self.plan = plan
        self.fail_fast = fail_fast
        self.outcomes: dict[int, str] = {}
        self.attempts: dict[int, int] = {}
        self.under_way: set[int] = set()
        self.closed = self.stopped = False
        for _ in range(workers):
            self.start()

    def start(self) -> None:
        index = len(self.attempts)
        if not self.closed and index < len(self.plan):
            self.attempts[index] = 1
            self.under_way.add(index)

    def end(self, index: int) -> None:
        steps = self.plan[index].split()
        step = steps[self.attempts[index] - 1]
        if step == "raise" and self.attempts[index] < len(steps) and not self.stopped:
            self.attempts[index] += 1
            return
        self.under_way.remove(index)
        self.outcomes[index] = step
        if step == "refuse":
            self.closed = self.stopped = True
        elif step == "raise" and self.fail_fast:
            self.closed = True
        self.start()


def every_order(run: Callable[[list[int]], list[tuple[int, int]]]) -> int:
    """Call `run` with every sequence of choices; it answers those it made, each with how many there were."""
    choices: list[int] = []
    for count in itertools.count(1):
        made = run(choices)
        while made and made[-1][0] == made[-1][1] - 1:
            made.pop()
        if not made:
            return count
        choices = [choice for choice, _ in made[:-1]] + [made[-1][0] + 1]
    raise AssertionError


def check(model: Model, stage: Stage, shared: dict[str, Any], raised: Exception | None) -> None:
    assert stage.attempts == model.attempts
    failed = sorted(index for index, outcome in model.outcomes.items() if outcome == "raise")
    refused = sorted(index for index, outcome in model.outcomes.items() if outcome == "refuse")
    if refused:
        assert type(raised) is Refused
        assert str(raised) == str(refused[0])
        assert "b" not in shared
        return
    assert [error["index"] for error in shared["b"]["errors"]] == failed
    good = sorted(model.outcomes.keys() - set(failed))
    assert [result["original_index"] for result in shared["b"]["results"]] == good
    if failed and model.fail_fast:
        assert type(raised) is ValueError
        first = next(n for n, steps in enumerate(model.plan) if steps.endswith("raise"))
        assert str(raised) == str(first) == str(failed[0])
    else:
        assert (raised is None) == (bool(good) or not failed)


class Watching(Engine):
    """Knows what the scheduler has noticed."""

    def open(self, batch: Any) -> None:
        self.stopped = batch.stopped
        self.finished_calls: list[int] = []

    def finished(self, call: Any, record: Any) -> None:
        self.finished_calls.append(call.index)

    def has_noticed(self, model: Model) -> bool:
        ended = [index for index, outcome in model.outcomes.items() if outcome != "refuse"]
        return len(self.finished_calls) == len(ended) and self.stopped.is_set() == model.stopped


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "not what should run"
        time.sleep(0)


def staged_threads(plan: tuple[str, ...], choices: list[int], *, fail_fast: bool) -> list[tuple[int, int]]:
    stage, model = Stage(plan, choices), Model(plan, 2, fail_fast=fail_fast)
    shared = store(list(plan))
    raised: list[Exception | None] = [None]

    def run() -> None:
        try:
            node._run(shared)
        except Exception as error:  # noqa: BLE001  compared below
            raised[0] = error

    node = lowered_class(
        parallel=True, max_concurrent=2, max_retries=2, error_handling="fail_fast" if fail_fast else "continue"
    )(Staged(stage))
    node.engine = host = Watching()
    thread = threading.Thread(target=run)
    thread.start()
    while model.under_way:
        until(lambda: set(stage.waiting) == model.under_way)
        index = stage.choose()
        release = stage.waiting.pop(index)
        model.end(index)
        release.set()
        until(lambda: host.has_noticed(model))
    thread.join(PATIENCE)
    check(model, stage, shared, raised[0])
    assert quiet()
    return stage.made


def staged_tasks(plan: tuple[str, ...], choices: list[int], *, fail_fast: bool) -> list[tuple[int, int]]:
    stage, model = Stage(plan, choices), Model(plan, 2, fail_fast=fail_fast)
    shared = store(list(plan))

    async def main() -> Exception | None:
        async def run() -> Exception | None:
            try:
                await node(AsyncStaged(stage)).run_async(shared)
            except Exception as error:  # noqa: BLE001  compared below
                return error
            return None

        task = asyncio.ensure_future(run())
        while model.under_way and not (model.stopped and task.done()):
            for _ in range(50):
                await asyncio.sleep(0)
            if model.stopped:  # tasks under way are cancelled then
                assert not stage.waiting
                break
            assert set(stage.waiting) == model.under_way, "not what should run"
            index = stage.choose()
            release = stage.waiting.pop(index)
            model.end(index)
            release.set()
        return await task

    node = lowered_class(
        node="AsyncScripted", parallel=True, max_concurrent=2, max_retries=2,
        error_handling="fail_fast" if fail_fast else "continue",
    )  # fmt: skip
    check(model, stage, shared, asyncio.run(main()))
    return stage.made


PLANS = ["ok", "raise ok", "raise raise"]


@pytest.mark.slow
@pytest.mark.parametrize("fail_fast", [False, True])
@pytest.mark.parametrize("staged", [staged_threads, staged_tasks])
def test_every_order_of_three_items(staged: Callable[..., Any], fail_fast: bool) -> None:
    for size in range(4):
        for plan in itertools.product(PLANS, repeat=size):
            every_order(lambda choices, plan=plan: staged(plan, choices, fail_fast=fail_fast))  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.parametrize("staged", [staged_threads, staged_tasks])
def test_every_order_with_an_abort(staged: Callable[..., Any]) -> None:
    for plan in itertools.product([*PLANS, "refuse", "raise refuse"], repeat=3):
        if "refuse" in " ".join(plan):
            every_order(lambda choices, plan=plan: staged(plan, choices, fail_fast=False))  # type: ignore[misc]


# --- Interrupted


def test_a_cancelled_caller_cancels_what_is_under_way() -> None:
    waiting: list[int] = []
    ended: list[str] = []

    class Slow(pocketflow.AsyncNode):
        async def exec_async(self, _: Any) -> None:
            try:
                if self.params["at"] >= 5:
                    waiting.append(self.params["at"])
                await asyncio.sleep(0 if self.params["at"] < 5 else TOO_LONG)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

    async def main() -> None:
        task = asyncio.ensure_future(node.run_async(shared))
        while len(waiting) < 3:  # noqa: ASYNC110  ends at once
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        if sys.version_info >= (3, 11):
            notes = getattr(caught.value, "__notes__", [])
            assert notes in ([], ["b: interrupted when 5 of 100 items were done"])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    node = lowered_class(node="AsyncScripted", parallel=True, max_concurrent=3)(Slow())
    shared: Any = store(list(range(100)))
    asyncio.run(main())
    assert ended == ["cancelled"] * 3
    assert shared["b"]["count"] == len(shared["b"]["results"]) == 5


def test_tasks_that_are_all_cancelled_at_once_leave_nothing_to_complain_of() -> None:
    """As `asyncio.run` does when a signal ends it, in no order."""
    waiting: list[int] = []

    class Slow(pocketflow.AsyncNode):
        async def exec_async(self, _: Any) -> None:
            waiting.append(self.params["at"])
            await asyncio.sleep(TOO_LONG)

    async def main() -> None:
        task = asyncio.ensure_future(node.run_async(store([1, 2, 3])))
        while len(waiting) < 3:  # noqa: ASYNC110  ends at once
            await asyncio.sleep(0)
        workers = asyncio.all_tasks() - {asyncio.current_task(), task}
        for one in (*workers, task):
            one.cancel()
        await asyncio.gather(*workers, task, return_exceptions=True)
        assert len(workers) == 3 and task.cancelled()
        assert all(worker.cancelled() or worker.exception() is None for worker in workers)

    node = lowered_class(node="AsyncScripted", parallel=True, max_concurrent=3)(Slow())
    asyncio.run(main())


class Nested(pocketflow.Node):
    """Item 0 ends at once, as the callback or `ends` has it; the others run a batch of 300 items."""

    def __init__(self, options: dict[str, Any], ends: str) -> None:
        super().__init__()
        self.options, self.ends = options, ends

    def exec(self, _: Any) -> Any:
        if self.params["at"] == 0:
            assert all(UNDER_WAY.acquire(timeout=PATIENCE) for _ in range(2))
            if self.ends == "fails":
                raise ValueError("no")
            return
        inner = store(list(range(300)))
        STORES.append(inner)
        lowered_class(**self.options)(Step()).run(inner)


class Step(pocketflow.Node):
    def exec(self, _: Any) -> None:
        if self.params["at"] == 1:
            UNDER_WAY.release()
        if self.params["at"]:
            LET_ON.wait(0.02)


UNDER_WAY, LET_ON = threading.Semaphore(0), threading.Event()
STORES: list[Any] = []


@pytest.mark.parametrize("options", [{}, {"parallel": True, "max_concurrent": 2}], ids=["in order", "in threads"])
@pytest.mark.parametrize("ends", ["interrupted", "fails"])
def test_a_batch_in_an_item(options: dict[str, Any], ends: str) -> None:
    """An interrupt ends it; that the batch around it fails fast does not: what is under way finishes."""
    LET_ON.clear()
    STORES.clear()
    if ends == "fails":
        LET_ON.set()  # nothing to wait for
    shared: Any = store([0, 1, 2])

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    if ends == "interrupted":
        shared["__progress_callback__"] = interrupt
    outer = lowered_class(parallel=True, max_concurrent=3)(Nested(options, ends))
    with pytest.raises(KeyboardInterrupt if ends == "interrupted" else ValueError):
        outer.run(shared)
    counts = [inner["b"]["count"] for inner in STORES]
    assert len(counts) == 2
    if ends == "fails":
        assert counts == [300, 300]
    else:
        assert max(counts) < 300
        assert shared["b"]["count"] == 1  # what did not finish is not an outcome
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("b-")] == []


INTERRUPTED = """
import asyncio, json, os, signal, sys, threading, time
sys.path.insert(0, {here!r})
import pocketflow
from helpers.scripted import lowered_class, store

begun, sent = threading.Event(), []

def interrupt(after):
    begun.wait()
    time.sleep(after)
    sent.append(after)
    os.kill(os.getpid(), signal.SIGINT)

class Slow(pocketflow.Node):
    def exec(self, _):
        seconds({seconds!r}, time.sleep, self.params["at"])

class AsyncSlow(pocketflow.AsyncNode):
    async def exec_async(self, _):
        await asyncio.sleep(seconds({seconds!r}, float, self.params["at"]))

def seconds(how_long, wait, at):
    if at >= {begin_at}:
        begun.set()
    if how_long == "backoff" and at == 2:
        raise ValueError("tried in vain")
    return wait({{"short": 0.02, "backoff": 0.02, "long": {too_long}}}[how_long])

options = {options!r}
asynchronous = options.get("node") == "AsyncScripted"
node = lowered_class(max_retries=3, retry_wait={too_long}, **options)((AsyncSlow if asynchronous else Slow)())
shared = store(list(range(1000)))
if {progress}:
    shared["__progress_callback__"] = lambda *args, **more: None
for after in {after}:
    threading.Thread(target=interrupt, args=(after,), daemon=True).start()
try:
    {run}
except KeyboardInterrupt as error:
    notes = getattr(error, "__notes__", [])
    print(json.dumps({{
        "sent": len(sent),
        "threads": [t.name for t in threading.enumerate() if t.name.startswith(("b-", "pflow-lower"))],
        "outcome": {{key: shared.get("b", {{}}).get(key) for key in ("count", "success_count", "error_count")}},
        "notes": notes,
    }}))
    sys.stdout.flush()
    os._exit(0)
print("never interrupted")
"""
IN_THREADS = {"parallel": True, "max_concurrent": 4}
RUNS = {
    "direct": "node.run(shared)",
    "flow": "pocketflow.Flow(start=node).run(shared)",
    "async flow": "asyncio.run(pocketflow.AsyncFlow(start=node).run_async(shared))",
}


def interrupted(
    options: dict[str, Any], *, run: str, progress: bool, seconds: str, after: list[float], begin_at: int = 0
) -> Any:
    """What a process says that interrupts its batch `after` so many seconds from when item `begin_at` is under way.

    One that would wait for the next attempt, or for a long item, does not end before we lose patience.
    """
    script = INTERRUPTED.format(
        here=str(HERE), options=options, run=RUNS[run], progress=progress, seconds=seconds, after=after,
        begin_at=begin_at, too_long=TOO_LONG,
    )  # fmt: skip
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself Ctrl-C there")
@pytest.mark.parametrize("seconds", ["short", "backoff"])
@pytest.mark.parametrize(
    ("options", "run", "progress"),
    [
        pytest.param({}, "direct", True, id="in order"),
        pytest.param({"node": "AsyncScripted"}, "flow", False, id="in order, async"),
        pytest.param({"node": "AsyncScripted"}, "async flow", True, id="in order, async, inside a loop"),
        pytest.param(IN_THREADS, "direct", False, id="in threads"),
        pytest.param(IN_THREADS, "async flow", True, id="in threads, with progress"),
        pytest.param({**IN_THREADS, "node": "AsyncScripted"}, "flow", True, id="in tasks"),
        pytest.param({**IN_THREADS, "node": "AsyncScripted"}, "async flow", True, id="in tasks, async"),
    ],
)
def test_ctrl_c(options: dict[str, Any], run: str, progress: bool, seconds: str) -> None:
    in_order = not options.get("parallel")
    begin_at = 2 if seconds == "backoff" and in_order else 6
    found = interrupted(options, run=run, progress=progress, seconds=seconds, after=[0.2], begin_at=begin_at)
    assert found["threads"] == []
    count = found["outcome"]["count"]
    if seconds == "backoff" and in_order:
        assert count == 2  # the third still waited for its next attempt
    else:
        assert 3 <= count < 1000
    assert count == found["outcome"]["success_count"] + found["outcome"]["error_count"]
    if sys.version_info >= (3, 11) and run != "async flow":
        errors = found["outcome"]["error_count"]
        failed = f" ({errors} of them failed)" if errors else ""
        assert found["notes"] == [f"b: interrupted when {count} of 1000 items were done{failed}"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself Ctrl-C there")
@pytest.mark.parametrize(("shape", "after"), [*zip(SHAPES, (0.05, 0.13, 0.21, 0.57, 0.83), strict=True)])
def test_ctrl_c_at_any_moment(shape: str, after: float) -> None:
    """`benchmarks/long_run.py` tries many more, at random."""
    found = interrupted(SHAPES[shape], run="direct", progress=False, seconds="short", after=[after])
    assert found["threads"] == []
    counts = found["outcome"]
    assert counts["count"] == counts["success_count"] + counts["error_count"]


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself Ctrl-C there")
def test_a_second_ctrl_c_waits_for_nothing() -> None:
    found = interrupted(IN_THREADS, run="direct", progress=False, seconds="long", after=[0.2, 1.2])
    assert found["sent"] == 2  # after the first it waits for what is under way


def test_an_abort_ends_waits_for_another_attempt() -> None:
    class Failing(pocketflow.Node):
        def exec(self, _: Any) -> None:
            if self.params["at"] == 0:
                failed.set()
                raise ValueError("again, please")
            assert failed.wait(PATIENCE)
            raise Refused("never")

    failed = threading.Event()
    begun = time.perf_counter()
    node = lowered_class(parallel=True, max_concurrent=2, max_retries=5, retry_wait=60, error_handling="continue")
    with pytest.raises(Refused) as caught:
        node(Failing())._run(store([1, 2, 3, 4]))
    assert time.perf_counter() - begun < 60, "it waited for another attempt"
    assert quiet()
    if sys.version_info >= (3, 11):
        assert caught.value.__notes__ == ["b: item [1], attempt 1 of 5"]


# --- Details


def test_as_many_as_allowed_run_at_once() -> None:
    class Together(pocketflow.Node):
        def exec(self, _: Any) -> None:
            met.wait(PATIENCE)

    class AsyncTogether(pocketflow.AsyncNode):
        async def exec_async(self, _: Any) -> None:
            arrived.append(self.params["at"])
            while len(arrived) < 3 * (self.params["at"] // 3 + 1):  # noqa: ASYNC110  ends at once
                await asyncio.sleep(0)

    met, arrived = threading.Barrier(3), []  # type: ignore[var-annotated]
    lowered_class(parallel=True, max_concurrent=3)(Together())._run(store(list(range(6))))
    lowered_class(node="AsyncScripted", parallel=True, max_concurrent=3)(AsyncTogether())._run(store(list(range(6))))
    assert len(arrived) == 6


def test_a_node_may_change_the_list_it_is_in() -> None:
    class Growing(pocketflow.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            items = shared["src"]["list"]
            if len(items) < 5:
                items.append(len(items))
            elif self.params["at"] == 4:
                items.clear()

    for options, seen in (({}, 5), ({"parallel": True, "max_concurrent": 1}, 2)):
        shared: Any = store([0, 1])
        lowered_class(**options)(Growing())._run(shared)
        assert shared["b"]["count"] == seen  # as in pflow: in order, what is appended is run too


def test_what_ends_the_program_ends_the_batch() -> None:
    class Exiting(pocketflow.Node):
        def exec(self, _: Any) -> None:
            raise SystemExit(3)

    for options in ({}, {"parallel": True, "max_concurrent": 2}):
        with pytest.raises(SystemExit):
            lowered_class(**options)(Exiting())._run(store([1, 2, 3]))
        assert quiet()


def test_no_items_no_threads() -> None:
    shared: Any = store([])
    with mock.patch.object(threading.Thread, "start", side_effect=AssertionError):
        lowered_class(parallel=True)(Scripted(Script([])))._run(shared)
    asyncio.run(lowered_class(node="AsyncScripted", parallel=True)(AsyncScripted(Script([]))).run_async(shared))
    assert shared["b"]["count"] == 0


@pytest.mark.parametrize("error_handling", ["fail_fast", "continue"])
def test_threads_that_cannot_start(error_handling: str) -> None:
    """Those that could start run the items of the others."""
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def start_two(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    shared: Any = store(list(range(10)))
    node = lowered_class(parallel=True, max_concurrent=5, error_handling=error_handling)
    with mock.patch.object(threading.Thread, "start", start_two):
        node(Scripted(Script([["ok"]] * 10)))._run(shared)
    assert [result["original_index"] for result in shared["b"]["results"]] == list(range(10))
    assert quiet()


def test_no_thread_can_start() -> None:
    shared: Any = store(list(range(10)))
    node = lowered_class(parallel=True, max_concurrent=5, error_handling="continue")
    with (
        mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread")),
        pytest.raises(RuntimeError, match=r"all 10 items failed.* can't start new thread"),
    ):
        node(Scripted(Script([["ok"]] * 10)))._run(shared)
    assert shared["b"]["error_count"] == 10


def test_the_loop_s_thread_cannot_start() -> None:
    shared: Any = store(list(range(3)))
    node = lowered_class(node="AsyncScripted", error_handling="continue")(AsyncScripted(Script([["ok"]] * 3)))
    with (
        mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread")),
        pytest.raises(RuntimeError, match=r"all 3 items failed.* can't start new thread"),
    ):
        node._run(shared)
    assert shared["b"]["error_count"] == 3


class Waits(pocketflow.Node):  # type: ignore[misc]
    """Ends once its thread is waited for."""

    BEGUN, JOINED = threading.Event(), threading.Event()

    def exec(self, _: Any) -> None:
        if self.params["at"] == 2:
            self.BEGUN.set()
            self.JOINED.wait(PATIENCE)


def test_an_interrupt_while_a_thread_is_being_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have an item under way by then, which is waited for and counted as every other."""
    start, join = threading.Thread.start, threading.Thread.join

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "b-2":
            Waits.BEGUN.wait()
            raise KeyboardInterrupt

    def joined(thread: threading.Thread, timeout: float | None = None) -> None:
        if thread.name == "b-2":
            Waits.JOINED.set()
        join(thread, timeout)

    Waits.BEGUN.clear()
    Waits.JOINED.clear()
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    monkeypatch.setattr(threading.Thread, "join", joined)
    shared: Any = store([0, 1, 2])
    with pytest.raises(KeyboardInterrupt):
        lowered_class(parallel=True, max_concurrent=3)(Waits())._run(shared)
    assert Waits.JOINED.is_set()
    assert shared["b"]["count"] == 3
    assert quiet()


@pytest.mark.parametrize("is_started", [False, True])
def test_an_interrupt_while_the_loop_s_thread_is_being_started(
    monkeypatch: pytest.MonkeyPatch, is_started: bool
) -> None:
    start = threading.Thread.start
    begun: list[threading.Thread] = []

    def interrupted(thread: threading.Thread) -> None:
        if is_started:
            start(thread)
            begun.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    shared: Any = store([0, 1, 2])
    with pytest.raises(KeyboardInterrupt):
        lowered_class(node="AsyncScripted")(AsyncScripted(Script([["ok"]] * 3)))._run(shared)
    assert shared["b"]["count"] == 0
    for thread in begun:
        thread.join(PATIENCE)
    assert quiet()


@pytest.mark.parametrize("options", [{}, {"parallel": True, "max_concurrent": 2}], ids=["in order", "in threads"])
def test_an_interrupt_while_an_attempt_s_thread_is_being_started(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    start = threading.Thread.start
    begun: list[threading.Thread] = []

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "pflow-lower-attempt":
            begun.append(thread)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lowered_class(timeout=60, **options)(Scripted(Script([["ok"]] * 3)))._run(store([0, 1, 2]))
    for thread in begun:
        thread.join(PATIENCE)
    assert quiet()


def test_several_threads_may_want_the_loop_while_it_is_being_started(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go = threading.Semaphore(0), threading.Event()
    run = asyncio.run
    gave: list[Any] = []

    def late(main: Any) -> None:
        go.wait(PATIENCE)
        run(main)

    async def one() -> int:
        return 1

    def want() -> None:
        asked.release()
        try:
            gave.append(loop.run(one()))
        except AttributeError as error:
            gave.append(error)

    monkeypatch.setattr("pflow_lower.runtime.loops.asyncio.run", late)
    with LoopThread() as loop:
        threads = [threading.Thread(target=want) for _ in range(3)]
        for thread in threads:
            thread.start()
            asked.acquire()
        threads[1].join(0.2)  # whoever does not wait has failed by now
        go.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert gave == [1, 1, 1]
