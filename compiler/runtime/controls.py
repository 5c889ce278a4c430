"""One call of the inner node under the keys that pflow does not have: journal, rate, limits, timeout.

A batch that has none of these keys has no `Controls` and passes none of this.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .journal import Journal, fingerprint
from .pace import Pacer, SharedBudget
from .run import pacer_of
from .throttle import MOST_THROTTLES, AdaptiveLimit, Pushback, backoff, pushback_in, pushback_of
from .timeout import AttemptTimeout, TimeLimit
from .values import ParameterError

if TYPE_CHECKING:
    from .batch import Batch
    from .call import Call
    from .data_types import Result
    from .settings import BatchSettings

T = TypeVar("T")

_WARNED = "__warned__"
"""Beside the outputs of a journalled item: the kinds of warning that its node gave."""

SLOT_INTERVAL = 0.02
"""Seconds after which a call asks again for a place among those of other processes."""


LEAST_ABANDONED = 10
"""How many blocking attempts may go on after their time, where fewer run at once."""


class Memory(Protocol):
    """Answers of earlier runs that an engine keeps by itself, besides the journal: pflow's cache, say."""

    def find(self, call: Call, asked: bytes) -> dict[str, Any] | None:
        """The outputs of an earlier call that asked the same."""

    def keep(self, call: Call, asked: bytes, outputs: Mapping[str, Any]) -> None:
        """`call`, which ended well, has given `outputs`."""


class Asked(BaseException):
    """Raised in the place of a call of the inner node, where only its parameters are wanted."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__()
        self.params = params


class NotStarted(BaseException):
    """The batch ended while the item waited for its turn: it has no outcome."""


class Throttled(Exception):
    """The server has refused an item's call more often than is waited for."""


