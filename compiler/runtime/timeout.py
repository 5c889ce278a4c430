"""`timeout`: an attempt that takes too long is given up.

An asynchronous one is cancelled. A blocking one cannot be: it goes on in a thread that nobody listens to any more, and
whoever is first, its answer or the clock, is the attempt's one outcome. How many may go on so is bounded, or a
server that never answers would collect threads.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class AttemptTimeout(TimeoutError):
    """An attempt did not end in time."""


class TimeLimit:
    """The time limit of one batch's blocking attempts."""

    def __init__(self, seconds: float, at_once: int, most_abandoned: int) -> None:
        """`at_once` attempts run at a time, and `most_abandoned` may go on after their time; then a next one waits."""
        self.seconds = seconds
        self._room = threading.Semaphore(at_once + most_abandoned)
        self._most = at_once + most_abandoned

    def run(self, work: Callable[[], T]) -> T:
        """What `work` gives, if it does so in time; it runs in a thread of its own, in the caller's context.

        Raises: AttemptTimeout; whatever `work` raises.
        """
        end = time.monotonic() + self.seconds
        if not self._room.acquire(timeout=self.seconds):
            raise AttemptTimeout(f"not begun within {self.seconds:g} s: {self._most} earlier calls still hang")
        attempt = _Attempt(work, self._room)
        attempt.start()
        return attempt.outcome(max(0.0, end - time.monotonic()), self.seconds)


class _Attempt(Generic[T]):
    """A piece of work in a thread, whose outcome is taken at most once."""

    def __init__(self, work: Callable[[], T], room: threading.Semaphore) -> None:
        self._work = work
        self._room = room
        self._context = contextvars.copy_context()
        self._results: list[T] = []
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="pflow-lower-attempt", daemon=True)

    def start(self) -> None:
        try:
            self._thread.start()
        except BaseException:
            self._room.release()
            raise

    def outcome(self, left: float, seconds: float) -> T:
        self._thread.join(left)
        if self._thread.is_alive():
            raise AttemptTimeout(f"no answer within {seconds:g} s")
        if self._failure is not None:
            raise self._failure
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._context.run(self._work))
        except BaseException as exc:  # noqa: BLE001  raised again by whoever waits
            self._failure = exc
        finally:
            self._room.release()
