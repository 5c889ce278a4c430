"""How far batches are while they run: one display, on a terminal, in a pipe and inside pflow; none with --quiet."""

from __future__ import annotations

import asyncio
import io
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pocketflow
import pytest
from helpers.scripted import AsyncScripted, Script, Scripted, lowered_class, store
from helpers.shapes import SHAPES

import pflow_lower
from pflow_lower.runtime import progress
from pflow_lower.runtime.progress import Row, showing
from pflow_lower.runtime.progress_displays import PlainLines
from pflow_lower.runtime.value_text import duration

HERE = Path(__file__).parent
PATIENCE = 60


class FakeBatch:
    """As much of a batch as a row asks."""

    def __init__(self, total: int | None, done: int = 0, *, failed: int = 0, restored: int = 0) -> None:
        self.total = total
        self.done = done
        self.errors = SimpleNamespace(count=failed)
        self.restored = restored


def row_of(*batches: Any) -> Row:
    row = Row("say", 100.0)
    row.under_way += batches
    return row


def test_a_line_says_done_of_how_many_and_how_long_still() -> None:
    row = row_of(FakeBatch(18, 7, failed=1)).counts()
    assert row.line(103.5) == "say: 7/18 (38 %), 1 failed, 2.0/s, 5.5 s left"
    assert row.last_line(109) == "say: 7/18 (38 %), 1 failed, in 9.0 s"


def test_slow_items_are_counted_by_the_minute() -> None:
    row = row_of(FakeBatch(1000, 2)).counts()
    assert row.line(220) == "say: 2/1000 (0 %), 1.0/min, 16 h 38 min left"


def test_a_total_that_is_not_known() -> None:
    assert row_of(FakeBatch(None, 4)).counts().line(102) == "say: 4 done, 2.0/s"


def test_what_the_journal_had_says_nothing_of_the_speed() -> None:
    row = row_of(FakeBatch(10, 8, restored=6)).counts()
    assert row.line(104) == "say: 8/10 (80 %), 0.5/s, 4.0 s left"
    assert row_of(FakeBatch(10, 1, restored=1)).counts().line(101) == "say: 1/10 (10 %)"


def test_batches_of_one_node_are_one_row() -> None:
    first, second = FakeBatch(10, 10, failed=1, restored=8), FakeBatch(20, 2)
    row = row_of(first, second)
    line = "say: 12/30 (40 %), 1 failed, 2.0/s, 9.0 s left"
    assert row.counts().line(102) == line
    row.end(first)  # type: ignore[arg-type]
    assert row.counts().line(102) == line


def test_a_batch_that_ends_before_it_knows_its_total_never_had_so_many() -> None:
    """Ctrl-C among the items of a file: what is done by then is not all."""
    first, second = FakeBatch(None, 6), FakeBatch(2, 2)
    row = row_of(first, second)
    row.end(first)  # type: ignore[arg-type]
    assert row.counts().line(104) == "say: 8 done, 2.0/s"
    row.end(second)  # type: ignore[arg-type]
    assert row.counts().last_line(104) == "say: 8 done, in 4.0 s"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_plain_lines_come_less_often_in_a_long_run() -> None:
    written: list[str] = []
    lines, row = PlainLines(written.append, 3.0), row_of(FakeBatch(10, 1)).counts()
    now = 103.0
    while now < 100 + 3600:
        lines.show([row], now)
        now += 0.25
    assert 50 <= len(written) <= 120


