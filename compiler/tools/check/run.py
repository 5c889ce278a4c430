"""Check many folders: in this process, or on every core where that is quicker."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterator, Sequence

from .compare import Outcome, compare
from .lowering import Lowering

_WORTH_A_POOL = 200
"""About so many workflows are lowered in the time that it takes to start the other processes."""


def run(lowerings: Sequence[Lowering], *, update: bool = False) -> list[Outcome]:
    """What checking each of `lowerings` gave, in their order."""
    cores = _cores()
    if cores < 2 or len(lowerings) < _WORTH_A_POOL:
        return _chunk(lowerings, update=update)
    size = max(1, min(64, len(lowerings) // (4 * cores)))
    chunks = [lowerings[at : at + size] for at in range(0, len(lowerings), size)]
    return [outcome for outcomes in _in_pool(chunks, cores, update) for outcome in outcomes]


def _in_pool(chunks: Sequence[Sequence[Lowering]], workers: int, update: bool) -> Iterator[list[Outcome]]:
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    work = functools.partial(_chunk, update=update)
    done = 0
    try:
        # The same start of processes everywhere: a fork would copy whatever threads the caller has.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_ignore_interrupts) as pool:
            try:
                for outcomes in pool.map(work, chunks):
                    yield outcomes
                    done += 1
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except (BrokenProcessPool, ImportError, OSError):  # no semaphores here, or a process was killed: do it ourselves
        yield from map(work, chunks[done:])


def _chunk(lowerings: Sequence[Lowering], *, update: bool) -> list[Outcome]:
    return [compare(lowering, update=update) for lowering in lowerings]


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of the terminal; the first one ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
