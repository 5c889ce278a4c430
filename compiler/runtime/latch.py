"""Waiting that an interrupt may end at any moment."""

from __future__ import annotations

import contextlib
import threading
import time

LOOK_INTERVAL = 0.1
"""Seconds after which whoever waits looks up. A signal that comes just before the main thread goes to sleep on a lock
does not wake it: its handler would run only when the wait is over, which may be never."""


def wait_for_end(thread: threading.Thread) -> None:
    """Wait until `thread` has ended, as `Thread.join` does, and notice each signal meanwhile."""
    while thread.is_alive():
        thread.join(LOOK_INTERVAL)


class Latch:
    """What is set once and waited for, as a `threading.Event` is, without a lock around the waiting.

    An Event takes its lock again when a signal ends its wait. A second signal, right after the first one, ends that,
    too, and in place of either there is a RuntimeError: "release unlocked lock".
    """

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[threading.Lock] = []  # each held, until it is set

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Let everybody who waits go on, and never wait again."""
        self._is_set = True
        for waiter in self._waiting.copy():
            with contextlib.suppress(RuntimeError):  # somebody else who sets it has let it go
                waiter.release()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait, `seconds` at most; whether it is set."""
        if self._is_set:
            return True
        waiter = threading.Lock()
        waiter.acquire()
        self._waiting.append(waiter)
        try:
            if not self._is_set:  # or it was meanwhile, and whoever did so may not have seen who waits
                _acquire(waiter, seconds)
        finally:
            self._waiting.remove(waiter)
        return self._is_set


def _acquire(lock: threading.Lock, seconds: float | None) -> None:
    """Wait for `lock`, `seconds` at most, and notice each signal meanwhile."""
    if seconds is None:
        while not lock.acquire(timeout=LOOK_INTERVAL):
            pass
        return
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not lock.acquire(timeout=min(left, LOOK_INTERVAL)):
        pass
