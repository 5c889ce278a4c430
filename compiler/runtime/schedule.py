"""Which item runs when: one after the other, on threads, or as tasks of an event loop.

A scheduler decides only where and when a call runs. Which items are left, and what an outcome means for them, is the
batch's to say (`Batch.next_call`, `Batch.finish`). All of them are called with the node and its batch, give the
results, and keep one contract. Every item that starts gets exactly one outcome. No more than `max_concurrent` are
under way at a time, and no more than `max_retries` attempts are made of one. Where `fail_fast` is set, no item starts
after a failure; those under way finish, their retries included. Items start in order, so the failed item with the
lowest index is always the same one. Attempts are counted per call, never on the node: PocketFlow's own loop counts on
the node, and concurrent items would take each other's attempts.

An exception that aborts the batch (`Engine.aborts`) leaves no outcome and nothing running. An interrupt (Ctrl-C, a
cancelled task) leaves nothing running either, and writes what was done by then. Either also ends the batches that
the items' own nodes run: those in other threads hear of it through `EnclosingBatchStopped`.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from collections import deque
from typing import Any

from .attempts import attempt, attempt_async, fail
from .batch import Batch, Call, EnclosingBatchStopped, Result, Results, enclosing_batch
from .controls import NotStarted
from .loops import CANCEL_CHECK_INTERVAL, LoopThread, is_loop_running, raise_if_cancelled
from .outcome import write_interrupted_outcome

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
            batch.run_blocking = stack.enter_context(LoopThread()).run
        try:
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
                batch.finish(call, result)
                if report is not None:
                    report(call, batch.done)
        except BaseException as exc:
            if not isinstance(exc, Exception):
                write_interrupted_outcome(batch, exc)
            batch.end(ended_well=False)
            raise
    return batch.results


def in_threads(node: Any, batch: Batch) -> Results:
    """Run the items on at most `max_concurrent` threads, each call on its own copy of the inner node.

    Progress is reported in the caller's thread. After Ctrl-C no item and no further attempt starts, but
    the calls under way end, since a thread cannot be stopped; a second Ctrl-C does not wait for them.

    Raises: an exception that aborts the batch, once the calls under way are done; an interrupt.
    """
    workers = _WorkerThreads(node, batch)
    try:
        workers.start()
        workers.wait_and_report()
    except BaseException as exc:
        workers.stop()
        workers.join()
        if not isinstance(exc, Exception):
            write_interrupted_outcome(batch, exc)
        batch.end(ended_well=False)
        raise
    workers.join()
    if workers.aborts:
        batch.end(ended_well=False)
        raise min(workers.aborts, key=lambda found: found[0])[1]
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
        self._lock = threading.Lock()
        self._finished: deque[Call] = deque()
        self._done = 0
        # The first items are given out here: how fast threads start must not decide which items run.
        first: list[Call] = []
        while len(first) < batch.max_concurrent and (call := batch.next_call()) is not None:
            first.append(call)
        self._threads = [
            threading.Thread(target=self._work, args=(call,), name=f"{batch.node_id}-{call.index}", daemon=True)
            for call in first
        ]
        self._running = len(first)
        self._over = threading.Event()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

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
            self._batch.close()
        self._batch.stopped.set()
        self._batch.engine.on_stopping()

    def join(self) -> None:
        for thread in self._threads:
            if thread.ident is not None:  # was started
                thread.join()

    def _report_finished(self) -> None:
        while self._report is not None and self._finished:
            self._done += 1
            self._report(self._finished.popleft(), self._done)

    def _work(self, first: Call) -> None:
        enclosing_batch.set(self._batch)
        own = copy.copy(self._node)
        call = None if self._batch.is_stopped() else first
        try:
            while call is not None:
                result = None
                try:
                    own.inner = self._copy_inner()
                except Exception as exc:  # noqa: BLE001  a class may make copies as it likes
                    fail(call, exc, f"Executor error: {exc}")
                else:
                    result = attempt(own, call)
                call = self._next(call, result)
        except (NotStarted, EnclosingBatchStopped):  # by this batch or one around it, and the caller's thread knows why
            pass
        except BaseException as exc:  # noqa: BLE001  raised again in the caller's thread
            self.stop()
            self.aborts.append((call.index if call is not None else -1, exc))
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    self._over.set()

    def _next(self, call: Call, result: Result | None) -> Call | None:
        """Keep the outcome of `call`; the next one, unless there is none."""
        with self._lock:
            self._batch.finish(call, result)
            if self._report is not None:
                call.store = None  # may wait there until long after
                self._finished.append(call)
            return self._batch.next_call()


async def in_tasks(node: Any, batch: Batch) -> Results:
    """Run the items as at most `max_concurrent` tasks, each call on its own copy of the inner node.

    Raises: an exception that aborts the batch, or an interrupt, once the calls under way are cancelled.
    """
    copy_inner, report = batch.engine.copy_factory(node.inner), batch.engine.reporter(batch)

    async def work() -> None:
        own = copy.copy(node)
        while (call := batch.next_call()) is not None:
            result = None
            try:
                own.inner = copy_inner()
            except Exception as exc:  # noqa: BLE001  a class may make copies as it likes
                fail(call, exc, f"Executor error: {exc}")
            else:
                try:
                    result = await attempt_async(own, call)
                except NotStarted:
                    return
            batch.finish(call, result)
            if report is not None:
                report(call, batch.done)

    most = batch.max_concurrent if batch.total is None else min(batch.max_concurrent, batch.total)
    tasks = [asyncio.ensure_future(work()) for _ in range(max(most, 1))]
    try:
        await asyncio.gather(*tasks)
    except BaseException as exc:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not isinstance(exc, Exception):
            write_interrupted_outcome(batch, exc)
        batch.end(ended_well=False)
        raise
    return batch.results
