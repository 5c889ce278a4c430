"""Items on the workers of a Ray cluster: one more scheduler, for items that burn processor time.

What only waits (an API) needs no cluster: one process has it in flight on threads. Here the driver, the process that
runs the workflow, hands out chunks of items and keeps everything else: which items are left, the journal, what an
outcome means. A worker makes the attempts, `max_concurrent` items at once over all workers, and sends outcomes back
as they come, so that a worker that dies takes only what it had under way. What is left of its chunk then runs one by
one: only so is it certain which item it died of.

ray is imported when a batch runs here, and only then.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import itertools
import os
import pickle
import sys
import sysconfig
import time
import uuid
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from .attempts import attempt, attempt_async, fail
from .batch import Batch
from .call import Call
from .data_types import Result, Results
from .loops import run_blocking
from .missing import Missing
from .outcome import write_interrupted_outcome
from .pace import Pace, SharedBudget
from .turns import NotStarted
from .values import Capture

if TYPE_CHECKING:
    from .pace import Pacer

CHUNK_SECONDS = 0.5
"""About how long a chunk takes: long against what a task costs, short against what a death loses."""
LARGEST_CHUNK = 1_000
SEND_SECONDS = 0.005
"""How long a worker collects outcomes before it sends them."""
STOP_SECONDS = 0.2
"""How often a worker asks whether to go on."""
MOST_DEATHS = 3
"""How many workers may die of one item."""


class NotForRay(Exception):
    """The batch cannot run on Ray; the message says what stands in the way, and where it comes from."""


class Outcome(NamedTuple):
    """What became of one item on a worker. It is sent as a plain tuple, which is pickled several times as fast, and
    without the fields at its end that are as ever."""

    at: int
    result: Result | None
    seconds: float
    error: str | None = None
    exception: Exception | None = None
    attempt: int = 1
    warnings: Any = None


class _Shipped(NamedTuple):
    """What every worker needs, once: the node, the store and what was captured."""

    node: Any
    shared: dict[str, Any]
    captures: dict[str, Capture]
    total: int | None
    pacer: Any


class _Chunk:
    """Items on their way: a task, and those of its calls that have no outcome yet."""

    def __init__(self, calls: list[Call], deaths: int = 0) -> None:
        self.left = {call.index: call for call in calls}
        self.deaths = deaths
        self.begun = time.monotonic()
        self.size = len(calls)


def on_ray(node: Any, batch: Batch) -> Results:
    """Run the items on the cluster that the run names, `max_concurrent` at once over all of it.

    Raises: NotForRay, before the first item; an exception that aborts the batch; an interrupt.
    """
    driver = _Driver(node, batch)
    try:
        driver.run()
    except BaseException as exc:
        driver.stop()
        if not isinstance(exc, Exception):
            write_interrupted_outcome(batch, exc)
        batch.end(ended_well=False)
        raise
    return batch.results


class _Driver:
    """Hands out chunks and takes outcomes, in the process that runs the workflow."""

    def __init__(self, node: Any, batch: Batch) -> None:
        ray = _ray()

        self._ray = ray
        self._node = node
        self._batch = batch
        if batch.is_adaptive:
            raise NotForRay(
                f"{batch.node_id}: `max_concurrent: auto` is found out in one process; on Ray, write a number"
            )
        first = batch.next_call()  # whatever cannot be had is said before a cluster is asked for
        asked = batch.run.on_options.get(batch.node_id, {}) if batch.run is not None else {}
        options = {**node.ray_options, **asked}
        self._fixed = int(options.pop("chunk", 0))
        connect(batch.run.on_address if batch.run is not None else "")
        cpus = float(options.setdefault("num_cpus", 1)) or 1.0
        pacer = batch.controls.pacer if batch.controls is not None else None
        at_once = batch.max_concurrent
        if isinstance(pacer, SharedBudget) and pacer.max_concurrent is not None:
            at_once = min(at_once, pacer.max_concurrent)
        slots = max(1, min(int(ray.cluster_resources().get("CPU", 1) // cpus), at_once))
        self._width = max(1, at_once // slots)
        self._most_tasks = max(1, at_once // self._width)
        self._stop = f"pflow-lower-stop-{uuid.uuid4().hex}"
        self._given = ray.put(_shipped(node, batch, _RemotePacer(ray, pacer) if pacer is not None else None))
        options |= {"max_retries": 0, "name": _run_chunk.__name__}
        self._several = ray.remote(**{**options, "num_returns": "streaming"})(_run_chunk)
        self._single = ray.remote(**options)(_run_item)
        self._report = batch.engine.reporter(batch)
        self._seconds = 0.0  # of all items so far, to size the next chunk
        self._sign: Any = None
        self._again: deque[_Chunk] = deque()
        self._running: dict[Any, _Chunk] = {}
        self._first = first

    def run(self) -> None:
        """Until every item has its outcome, or none may start any more."""
        while True:
            while len(self._running) < self._most_tasks and (chunk := self._next_chunk()) is not None:
                task = self._single if chunk.size == 1 else self._several  # one item has nothing to come back earlier
                self._running[task.remote([self._given], self._pickled(chunk), self._width, self._stop)] = chunk
            if not self._running:
                return
            ready, _ = self._ray.wait(list(self._running), timeout=1.0)
            for task in ready:
                self._take(task)
            if self._batch.is_closed:
                self._tell_workers()
            self._batch.raise_if_stopped()

    def _pickled(self, chunk: _Chunk) -> bytes:
        """The items of `chunk`, as one value: Ray goes through what is in a list piece by piece.

        Raises: NotForRay, for an item that cannot be pickled.
        """
        dumps = self._ray.cloudpickle.dumps
        items = [(index, call.item) for index, call in chunk.left.items()]
        try:
            return bytes(dumps(items))
        except Exception as error:
            for index, item in items:
                if why := _why_not_pickled(dumps, item):
                    kind = type(item).__name__
                    raise NotForRay(
                        f"{self._batch.node_id}: item [{index}] (a {kind}) cannot be sent to a worker: {why}"
                    ) from error
            raise NotForRay(f"{self._batch.node_id}: the items cannot be sent to a worker: {error}") from error

    def stop(self) -> None:
        """Let no further item start, and forget what is under way."""
        self._batch.close()
        self._batch.stopped.set()
        self._batch.engine.on_stopping()
        with contextlib.suppress(Exception):  # a cluster that is gone needs no telling
            self._tell_workers()
            for task in self._running:
                self._ray.cancel(task, recursive=False)

    def _tell_workers(self) -> None:
        """Let no worker begin another item: the actor of that name is the sign, and they look whether it is there."""
        if self._sign is None:
            self._sign = self._ray.remote(num_cpus=0, name=self._stop)(_Sign).remote()

    def _next_chunk(self) -> _Chunk | None:
        if self._again:
            return None if self._batch.is_closed else self._again.popleft()
        calls: list[Call] = []
        size = self._size()
        while len(calls) < size:
            call, self._first = self._first or self._batch.next_call(), None
            if call is None:
                break
            if not self._is_restored(call):
                calls.append(call)
        return _Chunk(calls) if calls else None

    def _size(self) -> int:
        """How many items the next chunk has: as many as take about CHUNK_SECONDS, after what is known by now."""
        if self._fixed:
            return self._fixed
        if not self._batch.done:
            return self._width
        mean = self._seconds / self._batch.done
        return max(self._width, min(LARGEST_CHUNK, int(CHUNK_SECONDS / max(mean, 1e-6) * self._width)))

    def _is_restored(self, call: Call) -> bool:
        """Whether the journal, which stands here, has the answer."""
        controls = self._batch.controls
        if controls is None or controls.journal is None:
            return False
        outputs = controls.restored_here(self._node, call)
        if outputs is None:
            return False
        call.result = self._completed(call, outputs)
        self._finish(call, call.result)
        return True

    def _take(self, task: Any) -> None:
        """What a task has sent, or that it has ended."""
        exceptions = self._ray.exceptions
        deaths = (
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,
            exceptions.ObjectLostError,
        )
        chunk = self._running[task]
        try:
            if chunk.size == 1:
                outcomes = pickle.loads(self._ray.get(task))
                del self._running[task]
            else:
                outcomes = pickle.loads(self._ray.get(next(task)))
        except StopIteration:
            del self._running[task]
        except deaths as death:
            del self._running[task]
            self._after_death(chunk, death)
        else:
            for outcome in itertools.starmap(Outcome, outcomes):
                self._settle(chunk.left.pop(outcome.at), outcome)

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

    def _settle(self, call: Call, outcome: Outcome) -> None:
        call.error, call.exception, call.seconds = outcome.error, outcome.exception, outcome.seconds
        call.attempt = outcome.attempt
        if outcome.result is not None:
            call.result = self._completed(call, outcome.result)
        if outcome.warnings:
            call.store = {**self._batch.store_of_an_item(), "__warnings__": outcome.warnings}
        self._finish(call, call.result if call.error is None or outcome.result is not None else None)

    def _completed(self, call: Call, outputs: Mapping[str, Any]) -> Result:
        """The outputs as a result: with the item, which stayed here."""
        result = {**outputs, "item": call.item, "original_index": call.index}
        if call.key is not None:
            result["key"] = call.key
        return result

    def _finish(self, call: Call, result: Result | None) -> None:
        self._seconds += call.seconds
        self._batch.finish(call, result)
        if self._report is not None:
            self._report(call, self._batch.done)


def _ray() -> Any:
    """ray itself. Raises: NotForRay, where it is not installed."""
    try:
        import ray
        import ray.cloudpickle
    except ImportError as error:
        raise NotForRay("running on Ray needs ray: pip install ray") from error
    return ray


def connect(address: str) -> None:
    """Have a cluster: the one at `address`, one that this process is connected to already, or one of this machine.

    Raises: NotForRay, if there is none at `address`.
    """
    ray = _ray()

    if ray.is_initialized():
        return
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise NotForRay(f"no Ray cluster answers at {address or 'this machine'}: {error}") from error


def _shipped(node: Any, batch: Batch, pacer: Any) -> _Shipped:
    """What workers get. Raises: NotForRay, if a part of it cannot be pickled."""
    cloudpickle: Any = _ray().cloudpickle

    def check(value: Any, what: str) -> None:
        try:
            cloudpickle.dumps(value)
        except Exception as error:
            raise NotForRay(f"{batch.node_id}: {what} cannot be sent to a worker: {error}") from error

    captures = {}
    for name, value in vars(batch.given).items():
        reference = batch.references[name].without_start()
        kept = value.without_start() if isinstance(value, Missing) else value
        check(kept, f"the captured value ${{{reference.reference(lambda _: '')}}} (a {type(kept).__name__})")
        captures[name] = Capture(kept, reference)
    for module in _only_here(type(node), type(node.inner)):
        cloudpickle.register_pickle_by_value(module)
    worker = copy.copy(node)
    worker.engine = node.engine.for_worker()
    worker.successors = {}
    check(worker.inner, f"the node `{type(node.inner).__qualname__}` that runs for each item")
    check(worker, f"the class {type(node).__qualname__}")
    shared = {}
    for name, value in batch.shared.items():
        if name[:2] == "__":
            continue  # the engine's own: displays, traces
        try:
            cloudpickle.dumps(value)
        except Exception:  # noqa: BLE001  as above
            warnings.warn(
                f"shared[{name!r}] (a {type(value).__name__}) cannot be sent to workers: nodes do not find it there",
                stacklevel=2,
            )
        else:
            shared[name] = value
    return _Shipped(worker, shared, captures, batch.total, pacer)


def _why_not_pickled(dumps: Any, value: Any) -> str:
    try:
        dumps(value)
    except Exception as error:  # noqa: BLE001  values fail at being pickled as they like
        return str(error) or type(error).__name__
    return ""


def _only_here(*classes: type) -> Iterator[ModuleType]:
    """The modules of `classes` that are not installed, so that a worker may not find them by their names."""
    paths = sysconfig.get_paths()
    installed = tuple(os.path.join(os.path.realpath(paths[name]), "") for name in ("stdlib", "purelib", "platlib"))
    for name in {base.__module__ for cls in classes for base in cls.__mro__}:
        module = sys.modules.get(name)
        if module is None or name in sys.builtin_module_names or name.partition(".")[0] == "pflow_lower":
            continue
        file = getattr(module, "__file__", None)
        if file is None or not os.path.realpath(file).startswith(installed):
            yield module


# On the workers.


class _Sign:
    """An actor that says by being there that the batch is over."""


class _RemotePacer:
    """A pacer that all workers share: an actor around the driver's own rate. It runs on the driver's machine, where
    the file of a named budget is, so that what other processes start under its rate counts, too."""

    def __init__(self, ray: Any, pacer: Pacer) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        path = pacer.path if isinstance(pacer, SharedBudget) else None
        self._actor = ray.remote(num_cpus=0, scheduling_strategy=here)(_PacerActor).remote(pacer.rate, path)

    def reserve(self) -> float:
        """In how many seconds the next start is."""
        ray = _ray()

        return float(ray.get(self._actor.reserve.remote()))

    def hold(self, seconds: float) -> None:
        """No start for `seconds`, on any worker."""
        ray = _ray()

        ray.get(self._actor.hold.remote(seconds))


class _PacerActor:
    def __init__(self, rate: Any, path: Any) -> None:
        self._pace: Pacer = Pace(rate) if path is None else SharedBudget(path, rate)

    def reserve(self) -> float:
        return self._pace.reserve()

    def hold(self, seconds: float) -> None:
        self._pace.hold(seconds)


class _WorkerBatch(Batch):
    """A batch of which a worker sees a chunk: it knows how many items there are in all, and decides nothing."""

    whole: int | None = None

    @property
    def total(self) -> int | None:
        """How many items the whole batch has."""
        return self.whole


_kept: dict[str, _Shipped] = {}
"""In a worker: what it needs for the batch that it works for. Unpickling it for every chunk would take milliseconds."""


def _shipped_for(stop: str, given: list[Any]) -> _Shipped:
    """What the batch with that sign was given, kept until the worker gets items of another batch."""
    if stop not in _kept:
        _kept.clear()
        _kept[stop] = _ray().get(given[0])
    return _kept[stop]


def _run_chunk(given: list[Any], pickled: bytes, width: int, stop: str) -> Iterator[bytes]:
    """The outcomes of some items, in groups as they come: each group is a pickled list of tuples."""
    from .controls import controls_of

    shipped = _shipped_for(stop, given)
    items: list[tuple[int, Any]] = pickle.loads(pickled)
    node = shipped.node
    batch = _WorkerBatch(node, shipped.shared, [], shipped.captures)
    batch.whole = shipped.total
    batch.controls = controls_of(node, batch, None, pacer=shipped.pacer)
    copy_inner = batch.engine.copy_factory(node.inner)
    is_async = hasattr(node, "exec_async")
    asked = time.monotonic()
    stopped = False

    def may_go_on() -> bool:
        nonlocal asked, stopped
        now = time.monotonic()
        if not stopped and now - asked > STOP_SECONDS:
            asked, stopped = now, _is_there(stop)
        return not stopped

    def one(own: Any, index: int, item: Any) -> tuple[Any, ...]:
        call = Call(batch, index, item)
        result: Result | None = None
        try:
            own.inner = copy_inner()
        except Exception as exc:  # noqa: BLE001  a class may make copies as it likes
            fail(call, exc, f"Executor error: {exc}")
        else:
            result = run_blocking(attempt_async(own, call)) if is_async else attempt(own, call)
        return _outcome(call, result)

    ready: list[tuple[Any, ...]] = []
    sent = time.monotonic()
    outcomes = _one_after_the_other if width == 1 else _on_threads
    try:
        for outcome in outcomes(node, items, one, may_go_on, width):
            ready.append(outcome)
            if time.monotonic() - sent >= SEND_SECONDS:
                yield _sendable(ready)
                ready, sent = [], time.monotonic()
    finally:
        if batch.controls is not None:
            batch.controls.close()
    if ready:
        yield _sendable(ready)


def _run_item(given: list[Any], pickled: bytes, width: int, stop: str) -> bytes:
    """The outcome of a chunk of one item, as `_run_chunk` sends it: a task that streams costs twice as much."""
    return next(_run_chunk(given, pickled, width, stop), _NOTHING)


_NOTHING = pickle.dumps([])


def _sendable(outcomes: list[tuple[Any, ...]]) -> bytes:
    """Outcomes as they are sent. An item whose outputs cannot be pickled has failed of that."""
    dumps = _ray().cloudpickle.dumps
    try:
        return bytes(dumps(outcomes))
    except Exception:  # noqa: BLE001  a node may put out anything: which one it is, is found out one by one
        return bytes(dumps([_sendable_outcome(outcome, dumps) for outcome in outcomes]))


def _sendable_outcome(outcome: tuple[Any, ...], dumps: Any) -> tuple[Any, ...]:
    try:
        dumps(outcome)
    except Exception as error:  # noqa: BLE001  as above
        made = RuntimeError(f"the outputs cannot be sent back from a worker: {error}")
        found = Outcome(*outcome)
        return tuple(found._replace(result=None, error=str(made), exception=made, warnings=None))
    return outcome


def _is_there(name: str) -> bool:
    try:
        _ray().get_actor(name)
    except ValueError:  # how Ray says that there is none
        return False
    return True


def _one_after_the_other(
    node: Any, items: list[tuple[int, Any]], one: Any, may_go_on: Any, width: int
) -> Iterator[tuple[Any, ...]]:
    own = copy.copy(node)
    for index, item in items:
        if not may_go_on():
            return
        try:
            yield one(own, index, item)
        except NotStarted:
            continue


def _on_threads(
    node: Any, items: list[tuple[int, Any]], one: Any, may_go_on: Any, width: int
) -> Iterator[tuple[Any, ...]]:
    left = iter(items)
    with ThreadPoolExecutor(width) as pool:
        running: set[Future[tuple[Any, ...]]] = set()
        while True:
            while len(running) < width and may_go_on() and (taken := next(left, None)) is not None:
                running.add(pool.submit(contextvars.copy_context().run, one, copy.copy(node), *taken))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                with contextlib.suppress(NotStarted):
                    yield future.result()


def _outcome(call: Call, result: Result | None) -> tuple[Any, ...]:
    """What can be sent back: without the item, which the driver has, and with an exception that can be pickled."""
    outputs = None
    if result is not None:
        outputs = result.copy()
        for name in ("item", "original_index", "key"):
            outputs.pop(name, None)
    warned = call.store.get("__warnings__") if call.store is not None else None
    if call.error is None and call.exception is None and call.attempt == 1 and not warned:
        return call.index, outputs, call.seconds
    return call.index, outputs, call.seconds, call.error, _picklable(call.exception), call.attempt, warned


def _picklable(exception: Exception | None) -> Exception | None:
    if exception is None:
        return None
    try:
        pickle.loads(pickle.dumps(exception))
    except Exception:  # noqa: BLE001  exceptions fail at being pickled as they like
        made = RuntimeError(f"{type(exception).__name__}: {exception}")
        for note in getattr(exception, "__notes__", ()):
            if hasattr(made, "add_note"):
                made.add_note(note)
        return made
    return exception