# --- Batches


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain lines come as soon as there is something to show."""
    monkeypatch.setattr(progress, "TICK", 0.001)
    monkeypatch.setattr(progress, "FIRST_LINE", 0.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_shows_how_far_it_is(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Waiting(pocketflow.Node):
        def exec(self, _: Any) -> None:
            if self.params["at"] == 4:
                assert seen.wait(PATIENCE)
            elif self.params["at"] == 2:
                raise ValueError("no")

    class AsyncWaiting(pocketflow.AsyncNode):
        async def exec_async(self, _: Any) -> None:
            if self.params["at"] == 4:
                assert await asyncio.to_thread(seen.wait, PATIENCE)
            elif self.params["at"] == 2:
                raise ValueError("no")

    def write(line: str) -> None:
        written.append(line)
        if "1 failed" in line:
            seen.set()

    written: list[str] = []
    seen = threading.Event()
    at_once(monkeypatch)
    options = SHAPES[shape]
    node = lowered_class(**options, error_handling="continue")(
        AsyncWaiting() if options["node"] == "AsyncScripted" else Waiting()
    )
    with showing(write=write):
        node._run(store(list(range(5))))
    assert written[-1].startswith("b: 5/5 (100 %), 1 failed, in ")
    assert not [thread for thread in threading.enumerate() if thread.name == "pflow-lower-progress"]


def test_a_batch_inside_an_item_is_in_the_same_display(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nested(pocketflow.Node):
        def exec(self, _: Any) -> None:
            inner = lowered_class()(Scripted(Script([["ok"]] * 3)))
            inner.node_id = "inner"
            inner._run(store([1, 2, 3]))
            if self.params["at"] == 3:
                assert seen.wait(PATIENCE)

    def write(line: str) -> None:
        written.append(line)
        if line.startswith("inner: 12/12"):
            seen.set()

    written: list[str] = []
    seen = threading.Event()
    at_once(monkeypatch)
    with showing(write=write), showing(write=lambda line: pytest.fail("a second display")):
        lowered_class(parallel=True, max_concurrent=2)(Nested())._run(store(list(range(4))))
    assert any(line.startswith("b: ") for line in written)


def test_a_batch_that_is_over_at_once_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with showing():
        lowered_class(parallel=True)(Scripted(Script([["ok"]] * 9)))._run(store(list(range(9))))
        lowered_class(node="AsyncScripted")(AsyncScripted(Script([["ok"]] * 9)))._run(store(list(range(9))))
    assert capsys.readouterr().err == ""


def test_a_display_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)

    def fail(line: str) -> None:
        raise OSError("nobody listens")

    shared = store(list(range(50)))
    with showing(write=fail):
        lowered_class(parallel=True)(Scripted(Script([["ok"]] * 50)))._run(shared)
    assert shared["b"]["success_count"] == 50


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["none", "closed"])
def test_without_standard_error(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if stream is not None:
        monkeypatch.setattr(stream, "write", lambda text: (_ for _ in ()).throw(ValueError("closed")))
    monkeypatch.setattr(sys, "stderr", stream)
    at_once(monkeypatch)
    shared = store([1, 2])
    with showing():
        lowered_class()(Scripted(Script([["ok"]] * 2)))._run(shared)
    assert shared["b"]["count"] == 2


def test_a_display_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(line: str) -> None:
        hangs.set()
        assert go_on.wait(PATIENCE)
        written.append(line)

    def run() -> None:
        with showing(write=write):
            lowered_class()(Waiting())._run(store([1]))
            for _ in range(3):
                lowered_class(parallel=True)(Scripted(Script([["ok"]] * 9)))._run(store(list(range(9))))
        ended.set()

    class Waiting(pocketflow.Node):
        def exec(self, _: Any) -> None:
            assert hangs.wait(PATIENCE)

    written: list[str] = []
    hangs, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    at_once(monkeypatch)
    monkeypatch.setattr(progress, "CLOSING_SECONDS", 0.01)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        assert ended.wait(PATIENCE)
        assert not written
    finally:
        go_on.set()
    thread.join()


UNREAD = """
import contextlib, os, sys, termios, time
import pocketflow
from helpers.scripted import lowered_class, store
from functools import partial
from pflow_lower.pflow.messages import write_line
from pflow_lower.runtime.standard_error import write_unlocked
from pflow_lower.runtime import progress

class Slow(pocketflow.Node):
    def exec(self, _):
        time.sleep(0.005)

progress.TICK, progress.FIRST_LINE, progress.CLOSING_SECONDS = 0.001, 0.0, 0.05
def fill(fd, most=1 << 20):
    os.set_blocking(fd, False)
    written = 0
    with contextlib.suppress(BlockingIOError):
        while written < most:
            written += os.write(fd, b"x")
    os.set_blocking(fd, True)
    return written

name = "say"
if sys.argv[1] == "full":
    fill(2)
elif sys.argv[1] == "stopped":
    termios.tcflow(2, termios.TCOOFF)
elif sys.argv[1] == "nearly full":
    fill(2, fill(os.openpty()[1]) - 20 if os.isatty(2) else 0)
    name *= 4000  # in the midst of its line nothing more is taken
with progress.showing(write=partial(write_line, write=write_unlocked) if sys.argv[2] == "in pflow" else None):
    for number in range(30):
        batch = lowered_class(parallel=number % 2 == 0)
        batch.node_id = name
        batch(Slow())._run(store(list(range(9))))
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="made there, a pipe can be made small")
@pytest.mark.parametrize("writer", ["program", "in pflow"])
@pytest.mark.parametrize("before", ["full", "nearly full", "empty"])
def test_a_pipe_that_nobody_reads_holds_nothing_up(before: str, writer: str) -> None:
    import fcntl

    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
    run_unread(ours, theirs, before, writer)


