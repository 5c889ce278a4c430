"""The driver of a batch on a cluster: hands out chunks of items and takes outcomes.

It stands in the process that runs the workflow. The batch decides which items are left and what an outcome means, as
for every scheduler (`schedule.py`); the driver decides where and when an item runs.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .attempts import fail
from .batch import Batch
from .below import Below, keep_from_others
from .call import Call
from .data_types import Result
from .inner import set_result
from .loops import CANCEL_CHECK_INTERVAL, raise_if_cancelled
from .missing import ParameterError
from .ray_chunks import Chunk, chunk_size, layout
from .ray_cluster import connect, deaths, task_of
from .ray_home import home_of
from .ray_pacer import Places, RemotePacer
from .ray_pickles import Outcome, Usual, pickled_items, shipped
from .ray_place import NotForRay, refuse_what_ray_cannot_do
from .ray_waiting import Waiting
from .ray_worker import SEND_SECONDS, Sign, streamed, whole
from .stream_files import StreamError
from .turns import SLOT_INTERVAL

MOST_DEATHS = 3
"""How many workers may die of one item."""
MOST_TELLING_SECONDS = 5.0
"""How long a batch that is stopped tries to tell the workers."""
MOST_IN_CODE = 1_000_000
"""Bytes up to which what a batch ships goes out with the code of its tasks, which a worker gets once: a reference to
them in every task costs 0.2 ms a task."""


def too_many_deaths(death: Exception) -> str:
    """Why an item is not tried again."""
    return f"{MOST_DEATHS} workers died of this item ({type(death).__name__})"


class Stopped(BaseException):
    """The batch was stopped from another thread, which says why."""


class Driver:
    """Hands out chunks and takes outcomes, in the process that runs the workflow."""

    def __init__(self, node: Any, batch: Batch) -> None:
        self._node = node
        self._batch = batch
        refuse_what_ray_cannot_do([node])
        self._first: list[tuple[int, Any]] = []
        self._begin()
        asked = batch.run.on_options.get(batch.node_id, {}) if batch.run is not None else {}
        options: dict[str, Any] = {**node.ray_options, **asked}
        self._fixed = int(options.pop("chunk", 0))
        self._ray = ray = connect(batch.run.on_address if batch.run is not None else "")
        cpus = float(options.setdefault("num_cpus", 1))
        self._options = options
        self._home = home_of(ray, options)
        self._told: set[str] = set()
        self._waiting = Waiting(ray, batch.node_id, options, batch.tell)
        self._waiting.begin()
        self._prepare()
        pacer = batch.controls.pacer if batch.controls is not None else None
        self._journal = batch.controls.journal if batch.controls is not None else None
        self._places = Places(pacer)
        at_once = min(batch.max_concurrent, self._places.most)
        self._most_tasks, self._width = layout(ray.cluster_resources().get("CPU", 1), cpus, at_once)
        self._sign_name = f"pflow-lower-stop-{uuid.uuid4().hex}"
        if batch.controls is not None:
            batch.controls.are_given_elsewhere = True
        given = shipped(node, batch, RemotePacer(pacer) if pacer is not None else None)
        # In a list Ray leaves a reference alone: a worker asks for it once, and not for every chunk.
        self._more = () if len(given) <= MOST_IN_CODE else ([ray.put(given)],)
        options["max_retries"] = 0
        known = self._sign_name, self._home, given if not self._more else None
        self._make_tasks(functools.partial(task_of, ray, known, options))
        self._report = batch.engine.reporter(batch)
        self._taken = 0
        self._ran = 0
        self._seconds = 0.0  # of the items that ran, to size the next chunk
        self._sign: Any = None
        self._again: deque[Chunk] = deque()
        self._running: dict[Any, Chunk] = {}
        self._settles_groups = self._report is None and batch.only_counts
        self._asked: dict[int, Call] = {}
        """Those that the journal had no answer for: they know what they are journalled as."""
        self._kept: list[tuple[Chunk, Usual]] = []
        """What is there of chunks that ended well, and is settled when their workers have the next ones."""

    def _begin(self) -> None:
        """Whatever cannot be had is said before a cluster is asked for."""
        self._first = self._batch.next_items(1)

    def _prepare(self) -> None:
        """There is a cluster now."""

    def _make_tasks(self, made: Callable[..., Any]) -> None:
        self._whole, self._streamed = made(whole, is_stream=False), made(streamed, is_stream=True)

    def run(self) -> None:
        """Until every item has its outcome, or none may start any more."""
        batch = self._batch
        while True:
            is_waiting = self._hand_out()
            self._settle_kept()
            if self._running:
                # As soon as anything is there; what only another thread can tell is looked for now and then.
                ready, _ = self._ray.wait(list(self._running), timeout=CANCEL_CHECK_INTERVAL)
                for task in ready:
                    self._take(task)
                self._waiting.look()
            elif is_waiting:
                batch.wait(SLOT_INTERVAL)
            else:
                return
            if batch.is_closed:
                self._tell_workers()
            raise_if_cancelled()
            batch.raise_if_stopped()
            if batch.stopped.is_set():
                raise Stopped

    def stop(self) -> None:
        """Let no further item start, and forget what is under way."""
        self._batch.stop()
        self._settle_kept()
        self._batch.engine.on_stopping()
        # A cluster that is gone needs no telling, and Ray would wait for it: not the one who has stopped this.
        telling = threading.Thread(target=self._tell_of_stop, args=(list(self._running),), daemon=True)
        telling.start()
        telling.join(MOST_TELLING_SECONDS)
        for chunk in self._running.values():
            self._places.leave(chunk.places)

    def _tell_of_stop(self, tasks: list[Any]) -> None:
        with contextlib.suppress(Exception):
            self._tell_workers()
            for task in tasks:
                self._ray.cancel(task, recursive=False)

    def _tell_workers(self) -> None:
        """Let no worker begin another item: the actor of that name is the sign, and they look whether it is there."""
        if self._sign is None:
            self._sign = self._ray.remote(num_cpus=0, name=self._sign_name)(Sign).remote()

    # Where and when.

    def _hand_out(self) -> bool:
        """Give every free worker a chunk; True if items are left that wait for a place in their budget."""
        while len(self._running) < self._most_tasks:
            places = self._places.enter(self._width)
            if not places:
                return not self._batch.is_closed
            chunk = self._next_chunk()
            if chunk is None:
                self._places.leave(places)
                return False
            chunk.places, more = places[: chunk.most], places[chunk.most :]
            self._places.leave(more)
            self._running[self._send(chunk, len(chunk.places))] = chunk
        return False

    def _send(self, chunk: Chunk, width: int) -> Any:
        # One value costs a third less than a stream, and what is there at once need not come back in parts.
        # Until a worker is heard of, each says that it has begun.
        is_awaited = not self._waiting.has_begun
        is_short = len(chunk.left) == 1 or 0 < self._mean() * len(chunk.left) / width <= SEND_SECONDS
        chunk.is_whole = is_short and not is_awaited
        task = self._whole if chunk.is_whole else self._streamed
        return task.remote(pickled_items(self._batch, chunk.left, width, is_awaited=is_awaited), *self._more)

    def _next_chunk(self) -> Chunk | None:
        if self._again:
            return None if self._batch.is_closed else self._again.popleft()
        items: dict[int, Any] = {}
        size = self._size()
        while len(items) < size:
            taken, self._first = self._first or self._batch.next_items(size - len(items)), []
            if not taken:
                break
            self._taken += len(taken)
            items.update(taken if self._journal is None else self._restore_or_ask(taken))
        return Chunk(items) if items else None

    def _mean(self) -> float:
        """How long an item takes, in seconds, after what is known by now; 0 if that is nothing."""
        return max(self._seconds / self._ran, 1e-6) if self._ran else 0.0

    def _size(self) -> int:
        left = None if self._batch.total is None else self._batch.total - self._taken
        return self._fixed or chunk_size(self._mean(), self._width, left, self._most_tasks)

    def _restore_or_ask(self, items: list[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Finish those of `items` that the journal, which stands here, has an answer for; gives the others."""
        controls = self._batch.controls
        assert controls is not None
        for index, item in items:
            call = Call(self._batch, index, item)
            outputs = controls.restore_here(self._node, call)
            if outputs is None:
                self._asked[index] = call
                yield index, item
            else:
                call.result = _completed(call, outputs)
                self._finish(call, call.result)

    # What comes back.

    def _take(self, task: Any) -> None:
        """What a task has sent, or that it has ended.

        Raises: what ends the batch, if an item raised that; NotForRay, if the worker could not even begin.
        """
        chunk = self._running[task]
        try:
            with self._saying_why_not():
                group = self._ray.get(task if chunk.is_whole else next(task))
        except StopIteration:
            self._release(task)
        except deaths() as death:
            self._release(task)
            self._after_death(chunk, death)
            if not self._running:  # of all workers: it may be that no other can be had
                self._waiting.begin()
        else:
            self._receive(chunk, group)
            if chunk.is_done:  # that a stream has ended need not be waited for
                self._release(task)

    @contextlib.contextmanager
    def _saying_why_not(self) -> Iterator[None]:
        """Raises: NotForRay, where a worker could not even begin."""
        try:
            yield
        except (self._ray.exceptions.RayTaskError, self._ray.exceptions.RuntimeEnvSetupError) as error:
            raise NotForRay(f"{self._batch.node_id}: a worker cannot run the items: {error}") from error

    def _receive(self, chunk: Chunk, group: bytes) -> None:
        usual, rest, abort, *news = pickle.loads(group)
        self._hear(news)
        others = [Outcome(*outcome) for outcome in rest]
        self._seconds += sum(usual[2]) + sum(outcome.seconds for outcome in others)
        self._ran += len(usual[2]) + len(others)
        if chunk.is_whole and not others and abort is None and self._settles_groups:
            self._kept.append((chunk, usual))  # nothing in it keeps the next chunk from starting
        else:
            self._settle_usual(chunk, usual)
            for outcome in others:
                self._settle(chunk, outcome)
        chunk.is_done = chunk.is_whole or not chunk.left
        if abort is not None:
            raise abort[1]

    def _hear(self, news: list[str]) -> None:
        """A worker has begun, and this is what it has to tell."""
        self._waiting.has_begun = True
        for text in news:
            if text not in self._told:
                self._told.add(text)
                self._batch.tell(f"{self._batch.node_id}: {text}")

    def _release(self, task: Any) -> None:
        self._places.leave(self._running.pop(task).places)

    def _after_death(self, chunk: Chunk, death: Exception) -> None:
        if len(chunk.left) != 1:
            self._again.extend(Chunk({index: item}, chunk.deaths) for index, item in chunk.left.items())
            return
        if chunk.deaths + 1 < MOST_DEATHS:
            self._again.append(Chunk(chunk.left, chunk.deaths + 1))
            return
        call = Call(self._batch, *chunk.left.popitem())
        fail(call, RuntimeError(too_many_deaths(death)))
        self._finish(call, None)

    def _settle_kept(self) -> None:
        while self._kept:
            self._settle_usual(*self._kept.pop())

    def _settle_usual(self, chunk: Chunk, usual: Usual) -> None:
        """Items that ended well at their first attempt."""
        if not self._settles_groups:
            for outcome in zip(*usual, strict=True):
                self._settle(chunk, Outcome(*outcome))
            return
        indexes, results, seconds = usual
        if len(set(map(id, results))) < len(results):
            results = [outputs.copy() for outputs in results]  # several items answered one and the same object
        pop = chunk.left.pop
        for index, result in zip(indexes, results, strict=True):
            result["item"] = pop(index)
            result["original_index"] = index
        self._batch.finish_group(indexes, results, seconds)

    def _settle(self, chunk: Chunk, outcome: Outcome) -> None:
        item = chunk.left.pop(outcome.at)
        call = self._asked.pop(outcome.at, None) or Call(self._batch, outcome.at, item)
        call.error, call.exception, call.seconds = outcome.error, outcome.exception, outcome.seconds
        call.attempt, call.noted, call.is_no_answer = outcome.attempt, outcome.noted, outcome.is_no_answer
        if outcome.left_items_out or outcome.written:
            outcome = self._heard(call, outcome)
        if outcome.result is not None:
            call.result = _completed(call, outcome.result)
        if outcome.warnings:
            own = {"__warnings__": outcome.warnings, self._batch.node_id: outcome.result}
            call.store = {**self._batch.store_of_an_item(), **own}
        if isinstance(call.exception, ParameterError) and not outcome.has_entered:
            self._resolve_here(call, call.exception)
            outcome = outcome._replace(result=call.result)
        self._finish(call, call.result if call.error is None or outcome.result is not None else None)

    def _heard(self, call: Call, outcome: Outcome) -> Outcome:
        """`outcome`, once it is known here what batches below the item have come to: it may be none."""
        below = call.below = Below(call)
        if outcome.left_items_out:
            below.leave_items_out()
        for written in outcome.written:
            below.write(written)
        try:  # each worker knows only of its own items
            keep_from_others(call, outcome.written)
        except StreamError as error:
            fail(call, error)
            return outcome._replace(result=None)
        return outcome

    def _resolve_here(self, call: Call, error: ParameterError) -> None:
        """What the engine, which stays here, says of a parameter without a value; or what it makes of it, here."""
        try:
            result = self._batch.engine.unresolved(self._node, call, error)
        except Exception as instead:  # noqa: BLE001  as in `attempt`
            if instead is not error:
                fail(call, instead)
            return
        call.error = call.exception = None
        set_result(call, result)

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
