"""Batches under the keys that pflow does not have, on plain PocketFlow: journal, names, rates, limits, timeouts."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.shapes import missing_shapes
from pocketflow import AsyncNode, Node

from pflow_lower.runtime import (
    Batch,
    Call,
    ConcurrentBatchNode,
    Result,
    SequentialBatchNode,
    Shared,
    ThreadedBatchNode,
    controls,
    peek,
    timeout,
)
from pflow_lower.runtime.latch import take_before
from pflow_lower.runtime.outcome import BatchEndedEarly
from pflow_lower.runtime.pace import Pace
from pflow_lower.runtime.run import STATE_VARIABLE, Run, running

Behaviour = Callable[[Any, int], Any]
"""What a node does with an item, at its n-th call (from 1) with that item."""


class World:
    """What the nodes of a test share: how they behave, and what they were asked."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.calls: Counter[Any] = Counter()
        self.began: list[float] = []
        self.under_way = 0
        self.most_under_way = 0
        self.lock = threading.Lock()

    def enter(self, item: Any) -> int:
        with self.lock:
            self.calls[item] += 1
            self.began.append(time.monotonic())
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            return self.calls[item]

    def leave(self) -> None:
        with self.lock:
            self.under_way -= 1


WORLD: World


class Blocking(Node):  # type: ignore[misc]
    def prep(self, shared: Any) -> Any:
        return self.params["x"]

    def exec(self, item: Any) -> Any:
        number = WORLD.enter(item)
        try:
            return WORLD.behave(item, number)
        finally:
            WORLD.leave()

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        if isinstance(exec_res, dict):
            for name, value in exec_res.items():
                shared[name] = value
        else:
            shared["response"] = exec_res


class Asynchronous(AsyncNode):  # type: ignore[misc]
    async def prep_async(self, shared: Any) -> Any:
        return self.params["x"]

    async def exec_async(self, item: Any) -> Any:
        number = WORLD.enter(item)
        try:
            found = WORLD.behave(item, number)
            return await found if asyncio.iscoroutine(found) else found
        finally:
            WORLD.leave()

    async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        Blocking.post(self, shared, prep_res, exec_res)


class _Reads:
    def prep(self: Any, shared: Shared) -> Batch:
        opened: Batch = self.open(shared, peek(shared, "list"))
        return opened


class Ordered(_Reads, SequentialBatchNode):
    def exec(self, call: Call) -> Result:
        return self.run_inner(call, {"x": call.item})


class Threaded(_Reads, ThreadedBatchNode):
    def exec(self, call: Call) -> Result:
        return self.run_inner(call, {"x": call.item})


class Concurrent(_Reads, ConcurrentBatchNode):
    async def exec_async(self, call: Call) -> Result:
        return await self.run_inner(call, {"x": call.item})


SHAPES = [Ordered, Threaded, Concurrent]


def test_every_shape_is_tried() -> None:
    assert not missing_shapes(SHAPES)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    return tmp_path / "state"


def run(shape: type, items: list[Any], behave: Behaviour, **settings: Any) -> dict[str, Any]:
    """The outcome of a batch of `shape` over `items`; `WORLD` tells what its nodes did."""
    global WORLD
    WORLD = World(behave)
    made = type("Made", (shape,), {"node_id": "b", **settings})
    shared: dict[str, Any] = {"list": items}
    try:
        made(Asynchronous() if issubclass(shape, Concurrent) else Blocking())._run(shared)
    finally:
        run.shared = shared  # type: ignore[attr-defined]
    outcome: dict[str, Any] = shared["b"]
    return outcome


def responses(outcome: dict[str, Any]) -> list[Any]:
    return [result["response"] for result in outcome["results"]]


def fail_at(bad: Any) -> Behaviour:
    def behave(item: Any, number: int) -> Any:
        if item == bad:
            raise RuntimeError(f"no {item}")
        return f"label {item}"

    return behave


def label(item: Any, number: int) -> Any:
    return f"label {item}"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_goes_on_where_it_failed(shape: type, state: Path) -> None:
    with pytest.raises(RuntimeError, match="no 5"):
        run(shape, list(range(10)), fail_at(5), resume=True, max_concurrent=1)
    assert WORLD.calls.keys() == set(range(6))
    outcome = run(shape, list(range(10)), label, resume=True, max_concurrent=1)
    assert WORLD.calls.keys() == {5, 6, 7, 8, 9}
    assert responses(outcome) == [f"label {n}" for n in range(10)]
    assert [result["original_index"] for result in outcome["results"]] == list(range(10))
    assert [result["item"] for result in outcome["results"]] == list(range(10))
    run(shape, list(range(10)), label, resume=True)
    assert len(WORLD.calls) == 10  # after a run that has ended well the next one starts afresh
    assert not list(state.rglob("*.db"))


