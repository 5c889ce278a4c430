"""Which item runs when: one after the other, on threads, or as tasks of an event loop.

All three keep one contract. Every item that starts gets exactly one outcome. No more than
`max_concurrent` are under way at a time, and no more than `max_retries` attempts are made of one.
Where `fail_fast` is set, no item starts after a failure; those under way finish, their retries
included. Items start in order, so the failed item with the lowest index is always the same one.
Attempts are counted per call, never on the node: PocketFlow's own loop counts on the node, and
concurrent items would take each other's attempts.

An exception that aborts the batch (`Host.aborts`) leaves no outcome and nothing running. An interrupt
(Ctrl-C, a cancelled task) leaves nothing running either, and publishes what was done by then. Either
also ends the batches that the items' own nodes run: those in other threads hear of it through `Stopped`.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import threading
from collections import deque
from typing import Any

from .attempts import attempt, attempt_async, fail
from .batch import Batch, Call, Result, Results, Stopped, around
from .garbage import fewer_collections
from .loops import TICK, LoopThread, is_loop_running, raise_if_cancelled
from .outcome import publish_interrupted

_GLANCE = 0.05
"""Seconds after which threads' progress is shown."""


def in_order(node: Any, batch: Batch, *, fail_fast: bool) -> Results:
    """Run the items one after the other in the caller's thread.

    Raises: an exception that aborts the batch; an interrupt.
    """
    batch.fail_fast = fail_fast
    report = batch.host.reporter(batch)
    inside_a_loop = is_loop_running()
    results: Results = []
    with fewer_collections, contextlib.ExitStack() as stack:
        if batch.is_async:
            batch.run_blocking = stack.enter_context(LoopThread()).run
        try:
            for index, item in enumerate(batch.items):
                if inside_a_loop:
                    raise_if_cancelled()
                if batch.around is not None:
                    batch.raise_if_stopped()
                call = Call(batch, index, item)
                result = attempt(node, call)
                batch.finish(call)
                results.append(result)
                if report is not None:
                    report(call, len(results))
                if fail_fast and call.error is not None:
                    break
        except BaseException as exc:
            if not isinstance(exc, Exception):
                publish_interrupted(batch, results, exc)
            raise
    return results


def in_threads(node: Any, batch: Batch, *, max_concurrent: int, fail_fast: bool) -> Results:
    """Run the items on at most `max_concurrent` threads, each call on its own copy of the inner node.

    Progress is reported in the caller's thread. After Ctrl-C no item and no further attempt starts, but
    the calls under way end, since a thread cannot be stopped; a second Ctrl-C does not wait for them.

    Raises: an exception that aborts the batch, once the calls under way are done; an interrupt.
    """
    batch.parallel, batch.max_concurrent, batch.fail_fast = True, max_concurrent, fail_fast
    crew = _Crew(node, batch)
    try:
        with fewer_collections:
            crew.start()
            crew.listen()
    except BaseException as exc:
        crew.stop()
        crew.join()
        if not isinstance(exc, Exception):
            publish_interrupted(batch, crew.results, exc)
        raise
    crew.join()
    if crew.aborts:
        raise min(crew.aborts, key=lambda found: found[0])[1]
    return crew.results


class _Crew:
    """The threads of one batch.

    They count outcomes themselves, under a lock; the caller's thread only listens, so the count is
    right wherever an interrupt hits it. It looks now and then, since a worker that woke it for every
    item would spend more time on that than on the item.
    """

    def __init__(self, node: Any, batch: Batch) -> None:
        self.results: Results = [None] * len(batch.items)
        self.aborts: list[tuple[int, BaseException]] = []
        self._node = node
        self._batch = batch
        self._copy_inner = batch.host.copier(node.inner)
        self._report = batch.host.reporter(batch)
        self._waiting = enumerate(list(batch.items))  # a copy: a node may change the list it is in
        self._closed = False
        self._lock = threading.Lock()
        self._finished: deque[Call] = deque()
        self._done = 0
        # The first items are given out here: how fast threads start must not decide which items run.
        first = [Call(batch, *taken) for taken in itertools.islice(self._waiting, batch.max_concurrent)]
        self._workers = [
            threading.Thread(target=self._work, args=(call,), name=f"{batch.node_id}-{call.index}", daemon=True)
            for call in first
        ]
        self._running = len(first)
        self._over = threading.Event()

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def listen(self) -> None:
        """Report what is finished, until every worker has ended."""
        while self._running and not self._over.wait(TICK if self._report is None else _GLANCE):
            raise_if_cancelled()
            self._batch.raise_if_stopped()
            self._tell()
        self._batch.raise_if_stopped()
        self._tell()

    def stop(self) -> None:
        """Let no item and no further attempt start."""
        with self._lock:
            self._closed = True
        self._batch.stopped.set()
        self._batch.host.stopping()

    def join(self) -> None:
        for worker in self._workers:
            if worker.ident is not None:  # was started
                worker.join()

    def _tell(self) -> None:
        while self._report is not None and self._finished:
            self._done += 1
            self._report(self._finished.popleft(), self._done)

    def _work(self, first: Call) -> None:
        around.set(self._batch)
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
        except Stopped:  # by this batch or one around it, and the caller's thread knows why
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
            self.results[call.index] = result
            self._batch.finish(call)
            if self._report is not None:
                call.store = None  # may wait there until long after
                self._finished.append(call)
            if self._batch.fail_fast and call.error is not None:
                self._closed = True
            taken = None if self._closed or self._batch.is_stopped() else next(self._waiting, None)
        return None if taken is None else Call(self._batch, *taken)


async def in_tasks(node: Any, batch: Batch, *, max_concurrent: int, fail_fast: bool) -> Results:
    """Run the items as at most `max_concurrent` tasks, each call on its own copy of the inner node.

    Raises: an exception that aborts the batch, or an interrupt, once the calls under way are cancelled.
    """
    batch.parallel, batch.max_concurrent, batch.fail_fast = True, max_concurrent, fail_fast
    copy_inner, report = batch.host.copier(node.inner), batch.host.reporter(batch)
    results: Results = [None] * len(batch.items)
    waiting = enumerate(list(batch.items))
    closed = False

    async def work() -> None:
        nonlocal closed
        own = copy.copy(node)
        while not closed and (taken := next(waiting, None)) is not None:
            call = Call(batch, *taken)
            try:
                own.inner = copy_inner()
            except Exception as exc:  # noqa: BLE001  a class may make copies as it likes
                fail(call, exc, f"Executor error: {exc}")
            else:
                results[call.index] = await attempt_async(own, call)
            batch.finish(call)
            if fail_fast and call.error is not None:
                closed = True
            if report is not None:
                report(call, len(batch.seconds))

    tasks = [asyncio.ensure_future(work()) for _ in range(min(max_concurrent, len(batch.items)))]
    try:
        with fewer_collections:
            await asyncio.gather(*tasks)
    except BaseException as exc:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not isinstance(exc, Exception):
            publish_interrupted(batch, results, exc)
        raise
    return results
