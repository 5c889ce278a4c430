"""Waiting that an interrupt may end at any moment."""

from __future__ import annotations

import contextlib
import threading


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
                waiter.acquire(timeout=-1 if seconds is None else max(seconds, 0))
        finally:
            self._waiting.remove(waiter)
        return self._is_set
