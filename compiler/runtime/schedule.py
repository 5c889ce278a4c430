"""Which item runs when: one after the other, on threads, or as tasks of an event loop.

A scheduler decides only where and when a call runs. The batch decides which items are left, and what an outcome means
for them (`Batch.next_call`, `Batch.finish`). Every scheduler is called with the node and its batch, returns the
results, and keeps one contract:

- Every item that starts gets exactly one outcome.
- No more than `max_concurrent` items are under way at a time, and none gets more than `max_retries` attempts.
- Under `fail_fast` no item starts after a failure; those under way finish, their retries included. Items start in
  order, so the failed item with the lowest index is always the same one.
- Attempts are counted per call. PocketFlow's own loop counts on the node, where concurrent items would take each
  other's attempts.

An exception that aborts the batch (`Engine.aborts`) leaves no outcome and nothing running. An interrupt (Ctrl-C, a
cancelled task, a `SystemExit` of an item) leaves nothing running either, and writes what was done by then; a second
one does not wait for what is under way. Either also ends the batches that the items' own nodes run: those in other
threads hear of it through `EnclosingBatchStopped`.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import threading
from collections import deque
from typing import Any

from .attempts import attempt, attempt_async, fail, say_where
from .batch import Batch
from .call import Call
from .data_types import Result, Results
from .exceptions import message_of
from .latch import Latch, wait_for_end
from .loops import CANCEL_CHECK_INTERVAL, LoopThread, is_cancelled, is_loop_running, raise_if_cancelled
from .outcome import write_interrupted_outcome
from .run import join
from .signals import came_twice, is_attended
from .stopping import EnclosingBatchStopped, enclosing_batch
from .turns import NotStarted

PROGRESS_INTERVAL = 0.05
"""Seconds after which threads' progress is shown."""


def in_order(node: Any, batch: Batch) -> Results:
    """Run the items one after the other in the caller's thread.

    Raises: an exception that aborts the batch; an interrupt.
    """
    report = batch.engine.reporter(batch)
    inside_a_loop = is_loop_running()
    with contextlib.ExitStack() as stack:
        if batch.is_async:
            loop = LoopThread(on_waiting=lambda: batch.engine.waiting(batch, 1))
            batch.run_blocking = stack.enter_context(loop).run
        try:
            batch.inner = batch.engine.inner_of_run(node.inner)
            while True:
                if inside_a_loop:
                    raise_if_cancelled()
                call = batch.next_call()
                if batch.enclosing is not None:
                    batch.raise_if_stopped()
                if call is None:
                    break
                try:
                    result = attempt(node, call)
                except NotStarted:
                    break
                except BaseException as exc:  # raised again
                    _say_whose(call, exc)
                    raise
                batch.finish(call, result)
                if report is not None:
                    report(call, batch.done)
        except BaseException as exc:  # whatever ends the batch; raised again
            if not isinstance(exc, Exception):
                write_interrupted_outcome(batch, exc)
            batch.end(ended_well=False)
            raise
    return batch.results


def in_threads(node: Any, batch: Batch) -> Results:
    """Run the items on at most `max_concurrent` threads, each call on its own copy of the inner node.

    Progress is reported in the caller's thread. After Ctrl-C no item and no further attempt starts, but
    the calls under way end, since a thread cannot be stopped; a second Ctrl-C does not wait for them, and what was done
    until then is the outcome.

    Raises: an exception that aborts the batch, once the calls under way are done; an interrupt.
    """
    workers = _WorkerThreads(node, batch)
    try:
        workers.start()
        workers.wait_and_report()
        workers.join()
    except BaseException as exc:  # noqa: BLE001  raised again below
        ended_by: BaseException | None = exc
        try:
            workers.stop()
            if came_twice(exc):
                raise
            if _is_ctrl_c(exc):
                workers.say_waiting()
            workers.join()
        except BaseException as again:  # noqa: BLE001  a second interrupt: what is under way is left alone
            ended_by = again
            workers.stop()
            workers.leave()
    else:
        ended_by = min(workers.aborts, key=lambda found: found[0])[1] if workers.aborts else None
    if ended_by is not None:
        if not isinstance(ended_by, Exception):
            write_interrupted_outcome(batch, ended_by)
        batch.end(ended_well=False)
        raise ended_by
    return batch.results


