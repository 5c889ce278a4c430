"""One call of the inner node under the keys that pflow does not have: journal, rate, limits, timeout.

A batch that has none of these keys has no `Controls` and passes none of this.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .answers import Answers, Memory
from .exceptions import message_of
from .journal import Journal
from .pace import Pacer, is_rate
from .run import pacer_of
from .throttle import (
    FIRST_BACKOFF,
    MOST_THROTTLES,
    AdaptiveLimit,
    AskedToWaitTooLong,
    Pushback,
    backoff,
    pushback_in,
    pushback_of,
    too_long,
    too_often,
)
from .timeout import AttemptTimeout, TimeLimit
from .turns import NotStarted, Turns, raise_if_over
from .value_text import duration

if TYPE_CHECKING:
    from .batch import Batch
    from .call import Call
    from .data_types import Result
    from .settings import BatchSettings

LONG_WAIT = 5.0
"""Seconds. That a server asked for a wait of so long is said."""

BLOCKING_SECONDS = 0.25
"""How late an asynchronous answer must be for it to be said: any event loop is busy for moments."""

LEAST_ABANDONED = 10
"""How many blocking attempts may go on after their time, where fewer run at once."""


class Controls(Answers):
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
        super().__init__(journal, memory)
        self.pacer = pacer
        self.adaptive = adaptive
        self.timeout = timeout
        self.exponential = exponential
        self.time_limit = TimeLimit(timeout, at_once, max(at_once, LEAST_ABANDONED)) if timeout is not None else None
        self._hears_throttles = pacer is not None or adaptive is not None or exponential
        """Whether a call may have to wait for its turn, or a failure says when there is another one."""
        self._turns = Turns(pacer, adaptive)
        self._waiting_until = float("-inf")
        self._is_blocking_told = False

    def close(self) -> None:
        """The batch is over."""
        if self.time_limit is not None:
            self.time_limit.close()

    # What a failure means.

    def _wait_after(self, call: Call, pushback: Pushback | None, begun: float) -> float | None:
        """Adapt to what `call`, which began at `begun` (of `time.monotonic`), has met: a push-back, or none.

        Returns the seconds to wait before it starts again; None if it was not throttled, or too often.
        """
        if self.adaptive is not None:
            if pushback is None:
                self.adaptive.ended_well()
            else:
                self.adaptive.pushed_back(begun)
        if pushback is not None and pushback.retry_after and self.pacer is not None and not pushback.is_too_long:
            self.pacer.hold(pushback.retry_after)
        if pushback is None or pushback.is_too_long or not pushback.is_throttle or not self._hears_throttles:
            return None
        if call.throttles >= MOST_THROTTLES:
            return None
        call.throttles += 1
        own = backoff(FIRST_BACKOFF, call.throttles, exponential=True)
        return own if pushback.retry_after is None else self._as_asked(call, pushback.retry_after, own)

    def _wait_after_exception(self, call: Call, exc: Exception, begun: float) -> float | None:
        """Seconds until the call that raised `exc` may be made again; None if that is its outcome.

        Raises: AskedToWaitTooLong, if the server does not want it again before anybody would wait for.
        """
        pushback = pushback_of(exc)
        wait = self._wait_after(call, pushback, begun)
        if wait is None and pushback is not None and pushback.is_too_long:
            raise AskedToWaitTooLong(too_long(message_of(exc), pushback)) from exc
        return wait

    def _wait_after_result(self, call: Call, result: Result, begun: float) -> float | None:
        """Seconds until the call that gave `result` is made again, since that is a server's refusal; else None."""
        pushback = pushback_in(result) if call.error is not None else None
        wait = self._wait_after(call, pushback, begun)
        if wait is not None:
            call.error = None
        elif call.error is not None and pushback is not None and pushback.is_too_long:
            call.error = too_long(call.error, pushback)
        elif (
            call.error is not None
            and pushback is not None
            and pushback.is_throttle
            and call.throttles >= MOST_THROTTLES
        ):
            call.error = too_often(call.error)
        return wait

    def pause_before_next(self, call: Call, exc: BaseException) -> float:
        """Seconds between the attempt that raised `exc` and the next one."""
        pushback = pushback_of(exc)
        own = backoff(call.batch.retry_wait, call.attempt, exponential=self.exponential)
        if pushback is not None and pushback.retry_after is not None and self._hears_throttles:
            return self._as_asked(call, pushback.retry_after, own)
        return own

    def _as_asked(self, call: Call, retry_after: float, own: float) -> float:
        """Seconds to wait where the server asks for `retry_after`, and for itself `call` would wait for `own`.

        Not less than its own: a server may well say 0, or a date that its clock has passed, and refuse the next call.
        """
        self._say_waiting(call, retry_after)
        return max(retry_after, own)

    def _say_waiting(self, call: Call, seconds: float) -> None:
        """Say that a server makes the batch wait for so long, once for all calls that wait until then."""
        until = time.monotonic() + seconds
        if seconds < LONG_WAIT or until < self._waiting_until + LONG_WAIT:
            return
        self._waiting_until = until
        call.batch.tell(f"{call.batch.node_id}: waiting {duration(seconds)}: the server asked for it (Retry-After)")

    # The call itself.

    def run(self, call: Call, work: Callable[[Call], Result]) -> Result:
        """What `work` gives for `call`, once it may start.

        Raises: whatever `work` raises; AttemptTimeout; NotStarted.
        """
        if not self._hears_throttles:
            return work(call) if self.time_limit is None else self._run_timed(call, work)
        while True:
            slot = self._turns.take(call)
            begun = time.monotonic()
            try:
                result = work(call) if self.time_limit is None else self._run_timed(call, work)
            except Exception as exc:  # a node may raise anything; asked is only what a server says
                wait = self._wait_after_exception(call, exc, begun)
                if wait is None:
                    raise
            else:
                wait = self._wait_after_result(call, result, begun)
                if wait is None:
                    return result
            finally:
                self._turns.give_back(slot)
            if call.batch.wait(wait):
                raise NotStarted

    async def run_async(self, call: Call, work: Callable[[Call], Awaitable[Result]]) -> Result:
        """`run`, in a task."""
        if not self._hears_throttles:
            return await (work(call) if self.timeout is None else self._run_timed_async(call, work))
        while True:
            slot = await self._turns.take_async(call)
            begun = time.monotonic()
            try:
                result = await (work(call) if self.timeout is None else self._run_timed_async(call, work))
            except Exception as exc:  # as in `run`
                wait = self._wait_after_exception(call, exc, begun)
                if wait is None:
                    raise
            else:
                wait = self._wait_after_result(call, result, begun)
                if wait is None:
                    return result
            finally:
                self._turns.give_back(slot)
            await asyncio.sleep(wait)
            raise_if_over(call)

    def _run_timed(self, call: Call, work: Callable[[Call], Result]) -> Result:
        """Do `work` on a call of its own, so that an attempt that is given up cannot reach into the next one."""
        assert self.time_limit is not None
        attempt = call.copied()
        try:
            result = self.time_limit.run(lambda: work(attempt))
        except AttemptTimeout:
            call.store = None  # the late one may still be writing to it
            raise
        call.become(attempt)
        return result

    async def _run_timed_async(self, call: Call, work: Callable[[Call], Awaitable[Result]]) -> Result:
        attempt = call.copied()
        exits: list[BaseException] = []

        async def attempt_or_note_exit() -> Result | None:
            try:
                return await work(attempt)
            except (KeyboardInterrupt, SystemExit) as exc:  # an event loop would let that fall through, past everybody
                exits.append(exc)
                return None

        begun = time.monotonic()
        task = asyncio.ensure_future(attempt_or_note_exit())
        try:
            done, _ = await asyncio.wait({task}, timeout=self.timeout)
        except BaseException:  # a cancellation: the attempt ends with it
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        if not done:
            task.cancel()
            task.add_done_callback(_forget)
            call.store = None
            raise AttemptTimeout(f"no answer within {self.timeout:g} s")
        self._tell_of_blocking(call, time.monotonic() - begun)
        result = task.result()
        if result is None:
            raise exits[0]
        call.become(attempt)
        return result

    def _tell_of_blocking(self, call: Call, seconds: float) -> None:
        """Say, once, that an attempt ended in spite of the limit: what it gave is not thrown away."""
        assert self.timeout is not None
        if seconds > self.timeout + BLOCKING_SECONDS and not self._is_blocking_told:
            self._is_blocking_told = True
            call.batch.tell(
                f"{call.batch.node_id}: an attempt took {duration(seconds)}, and `timeout` is {self.timeout:g} s: "
                "something blocks the event loop (time.sleep, a call that is not awaited), and nothing is cancelled "
                "meanwhile"
            )


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
        is_shared = not is_rate(settings.rate)
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
