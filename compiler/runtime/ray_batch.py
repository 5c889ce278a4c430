"""Items on the workers of a Ray cluster: one more scheduler, for items that burn processor time.

What only waits (an API) needs no cluster: one process has it in flight on threads. Here the driver, the process that
runs the workflow, hands out chunks of items and keeps everything else: which items are left, the journal, what an
outcome means. A worker makes the attempts (`ray_worker.py`), `max_concurrent` items at once over all workers, and
sends outcomes back as they come, so that a worker that dies takes only what it had under way. What is left of its
chunk then runs one by one: only so is it certain which item it died of.

ray is imported when a batch runs here, and only then.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from .attempts import fail
from .batch import Batch
from .call import Call
from .data_types import Result, Results
from .loops import CANCEL_CHECK_INTERVAL, raise_if_cancelled
from .outcome import write_interrupted_outcome
from .pace import SharedBudget
from .ray_cluster import NotForRay, connect, deaths
from .ray_pacer import RemotePacer
from .ray_pickles import USUAL, Outcome, pickled_items, shipped
from .ray_worker import SEND_SECONDS, Sign, streamed, whole
from .turns import SLOT_INTERVAL

CHUNK_SECONDS = 0.5
"""About how long a chunk takes: long against what a task costs, short against what a death loses."""
LARGEST_CHUNK = 1_000
LEAST_SECONDS = 0.02
"""How short chunks get towards the end of a batch, so that all workers end at about the same time."""
MOST_DEATHS = 3
"""How many workers may die of one item."""
MOST_IN_CODE = 1_000_000
"""Bytes up to which what a batch ships goes out with the code of its tasks, which a worker gets once: a reference to
them in every task costs 0.2 ms a task."""


def on_ray(node: Any, batch: Batch) -> Results:
    """Run the items on the cluster that the run names, `max_concurrent` at once over all of it.

    Raises: NotForRay, before the first item; an exception that aborts the batch; an interrupt.
    """
    driver = _Driver(node, batch)
    try:
        driver.run()
    except BaseException as exc:
        driver.stop()
        if not isinstance(exc, (Exception, _Stopped)):
            write_interrupted_outcome(batch, exc)
        batch.end(ended_well=False)
        raise
    return batch.results


async def on_ray_async(node: Any, batch: Batch) -> Results:
    """`on_ray`, in a task of a loop that goes on meanwhile.

    Raises: the same; a cancellation, once nothing is handed out any more.
    """
    work = asyncio.ensure_future(asyncio.to_thread(on_ray, node, batch))
    try:
        return await asyncio.shield(work)
    except BaseException as exc:
        if work.done():
            raise
        batch.close()
        batch.stopped.set()
        with contextlib.suppress(_Stopped):
            await work
        write_interrupted_outcome(batch, exc)
        raise


class _Stopped(BaseException):
    """The batch was stopped from another thread, which says why."""


class _Chunk:
    """Items on their way: a task, and those of its calls that have no outcome yet."""

    def __init__(self, calls: list[Call], deaths: int = 0) -> None:
        self.left = {call.index: call for call in calls}
        self.deaths = deaths
        self.is_whole = False
        """Whether it comes back as one value, and not as a stream."""
        self.slots: list[int] = []
        """The places that it takes in a budget that others have a part in."""


class _Driver:
    """Hands out chunks and takes outcomes, in the process that runs the workflow."""

    def __init__(self, node: Any, batch: Batch) -> None:
        self._node = node
        self._batch = batch
        if batch.is_adaptive:
            raise NotForRay(
                f"{batch.node_id}: `max_concurrent: auto` is found out in one process; on Ray, write a number"
            )
        self._first = batch.next_call()  # whatever cannot be had is said before a cluster is asked for
        asked = batch.run.on_options.get(batch.node_id, {}) if batch.run is not None else {}
        options: dict[str, Any] = {**node.ray_options, **asked}
        self._fixed = int(options.pop("chunk", 0))
        self._ray = ray = connect(batch.run.on_address if batch.run is not None else "")
        cpus = float(options.setdefault("num_cpus", 1)) or 1.0
        pacer = batch.controls.pacer if batch.controls is not None else None
        self._budget = pacer if isinstance(pacer, SharedBudget) and pacer.max_concurrent is not None else None
        at_once = batch.max_concurrent
        if self._budget is not None and self._budget.max_concurrent is not None:
            at_once = min(at_once, self._budget.max_concurrent)
        slots = max(1, min(int(ray.cluster_resources().get("CPU", 1) // cpus), at_once))
        self._width = max(1, at_once // slots)
        self._most_tasks = max(1, at_once // self._width)
        self._sign_name = f"pflow-lower-stop-{uuid.uuid4().hex}"
        if batch.controls is not None:
            batch.controls.are_given_elsewhere = True
        given = shipped(node, batch, RemotePacer(pacer) if pacer is not None else None)
        # In a list Ray leaves a reference alone: a worker asks for it once, and not for every chunk.
        self._more = () if len(given) <= MOST_IN_CODE else ([ray.put(given)],)
        options["max_retries"] = 0
        self._whole, self._streamed = _tasks(ray, (self._sign_name, given if not self._more else None), options)
        self._report = batch.engine.reporter(batch)
        self._taken = 0
        self._ran = 0
        self._seconds = 0.0  # of the items that ran, to size the next chunk
        self._sign: Any = None
        self._again: deque[_Chunk] = deque()
        self._running: dict[Any, _Chunk] = {}

    def run(self) -> None:
        """Until every item has its outcome, or none may start any more."""
        batch = self._batch
        while True:
            is_waiting = self._hand_out()
            if self._running:
                # As soon as anything is there; what only another thread can tell is looked for now and then.
                ready, _ = self._ray.wait(list(self._running), timeout=CANCEL_CHECK_INTERVAL)
                for task in ready:
                    self._take(task)
            elif is_waiting:
                batch.wait(SLOT_INTERVAL)
            else:
                return
            if batch.is_closed:
                self._tell_workers()
            raise_if_cancelled()
            batch.raise_if_stopped()
            if batch.stopped.is_set():
                raise _Stopped

    def stop(self) -> None:
        """Let no further item start, and forget what is under way."""
        self._batch.close()
        self._batch.stopped.set()
        self._batch.engine.on_stopping()
        with contextlib.suppress(Exception):  # a cluster that is gone needs no telling
            self._tell_workers()
            for task in self._running:
                self._ray.cancel(task, recursive=False)
        for chunk in self._running.values():
            self._leave(chunk)

    def _tell_workers(self) -> None:
        """Let no worker begin another item: the actor of that name is the sign, and they look whether it is there."""
        if self._sign is None:
            self._sign = self._ray.remote(num_cpus=0, name=self._sign_name)(Sign).remote()

    # Where and when.

    def _hand_out(self) -> bool:
        """Give every free worker a chunk; True if items are left that wait for a place in their budget."""
        while len(self._running) < self._most_tasks:
            slots = self._enter()
            if slots is not None and not slots:
                return not self._batch.is_closed
            chunk = self._next_chunk()
            if chunk is None:
                self._leave_all(slots or [])
                return False
            width = min(self._width if slots is None else len(slots), len(chunk.left))
            chunk.slots = slots or []
            while len(chunk.slots) > width:
                self._leave_all([chunk.slots.pop()])
            # One value costs a third less than a stream, and what is there at once need not come back in parts.
            chunk.is_whole = len(chunk.left) == 1 or 0 < self._mean() * len(chunk.left) / width <= SEND_SECONDS
            send = self._whole if chunk.is_whole else self._streamed
            message = pickled_items(self._batch, chunk.left, width)
            self._running[send.remote(message, *self._more)] = chunk
        return False

    def _enter(self) -> list[int] | None:
        """Places for as many items as a task runs at a time, or as many as are free; None where nothing bounds them.

        They are held here, in the process that runs the workflow: the file of the budget is on this machine.
        """
        if self._budget is None:
            return None
        slots: list[int] = []
        while len(slots) < self._width and (slot := self._budget.enter()) is not None:
            slots.append(slot)
        return slots

    def _leave(self, chunk: _Chunk) -> None:
        self._leave_all(chunk.slots)
        chunk.slots = []

    def _leave_all(self, slots: list[int]) -> None:
        for slot in slots:
            if self._budget is not None:
                self._budget.leave(slot)

    def _next_chunk(self) -> _Chunk | None:
        if self._again:
            return None if self._batch.is_closed else self._again.popleft()
        calls: list[Call] = []
        size = self._size()
        while len(calls) < size:
            call, self._first = self._first or self._batch.next_call(), None
            if call is None:
                break
            self._taken += 1
            if not self._is_restored(call):
                calls.append(call)
        return _Chunk(calls) if calls else None

    def _mean(self) -> float:
        """How long an item takes, in seconds, after what is known by now; 0 if that is nothing."""
        return max(self._seconds / self._ran, 1e-6) if self._ran else 0.0

    def _size(self) -> int:
        """How many items the next chunk has: as many as take about CHUNK_SECONDS, and towards the end fewer."""
        if self._fixed:
            return self._fixed
        mean = self._mean()
        if not mean:
            return self._width
        size = min(LARGEST_CHUNK, int(CHUNK_SECONDS / mean * self._width))
        if self._batch.total is not None:
            left = self._batch.total - self._taken
            size = min(size, max(left // (2 * self._most_tasks), int(LEAST_SECONDS / mean * self._width)))
        return max(self._width, size)

    def _is_restored(self, call: Call) -> bool:
        """Whether the journal, which stands here, has the answer."""
        controls = self._batch.controls
        if controls is None or controls.journal is None:
            return False
        outputs = controls.restored_here(self._node, call)
        if outputs is None:
            return False
        call.result = _completed(call, outputs)
        self._finish(call, call.result)
        return True

    # What comes back.

    def _take(self, task: Any) -> None:
        """What a task has sent, or that it has ended.

        Raises: what ends the batch, if an item raised that; NotForRay, if the worker could not even begin.
        """
        chunk = self._running[task]
        try:
            group = self._ray.get(task if chunk.is_whole else next(task))
        except StopIteration:
            self._ended(task)
        except deaths() as death:
            self._ended(task)
            self._after_death(chunk, death)
        except (self._ray.exceptions.RayTaskError, self._ray.exceptions.RuntimeEnvSetupError) as error:
            raise NotForRay(f"{self._batch.node_id}: a worker cannot run the items: {error}") from error
        else:
            outcomes, abort = pickle.loads(group)
            self._settle(chunk, outcomes)
            if abort is not None:
                raise abort[1]
            if chunk.is_whole or not chunk.left:  # that a stream has ended need not be waited for
                self._ended(task)

    def _ended(self, task: Any) -> None:
        self._leave(self._running.pop(task))

    def _after_death(self, chunk: _Chunk, death: Exception) -> None:
        if len(chunk.left) != 1:
            self._again.extend(_Chunk([call], chunk.deaths) for call in chunk.left.values())
            return
        (call,) = chunk.left.values()
        if chunk.deaths + 1 < MOST_DEATHS:
            self._again.append(_Chunk([call], chunk.deaths + 1))
            return
        fail(call, RuntimeError(f"{MOST_DEATHS} workers died of this item ({type(death).__name__})"))
        self._finish(call, None)

    def _settle(self, chunk: _Chunk, outcomes: list[tuple[Any, ...]]) -> None:
        pop, finish, report, has_keys = chunk.left.pop, self._batch.finish, self._report, self._batch.has_keys
        for outcome in outcomes:
            call = pop(outcome[0])
            if len(outcome) == USUAL and not has_keys and report is None:  # nearly every item's way
                call.seconds = outcome[2]
                call.result = {**outcome[1], "item": call.item, "original_index": call.index}
                finish(call, call.result)
            else:
                self._settle_unusual(call, Outcome(*outcome))
            self._seconds += call.seconds
        self._ran += len(outcomes)

    def _settle_unusual(self, call: Call, outcome: Outcome) -> None:
        call.error, call.exception, call.seconds = outcome.error, outcome.exception, outcome.seconds
        call.attempt = outcome.attempt
        if outcome.result is not None:
            call.result = _completed(call, outcome.result)
        if outcome.warnings:
            call.store = {**self._batch.store_of_an_item(), "__warnings__": outcome.warnings}
        self._finish(call, call.result if call.error is None or outcome.result is not None else None)

    def _finish(self, call: Call, result: Result | None) -> None:
        self._batch.finish(call, result)
        if self._report is not None:
            self._report(call, self._batch.done)


def _completed(call: Call, outputs: Mapping[str, Any]) -> Result:
    """The outputs as a result: with the item, which stayed here."""
    result = {**outputs, "item": call.item, "original_index": call.index}
    if call.key is not None:
        result["key"] = call.key
    return result


def _tasks(ray: Any, given: tuple[str, bytes | None], options: Mapping[str, Any]) -> tuple[Any, Any]:
    """The two remote functions of a batch: they carry what it ships, unless that is large, or get a reference to it."""
    sign, pickled = given

    def run_chunk(message: bytes, more: Any = pickled) -> bytes:
        return whole((sign, more), message)

    def run_stream(message: bytes, more: Any = pickled) -> Iterator[bytes]:
        yield from streamed((sign, more), message)

    name = "pflow-lower"
    return (
        ray.remote(**{**options, "name": name})(run_chunk),
        ray.remote(**{**options, "name": name, "num_returns": "streaming"})(run_stream),
    )