class _WorkerThreads:
    """The threads of one batch.

    They count outcomes themselves, under a lock; the caller's thread only listens, so the count is
    right wherever an interrupt hits it. It looks now and then, since a worker that woke it for every
    item would spend more time on that than on the item.
    """

    def __init__(self, node: Any, batch: Batch) -> None:
        self.aborts: list[tuple[int, BaseException]] = []
        self._node = node
        self._batch = batch
        self._copy_inner = batch.engine.copy_factory(node.inner)
        self._report = batch.engine.reporter(batch)
        self._context = contextvars.copy_context()
        self._context.run(enclosing_batch.set, batch)
        self._lock = threading.Lock()
        self._finished: deque[Call] = deque()
        self._done = 0
        # The first items are given out here: how fast threads start must not decide which items run.
        self._first: deque[Call] = deque()
        while len(self._first) < batch.max_concurrent and (call := batch.next_call()) is not None:
            self._first.append(call)
        self._context.run(join, batch.run)
        self._threads: set[threading.Thread] = set()
        """Those that have begun. They say so themselves, too: an interrupt may come while one is being started, and
        what it has under way by then is waited for like everything else."""
        self._running = 0
        self._is_short = False
        self._is_left = False
        self._all_started = Latch()
        self._over = Latch()

    def start(self) -> None:
        """Start a thread for each of the first items. Where one cannot start, those that could take its item as well;
        if none could, every item fails of that."""
        try:
            for number in range(len(self._first)):
                thread = threading.Thread(target=self._work, name=f"{self._batch.node_id}-{number}", daemon=True)
                with self._lock:
                    self._running += 1
                try:
                    thread.start()
                except (RuntimeError, MemoryError) as exc:
                    with self._lock:
                        self._running -= 1
                        self._is_short = True
                    if not self._threads:
                        self._fail_all(exc)
                    break
                self._threads.add(thread)
        finally:
            self._all_started.set()

    def wait_and_report(self) -> None:
        """Report what is finished, until every worker has ended."""
        interval = CANCEL_CHECK_INTERVAL if self._report is None else PROGRESS_INTERVAL
        while self._running and not self._over.wait(interval):
            raise_if_cancelled()
            self._batch.raise_if_stopped()
            self._report_finished()
        self._batch.raise_if_stopped()
        self._report_finished()

    def stop(self) -> None:
        """Let no item and no further attempt start."""
        with self._lock:
            self._batch.stop()
        self._batch.engine.on_stopping()

    def say_waiting(self) -> None:
        """Say what is waited for, unless it ends at once."""
        if self._running and not self._over.wait(PROGRESS_INTERVAL):
            self._batch.engine.waiting(self._batch, self._running)

    def join(self) -> None:
        for thread in list(self._threads):  # one that begins only now finds that the batch is over
            wait_for_end(thread)

    def leave(self) -> None:
        """What is under way goes on, and nobody wants to know any more what becomes of it."""
        with self._lock:
            self._is_left = True

    def _report_finished(self) -> None:
        while self._report is not None and self._finished:
            self._done += 1
            self._report(self._finished.popleft(), self._done)

    def _work(self) -> None:
        call: Call | None = None
        self._threads.add(threading.current_thread())
        try:
            own = copy.copy(self._node)
            call = self._begin()
            while call is not None:
                # Each item has a context of its own, a copy of the caller's.
                result = self._context.copy().run(self._run_item, own, call)
                call = self._next(call, result)
                if call is None and not self._all_started.is_set():
                    self._all_started.wait()  # an item may be left whose thread cannot start
                    call = self._next()
        except (NotStarted, EnclosingBatchStopped):  # by this batch or one around it, and the caller's thread knows why
            pass
        except BaseException as exc:  # noqa: BLE001  raised again in the caller's thread
            self.stop()
            _say_whose(call, exc)
            self.aborts.append((call.index if call is not None else -1, exc))
        finally:
            with self._lock:
                self._running -= 1
                if not self._running and self._all_started.is_set():
                    self._over.set()

    def _run_item(self, own: Any, call: Call) -> Result | None:
        try:
            own.inner = self._copy_inner()
        except Exception as exc:  # noqa: BLE001  a class may make copies as it likes
            fail(call, exc, f"Executor error: {message_of(exc)}")
            return None
        return attempt(own, call)

    def _begin(self) -> Call | None:
        """The first item of a thread: one that was given out before any could fail."""
        with self._lock:
            if not self._first:
                return self._batch.next_call()
            return None if self._batch.is_stopped() else self._first.popleft()

    def _next(self, call: Call | None = None, result: Result | None = None) -> Call | None:
        """Keep the outcome of `call`, if there is one; the next one, unless there is none."""
        with self._lock:
            if self._is_left:
                return None
            if call is not None:
                self._batch.finish(call, result)
                if self._report is not None:
                    call.store = None  # may wait there until long after
                    self._finished.append(call)
            if self._first and self._is_short:
                return None if self._batch.is_closed or self._batch.is_stopped() else self._first.popleft()
            return self._batch.next_call()

    def _fail_all(self, exc: Exception) -> None:
        """No thread can be started: that is what became of the items."""
        call = self._begin()
        while call is not None:
            fail(call, exc)
            call = self._next(call)


