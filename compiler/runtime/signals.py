"""SIGTERM ends a run as Ctrl-C does: no item starts any more, what was done is said, and what can be kept is."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType

_attended: ContextVar[bool] = ContextVar("attended", default=False)


class Ending:
    """What ended a run from outside, if anything did."""

    by_sigterm = False
    """Whether it was SIGTERM."""


def is_attended() -> bool:
    """Whether a cancellation can only be Ctrl-C or SIGTERM, which `asyncio.run` makes one of."""
    return _attended.get()


@contextlib.contextmanager
def ending_on_sigterm() -> Iterator[Ending]:
    """Inside, SIGTERM is what Ctrl-C is: KeyboardInterrupt, or a cancellation where an event loop sees to it.

    Does nothing where a program handles SIGTERM itself, and outside of the main thread, which alone gets signals.
    """
    ending = Ending()

    def end(number: int, frame: FrameType | None) -> None:
        ending.by_sigterm = True
        on_ctrl_c = signal.getsignal(signal.SIGINT)
        if callable(on_ctrl_c):  # an event loop has one of its own
            on_ctrl_c(signal.SIGINT, frame)
        else:  # started in the background of a shell, where Ctrl-C does nothing
            raise KeyboardInterrupt

    token = _attended.set(True)
    is_ours = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )
    try:
        if is_ours:
            signal.signal(signal.SIGTERM, end)
        yield ending
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _attended.reset(token)
