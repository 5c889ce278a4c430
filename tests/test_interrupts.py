"""Ctrl-C and SIGTERM, as a program that runs gets them: what is waited for, how far it came, and its exit status."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import pflow_lower
from pflow_lower.runtime.signals import interrupted_as_handled

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process is not sent Ctrl-C there")
PATIENCE = 60

NODES = """
import asyncio, os, signal, sys, threading, time
from pocketflow import AsyncNode, Node

def begun(at):
    os.write(int(os.environ["BEGUN"]), b"%d\\n" % at)

def sleep():
    while True:  # in naps: in the main thread, a signal that comes right before a long sleep would not end it
        time.sleep(0.05)

class Slow(Node):
    def exec(self, _):
        if self.params["at"] >= 2:
            begun(self.params["at"])
            sleep()

class Both(Node):
    '''Two signals, one right after the other: a thread lets go of the interpreter between neither.'''
    def exec(self, _):
        if self.params["at"] == 2:
            begun(2)
            def both():
                time.sleep(0.5)
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGTERM)
            threading.Thread(target=both, daemon=True).start()
        if self.params["at"] >= 2:
            sleep()

class Swift(Node):
    '''Ends as soon as it is told to.'''
    def exec(self, _):
        if self.params["at"] >= 2:
            begun(self.params["at"])
            while not os.path.exists(os.environ["GO"]):
                time.sleep(0.01)

class AsyncSlow(AsyncNode):
    async def exec_async(self, _):
        if self.params["at"] >= 2:
            begun(self.params["at"])
            await asyncio.sleep(600)

class Blocking(AsyncNode):
    '''Holds up the loop that it runs in.'''
    async def exec_async(self, _):
        if self.params["at"] >= 2:
            begun(self.params["at"])
            sleep()

class Stubborn(AsyncNode):
    '''Does not let itself be cancelled, the first time.'''
    async def exec_async(self, _):
        if self.params["at"] >= 2:
            begun(self.params["at"])
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                await asyncio.sleep(600)
"""
START = """
import os, runpy, signal, sys
# Whoever runs the tests may have it ignored, as a shell has it for what runs in its background.
signal.signal(signal.SIGINT, signal.SIG_IGN if os.environ.get("IN_BACKGROUND") else signal.default_int_handler)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PARALLEL = {"parallel": True, "max_concurrent": 3}


