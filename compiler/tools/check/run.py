"""Check many folders: in this process, or on every core where that is quicker."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import BinaryIO

from ...files import regular_files
from ..shared.lowerings import Lowering
from .compare import Outcome, compare

_WORTH_A_POOL = 200
"""About so many workflows are lowered in the time that it takes to start the other processes."""


def run(lowerings: Sequence[Lowering], *, update: bool = False) -> list[Outcome]:
    """What checking each of `lowerings` gave, in their order."""
    cores = _cores()
    if cores < 2 or len(lowerings) < _WORTH_A_POOL:
        return _chunk(lowerings, update=update)
    shares = [lowerings[at::cores] for at in range(cores)]
    found: list[Outcome | None] = [None] * len(lowerings)
    for at, outcomes in enumerate(_in_processes(shares, update=update)):
        found[at::cores] = outcomes
    return [outcome for outcome in found if outcome is not None]


def _in_processes(shares: Sequence[Sequence[Lowering]], *, update: bool) -> list[list[Outcome]]:
    """What checking each of `shares` gave, each in a process of its own; where that fails, in this one.

    The processes are started in isolated mode, and take over this one's path: the working directory, which may be
    anybody's checkout, is not on it. (Those of `multiprocessing` import from it whatever they find.)
    """
    path = [entry for entry in sys.path if entry not in ("", os.getcwd())]
    command = [sys.executable, "-I", "-B", "-c", _WORKER]
    with ExitStack() as running:
        workers = []
        try:
            for share in shares:
                worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                running.callback(_end, worker)
                workers.append(worker)
                assert worker.stdin is not None
                worker.stdin.write(
                    pickle.dumps(path) + pickle.dumps((list(share), update, regular_files.may_lead_outside()))
                )
                worker.stdin.close()
        except OSError:  # no more processes here, or one that ended at once
            return [_chunk(share, update=update) for share in shares]
        return [_answer(worker, share, update) for worker, share in zip(workers, shares, strict=True)]


def _answer(worker: subprocess.Popen[bytes], share: Sequence[Lowering], update: bool) -> list[Outcome]:
    assert worker.stdout is not None
    content = worker.stdout.read()
    if worker.wait() != 0:  # it was killed: do it ourselves
        return _chunk(share, update=update)
    outcomes: list[Outcome] = pickle.loads(content)
    return outcomes


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            stream.close()


_WORKER = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from pflow_lower.tools.check.run import answer
answer(sys.stdin.buffer, sys.stdout.buffer)
"""


def answer(asked: BinaryIO, answered: BinaryIO) -> None:
    """What a process of its own does: check the lowerings that are pickled in `asked`."""
    # Ctrl-C reaches every process of the terminal; the first ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    share, update, outside = pickle.load(asked)
    regular_files.allow_outside(outside)
    sys.stdout = sys.stderr  # nothing that is printed on the way may stand in the answer
    answered.write(pickle.dumps(_chunk(share, update=update)))
    answered.flush()


def _chunk(lowerings: Sequence[Lowering], *, update: bool) -> list[Outcome]:
    return [compare(lowering, update=update) for lowering in lowerings]


def _cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