@pytest.mark.slow
@pytest.mark.parametrize("writer", ["with rich", "without", "in pflow"])
@pytest.mark.parametrize("before", ["stopped", "nearly full", "empty"])
def test_a_terminal_that_nobody_reads_holds_nothing_up(before: str, writer: str) -> None:
    pty = pytest.importorskip("pty")
    run_unread(*pty.openpty(), before, writer)


def run_unread(ours: int, theirs: int, before: str, how: str) -> None:
    """Run thirty batches, whose standard error `theirs` is, and read nothing from `ours`."""
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": path, "TERM": "xterm", "COLUMNS": "20000"}
    env.pop("PYTHONUNBUFFERED", None)  # with that, nobody waits for a lock of `sys.stderr`
    without_rich = "import sys\nsys.modules['rich'] = None\n" if how == "without" else ""
    try:
        done = subprocess.run(
            [sys.executable, "-c", without_rich + UNREAD, before, how],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            timeout=PATIENCE,
            check=False,
            env=env,
        )
    finally:
        os.close(theirs)
        os.close(ours)
    assert (done.returncode, done.stdout) == (0, b"done\n")


# --- Programs, as processes


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated program whose 8 items wait until it is told to go on: `go` appears beside it."""
    folder = tmp_path_factory.mktemp("program")
    workflow = {
        "ir_version": "0.1.0",
        "inputs": {"xs": {"type": "array", "required": True, "description": "items"}},
        "nodes": [{"id": "say", "type": "slow", "params": {"at": "${__index__}"}, "batch": {"items": "${xs}"}}],
        "edges": [],
    }
    (folder / "nodes.toml").write_text('[nodes]\nslow = "slow:Slow"\n')
    (folder / "slow.py").write_text(
        "import os, time\nfrom pocketflow import Node\n\n\nclass Slow(Node):\n    def exec(self, _):\n"
        "        while self.params['at'] == 6 and not os.path.exists(os.environ['GO']):\n"
        "            time.sleep(0.01)\n"
        "    def post(self, shared, prep_res, exec_res):\n        shared['out'] = 1\n"
    )
    (folder / "wf.json").write_text(json.dumps(workflow))
    made = pflow_lower.lower(folder / "wf.json", nodes=folder / "nodes.toml", program=True)
    for name, text in made.files.items():
        path = folder / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def watched(
    program: Path, arguments: list[str], until: Callable[[str], bool], tmp_path: Path, *, terminal: bool, rich: bool
) -> str:
    """What a program writes to standard error, which goes on when `until` holds of that."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty() if terminal else os.pipe()
    go = tmp_path / "go"
    start = (
        "import sys, runpy\n"
        + ("" if rich else "sys.modules['rich'] = None\n")
        + "from pflow_lower.runtime import progress\nprogress.FIRST_LINE = 0.05\n"
        + "sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start, str(program / "out" / "flow.py"), "xs=[1,2,3,4,5,6,7,8]", *arguments],
        stderr=theirs,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "GO": str(go), "PYTHONPATH": str(program), "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    text = ""
    try:
        while True:
            if until(text):
                go.touch()
            if not select.select([ours], [], [], PATIENCE)[0]:
                pytest.fail(f"nothing more came: {text!r}")
            try:
                read = os.read(ours, 65536)
            except OSError:  # a terminal whose other end is closed
                read = b""
            if not read:
                break
            text += read.decode("utf-8", "replace")
        output, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        os.close(ours)
    assert process.returncode == 0, text
    json.loads(output)
    return text


@pytest.mark.parametrize(("terminal", "rich"), [(True, True), (True, False), (False, True)])
def test_a_program_says_how_far_it_is(program: Path, tmp_path: Path, terminal: bool, rich: bool) -> None:
    text = watched(program, [], lambda text: "6/8 (75 %)" in text, tmp_path, terminal=terminal, rich=rich)
    assert "say: 8/8 (100 %), in " in text
    assert ("\x1b[" in text) == terminal
    assert ("━" in text) == (terminal and rich)
    assert "Traceback" not in text


def test_a_quiet_program(program: Path, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    assert watched(program, ["--quiet"], lambda text: False, tmp_path, terminal=True, rich=True) == ""
