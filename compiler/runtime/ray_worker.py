"""What a worker of a cluster does with a chunk of items: makes the attempts, and sends outcomes back as they come.

Nothing is decided here: what an outcome means is said where the workflow runs (`ray_batch.py`), and whether to go on,
too. Each message is a pickled group of outcomes, with the exception that ended the batch, if one did.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .attempts import attempt, attempt_async, fail
from .batch import Batch
from .below import hear_of_batches_below
from .call import Call
from .controls import controls_of
from .data_types import Result
from .exceptions import message_of
from .loops import LoopThread
from .ray_cluster import ray_itself
from .ray_home import Home, go_home
from .ray_pickles import Given, Shipped, outcome_of, pickled_group
from .turns import NotStarted

SEND_SECONDS = 0.01
"""How long a worker collects outcomes before it sends them: to send is about 0.3 ms of work."""
STOP_SECONDS = 0.2
"""How often a worker asks whether to go on."""


class Sign:
    """An actor that says by being there that the batch is over."""


def whole(given: Given, message: bytes) -> bytes:
    """The outcomes of a chunk as one group: of one item, or of items that take no time to speak of."""
    work = work_of(given)
    outcomes = _Outcomes(work, message)
    outcomes.run_all()
    return pickled_group(list(outcomes.ready), outcomes.aborts, work.batch.news())


def streamed(given: Given, message: bytes) -> Iterator[bytes]:
    """The outcomes of a chunk in groups, SEND_SECONDS after an item ends at the latest, however long others take."""
    work = work_of(given)
    outcomes = _Outcomes(work, message)
    outcomes.start_all()
    if outcomes.is_awaited:
        yield pickled_group([], [], work.batch.news())
    is_over = False
    while not is_over:
        is_over = outcomes.over.wait(SEND_SECONDS)
        group = [outcomes.ready.popleft() for _ in range(len(outcomes.ready))]
        news = work.batch.news()
        if group or outcomes.aborts or news:
            yield pickled_group(group, outcomes.aborts if is_over else [], news)


class WorkerBatch(Batch):
    """A batch of which a worker sees chunks: it knows how many items there are in all, and decides nothing."""

    whole: int | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._news: deque[str] = deque()

    def tell(self, text: str) -> None:
        """Have a line said where the workflow runs: here, nobody looks."""
        self._news.append(text.removeprefix(f"{self.node_id}: "))

    def news(self) -> tuple[str, ...]:
        """What is to be told: once, then nothing."""
        return tuple(self._news.popleft() for _ in range(len(self._news)))

    @property
    def total(self) -> int | None:
        """How many items the whole batch has."""
        return self.whole


class Work:
    """What a worker keeps of the batch that it works for, from chunk to chunk."""

    def __init__(self, sign: str, home: Home, shipped: Shipped) -> None:
        self.home = home
        self.shipped = shipped
        self.node = shipped.node
        self.batch = WorkerBatch(self.node, shipped.shared, [], shipped.captures)
        self.batch.whole = shipped.total
        self.batch.controls = controls_of(self.node, self.batch, None, pacer=shipped.pacer)
        self.copy_inner = self.batch.engine.copy_factory(self.node.inner)
        self.context = contextvars.copy_context()
        self._sign = sign
        self.asks_at = time.monotonic() + STOP_SECONDS
        """When, of `time.monotonic`, `ask_to_go_on` asks again."""
        # One loop for all items, as in one process: what a node keeps between them may belong to it.
        self._loop = LoopThread()
        is_async = hasattr(self.node, "exec_async")
        self.attempts: Callable[[Any, Call], Result | None] = self._attempts_async if is_async else attempt
        """Makes the attempts of a call, with a node of its own. Raises: what ends the batch; NotStarted."""
        if is_async:
            self._loop.run(asyncio.sleep(0))  # it starts here, before several threads want it

    def close(self) -> None:
        """The worker works for another batch now."""
        self._loop.__exit__()
        if self.batch.controls is not None:
            self.batch.controls.close()

    def ask_to_go_on(self) -> bool:
        """Whether a further item may start. Now and then it asks, and closes the batch if that is over."""
        now = time.monotonic()
        if now > self.asks_at and not self.batch.is_closed:
            self.asks_at = now + STOP_SECONDS
            if _is_there(self._sign):
                self.batch.close()
        return not self.batch.is_closed

    def _attempts_async(self, own: Any, call: Call) -> Result | None:
        return self._loop.run(attempt_async(own, call))


class _Outcomes:
    """The outcomes of one chunk, while its items run: `width` of them at a time."""

    def __init__(self, work: Work, message: bytes) -> None:
        self.ready: deque[tuple[Any, ...]] = deque()
        self.aborts: list[tuple[int, BaseException]] = []
        """What ended the batch, and the item that raised it."""
        self.over = threading.Event()
        self._work = work
        self._lock = threading.Lock()
        self._width, self.is_awaited, indexes, items = pickle.loads(message)
        self._left: Iterator[tuple[int, Any]] = zip(indexes, items, strict=True)
        self._running = self._width

    def run_all(self) -> None:
        """Run the items, where one at a time is asked for in the caller's thread."""
        if self._width == 1:
            self._run()
        else:
            self.start_all()
            self.over.wait()

    def start_all(self) -> None:
        """Have the items run in threads; `over` is set when the last one has ended."""
        for number in range(self._width):
            threading.Thread(target=self._run, name=f"{self._work.batch.node_id}-{number}", daemon=True).start()

    def _run(self) -> None:
        try:
            self._run_items(self._items() if self._width > 1 else self._left)
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    self.over.set()

    def _items(self) -> Iterator[tuple[int, Any]]:
        while True:
            with self._lock:
                taken = next(self._left, None)
            if taken is None:
                return
            yield taken

    def _run_items(self, items: Iterable[tuple[int, Any]]) -> None:
        work = self._work
        own = copy.copy(work.node)
        if work.shipped.notes_answers:
            _note_answers(own)
        batch, context, copy_inner, run = work.batch, work.context, work.copy_inner, work.attempts
        if work.shipped.is_journalled or batch.starts_workflows:
            run = _hearing(run)
        keep, now = self.ready.append, time.monotonic
        for index, item in items:
            if batch.is_closed or (now() > work.asks_at and not work.ask_to_go_on()):
                return
            try:
                call = Call(batch, index, item)
                try:
                    own.inner = copy_inner()
                except Exception as exc:  # noqa: BLE001  a class may make copies as it likes
                    fail(call, exc, f"Executor error: {message_of(exc)}")
                    keep(outcome_of(call, None))
                    continue
                keep(outcome_of(call, context.copy().run(run, own, call)))  # each item has a context of its own
            except NotStarted:
                continue
            except BaseException as exc:  # noqa: BLE001  raised again where the workflow runs
                work.batch.close()
                self.aborts.append((index, exc))
                return