class Started:
    """A generated program with one batch over ten items, of which the third and later ones are slow."""

    def __init__(self, folder: Path, node: str, batch: dict[str, Any], **environment: str) -> None:
        (folder / "slow.py").write_text(NODES)
        is_async = "true" if node in ("AsyncSlow", "Blocking", "Stubborn") else "false"
        (folder / "nodes.toml").write_text(f'[nodes]\nslow = {{ class = "slow:{node}", async = {is_async} }}\n')
        nodes = [
            {
                "id": "say",
                "type": "slow",
                "params": {"at": "${__index__}"},
                "batch": {"items": list(range(10)), "max_retries": 3, **batch},
            }
        ]
        (folder / "wf.json").write_text(json.dumps({"ir_version": "0.1.0", "nodes": nodes, "edges": []}))
        made = pflow_lower.lower(folder / "wf.json", nodes=folder / "nodes.toml", program=True)
        for name, text in made.files.items():
            path = folder / "out" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.go = folder / "go"
        self.begun, theirs = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(folder / "out" / "flow.py")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(theirs,),
            env={**os.environ, "PYTHONPATH": str(folder), "GO": str(self.go), "BEGUN": str(theirs), **environment},
        )
        os.close(theirs)
        self._watchdog = threading.Timer(PATIENCE, self.process.kill)
        self._watchdog.start()
        self.said = ""

    def wait_for_calls(self, number: int) -> None:
        """Until so many slow calls are under way."""
        calls = b""
        while calls.count(b"\n") < number:
            read = os.read(self.begun, 100)
            assert read, f"it has ended: {self.rest()}"
            calls += read

    def wait_for_line(self, said: str) -> None:
        """Until it has said so."""
        assert self.process.stderr is not None
        while said not in self.said:
            line = self.process.stderr.readline().decode()
            assert line, f"it has ended, and said {self.said!r}"
            self.said += line

    def send(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def rest(self) -> tuple[int, str]:
        """The exit status, and all that it said."""
        assert self.process.stderr is not None
        self.said += self.process.stderr.read().decode()
        self.process.wait()
        self._watchdog.cancel()
        self.process.stderr.close()
        os.close(self.begun)
        return self.process.returncode, self.said


SHAPES: dict[str, tuple[str, dict[str, Any], int]] = {
    "in order": ("Slow", {}, 1),
    "in order, async": ("AsyncSlow", {}, 1),
    "in tasks": ("AsyncSlow", PARALLEL, 3),
}


@pytest.mark.parametrize(("number", "status", "word"), [(2, 130, "interrupted"), (15, 143, "terminated")])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_signal_ends_it_and_it_says_how_far_it_came(
    tmp_path: Path, shape: str, number: int, status: int, word: str
) -> None:
    node, batch, under_way = SHAPES[shape]
    program = Started(tmp_path, node, batch)
    program.wait_for_calls(under_way)
    program.send(number)
    code, said = program.rest()
    assert code == status, said
    assert said.splitlines()[0] == word
    if sys.version_info >= (3, 11):
        assert "say: interrupted when 2 of 10 items were done" in said
    assert "shared[" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("more", [{}, {"timeout": 500}, {"rate": "1000/s"}], ids=["alone", "timeout", "rate"])
@pytest.mark.parametrize("shape", SHAPES)
def test_sigterm_ends_it_in_the_background_of_a_shell(tmp_path: Path, shape: str, more: dict[str, Any]) -> None:
    """Where SIGINT is ignored, no event loop sees to it, and Python cancels all tasks at once, in any order."""
    node, batch, under_way = SHAPES[shape]
    program = Started(tmp_path, node, {**batch, **more}, IN_BACKGROUND="1")
    program.wait_for_calls(under_way)
    program.send(signal.SIGTERM)
    code, said = program.rest()
    assert code == 143, said
    assert "terminated" in said.splitlines() and "Traceback" not in said and "unhandled" not in said
    if sys.version_info >= (3, 11):
        assert "say: interrupted when 2 of 10 items were done" in said


@pytest.mark.parametrize(("number", "status", "word"), [(2, 130, "interrupted"), (15, 143, "terminated")])
def test_threads_say_what_they_wait_for_and_wait(tmp_path: Path, number: int, status: int, word: str) -> None:
    program = Started(tmp_path, "Swift", PARALLEL)
    program.wait_for_calls(3)
    program.send(number)
    program.wait_for_line("say: waiting for 3 calls under way; press Ctrl-C again to leave them")
    program.go.touch()
    code, said = program.rest()
    assert code == status, said
    assert word in said.splitlines()
    if sys.version_info >= (3, 11):
        assert "say: interrupted when 5 of 10 items were done" in said


WAITING = {
    "in threads": ("Slow", PARALLEL, 3, "3 calls under way; press Ctrl-C again to leave them"),
    "in order, async, blocking": ("Blocking", {}, 1, "1 call under way; press Ctrl-C again to leave it"),
    "in tasks, not to be cancelled": ("Stubborn", PARALLEL, 3, "3 calls under way; press Ctrl-C again to leave them"),
}


@pytest.mark.parametrize("pause", [0, 0.3], ids=["at once", "while it waits"])
@pytest.mark.parametrize("shape", WAITING)
def test_a_second_ctrl_c_leaves_what_is_under_way(tmp_path: Path, shape: str, pause: float) -> None:
    node, batch, under_way, waiting = WAITING[shape]
    program = Started(tmp_path, node, batch)
    program.wait_for_calls(under_way)
    program.send(signal.SIGINT)
    program.wait_for_line(f"say: waiting for {waiting}")
    time.sleep(pause)
    program.send(signal.SIGINT)
    code, said = program.rest()
    assert code == 130, said
    if sys.version_info >= (3, 11):
        assert "say: interrupted when 2 of 10 items were done" in said
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize("batch", [{}, PARALLEL], ids=["in order", "in threads"])
def test_two_signals_at_once_end_it_as_an_interrupt(tmp_path: Path, batch: dict[str, Any]) -> None:
    """The second one comes while the first one leaves the lock that is waited for: a RuntimeError in place of both."""
    code, said = Started(tmp_path, "Both", batch).rest()
    assert code in (130, 143), said
    assert "say: interrupted when 2 of 10 items were done" in said
    assert "Traceback" not in said and "unlocked" not in said


ASLEEP = """
import signal, threading, time
from pflow_lower.runtime.latch import Latch, Semaphore, wait_for_end

def send():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # here, so that it wakes up nobody else

signal.signal(signal.SIGINT, signal.default_int_handler)
other = threading.Thread(target=time.sleep, args=[600], daemon=True)
other.start()
threading.Thread(target=send, daemon=True).start()
try:
    WAIT
except KeyboardInterrupt:
    print("noticed")
"""


@pytest.mark.parametrize(
    "wait", ["Latch().wait()", "Latch().wait(600)", "wait_for_end(other)", "Semaphore(0).acquire()"]
)
def test_a_signal_that_wakes_nobody_up_is_noticed(wait: str) -> None:
    """As one that comes just before the main thread goes to sleep: one second Ctrl-C in ten was lost in that way."""
    script = ASLEEP.replace("WAIT", wait)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout == "noticed\n", done.stderr


TWICE = """
import os, signal, threading, time
from pflow_lower.runtime.latch import Latch, Semaphore

def both():
    time.sleep(0.1)  # it waits by then, or else notices them before
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.default_int_handler)
sender = threading.Thread(target=both, daemon=True)
try:
    try:
        sender.start()
        WAIT
    finally:
        while sender.is_alive():  # the second one comes in here, if it has not yet
            time.sleep(0.01)
except KeyboardInterrupt:
    print("noticed")
"""


@pytest.mark.parametrize("wait", ["Latch().wait(600)", "Semaphore(0).acquire()"])
def test_two_signals_at_once_do_not_break_what_waits(wait: str) -> None:
    script = TWICE.replace("WAIT", wait)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout == "noticed\n", done.stderr


def test_handlers_are_put_back() -> None:
    from pflow_lower.runtime.signals import ending_on_sigterm

    before = signal.getsignal(signal.SIGTERM)
    with ending_on_sigterm():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_program_s_own_handler_stays() -> None:
    from pflow_lower.runtime.signals import ending_on_sigterm

    def own(*_: object) -> None:
        """What the program does."""

    before = signal.signal(signal.SIGTERM, own)
    try:
        with ending_on_sigterm():
            assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_sets_no_handler() -> None:
    from pflow_lower.runtime.signals import ending_on_sigterm

    seen: list[Any] = []

    def run() -> None:
        with ending_on_sigterm():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself SIGTERM there")
def test_what_a_handler_raises_ends_the_work_and_handlers_that_it_sets_stay() -> None:
    class Chosen(BaseException):
        pass

    def choose(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Chosen

    def work(status: int) -> None:
        with contextlib.suppress(Chosen):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(PATIENCE)
        raise SystemExit(status)  # as Ray, with 1

    before = signal.signal(signal.SIGTERM, choose)
    try:
        with pytest.raises(Chosen):
            interrupted_as_handled(lambda: work(1))
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.signal(signal.SIGTERM, choose)
        with pytest.raises(SystemExit, match="7"):
            interrupted_as_handled(lambda: work(7))
        signal.signal(signal.SIGTERM, choose)
        interrupted_as_handled(lambda: None)
        assert signal.getsignal(signal.SIGTERM) is choose
    finally:
        signal.signal(signal.SIGTERM, before)
