"""Time limits of blocking attempts: one outcome, late answers dropped, what hangs is bounded."""

from __future__ import annotations

import contextvars
import threading

import pytest

from pflow_lower.runtime.timeout import AttemptTimeout, TimeLimit

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO")


def test_what_is_in_time_is_given_and_raised() -> None:
    limit = TimeLimit(30, 1, 0)
    assert limit.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        limit.run(lambda: 1 // 0)
    with pytest.raises(SystemExit):
        limit.run(lambda: (_ for _ in ()).throw(SystemExit(4)))


def test_the_work_runs_in_the_caller_s_context() -> None:
    WHO.set("me")
    assert TimeLimit(30, 1, 0).run(WHO.get) == "me"


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
    patient = TimeLimit(30, 1, 0)
    patient._room = limit._room
    assert patient.run(lambda: 3) == 3  # once they have ended there is room again
