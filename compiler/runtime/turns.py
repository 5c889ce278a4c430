"""When a call may start: its place among those in flight, here and in other processes, and its rate."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from .pace import Pacer, SharedBudget
from .throttle import AdaptiveLimit

if TYPE_CHECKING:
    from .call import Call

SLOT_INTERVAL = 0.02
"""Seconds after which a call asks again for a place among those of other processes."""


class NotStarted(BaseException):
    """The batch ended while the item waited for its turn: it has no outcome."""


class Turns:
    """The turns of one batch's calls."""

    def __init__(self, pacer: Pacer | None, adaptive: AdaptiveLimit | None) -> None:
        """`pacer` says how often calls start, `adaptive` how many run at once; None where nothing bounds that."""
        self.pacer = pacer
        self.adaptive = adaptive
        self._in_flight = 0
        self._turn = threading.Condition()
        self._waiting: list[asyncio.Future[None]] = []

    def take(self, call: Call) -> int:
        """Wait, in a thread, until the call may start; what `give_back` wants.

        Raises: NotStarted, if the batch ended meanwhile and this was the item's first call; EnclosingBatchStopped.
        """
        batch = call.batch
        if self.adaptive is not None:
            with self._turn:
                while self._in_flight >= self.adaptive.now:
                    self._turn.wait(SLOT_INTERVAL)
                    raise_if_over(call)
                self._in_flight += 1
        slot = -1
        try:
            if self.pacer is not None:
                while (taken := _slot(self.pacer)) is None:
                    batch.wait(SLOT_INTERVAL)
                    raise_if_over(call)
                slot = taken
                if (seconds := self.pacer.reserve()) > 0:
                    batch.wait(seconds)
            raise_if_over(call)
        except BaseException:  # an interrupt, too: the place is given back
            self.give_back(slot)
            raise
        return slot

    async def take_async(self, call: Call) -> int:
        """`take`, in a task."""
        if self.adaptive is not None:
            while self._in_flight >= self.adaptive.now:
                turn = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(turn, SLOT_INTERVAL * 5)
                raise_if_over(call)
            self._in_flight += 1
        slot = -1
        try:
            if self.pacer is not None:
                while (taken := _slot(self.pacer)) is None:
                    await asyncio.sleep(SLOT_INTERVAL)
                    raise_if_over(call)
                slot = taken
                if (seconds := self.pacer.reserve()) > 0:
                    await asyncio.sleep(seconds)
            raise_if_over(call)
        except BaseException:  # as above
            self.give_back(slot)
            raise
        return slot

    def give_back(self, slot: int) -> None:
        """The call that `take` answered `slot` for has ended, however it did."""
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


def raise_if_over(call: Call) -> None:
    """Raises: NotStarted, if the batch of `call` has ended and this was its first call; EnclosingBatchStopped."""
    batch = call.batch
    batch.raise_if_stopped()
    if batch.is_stopped() or (batch.is_closed and call.attempt == 1 and not call.throttles):
        raise NotStarted


def _slot(pacer: Pacer) -> int | None:
    return pacer.enter() if isinstance(pacer, SharedBudget) else -1