@pytest.mark.parametrize("shape", SHAPES)
def test_what_failed_under_continue_runs_again_and_nothing_else(shape: type) -> None:
    run(shape, [1, 2, 3, 4], fail_at(3), resume=True, error_handling="continue")
    outcome = run(shape, [0, 1, 2, 3, 4], label, resume=True, error_handling="continue")
    assert WORLD.calls.keys() == {0, 3}  # an item put in front changes no other
    assert responses(outcome) == [f"label {n}" for n in range(5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_items_stay_apart(shape: type) -> None:
    def nth(item: Any, number: int) -> Any:
        if item == "end":
            raise RuntimeError("no")
        return number

    with pytest.raises(RuntimeError):
        run(shape, ["a", "a", "a", "end"], nth, resume=True, max_concurrent=1)
    outcome = run(shape, ["a", "a", "a", "a"], nth, resume=True, max_concurrent=1)
    assert sorted(responses(outcome)) == [1, 1, 2, 3] and WORLD.calls == {"a": 1}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_output_called_key_is_an_answer_like_others(shape: type) -> None:
    def keyed(item: Any, number: int) -> Any:
        if item == 3:
            raise RuntimeError("no")
        return {"key": f"key {item}", "out": item}

    with pytest.raises(RuntimeError):
        run(shape, [1, 2, 3], keyed, resume=True, max_concurrent=1)
    outcome = run(shape, [1, 2, 4], keyed, resume=True, max_concurrent=1)
    assert WORLD.calls.keys() == {4}
    assert [result["key"] for result in outcome["results"]] == ["key 1", "key 2", "key 4"]


def overridden(shape: type, exec_of: Callable[[Any, Call, Result], Any]) -> type:
    """`shape` with an `exec` of the user's, who does something to what the generated one gives."""
    if issubclass(shape, Concurrent):

        async def exec_async(self: Any, call: Call) -> Any:
            return exec_of(self, call, await shape.exec_async(self, call))  # type: ignore[attr-defined]

        return type("Own", (shape,), {"exec_async": exec_async})

    def exec_(self: Any, call: Call) -> Any:
        return exec_of(self, call, shape.exec(self, call))  # type: ignore[attr-defined]

    return type("Own", (shape,), {"exec": exec_})


@pytest.mark.parametrize("shape", SHAPES)
def test_what_an_exec_of_one_s_own_makes_of_an_answer_is_made_of_it_once(shape: type) -> None:
    def more(self: Any, call: Call, result: Result) -> Result:
        result["response"].append("more")  # and not even a copy of it
        return result

    def listed(item: Any, number: int) -> Any:
        if item == 3:
            raise RuntimeError("no")
        return {"response": [item]}

    own = overridden(shape, more)
    with pytest.raises(RuntimeError):
        run(own, [1, 2, 3], listed, resume=True, max_concurrent=1)
    outcome = run(own, [1, 2, 4], listed, resume=True, max_concurrent=1)
    assert WORLD.calls.keys() == {4}
    assert responses(outcome) == [[1, "more"], [2, "more"], [4, "more"]]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_that_an_exec_of_one_s_own_refuses_is_not_kept(shape: type) -> None:
    def refuse(self: Any, call: Call, result: Result) -> Result:
        if result["response"] < 2:
            raise ValueError("not good enough")
        return result

    def nth(item: Any, number: int) -> Any:
        if item == "end":
            raise RuntimeError("no")
        return number

    own = overridden(shape, refuse)
    with pytest.raises(RuntimeError):
        run(own, ["a", "end"], nth, resume=True, max_concurrent=1, max_retries=3)
    assert WORLD.calls == {"a": 2, "end": 3}
    outcome = run(own, ["a", "b"], nth, resume=True, max_concurrent=1, max_retries=3)
    assert WORLD.calls == {"b": 2} and responses(outcome) == [2, 2]


@pytest.mark.parametrize("shape", [Ordered, Threaded])
def test_an_item_of_several_calls_goes_on_call_by_call(shape: Any) -> None:
    class Twice(shape):  # type: ignore[misc]
        def exec(self, call: Call) -> Any:
            first = self.run_inner(call, {"x": call.item})["response"]
            second = self.run_inner(call, {"x": call.item})["response"]  # the same question, another answer
            third = self.run_inner(call, {"x": f"{call.item} {first} {second}"})["response"]
            return {"response": [first, second, third]}

    def nth(item: Any, number: int) -> Any:
        if item == "end":
            raise RuntimeError("no")
        return number

    with pytest.raises(RuntimeError):
        run(Twice, ["a", "end"], nth, resume=True, max_concurrent=1)
    outcome = run(Twice, ["a"], nth, resume=True, max_concurrent=1)
    assert not WORLD.calls and responses(outcome) == [[1, 2, 1]]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_fallback_is_no_answer(shape: type) -> None:
    def fall_back(self: Any, call: Call, exc: Exception) -> Any:
        return {"response": "sorry"}

    async def fall_back_async(self: Any, call: Call, exc: Exception) -> Any:
        return {"response": "sorry"}

    own = type("Own", (shape,), {"exec_fallback": fall_back, "exec_fallback_async": fall_back_async})
    with pytest.raises(BatchEndedEarly), running(Run("w", resume=True, budget=0.001)):
        run(own, [1, 2, 3], lambda item, _: {"llm_usage": {"cost_usd": 1}} if item == 2 else 1 // 0, max_concurrent=1)
    with running(Run("w", resume=True)):
        outcome = run(own, [1, 3], label, max_concurrent=1)
    assert responses(outcome) == ["label 1", "label 3"]


def test_resume_may_be_asked_for_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFLOW_LOWER_RESUME", "1")
    with pytest.raises(RuntimeError):
        run(Ordered, [1, 2, 3], fail_at(3))
    run(Ordered, [1, 2, 3], label)
    assert WORLD.calls.keys() == {3}
    with pytest.raises(RuntimeError), running(Run("w", fresh=True, resume=True)):
        run(Ordered, [1, 2, 3], fail_at(3))
    with running(Run("w", resume=True)):
        run(Ordered, [1, 2, 3], label)
    assert WORLD.calls.keys() == {3}
    with pytest.raises(RuntimeError), running(Run("w", resume=True)):
        run(Ordered, [1, 2, 3], fail_at(3))
    with running(Run("w", resume=True, fresh=True)):
        run(Ordered, [1, 2, 3], label)
    assert WORLD.calls.keys() == {1, 2, 3}


def test_two_batches_of_one_run_share_a_journal_until_the_run_has_ended() -> None:
    def both() -> None:
        run(Ordered, [1, 2], label)
        first = set(WORLD.calls)
        try:
            run(Ordered, [7, 8], fail_at(8) if not first >= {0} else label)
        finally:
            WORLD.calls.update(first)

    with pytest.raises(RuntimeError), running(Run("w", resume=True)):
        both()
    assert WORLD.calls.keys() == {1, 2, 7, 8}
    with pytest.raises(RuntimeError), running(Run("w", resume=True)):
        both()
    assert WORLD.calls.keys() == {8}


@pytest.mark.parametrize("shape", SHAPES)
def test_names(shape: type) -> None:
    names = {"key": "#${item}", "name_item": lambda _, call: f"#{call.item}"}
    outcome = run(shape, [1, 2, 3], fail_at(2), **names, error_handling="continue")
    assert [result["key"] for result in outcome["results"]] == ["#1", "#3"]
    assert outcome["errors"][0]["key"] == "#2"
    assert outcome["errors"][0]["exception"].__notes__ == ["b: item [1] '#2', attempt 1 of 1"]
    with pytest.raises(ValueError, match=r"the items \[0\] and \[2\] have the same key, '#1'"):
        run(shape, [1, 2, 1], label, **names)
    assert not WORLD.calls


@pytest.mark.parametrize("shape", SHAPES)
def test_starts_are_as_far_apart_as_the_rate_says(shape: type, monkeypatch: pytest.MonkeyPatch) -> None:
    granted: list[float] = []
    reserve = Pace.reserve

    def recorded(self: Pace) -> float:
        left = reserve(self)
        granted.append(time.monotonic() + left)
        return left

    monkeypatch.setattr(Pace, "reserve", recorded)
    run(shape, list(range(12)), label, rate="100/s")
    granted.sort()
    assert len(granted) == 12 and granted[-1] - granted[0] >= 0.11 - 0.005
    assert all(began >= grant - 0.001 for began, grant in zip(sorted(WORLD.began), granted, strict=True))


class Refused(Exception):
    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__("429")
        self.status_code = 429
        if retry_after is not None:
            self.retry_after = retry_after


@pytest.mark.parametrize("shape", SHAPES)
def test_a_throttled_call_uses_up_no_attempt(shape: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "FIRST_BACKOFF", 0.01)

    def busy(item: Any, number: int) -> Any:
        if number <= 3:
            raise Refused(0.01)
        return "ok"

    outcome = run(shape, [1, 2, 3], busy, retry_backoff="exponential")
    assert responses(outcome) == ["ok"] * 3 and set(WORLD.calls.values()) == {4}


@pytest.mark.parametrize("shape", [Ordered, Threaded])
@pytest.mark.parametrize("answers", [False, True])
def test_the_waiting_for_a_server_that_refuses_has_an_end(
    shape: type, answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controls, "FIRST_BACKOFF", 0.001)

    def busy(item: Any, number: int) -> Any:
        if answers:
            return {"status_code": 429, "response_headers": {"retry-after": "0.001"}, "error": "HTTP 429"}
        raise Refused(0.001)

    def busy_at_one(item: Any, number: int) -> Any:
        return busy(item, number) if item == 1 else "ok"

    outcome = run(shape, [1, 2], busy_at_one, retry_backoff="exponential", error_handling="continue")
    (error,) = outcome["errors"]
    assert re.search(r"429 \(the server has refused the call 11 times", error["error"])
    assert answers or isinstance(error["exception"], Refused), "the author's own exception, for whoever looks at it"
    assert WORLD.calls == {1: 11, 2: 1}


@pytest.mark.parametrize("retry_after", [0, -3, 0.001])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_server_that_asks_for_no_wait_and_refuses_is_waited_for(shape: type, retry_after: float) -> None:
    """A Retry-After of 0, or a date that is past by the server's clock: ten calls at once would be refused all."""
    ready = time.monotonic() + 0.3

    def busy(item: Any, number: int) -> Any:
        if time.monotonic() < ready:
            raise Refused(retry_after)
        return "ok"

    at_once = {} if shape is Ordered else {"max_concurrent": "auto"}
    outcome = run(shape, [1, 2], busy, rate="1000/s", **at_once)
    assert responses(outcome) == ["ok"] * 2


@pytest.mark.parametrize("answers", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_server_that_asks_for_more_than_an_hour_is_neither_waited_for_nor_asked_again(
    shape: type, answers: bool
) -> None:
    def busy(item: Any, number: int) -> Any:
        if item != 2:
            return "ok"
        if answers:
            return {"status_code": 429, "response_headers": {"retry-after": "7200"}, "error": "HTTP 429"}
        raise Refused(7200)

    keys = {"rate": "100/s", "retry_backoff": "exponential", "max_retries": 3, "error_handling": "continue"}
    outcome = run(shape, [1, 2, 3], busy, **keys)
    assert WORLD.calls == {1: 1, 2: 1, 3: 1}, "and the others need not wait"
    assert [error["error"].partition(": ")[0] for error in outcome["errors"]] == [
        "the server asked for no call within 2 h 0 min (Retry-After), and no more than 1 h 0 min is waited for"
    ]
    assert outcome["errors"][0]["error"].endswith("429")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_long_wait_that_a_server_asked_for_is_said_once(shape: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "LONG_WAIT", 0.05)
    monkeypatch.setattr(controls, "FIRST_BACKOFF", 0.01)

    def busy(item: Any, number: int) -> Any:
        if number == 1:
            raise Refused(0.06)
        if number == 2:
            raise Refused(0.01)
        return "ok"

    said: list[str] = []
    asked = Run("workflow.json")
    asked.tell = said.append
    with running(asked):
        outcome = run(shape, [1, 2, 3], busy, retry_backoff="exponential", max_concurrent=3)
    assert responses(outcome) == ["ok"] * 3
    assert len(said) == (3 if shape is Ordered else 1)
    assert said[0] == "b: waiting 0.1 s: the server asked for it (Retry-After)"


@pytest.mark.parametrize("shape", SHAPES)
def test_an_attempt_that_takes_too_long_is_given_up_and_its_late_answer_dropped(
    shape: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = threading.Event()
    hanging: list[Any] = []
    """What the threads answer into that hang: the time of the others is not over, however busy the machine is."""

    def take(answers: Any, end: float) -> Any:
        while not any(answers is one for one in hanging):
            with contextlib.suppress(queue.Empty):
                return answers.get(timeout=0.01)
        return take_before(answers, end)

    monkeypatch.setattr(timeout, "take_before", take)

    async def hang_async() -> Any:
        await asyncio.sleep(30)

    def hang(item: Any, number: int) -> Any:
        if number > 1 or item != 2:
            return f"{item}/{number}"
        if shape is Concurrent:
            return hang_async()
        hanging.append(threading.current_thread().answers)  # type: ignore[attr-defined]
        late.wait(30)
        return "late"

    outcome = run(shape, [1, 2, 3], hang, timeout=0.1, max_retries=2)
    late.set()
    assert responses(outcome) == ["1/1", "2/2", "3/1"]
    assert outcome["count"] == 3
    late.clear()
    outcome = run(shape, [1, 2, 3], hang, timeout=0.1, error_handling="continue")
    late.set()
    assert outcome["errors"][0]["error"] == "no answer within 0.1 s" and outcome["count"] == 3


def test_a_node_that_blocks_the_event_loop_is_told_of_once_and_its_answers_are_kept() -> None:
    said: list[str] = []
    asked = Run("workflow.json")
    asked.tell = said.append
    with running(asked):
        outcome = run(Concurrent, [1, 2], lambda item, number: time.sleep(0.5) or item, timeout=0.1)
    assert outcome["success_count"] == 2
    (line,) = said
    assert re.match(r"b: an attempt took \S+ s, and `timeout` is 0\.1 s: something blocks the event loop", line)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_a_task_with_a_timeout_that_ends_the_program_leaves_what_was_done(interrupt: type[BaseException]) -> None:
    """In a loop of somebody's own: `asyncio.run` cancels what is left, which would write the outcome as well."""
    global WORLD

    def leave(item: Any, number: int) -> Any:
        if item == 2:
            raise interrupt
        return item

    WORLD = World(leave)
    made = type("Made", (Concurrent,), {"node_id": "b", "timeout": 60, "max_concurrent": 1})
    shared: dict[str, Any] = {"list": [1, 2, 3]}
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(interrupt):
            loop.run_until_complete(made(Asynchronous()).run_async(shared))
        assert responses(shared["b"]) == [1]
    finally:
        loop.close()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("tolerated", "ran"), [(2, 3), ("20%", 3), (0, 1), ("0%", 1)])
def test_a_batch_ends_as_soon_as_too_many_have_failed(shape: type, tolerated: int | str, ran: int) -> None:
    def even(item: Any, number: int) -> Any:
        raise RuntimeError(f"no {item}")

    with pytest.raises(BatchEndedEarly) as caught:
        run(shape, list(range(10)), even, error_handling="continue", tolerated_failures=tolerated, max_concurrent=1)
    assert len(WORLD.calls) == ran
    allowed = 2 if ran == 3 else 0
    were = "was" if ran == 1 else "were"
    items = "item" if ran == 1 else "items"
    assert str(caught.value) == (
        f"Batch 'b' ended early: {ran} {items} failed, and tolerated_failures is {allowed}; "
        f"{ran} of 10 items {were} done, {10 - ran} never ran. Errors: "
        + "; ".join(f"[{index}] no {index}" for index in range(ran))
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("good", "then"), [(0, "the next run does what failed again"), (2, "the next run leaves out the 2 that ended well")]
)
def test_a_batch_that_ended_early_says_what_the_next_run_does(shape: type, good: int, then: str) -> None:
    def late(item: Any, number: int) -> Any:
        if item >= good:
            raise RuntimeError("no")
        return "well"

    with pytest.raises(BatchEndedEarly) as caught:
        run(shape, list(range(9)), late, resume=True, error_handling="continue", tolerated_failures=1, max_concurrent=1)
    assert f"; {good + 2} of 9 items were done, {7 - good} never ran, and {then}" in str(caught.value)


@pytest.mark.parametrize("shape", [Threaded, Concurrent])
def test_items_that_were_under_way_when_too_many_had_failed_are_counted_too(shape: type) -> None:
    both = threading.Barrier(2)
    begun: list[int] = []

    async def fails() -> Any:
        while len(begun) < 2:  # noqa: ASYNC110  ends at once
            await asyncio.sleep(0)
        raise RuntimeError("no")

    def two(item: Any, number: int) -> Any:
        begun.append(item)
        if shape is Concurrent:
            return fails()
        both.wait(30)
        raise RuntimeError("no")

    with pytest.raises(BatchEndedEarly, match="ended early: 2 items failed, and tolerated_failures is 0; 2 of 9 items"):
        run(shape, list(range(9)), two, error_handling="continue", tolerated_failures=0, max_concurrent=2)


@pytest.mark.parametrize("tolerated", [1, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_where_all_items_ran_and_failed_it_is_said_in_pflows_words(shape: type, tolerated: int) -> None:
    def odd(item: Any, number: int) -> Any:
        raise RuntimeError(f"no {item}")

    with pytest.raises(RuntimeError, match="all 2 items failed, no successful results to continue with") as caught:
        run(shape, [1, 2], odd, error_handling="continue", tolerated_failures=tolerated)
    assert not isinstance(caught.value, BatchEndedEarly)


@pytest.mark.parametrize("shape", SHAPES)
def test_as_many_failures_as_are_tolerated_are_tolerated(shape: type) -> None:
    outcome = run(shape, [1, 2, 3], fail_at(2), error_handling="continue", tolerated_failures=1)
    assert outcome["success_count"] == 2
    with pytest.raises(BatchEndedEarly, match="1 item failed, and tolerated_failures is 0; 2 of 3 items were done"):
        run(shape, [1, 2, 3], fail_at(2), error_handling="continue", tolerated_failures=0, max_concurrent=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_item_that_failed_is_not_one_whose_cost_is_missed(shape: type) -> None:
    def failing(item: Any, number: int) -> Any:
        return {"error": "refused"} if item == 1 else {"response": item}

    with running(Run("w", budget=1.0)) as one:
        run(shape, [1, 2], failing, error_handling="continue")
    assert one.unused_budget().startswith("no cost is known of the one item that ended well")
    with pytest.raises(RuntimeError, match="all 1 items failed"), running(Run("w", budget=1.0)) as none:
        run(shape, [1], failing, error_handling="continue")
    assert none.unused_budget() == ""


@pytest.mark.parametrize("shape", SHAPES)
def test_no_item_starts_once_the_budget_is_reached(shape: type) -> None:
    def costly(item: Any, number: int) -> Any:
        return {"response": item, "llm_usage": {"cost_usd": 0.5}}

    with (
        pytest.raises(BatchEndedEarly, match=r"the budget of \$1\.20 is reached \(\$1\.50 known\); 3 of 9 items"),
        running(Run("w", budget=1.2, resume=True)),
    ):
        run(shape, list(range(9)), costly, max_concurrent=1)
    assert WORLD.calls.keys() == {0, 1, 2}
    with running(Run("w", budget=30, resume=True)) as second:
        run(shape, list(range(9)), costly, max_concurrent=1)
    assert WORLD.calls.keys() == {3, 4, 5, 6, 7, 8} and second.spent == 3  # what was paid for before is not paid again


@pytest.mark.parametrize("shape", SHAPES)
def test_a_limit_takes_the_first_items_and_says_so(shape: type) -> None:
    with running(Run("w", limit=2)):
        outcome = run(shape, list(range(9)), label)
    assert responses(outcome) == ["label 0", "label 1"]
    assert "only the first 2 items of 9 ran (limit)" in str(run.shared["__warnings__"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", [Threaded, Concurrent])
def test_auto_finds_what_a_server_allows(shape: type) -> None:
    allowed = threading.Semaphore(6)

    async def answer() -> Any:
        if not allowed.acquire(blocking=False):
            raise Refused
        try:
            await asyncio.sleep(0.005)
        finally:
            allowed.release()
        return "ok"

    def answer_blocking() -> Any:
        if not allowed.acquire(blocking=False):
            raise Refused
        try:
            time.sleep(0.005)
        finally:
            allowed.release()
        return "ok"

    def behave(item: Any, number: int) -> Any:
        return answer() if shape is Concurrent else answer_blocking()

    outcome = run(shape, list(range(120)), behave, max_concurrent="auto", error_handling="continue")
    assert outcome["success_count"] == 120
    assert outcome["batch_metadata"]["max_concurrent"] == "auto"
    assert 4 <= WORLD.most_under_way <= 12  # it asks for more than is allowed now and then, never for all


@pytest.mark.parametrize("shape", SHAPES)
def test_without_new_keys_there_are_no_controls(shape: type) -> None:
    batches: list[Batch] = []

    class Watched(shape):  # type: ignore[misc, valid-type]
        def prep(self, shared: Shared) -> Batch:
            batches.append(super().prep(shared))
            return batches[-1]

    run(Watched, [1, 2], label)
    assert batches[0].controls is None and batches[0].run is None
