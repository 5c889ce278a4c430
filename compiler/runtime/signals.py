"""SIGTERM ends a run as Ctrl-C does: no item starts any more, and the run says what was done and keeps what it can."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar

from .exceptions import add_note, notes_of

T = TypeVar("T")


class Terminated(KeyboardInterrupt):
    """The program was asked to end (SIGTERM); it ends as after Ctrl-C."""


_attended: ContextVar[bool] = ContextVar("attended", default=False)


def is_attended() -> bool:
    """Whether a cancellation can only be Ctrl-C or SIGTERM, which `asyncio.run` makes one of."""
    return _attended.get()


def came_twice(interrupt: BaseException) -> bool:
    """Whether another interrupt had come when this one did, and nobody had dealt with it yet."""
    return isinstance(interrupt, KeyboardInterrupt) and isinstance(interrupt.__context__, KeyboardInterrupt)


_OF_LOCKS = ("release unlocked lock", "cannot release un-acquired lock")


def interrupt_behind(error: BaseException) -> BaseException | None:
    """The interrupt in whose place `error` is, if a second one has hit what took a lock again after the first."""
    behind = error.__context__
    while type(error) is RuntimeError and str(error) in _OF_LOCKS and behind is not None:
        if isinstance(behind, KeyboardInterrupt):
            return behind
        behind = behind.__context__
    return None


@contextlib.contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Inside, SIGTERM is what Ctrl-C is: an interrupt, or a cancellation where an event loop sees to it.

    Does nothing where a program handles SIGTERM itself, and outside of the main thread, which alone gets signals.

    Raises: Terminated, where SIGTERM has ended what runs inside.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if is_main else None
    is_outermost = is_main and before == signal.SIG_DFL
    token = _attended.set(True)
    try:
        if is_outermost:
            _end.came = False
            signal.signal(signal.SIGTERM, _end)
        yield
    except Terminated:
        raise
    except KeyboardInterrupt as interrupt:
        if not _end.came:
            raise
        terminated = Terminated()
        for note in notes_of(interrupt):
            add_note(terminated, note)
        raise terminated from interrupt
    finally:
        if is_outermost:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _attended.reset(token)


def interrupted_as_handled(work: Callable[[], T]) -> T:
    """What `work` answers, where that calls what raises an interrupt of its own in place of what a handler has raised,
    as Ray does (KeyboardInterrupt, or SystemExit with status 1): a handler may have chosen another exit status.

    Raises: what the handler of SIGINT or SIGTERM has raised meanwhile; what `work` does.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    raised: list[BaseException] = []

    def noting(handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], Any]:
        def note(number: int, frame: FrameType | None) -> Any:
            try:
                return handler(number, frame)
            except BaseException as exc:  # whatever it is; raised again
                raised.append(exc)
                raise

        return note

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # That of Python raises what is said.
    noted = {n: noting(h) for n, h in before.items() if callable(h) and h is not signal.default_int_handler}
    try:
        for number, handler in noted.items():
            signal.signal(number, handler)
        return work()
    except (KeyboardInterrupt, SystemExit) as exc:
        if not raised or (isinstance(exc, SystemExit) and exc.code != 1):
            raise
    finally:
        for number, handler in noted.items():
            if signal.getsignal(number) is handler:  # or it has installed another one
                signal.signal(number, before[number])
    raise raised[-1]  # here: what is raised in place of another interrupt would pass for a second one


class _End:
    """The handler of SIGTERM."""

    came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        on_ctrl_c = signal.getsignal(signal.SIGINT)
        if callable(on_ctrl_c) and on_ctrl_c is not signal.default_int_handler:
            on_ctrl_c(signal.SIGINT, frame)  # that of an event loop, which cancels what it runs
        else:  # or none: in the background of a shell, Ctrl-C does nothing
            raise Terminated


_end = _End()
