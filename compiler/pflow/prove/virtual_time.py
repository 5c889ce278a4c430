"""A clock that nobody waits for, for pflow's executor and for ours alike.

A thread that sleeps lets the others run. When all of them sleep or wait for each other, the clock jumps to the end of
the next sleep. So two runs do the same at the same times and in the same order, and take only as long as their work.

The modules of both executors get stand-ins for what they use of `time`, `threading` and `concurrent.futures`.
Nothing else in the process notices.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from types import ModuleType, SimpleNamespace
from typing import Any

_REAL_TIMEOUT = 30.0  # real seconds; far beyond what any run takes
_NEVER = 1e9  # virtual seconds
_NS = 1_000_000_000


class Deadlock(RuntimeError):
    """Every thread waits for another one."""


class _Waiter:
    """A thread that is not awake."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.asleep = True


class Clock:
    """Virtual time, and who is awake in it: at first, the thread that made the clock."""

    def __init__(self) -> None:
        self._now = 0
        self._awake = 1
        self._waiters: list[tuple[int, int, _Waiter]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since the clock was made."""
        return self._now / _NS

    def sleep(self, seconds: float) -> None:
        """Come back when `seconds` have passed; with 0, after everybody who has something to do now.

        Raises: Deadlock.
        """
        self.wait(_Waiter(), seconds)

    def wait(self, waiter: _Waiter, seconds: float | None = None) -> None:
        """Come back when `seconds` have passed or somebody has woken `waiter`.

        Raises: Deadlock.
        """
        with self._lock:
            if not waiter.asleep:
                return
            if seconds is not None:
                duration = max(round(seconds * _NS), int(seconds > 0))  # a wait takes time, however short
                heapq.heappush(self._waiters, (self._now + duration, next(self._numbers), waiter))
            self._sleep_now()
        if not waiter.end.wait(_REAL_TIMEOUT):
            raise Deadlock("every thread waits for another one")

    def wake(self, waiter: _Waiter) -> None:
        """Let the thread go on that sleeps as `waiter`."""
        with self._lock:
            if waiter.asleep:
                self._wake(waiter)

    def join(self, threads: Collection[threading.Thread]) -> None:
        """Wait until `threads` have ended."""
        self.end()
        for thread in threads:
            threading.Thread.join(thread, _REAL_TIMEOUT)
        self.begin()

    def begin(self) -> None:
        """One thread more is awake: a new one, or one that has waited for something else."""
        with self._lock:
            self._awake += 1

    def end(self) -> None:
        """One thread less is awake: it has ended, or waits for something else."""
        with self._lock:
            self._sleep_now()

    def _wake(self, waiter: _Waiter) -> None:
        waiter.asleep = False
        self._awake += 1
        waiter.end.set()

    def _sleep_now(self) -> None:
        self._awake -= 1
        while self._awake == 0 and self._waiters:
            at, _, waiter = heapq.heappop(self._waiters)
            if waiter.asleep:  # otherwise it was woken before its time
                self._now = at
                self._wake(waiter)


class Event:
    """`threading.Event`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_set = False
        self._waiting: list[_Waiter] = []
        self._lock = threading.Lock()

    def is_set(self) -> bool:
        """Whether it is."""
        return self._is_set

    def set(self) -> None:
        """Let everybody go on who waits for it."""
        with self._lock:
            self._is_set = True
            waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            self._clock.wake(waiter)

    def clear(self) -> None:
        """Have people wait again."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it is set, at once or within `timeout` seconds.

        Raises: Deadlock.
        """
        with self._lock:
            if self._is_set:
                return True
            waiter = _Waiter()
            self._waiting.append(waiter)
        self._clock.wait(waiter, timeout)
        return self._is_set


class Pool:
    """`ThreadPoolExecutor`, whose futures are told in the order in which they end."""

    def __init__(self, clock: Clock, thread: Callable[..., threading.Thread], max_workers: int) -> None:
        self._clock = clock
        self._thread = thread
        self._most = max_workers
        self._todo: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self.ended: deque[Future[Any]] = deque()
        self.news = Event(clock)
        self.threads: list[threading.Thread] = []

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """A future for one call."""
        future: Future[Any] = Future()
        future.pool = self  # type: ignore[attr-defined]  # for `as_ended`
        self._todo.append((future, lambda: function(*arguments)))
        if len(self.threads) < self._most:
            self.threads.append(self._thread(target=self._work))
            self.threads[-1].start()
        return future

    def shutdown(self, wait: bool = True, cancel_futures: bool = False) -> None:
        """Forget what has not begun."""
        if cancel_futures:
            self._todo.clear()
        if wait:
            self._clock.join(self.threads)

    def _work(self) -> None:
        while self._todo:
            try:
                future, call = self._todo.popleft()
            except IndexError:  # another thread was quicker
                return
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001  a future keeps whatever was raised
                    future.set_exception(error)
            self.ended.append(future)
            self.news.set()
            self._clock.sleep(0)  # whoever reads it may cancel the rest


def as_ended(futures: Collection[Any]) -> Iterator[Any]:
    """`as_completed` for futures of a `Pool`."""
    for pool in [future.pool for future in futures]:
        while not pool.ended:
            pool.news.clear()
            if not pool.ended:
                pool.news.wait()
        yield pool.ended.popleft()


class VirtualTime:
    """What stands in for modules of the standard library, on one clock."""

    def __init__(self) -> None:
        self.clock = clock = Clock()
        self.pools: list[Pool] = []

        class Thread(threading.Thread):
            def start(self) -> None:
                clock.begin()
                super().start()

            def run(self) -> None:
                try:
                    super().run()
                finally:
                    clock.end()

            def join(self, timeout: float | None = None) -> None:
                clock.join([self])

        def pool(max_workers: int) -> Pool:
            self.pools.append(Pool(clock, Thread, max_workers))
            return self.pools[-1]

        self.time = SimpleNamespace(sleep=clock.sleep, perf_counter=clock.now, monotonic=clock.now)
        self.threading = SimpleNamespace(
            Thread=Thread,
            Event=lambda: Event(clock),
            Lock=threading.Lock,
            current_thread=threading.current_thread,
            main_thread=threading.main_thread,
        )
        self.pool = pool

    def join(self) -> None:
        """Wait for what still runs in a pool: pflow leaves it behind."""
        for pool in self.pools:
            self.clock.join(pool.threads)


@contextlib.contextmanager
def virtual_time() -> Iterator[VirtualTime]:
    """Both executors on one clock."""
    from pflow.core import node
    from pflow.runtime.engine import batch_executor

    from ...runtime import attempts, schedule, stopping

    made = VirtualTime()
    known: dict[str, Any] = {
        "time": made.time,
        "perf_counter": made.time.perf_counter,
        "monotonic": made.time.monotonic,
        "threading": made.threading,
        "Latch": made.threading.Event,
        "ThreadPoolExecutor": made.pool,
        "as_completed": as_ended,
        "CANCEL_CHECK_INTERVAL": _NEVER,  # an event wakes whoever waits for it: nobody has to look now and then
        "PROGRESS_INTERVAL": _NEVER,
    }
    modules: list[ModuleType] = [node, batch_executor, attempts, schedule, stopping]
    stand_ins = [(module, name, known[name]) for module in modules for name in known if hasattr(module, name)]
    before = [(module, name, getattr(module, name)) for module, name, _ in stand_ins]
    try:
        for module, name, stand_in in stand_ins:
            setattr(module, name, stand_in)
        yield made
    finally:
        for module, name, original in before:
            setattr(module, name, original)
