"""Push-back of servers: what counts as one, how long it makes us wait, how many calls it leaves under way."""

from __future__ import annotations

import email.utils
import time
import urllib.error
from email.message import Message
from types import SimpleNamespace
from typing import Any

import pytest

from pflow_lower.runtime import throttle
from pflow_lower.runtime.throttle import AdaptiveLimit, Pushback, backoff, pushback_in, pushback_of


def failure(**said: Any) -> Exception:
    exc = RuntimeError("no")
    vars(exc).update(said)
    return exc


def caused_by(exc: Exception) -> Exception:
    try:
        try:
            raise exc
        except Exception as cause:
            raise RuntimeError("the client's wrapper") from cause
    except RuntimeError as wrapper:
        return wrapper


class ReadTimeout(Exception):
    """What HTTP clients call one."""


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (failure(status_code=429), Pushback(True, None)),
        (failure(status=503), Pushback(True, None)),
        (failure(response=SimpleNamespace(status_code=429, headers={"retry-after": "2.5"})), Pushback(True, 2.5)),
        (failure(response=SimpleNamespace(status_code=429, headers={"Retry-After": "7"})), Pushback(True, 7.0)),
        (failure(status_code=429, retry_after=3), Pushback(True, 3.0)),
        (failure(status_code=429, retry_after=-3), Pushback(True, 0.0)),
        (failure(status_code=429, retry_after=86_400), Pushback(True, 86_400.0)),
        (failure(status_code=429, retry_after=float("inf")), Pushback(True, None)),
        (failure(status_code=429, retry_after=float("nan")), Pushback(True, None)),
        (failure(response=SimpleNamespace(status_code=429, headers={"retry-after": "soon"})), Pushback(True, None)),
        (failure(kind="rate_limit"), Pushback(True, None)),
        (failure(kind="timeout"), Pushback(False, None)),
        (TimeoutError(), Pushback(False, None)),
        (ReadTimeout(), Pushback(False, None)),
        (failure(status_code=504), Pushback(False, None)),
        (caused_by(failure(status_code=429, retry_after=1)), Pushback(True, 1.0)),
        (failure(status_code=500), None),
        (failure(code="rate_limit_exceeded"), None),  # no status; a provider's own word
        (ValueError("429"), None),
    ],
)
def test_exceptions(exc: Exception, expected: Pushback | None) -> None:
    assert pushback_of(exc) == expected


def test_an_error_of_urllib() -> None:
    headers = Message()
    headers["Retry-After"] = "4"
    assert pushback_of(urllib.error.HTTPError("http://x", 429, "no", headers, None)) == Pushback(True, 4.0)


def test_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr(throttle.time, "time", lambda: now)
    date = email.utils.formatdate(now + 12, usegmt=True)
    assert pushback_of(failure(status_code=503, headers={"retry-after": date})) == Pushback(True, 12.0)
    past = email.utils.formatdate(now - 12, usegmt=True)
    assert pushback_of(failure(status_code=503, headers={"retry-after": past})) == Pushback(True, 0.0)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"status_code": 429, "response_headers": {"retry-after": "3"}}, Pushback(True, 3.0)),
        ({"status_code": 429}, Pushback(True, None)),
        ({"status_code": 504, "response_headers": {}}, Pushback(False, None)),
        ({"error": "x", "error_details": {"kind": "rate_limit"}}, Pushback(True, None)),
        ({"status_code": 200}, None),
        ({"response": "ok"}, None),
    ],
)
def test_outputs(outputs: dict[str, Any], expected: Pushback | None) -> None:
    assert pushback_in(outputs) == expected


def test_backoff_doubles_up_to_a_minute() -> None:
    def longest(low: float, high: float) -> float:
        assert low == 0
        return high

    waits = [backoff(0.5, attempt, exponential=True, draw=longest) for attempt in (1, 2, 3, 8, 1000)]
    assert waits == [0.5, 1, 2, 60, 60]
    assert backoff(0.5, 9, exponential=False) == 0.5
    assert len({backoff(1, 3, exponential=True) for _ in range(20)}) > 1  # jitter


def test_the_limit_grows_by_one_a_round_and_falls_once_for_all_that_were_under_way() -> None:
    limit = AdaptiveLimit(most=100)
    assert limit.now == 4
    for _ in range(5):
        limit.ended_well()
    assert limit.now == 5
    begun = time.monotonic()
    for _ in range(5):
        limit.pushed_back(begun)
    assert limit.now == 3
    limit.pushed_back(time.monotonic())
    assert limit.now == 2
    for _ in range(20):
        limit.pushed_back(time.monotonic())
    assert limit.now == 1
    for _ in range(10_000):
        limit.ended_well()
    assert limit.now == 100


def test_the_limit_starts_no_higher_than_it_may_get() -> None:
    assert AdaptiveLimit(most=2).now == 2