class Controls:
    """What holds for every call of one batch."""

    def __init__(
        self,
        *,
        pacer: Pacer | None = None,
        adaptive: AdaptiveLimit | None = None,
        timeout: float | None = None,
        exponential: bool = False,
        journal: Journal | None = None,
        memory: Memory | None = None,
        at_once: int = 1,
    ) -> None:
        """`timeout` is in seconds; `at_once` is how many calls the batch runs at a time."""
        self.pacer = pacer
        self.adaptive = adaptive
        self.timeout = timeout
        self.exponential = exponential
        self.journal = journal
        self.memory = memory
        self.time_limit = TimeLimit(timeout, at_once, max(at_once, LEAST_ABANDONED)) if timeout is not None else None
        self.not_json = 0
        """How many answers could not be journalled, since JSON cannot hold them."""
        self._hears_throttles = pacer is not None or adaptive is not None or exponential
        self._in_flight = 0
        self._turn = threading.Condition()
        self._waiting: list[asyncio.Future[None]] = []

    # Before and after a call.

    def begin(self, call: Call) -> int:
        """Wait, in a thread, until the call may start; what `end` wants.

        Raises: NotStarted, if the batch ended meanwhile and this was the item's first call; EnclosingBatchStopped.
        """
        batch = call.batch
        if self.adaptive is not None:
            with self._turn:
                while self._in_flight >= self.adaptive.now:
                    self._turn.wait(SLOT_INTERVAL)
                    self._raise_if_over(call)
                self._in_flight += 1
        slot = -1
        try:
            if self.pacer is not None:
                while (taken := _slot(self.pacer)) is None:
                    batch.wait(SLOT_INTERVAL)
                    self._raise_if_over(call)
                slot = taken
                batch.wait(self.pacer.reserve())
            self._raise_if_over(call)
        except BaseException:
            self.end(slot)
            raise
        return slot

    async def begin_async(self, call: Call) -> int:
        """`begin`, in a task."""
        if self.adaptive is not None:
            while self._in_flight >= self.adaptive.now:
                turn = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(turn, SLOT_INTERVAL * 5)
                self._raise_if_over(call)
            self._in_flight += 1
        slot = -1
        try:
            if self.pacer is not None:
                while (taken := _slot(self.pacer)) is None:
                    await asyncio.sleep(SLOT_INTERVAL)
                    self._raise_if_over(call)
                slot = taken
                await asyncio.sleep(self.pacer.reserve())
            self._raise_if_over(call)
        except BaseException:
            self.end(slot)
            raise
        return slot

    def end(self, slot: int) -> None:
        """The call that `begin` answered `slot` for has ended, however it did."""
        if isinstance(self.pacer, SharedBudget):
            self.pacer.leave(slot)
        if self.adaptive is not None:
            with self._turn:
                self._in_flight -= 1
                self._turn.notify()
            while self._waiting:
                turn = self._waiting.pop(0)
                if not turn.done():
                    turn.set_result(None)
                    break

    def _raise_if_over(self, call: Call) -> None:
        batch = call.batch
        batch.raise_if_stopped()
        if batch.is_stopped() or (batch.is_closed and call.attempt == 1 and not call.throttles):
            raise NotStarted

    # What a failure means.

    def note(self, pushback: Pushback | None, begun: float) -> None:
        """Adapt to what a call that began at `begun` (of `time.monotonic`) has met: a push-back, or none."""
        if self.adaptive is not None:
            if pushback is None:
                self.adaptive.ended_well()
            else:
                self.adaptive.pushed_back(begun)
        if pushback is not None and pushback.retry_after and self.pacer is not None:
            self.pacer.hold(pushback.retry_after)

    def throttled(self, call: Call, pushback: Pushback | None) -> float | None:
        """Seconds to wait before a throttled call starts again; None if it was not throttled, or too often."""
        if pushback is None or not pushback.is_throttle or not self._hears_throttles:
            return None
        if call.throttles >= MOST_THROTTLES:
            return None
        call.throttles += 1
        if pushback.retry_after is not None:
            return pushback.retry_after
        return backoff(0.5, call.throttles, exponential=True)

    def pause_before_next(self, call: Call, exc: BaseException) -> float:
        """Seconds between the attempt that raised `exc` and the next one."""
        pushback = pushback_of(exc)
        if pushback is not None and pushback.retry_after is not None and self._hears_throttles:
            return pushback.retry_after
        return backoff(call.batch.retry_wait, call.attempt, exponential=self.exponential)

    # The call itself.

    def restored(self, call: Call, params: dict[str, Any]) -> dict[str, Any] | None:
        """The outputs that an earlier run has left for `call`; None if it must be run.

        Raises: JournalError; ParameterError, for parameters that JSON cannot hold and the journal must.
        """
        if self.journal is None and self.memory is None:
            return None
        batch = call.batch
        try:
            asked = fingerprint(batch.node_id, batch.inner_type, params, batch.engine.depends_on(call, params))
        except ParameterError:
            if self.journal is None:
                return None
            raise
        if asked == call.asked:
            return None  # not the first attempt
        call.asked = asked
        outputs = None
        if self.journal is not None and (answer := self.journal.find(asked)) is not None:
            outputs = answer.result
        elif self.memory is not None:
            outputs = self.memory.find(call, asked)
        if outputs is not None:
            call.restored = True
            call.warned = outputs.pop(_WARNED, None)
        return outputs

    def restored_here(self, node: Any, call: Call) -> dict[str, Any] | None:
        """`restored` for a call whose node runs elsewhere: its parameters are made here, and nothing is called.

        Raises: JournalError; ParameterError, for parameters that JSON cannot hold.
        """
        call.is_asked_only = True
        try:
            if hasattr(node, "exec_async"):
                node.exec_async(call).send(None)
            else:
                node.exec(call)
        except Asked as asked:
            return self.restored(call, asked.params)
        except Exception:  # noqa: BLE001  whatever it is, it is raised again where the item runs
            return None
        finally:
            call.is_asked_only = False
        return None

    def keep(self, call: Call, outputs: Mapping[str, Any], cost: float | None) -> None:
        """Keep what a call that has ended well has given for another run. Raises: JournalError."""
        if call.asked is None or call.restored:
            return
        if call.warned:
            outputs = {**outputs, _WARNED: call.warned}
        if self.memory is not None:
            self.memory.keep(call, call.asked, outputs)
        if self.journal is not None:
            try:
                self.journal.keep(call.asked, call.batch.node_id, call.key, outputs, seconds=call.seconds, cost=cost)
            except ValueError:
                self.not_json += 1

    def run(self, call: Call, work: Callable[[Call], Result]) -> Result:
        """What `work` gives for `call`, once it may start.

        Raises: whatever `work` raises; AttemptTimeout; NotStarted.
        """
        while True:
            slot = self.begin(call)
            begun = time.monotonic()
            try:
                result = work(call) if self.time_limit is None else self._timed(call, work)
            except Exception as exc:
                pushback = pushback_of(exc)
                self.note(pushback, begun)
                wait = self.throttled(call, pushback)
                if wait is None:
                    raise
            else:
                pushback = pushback_in(result) if call.error is not None else None
                self.note(pushback, begun)
                wait = self.throttled(call, pushback)
                if wait is None:
                    return result
                call.error = None
            finally:
                self.end(slot)
            if call.batch.wait(wait):
                raise NotStarted

    async def run_async(self, call: Call, work: Callable[[Call], Awaitable[Result]]) -> Result:
        """`run`, in a task."""
        while True:
            slot = await self.begin_async(call)
            begun = time.monotonic()
            try:
                result = await (work(call) if self.timeout is None else self._timed_async(call, work))
            except Exception as exc:
                pushback = pushback_of(exc)
                self.note(pushback, begun)
                wait = self.throttled(call, pushback)
                if wait is None:
                    raise
            else:
                pushback = pushback_in(result) if call.error is not None else None
                self.note(pushback, begun)
                wait = self.throttled(call, pushback)
                if wait is None:
                    return result
                call.error = None
            finally:
                self.end(slot)
            await asyncio.sleep(wait)
            self._raise_if_over(call)

    def _timed(self, call: Call, work: Callable[[Call], Result]) -> Result:
        """`work` on a call of its own, so that an attempt that is given up cannot reach into the next one."""
        assert self.time_limit is not None
        attempt = call.copied()
        try:
            result = self.time_limit.run(lambda: work(attempt))
        except AttemptTimeout:
            call.store = None  # the late one may still be writing to it
            raise
        call.become(attempt)
        return result

    async def _timed_async(self, call: Call, work: Callable[[Call], Awaitable[Result]]) -> Result:
        attempt = call.copied()
        task = asyncio.ensure_future(work(attempt))
        try:
            done, _ = await asyncio.wait({task}, timeout=self.timeout)
        except BaseException:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        if not done:
            task.cancel()
            task.add_done_callback(_forget)
            call.store = None
            raise AttemptTimeout(f"no answer within {self.timeout:g} s")
        result = task.result()
        call.become(attempt)
        return result