async def in_tasks(node: Any, batch: Batch) -> Results:
    """Run the items as at most `max_concurrent` tasks, each call on its own copy of the inner node.

    Raises: an exception that aborts the batch, or an interrupt, once the calls under way are cancelled.
    """
    copy_inner, report = batch.engine.copy_factory(node.inner), batch.engine.reporter(batch)
    exits: list[BaseException] = []

    async def work() -> None:
        own = copy.copy(node)
        while (call := batch.next_call()) is not None:
            result = None
            try:
                own.inner = copy_inner()
            except Exception as exc:  # noqa: BLE001  a class may make copies as it likes
                fail(call, exc, f"Executor error: {message_of(exc)}")
            else:
                try:
                    result = await attempt_async(own, call)
                except NotStarted:
                    return
                except BaseException as exc:  # an event loop would let what ends a program fall through, past everybody
                    if isinstance(exc, Exception) or batch.is_stopped():
                        raise
                    exits.append(exc)
                    if is_cancelled(exc):
                        raise
                    _say_whose(call, exc)
                    raise _Exits from exc
            batch.finish(call, result)
            if report is not None:
                report(call, batch.done)

    most = batch.max_concurrent if batch.total is None else min(batch.max_concurrent, batch.total)
    tasks = [asyncio.ensure_future(work()) for _ in range(max(most, 1))]
    ended_by: BaseException | None
    try:
        # Not `gather`: where this task is cancelled, that waits for tasks that do not let themselves be.
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = (task.exception() for task in tasks if task in ended)
        ended_by = exits[0] if exits else next((exc for exc in failed if exc is not None), None)
    except BaseException as exc:  # noqa: BLE001  raised again below
        ended_by = exc
    if ended_by is None:
        return batch.results
    batch.stop()  # a node may not let itself be cancelled, and must not be tried again
    batch.engine.on_stopping()
    for task in tasks:
        task.cancel()
    try:
        _, going_on = await asyncio.wait(tasks, timeout=PROGRESS_INTERVAL)
        if going_on and _is_ctrl_c(ended_by):
            batch.engine.waiting(batch, len(going_on))
        await asyncio.gather(*tasks, return_exceptions=True)
    except BaseException as again:  # noqa: BLE001  a second interrupt: what is under way is left alone
        ended_by = again
    if not isinstance(ended_by, Exception):
        write_interrupted_outcome(batch, ended_by)
    batch.end(ended_well=False)
    raise ended_by


class _Exits(Exception):
    """An item has raised what ends a program: an event loop would let that fall through, past everybody."""


def _say_whose(call: Call | None, exc: BaseException) -> None:
    """Say on `exc` which item raised it, unless it is none's own: an interrupt, a cancellation, the end of a batch."""
    if call is not None and not isinstance(exc, (KeyboardInterrupt, EnclosingBatchStopped)) and not is_cancelled(exc):
        say_where(call, exc)


def _is_ctrl_c(exc: BaseException) -> bool:
    """Whether somebody may be waiting at a keyboard: `asyncio.run` makes a cancellation of Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if isinstance(exc, asyncio.CancelledError):
        return is_attended()
    return isinstance(exc, (KeyboardInterrupt, SystemExit))  # pflow makes an exit of Ctrl-C
