"""How a batch ends early, and a batch that stands inside another with it."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .latch import Latch
from .loops import CANCEL_CHECK_INTERVAL, raise_if_cancelled

if TYPE_CHECKING:
    from .batch import Batch

enclosing_batch: ContextVar[Batch | None] = ContextVar("enclosing_batch", default=None)
"""In a batch's worker thread: that batch. One that its nodes run in turn finds here who may stop it."""


class EnclosingBatchStopped(BaseException):
    """Raised in a worker when the surrounding batch ends early; not an item's failure."""


class Stoppable:
    """What a batch is to whatever waits on its behalf."""

    def __init__(self) -> None:
        self.stopped = Latch()
        """Set when the batch ends early: nothing is tried again, and waits for another attempt end."""
        self.enclosing = enclosing_batch.get()
        """The batch that this one runs inside of."""

    def is_stopped(self) -> bool:
        """Whether this batch, or one that it runs inside of, ends early. That one of them fails fast
        does not count: its items in flight finish."""
        return self.stopped.is_set() or (self.enclosing is not None and self.enclosing.is_stopped())

    def raise_if_stopped(self) -> None:
        """Raises: EnclosingBatchStopped, if a batch that this one runs inside of ends early."""
        if self.enclosing is not None and self.enclosing.is_stopped():
            raise EnclosingBatchStopped

    def wait(self, seconds: float) -> bool:
        """Wait, in a thread; True if the batch was stopped meanwhile.

        Raises: EnclosingBatchStopped, if one around it was.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.stopped.wait(min(left, CANCEL_CHECK_INTERVAL)):
            raise_if_cancelled()
            self.raise_if_stopped()
        self.raise_if_stopped()
        return self.stopped.is_set()
