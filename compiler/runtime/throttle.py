"""What a server's "not so fast" means: how long to wait, whether it counts as an attempt, how many calls at once.

That a call was throttled is not its own failure, so it uses up no attempt, at most `MOST_THROTTLES` times for an item.
"""

from __future__ import annotations

import email.utils
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from .exceptions import attribute_of
from .value_text import duration

MOST_THROTTLES = 10
"""How often one item may be told to wait before that counts as its failure."""

FIRST_BACKOFF = 0.5
"""Seconds that the first pause after a refusal lasts at most; those after it double."""

LONGEST_BACKOFF = 60.0
"""Seconds; pflow's own `retry` has the same cap."""

LONGEST_RETRY_AFTER = 3600.0
"""Seconds. A server that asks for more (a daily quota, a clock that is wrong) is not waited for: the item fails."""

_THROTTLED = frozenset({429, 503})
_TIMED_OUT = frozenset({408, 504})
_LINKS = 8  # exceptions of a chain that are looked at: a wrapper of a wrapper of the client's


class Pushback(NamedTuple):
    """What a failed call says about the server's load."""

    is_throttle: bool
    """Whether the server refused the call (429, 503), which is not an attempt; False for a timeout, which is one."""
    retry_after: float | None
    """Seconds that the server asked to wait, if it said so."""

    @property
    def is_too_long(self) -> bool:
        """Whether the server asked for more than is waited for: earlier, it wants no call."""
        return self.retry_after is not None and self.retry_after > LONGEST_RETRY_AFTER


def pushback_of(exc: BaseException) -> Pushback | None:
    """What `exc`, or an exception that it was raised from, says about the server's load; None if nothing.

    HTTP clients differ; what they have in common is looked at: `status_code`, `status` or `code`, on the exception
    or on its `response`, and the `headers` beside it. Timeouts are known by `TimeoutError` or by their class's name.
    """
    try:
        return _pushback_of(exc)
    except Exception:  # noqa: BLE001  exceptions may be of any class: this one says nothing that can be understood
        return None


def _pushback_of(exc: BaseException) -> Pushback | None:
    for link in _chain(exc):
        status = _status(link)
        kind = attribute_of(link, "kind")
        if status in _THROTTLED or (isinstance(kind, str) and kind == "rate_limit"):
            return Pushback(True, _retry_after(link))
        is_timeout = isinstance(link, TimeoutError) or "Timeout" in type(link).__name__
        if status in _TIMED_OUT or is_timeout or (isinstance(kind, str) and kind == "timeout"):
            return Pushback(False, _retry_after(link))
    return None


def pushback_in(outputs: Mapping[str, Any]) -> Pushback | None:
    """The same of a node that answers failures: pflow's `http` writes `status_code` and `response_headers`."""
    status = outputs.get("status_code")
    status = status if isinstance(status, int) else None
    if status in _THROTTLED or status in _TIMED_OUT:
        headers = outputs.get("response_headers")
        return Pushback(status in _THROTTLED, _seconds(headers) if isinstance(headers, Mapping) else None)
    details = outputs.get("error_details")
    kind = details.get("kind") if isinstance(details, Mapping) else None
    return Pushback(kind == "rate_limit", None) if kind in ("rate_limit", "timeout") else None


class AskedToWaitTooLong(RuntimeError):
    """A call that the server wants again only when nobody waits for it any more: an attempt before is of no use."""


def too_long(message: str, pushback: Pushback) -> str:
    """The error of an item, which was `message`, where the server asked to wait for too long."""
    return (
        f"the server asked for no call within {duration(pushback.retry_after or 0)} (Retry-After), and no more than "
        f"{duration(LONGEST_RETRY_AFTER)} is waited for: {message}"
    )


def too_often(message: str) -> str:
    """The error of an item, which was `message`, where that was the server's answer once too often."""
    return f"{message} (the server has refused the call {MOST_THROTTLES + 1} times: fewer calls at once, or a `rate`)"


def backoff(
    wait: float, attempt: int, *, exponential: bool, draw: Callable[[float, float], float] | None = None
) -> float:
    """Seconds before the attempt after number `attempt` (from 1).

    `wait` as it is, or with `exponential` anything up to a bound that doubles ("full jitter": items that failed
    together do not come back together), at most `LONGEST_BACKOFF`. See Brooker, "Exponential Backoff And Jitter".
    """
    if not exponential:
        return wait
    bound = min(LONGEST_BACKOFF, wait * 2.0 ** min(attempt - 1, 30))
    return (draw or random.uniform)(0, bound)


class AdaptiveLimit:
    """`max_concurrent: auto`: how many calls may be under way, found by asking.

    Additive increase, multiplicative decrease, as TCP has it: a call that ends well raises the limit by 1/limit, so a
    round of them by one; a push-back lowers it by `DECREASE`, once for all calls that were under way then.
    """

    START, DECREASE = 4.0, 0.7

    def __init__(self, most: int) -> None:
        """`most` is the limit of the limit."""
        self._most = float(most)
        self._limit = min(self.START, self._most)
        self._lowered = float("-inf")
        self._lock = threading.Lock()

    @property
    def now(self) -> int:
        """How many calls may be under way."""
        return int(self._limit)

    def ended_well(self) -> None:
        """A call has ended without a push-back."""
        with self._lock:
            self._limit = min(self._most, self._limit + 1 / self._limit)

    def pushed_back(self, begun: float) -> None:
        """A call that began at `begun` (of `time.monotonic`) was pushed back."""
        with self._lock:
            if begun >= self._lowered:
                self._limit = max(1.0, self._limit * self.DECREASE)
                self._lowered = time.monotonic()


def _chain(exc: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = exc
    for _ in range(_LINKS):
        if link is None:
            return
        yield link
        is_raised_from = link.__cause__ is not None or link.__suppress_context__
        link = link.__cause__ if is_raised_from else link.__context__


def _status(exc: BaseException) -> int | None:
    for owner in (exc, attribute_of(exc, "response")):
        for name in ("status_code", "status", "code"):
            value = attribute_of(owner, name)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return None


def _retry_after(exc: BaseException) -> float | None:
    seconds = attribute_of(exc, "retry_after")
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        return _bounded(float(seconds))
    for owner in (exc, attribute_of(exc, "response")):
        headers = attribute_of(owner, "headers")
        if isinstance(headers, Mapping) or attribute_of(headers, "get") is not None:
            found = _seconds(headers)
            if found is not None:
                return found
    return None


def _seconds(headers: Any) -> float | None:
    """What Retry-After says: seconds or a date (RFC 9110, 10.2.3); None if it is not there, or neither."""
    try:
        text = next((headers.get(name) for name in ("retry-after", "Retry-After") if headers.get(name)), None)
        said = "" if text is None else str(text)
    except Exception:  # noqa: BLE001  any object that has a `get`, of any client
        return None
    try:
        return _bounded(float(said))
    except ValueError:
        pass
    try:
        return _bounded(email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _bounded(seconds: float) -> float | None:
    return max(0.0, seconds) if math.isfinite(seconds) else None
