"""`timeout`: an attempt that takes too long is given up.

An asynchronous one is cancelled. A blocking one cannot be: it goes on in a thread that nobody listens to any more, and
whoever is first, its answer or the clock, is the attempt's one outcome. How many may go on so is bounded, or a
server that never answers would collect threads.

To start a thread costs more than to hand work to one that is there, so a thread whose attempt was in time is kept for
another one, until the batch ends.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from .latch import Semaphore, take_before

T = TypeVar("T")


class AttemptTimeout(TimeoutError):
    """An attempt did not end in time."""


class TimeLimit:
    """The time limit of one batch's blocking attempts."""

    def __init__(self, seconds: float, at_once: int, most_abandoned: int) -> None:
        """`at_once` attempts run at a time, and `most_abandoned` may go on after their time; then a next one waits."""
        self.seconds = seconds
        self._most = at_once + most_abandoned
        self._room = Semaphore(self._most)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._workers: set[_Worker] = set()
        """All that have not ended."""
        self._is_closed = False

    def run(self, work: Callable[[], T]) -> T:
        """What `work` gives, if it does so in time; it runs in another thread, in the caller's context.

        Raises: AttemptTimeout; whatever `work` raises; RuntimeError, if a thread cannot be started.
        """
        end = time.monotonic() + self.seconds
        if not self._room.acquire(end):
            raise AttemptTimeout(f"not begun within {self.seconds:g} s: {self._most} earlier calls still hang")
        worker = self._worker()
        try:
            worker.inbox.put((contextvars.copy_context(), work))
            answer = take_before(worker.answers, end)
        except BaseException as exc:  # its time is over, or an interrupt: whatever it answers, nobody asks any more
            worker.dismiss()
            if isinstance(exc, queue.Empty):
                raise AttemptTimeout(f"no answer within {self.seconds:g} s") from None
            raise
        self._keep(worker)
        if answer.failure is None:
            return answer.result  # type: ignore[no-any-return]  # of `work`, so a T
        try:
            raise answer.failure
        finally:
            del answer  # or what it raised and this frame would keep each other

    def close(self) -> None:
        """The batch is over: no thread waits for another attempt. One that hangs is waited for by nobody."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for worker in list(self._workers):
            worker.dismiss()
        for worker in idle:
            worker.join()

    def _worker(self) -> _Worker:
        """A thread that has nothing to do. Raises: RuntimeError, if there is none and none can be started."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        worker = _Worker(self._ended)
        self._workers.add(worker)  # before it starts: an interrupt meanwhile must not leave it waiting for ever
        try:
            worker.start()
        except Exception:  # no room for a thread, say: then it does not count as one
            self._ended(worker)
            raise
        return worker

    def _ended(self, worker: _Worker) -> None:
        """Only now is there room for another one in the place of `worker`."""
        self._workers.discard(worker)
        self._room.release()

    def _keep(self, worker: _Worker) -> None:
        """The attempt of `worker` has ended in time."""
        with self._lock:
            if not self._is_closed:
                self._idle.append(worker)
                self._room.release()
                return
        worker.dismiss()


class _Answer(NamedTuple):
    """What became of an attempt."""

    result: Any
    failure: BaseException | None


class _Worker(threading.Thread):
    """A thread that makes one attempt after the other. Who has given it up never reads its answers again."""

    def __init__(self, ended: Callable[[_Worker], None]) -> None:
        super().__init__(name="pflow-lower-attempt", daemon=True)
        self.inbox: queue.SimpleQueue[tuple[contextvars.Context, Callable[[], Any]] | None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._ended = ended

    def dismiss(self) -> None:
        """Let it end, once what it does has ended."""
        self.inbox.put(None)

    def run(self) -> None:
        """Answer, until dismissed."""
        while (asked := self.inbox.get()) is not None:
            self.answers.put(_answer(*asked))
            del asked  # nothing of an item is held until the next one comes
        self._ended(self)


def _answer(context: contextvars.Context, work: Callable[[], Any]) -> _Answer:
    try:
        return _Answer(context.run(work), None)
    except BaseException as exc:  # noqa: BLE001  raised again by whoever waits
        return _Answer(None, exc)
