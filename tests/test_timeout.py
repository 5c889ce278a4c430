"""Time limits of blocking attempts: one outcome, late answers dropped, what hangs is bounded."""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from pflow_lower.runtime import timeout
from pflow_lower.runtime.timeout import AttemptTimeout, TimeLimit

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO")


def test_what_is_in_time_is_given_and_raised() -> None:
    limit = TimeLimit(30, 1, 0)
    try:
        _give_and_raise(limit)
    finally:
        limit.close()


def _give_and_raise(limit: TimeLimit) -> None:
    assert limit.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        limit.run(lambda: 1 // 0)
    with pytest.raises(SystemExit):
        limit.run(lambda: (_ for _ in ()).throw(SystemExit(4)))


def test_the_work_runs_in_the_caller_s_context() -> None:
    WHO.set("me")
    limit = TimeLimit(30, 1, 0)
    assert limit.run(WHO.get) == "me"
    WHO.set("another")
    assert limit.run(WHO.get) == "another"
    limit.run(lambda: WHO.set("the work"))
    assert WHO.get() == "another"
    limit.close()


def test_what_is_late_is_dropped_and_what_hangs_is_bounded() -> None:
    limit = TimeLimit(0.05, 1, 1)
    going_on = threading.Event()
    ended: list[int] = []

    def hang() -> int:
        going_on.wait(30)
        ended.append(1)
        return 1

    for _ in range(2):
        with pytest.raises(AttemptTimeout, match=r"no answer within 0\.05 s"):
            limit.run(hang)
    with pytest.raises(AttemptTimeout, match="2 earlier calls still hang"):
        limit.run(lambda: 2)
    assert ended == []
    going_on.set()
    limit.seconds = 30
    assert limit.run(lambda: 3) == 3  # once they have ended there is room again
    limit.close()


def test_a_thread_that_was_in_time_is_used_again_and_one_that_was_not_never() -> None:
    limit = TimeLimit(30, 1, 1)
    first = limit.run(threading.current_thread)
    with pytest.raises(ZeroDivisionError):
        limit.run(lambda: 1 // 0)
    assert limit.run(threading.current_thread) is first
    limit.seconds = 0.05
    late, going_on = threading.Event(), threading.Event()

    def hang() -> str:
        going_on.wait(30)
        late.set()
        return "late"

    with pytest.raises(AttemptTimeout):
        limit.run(hang)
    limit.seconds = 30
    other = limit.run(threading.current_thread)
    assert other is not first
    going_on.set()
    late.wait(30)
    first.join(30)
    assert not first.is_alive()
    assert limit.run(threading.current_thread) is other  # and no late answer
    limit.close()
    assert not other.is_alive()


def test_the_end_of_a_batch_waits_for_no_attempt_that_hangs() -> None:
    limit = TimeLimit(0.05, 2, 0)
    going_on, hung = threading.Event(), []

    def hang() -> None:
        hung.append(threading.current_thread())
        going_on.wait(30)

    with pytest.raises(AttemptTimeout):
        limit.run(hang)
    limit.close()
    going_on.set()
    hung[0].join(30)
    assert not hung[0].is_alive()
    limit.seconds = 30
    after = limit.run(threading.current_thread)  # of a thread that a second interrupt has left alone
    after.join(30)
    assert not after.is_alive()


def test_an_interrupt_leaves_the_attempt_alone() -> None:
    limit = TimeLimit(30, 1, 1)
    going_on, begun = threading.Event(), threading.Event()
    worker = limit.run(threading.current_thread)
    assert isinstance(worker, timeout._Worker)

    def hang() -> None:
        begun.set()
        going_on.wait(30)

    class Interrupted:
        def get(self, timeout: float) -> None:
            begun.wait(30)
            raise KeyboardInterrupt

        def put(self, answer: object) -> None:
            """Nobody asks."""

    worker.answers = Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        limit.run(hang)
    assert limit.run(threading.current_thread) is not worker
    going_on.set()
    limit.close()


def test_a_thread_that_cannot_start_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = TimeLimit(30, 1, 0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no thread")))
        for _ in range(3):
            with pytest.raises(RuntimeError, match="no thread"):
                limit.run(lambda: 1)
    assert limit.run(lambda: 2) == 2
    limit.close()


def wait_until(is_so: Callable[[], bool]) -> None:
    """The thread that has given its answer may not have come to let go of it yet."""
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_nothing_of_an_item_is_held_until_the_next_one() -> None:
    class Big:
        pass

    limit = TimeLimit(30, 1, 0)
    held = weakref.ref(limit.run(Big))
    wait_until(lambda: held() is None)

    def fail() -> None:
        big = Big()
        failed.append(weakref.ref(big))
        raise ValueError

    failed: list[weakref.ref[Big]] = []
    with contextlib.suppress(ValueError):
        limit.run(fail)
    wait_until(lambda: failed[0]() is None)
    limit.close()
