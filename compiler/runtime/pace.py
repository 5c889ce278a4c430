"""When a call may start: rates, evenly spaced, for threads, tasks and processes.

A pacer hands out start times (the generic cell rate algorithm with a burst of one) and never waits itself: `reserve`
says how many seconds are left, and the caller, who knows how to wait and when to give up, waits. Even spacing is
what a declared limit means: "60/min" may be enforced as one a second.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0}
_RATE = re.compile(r"([1-9][0-9]{0,8})/(s|min|h|day)")
_STATE, _SLOTS = 8, 64  # where the file of a shared budget has its state, and the bytes that stand for calls
_FREE_AND_BOOT = struct.Struct("<dd")  # the next free start, and when the clock of it began
_SAME_BOOT = 60.0  # seconds by which two readings of the time of booting may differ


class Rate(NamedTuple):
    """At most `starts` in `seconds`."""

    starts: int
    seconds: float

    @property
    def apart(self) -> float:
        """Seconds between two starts."""
        return self.seconds / self.starts


def rate_of(text: str) -> Rate:
    """The rate that `text` says: "60/min", also with s, h and day. Raises: ValueError, for what is not one."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is not a rate; one is "60/min" (s, min, h, day)')
    return Rate(int(match[1]), _SECONDS[match[2]])


def is_rate(text: object) -> bool:
    """Whether `text` says a rate, as opposed to the name of one."""
    return isinstance(text, str) and _RATE.fullmatch(text) is not None


class Pacer(Protocol):
    """What the attempts of a batch ask before each call."""

    rate: Rate | None

    def reserve(self) -> float:
        """Take the next free start; in how many seconds it is."""
        ...

    def hold(self, seconds: float) -> None:
        """No start for `seconds`: a server said so."""
        ...


class Pace:
    """The starts of one process."""

    def __init__(self, rate: Rate) -> None:
        self.rate: Rate | None = rate
        self._apart = rate.apart
        self._free = float("-inf")
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Take the next free start; in how many seconds it is."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._free)
            self._free = start + self._apart
        return start - now

    def hold(self, seconds: float) -> None:
        """No start for `seconds`."""
        with self._lock:
            self._free = max(self._free, time.monotonic() + seconds)


class SharedBudget:
    """A rate and a bound of calls under way, for every process of this machine that names the same file.

    The file holds the next free start; whoever changes it holds its first byte locked, and whoever has a call under
    way holds one byte further on. Locks end with their process, so one that is killed takes nothing with it but the
    starts that it had reserved. Nothing is worth a wait for the disk: after a crash of the machine all is unused.

    Make one a process and file: POSIX drops all locks of a process on a file when it closes one descriptor of it.

    Raises: OSError, where the file cannot be written.
    """

    def __init__(self, path: Path, rate: Rate | None, max_concurrent: int | None = None) -> None:
        self.rate = rate
        self.path = path
        self.max_concurrent = max_concurrent
        self._apart = rate.apart if rate is not None else 0.0
        self._lock = threading.Lock()
        self._slots = set(range(max_concurrent or 0))  # those that this process does not hold
        self._is_bounded = max_concurrent is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def reserve(self) -> float:
        """Take the next free start; in how many seconds it is."""
        with self._lock, self._alone():
            now = _since_boot()
            start = max(now, self._read())
            self._write(start + self._apart)
        return start - now

    def hold(self, seconds: float) -> None:
        """No start for `seconds`, in any of the processes."""
        with self._lock, self._alone():
            self._write(max(self._read(), _since_boot() + seconds))

    def enter(self) -> int | None:
        """Begin a call: what `leave` wants when it has ended. None if as many as may be are under way already."""
        if not self._is_bounded:
            return -1
        with self._lock:
            for slot in sorted(self._slots):
                if _try_lock(self._file, _SLOTS + slot):
                    self._slots.remove(slot)
                    return slot
        return None

    def leave(self, slot: int) -> None:
        """The call of `slot` has ended."""
        if slot >= 0:
            with self._lock:
                _unlock(self._file, _SLOTS + slot)
                self._slots.add(slot)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        while not _try_lock(self._file, 0):
            time.sleep(0.0005)  # another process reads and writes 16 bytes
        try:
            yield
        finally:
            _unlock(self._file, 0)

    def _read(self) -> float:
        """The next free start; one from before the machine was started is over."""
        os.lseek(self._file, _STATE, os.SEEK_SET)
        state = os.read(self._file, _FREE_AND_BOOT.size)
        if len(state) < _FREE_AND_BOOT.size:
            return float("-inf")
        free, boot = _FREE_AND_BOOT.unpack(state)
        return float(free) if abs(boot - _booted()) < _SAME_BOOT else float("-inf")

    def _write(self, free: float) -> None:
        os.lseek(self._file, _STATE, os.SEEK_SET)
        os.write(self._file, _FREE_AND_BOOT.pack(free, _booted()))


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int, byte: int) -> bool:
        """Lock one byte; False if another process has it."""
        os.lseek(file, byte, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: int, byte: int) -> None:
        os.lseek(file, byte, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: int, byte: int) -> bool:
        """Lock one byte; False if another process has it."""
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
            return False
        return True

    def _unlock(file: int, byte: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, byte)


def _since_boot() -> float:
    """Seconds on a clock that all processes share and nobody sets; it goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _booted() -> float:
    """About when that clock was at zero."""
    return time.time() - _since_boot()