def _slot(pacer: Pacer) -> int | None:
    return pacer.enter() if isinstance(pacer, SharedBudget) else -1


def _forget(task: asyncio.Future[Any]) -> None:
    """Take what a task gave that nobody waits for, so that asyncio does not complain of it."""
    if not task.cancelled():
        task.exception()


def controls_of(
    settings: BatchSettings, batch: Batch, journal: Journal | None, pacer: Pacer | None = None
) -> Controls | None:
    """What the settings of a generated class say; None if none of it is written. `pacer` stands in for that of `rate`.

    Raises: ValueError, for a rate that is not one; OSError, if the file of a shared budget cannot be written.
    """
    exponential = settings.retry_backoff == "exponential"
    memory = batch.engine.memory(batch)
    if not (settings.rate or settings.timeout or exponential or batch.is_adaptive or journal or memory):
        return None
    if settings.rate and pacer is None:
        is_shared = bool(settings.shared_rate or settings.shared_max_concurrent)
        pacer = pacer_of(
            (settings.shared_rate or "") if is_shared else settings.rate,
            name=settings.rate if is_shared else "",
            max_concurrent=settings.shared_max_concurrent,
            owner=f"{batch.file}#{batch.node_id}",
        )
    return Controls(
        pacer=pacer,
        adaptive=AdaptiveLimit(batch.max_concurrent) if batch.is_adaptive else None,
        timeout=settings.timeout,
        exponential=exponential,
        journal=journal,
        memory=memory,
        at_once=batch.max_concurrent if batch.parallel else 1,
    )
