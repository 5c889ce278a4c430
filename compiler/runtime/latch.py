"""Ways to wait that an interrupt can end at any moment."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from typing import TypeVar

T = TypeVar("T")

LOOK_INTERVAL = 0.1
"""Seconds after which whoever waits looks up. A signal that comes just before the main thread goes to sleep on a lock
does not wake it: its handler would run only when the wait is over, which may be never."""


def wait_for_end(thread: threading.Thread) -> None:
    """Wait until `thread` has ended, as `Thread.join` does, and notice each signal meanwhile."""
    while thread.is_alive():
        thread.join(LOOK_INTERVAL)


def take_before(waiting: queue.SimpleQueue[T], end: float) -> T:
    """Take the next of those `waiting`, as soon as there is one, and each signal noticed meanwhile; `end` is of
    `time.monotonic`. Raises: queue.Empty, if there is none by then."""
    while True:
        left = max(0.0, end - time.monotonic())
        try:
            return waiting.get(timeout=min(left, LOOK_INTERVAL))
        except queue.Empty:
            if left <= LOOK_INTERVAL:
                raise


class Semaphore:
    """A `threading.Semaphore` that two signals, one right after the other, do not break, as they do an Event (`Latch`).

    It also takes a quarter of the time.
    """

    def __init__(self, places: int) -> None:
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.release(places)

    def acquire(self, end: float = math.inf) -> bool:
        """Take a place as soon as one is free; False if none is by `end`, of `time.monotonic`."""
        try:
            take_before(self._free, end)
        except queue.Empty:
            return False
        return True

    def release(self, places: int = 1) -> None:
        """Give back so many places."""
        for _ in range(places):
            self._free.put(None)


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
