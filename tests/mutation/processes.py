"""Processes of their own in which tests are run, and what those tests run."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

MEMORY = 4 << 30
"""Bytes that a forked process may have."""
ENDLESS = 300
"""Seconds after which a test is killed that takes long and does nothing."""
BROKEN = 70
"""Exit status of a forked process when this script is at fault."""
Work = Callable[[Path], int]
"""What a process of its own does in a folder of its own; its exit status."""


@contextlib.contextmanager
def forked(work: Work, silent: bool = True) -> Iterator[tuple[int, Path]]:
    """What `work` ends with (below 0: the signal that killed it), and the folder it had."""
    folder = Path(tempfile.mkdtemp(prefix="mutant-"))
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            tempfile.tempdir = os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
            for descriptor in (1, 2) if silent else ():
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
            os._exit(work(folder))
        except BaseException:  # noqa: BLE001  the parent ends with it
            (folder / "error").write_text(traceback.format_exc())
        finally:
            os._exit(BROKEN)
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what its tests have left behind
        if status == BROKEN:
            raise RuntimeError((folder / "error").read_text())
        yield status, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Instead:
    """A pytest plugin that calls `work` with what was collected, instead of running it."""

    def __init__(self, work: Callable[[pytest.Session], None]) -> None:
        self.work = work

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("not all tests could be collected")
        session.config.pluginmanager.unregister(name="terminalreporter")
        self.work(session)
        return True


def collect(tests: list[str], work: Callable[[pytest.Session], None]) -> int:
    options = ["-q", "--tb=native", "--assert=plain", "-p", "no:faulthandler", "-p", "no:xdist"]
    return pytest.main([*options, *tests], plugins=[Instead(work)])


def file_of(test: str) -> str:
    return test.partition("::")[0]


def run(session: pytest.Session, tests: list[str], seconds: dict[str, float], folder: Path) -> int:
    """Run tests until one fails; whether one did. One that takes ever so long is killed, and we with it."""
    items = {item.nodeid: item for item in session.items}
    for item, following in itertools.pairwise([*(items[test] for test in tests), None]):
        (folder / "test").write_text(item.nodeid)
        signal.setitimer(signal.ITIMER_PROF, 10 + 10 * seconds.get(item.nodeid, 5))
        signal.alarm(ENDLESS)
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def trace(files: set[str]) -> set[tuple[str, int]]:
    """Every line of the files that is run from now on, until `sys.settrace(None)`."""
    ran: set[tuple[str, int]] = set()

    def line(frame: FrameType, event: str, _: object) -> Any:
        ran.add((frame.f_code.co_filename, frame.f_lineno))
        return line

    def call(frame: FrameType, event: str, _: object) -> Any:
        return line if frame.f_code.co_filename in files else None

    threading.settrace(call)
    sys.settrace(call)
    return ran