def _hearing(run: Callable[[Any, Call], Result | None]) -> Callable[[Any, Call], Result | None]:
    """`run`, while batches that the item's node starts say what they come to."""

    def hearing(own: Any, call: Call) -> Result | None:
        hear_of_batches_below(call)
        return run(own, call)

    return hearing


def _note_answers(own: Any) -> None:
    """Have calls keep what the inner node gives, as it is then: what `exec` makes of it is not an answer."""
    run_inner, dumps = own.run_inner, ray_itself().cloudpickle.dumps

    def noted(call: Call, params: dict[str, Any]) -> Any:
        result = run_inner(call, params)
        call.noted = dumps(result)
        return result

    async def noted_async(call: Call, params: dict[str, Any]) -> Any:
        result = await run_inner(call, params)
        call.noted = dumps(result)
        return result

    own.run_inner = noted_async if hasattr(own, "exec_async") else noted


_kept: dict[str, Work] = {}
"""Of the batch that the worker works for. Unpickling it for every chunk would take milliseconds."""


def work_of(given: Given) -> Work:
    """What this worker keeps of the batch, made when its first chunk comes."""
    sign, home, shipped = given
    if sign not in _kept:
        while _kept:
            _kept.popitem()[1].close()
        pickled = shipped if isinstance(shipped, bytes) else ray_itself().get(shipped[0])
        news = go_home(home)  # first: there it finds modules that what was shipped names
        work = _kept[sign] = Work(sign, home, pickle.loads(pickled))
        if news:
            work.batch.tell(news)
    return _kept[sign]


def _is_there(name: str) -> bool:
    try:
        ray_itself().get_actor(name)
    except ValueError:  # how Ray says that there is none
        return False
    return True
