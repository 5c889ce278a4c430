"""--watch: run again after every change, whatever the files are like in between; Ctrl-C ends it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.whole_files import put

from pflow_lower.tools.shared.watch import mentioned, workflow_state

PATIENCE = 60.0
"""Seconds after which a test gives up; nothing waits that long unless something is broken."""


class Watching:
    """A command that runs with --watch in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str, log: str) -> None:
        self.log = folder / log
        with self.log.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", "pflow_lower", *arguments],
                cwd=folder,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, runs: int) -> str:
        """What was said until the `runs`-th run was over."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            text = self.log.read_text()
            if text.count("Ctrl-C ends") >= runs:
                return text
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


Start = Callable[..., Watching]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Watching] = []

    def start(*arguments: str, log: str = "said.txt") -> Watching:
        started.append(Watching(tmp_path, *arguments, log=log))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def workflow(greeting: str) -> str:
    params = {"command": "cat", "stdin": f"{greeting} ${{item}}"}
    return json.dumps({"nodes": [{"id": "greet", "type": "shell", "params": params, "batch": {"items": ["Ann"]}}]})


def test_it_lowers_again_after_every_change(tmp_path: Path, start: Start) -> None:
    file = tmp_path / "flow.json"
    put(file, workflow("Hello"))
    watching = start("flow.json", "-o", "made", "--watch")
    watching.wait_for(1)
    put(file, workflow("Hello")[:40])
    said = watching.wait_for(2)
    assert "flow.json:1:36: error[PFL105]" in said
    file.unlink()
    assert "error[PFL101]" in watching.wait_for(3)
    put(file, workflow("Good morning"))
    said = watching.wait_for(4)
    assert "Good morning" in (tmp_path / "made" / "nodes.py").read_text()
    assert watching.interrupt() == 130
    assert "Traceback" not in said and "\x1b" not in said


def test_a_file_that_a_workflow_refers_to_counts(tmp_path: Path, start: Start) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    put(tmp_path / "flow.json", workflow("Hello").replace("Hello ${item}", "./prompts/greet.md"))
    watching = start("flow.json", "--emit", "python", "--watch")
    assert "error[PFL115]" in watching.wait_for(1)
    put(prompts / "greet.md", "Hi ${item}!")
    assert "Hi {text(item)}!" in watching.wait_for(2)
    put(prompts / "greet.md", "Bye ${item}!")
    assert "Bye {text(item)}!" in watching.wait_for(3)
    assert watching.interrupt() == 130


@pytest.mark.slow
def test_check_sees_workflows_and_generated_files(tmp_path: Path, start: Start) -> None:
    file = tmp_path / "flow.json"
    put(file, workflow("Hello"))
    start("flow.json", "-o", "made").process.wait()
    watching = start("check", "made", "--watch")
    assert "1 up to date" in watching.wait_for(1)
    put(file, workflow("Good morning"))
    assert "refresh with: pflow-lower check --update made" in watching.wait_for(2)
    start("flow.json", "-o", "made", log="lowered.txt").process.wait()
    assert "1 folder checked: 1 up to date" in watching.wait_for(3).partition("not up to date")[2]
    assert watching.interrupt() == 130


def test_standard_input_cannot_be_watched(start: Start, tmp_path: Path) -> None:
    assert start("-", "--watch").process.wait(PATIENCE) == 2
    assert "standard input" in (tmp_path / "said.txt").read_text()


def test_what_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    before = workflow_state(file)
    put(file, '{"nodes": [{"params": {"prompt": "./a b.md", "code": "code/x.py"')
    assert str(tmp_path / "pyproject.toml") in before and before[str(file)] is None
    state = workflow_state(file)
    assert state[str(file)] is not None and state[str(tmp_path / "code" / "x.py")] is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"prompt": "./p.md"', ["./p.md"]),
        ('"prompt": "..\\/p.md"', ["../p.md"]),
        ("prompt: prompts/p.md\n", ["prompts/p.md"]),
        ("- prompt: ../../p.md", ["../../p.md"]),
        ("https://example.org/x", []),
        ("plain words, no path", []),
    ],
)
def test_what_may_be_a_file(text: str, names: list[str]) -> None:
    assert mentioned(text) == names


def test_the_plan_follows_the_files_that_it_counts(tmp_path: Path, start: Start) -> None:
    file = tmp_path / "flow.json"
    put(file, workflow("Hello"))
    watching = start("plan", "flow.json", "--watch")
    assert "1 item" in watching.wait_for(1)
    put(file, file.read_text().replace('["Ann"]', '["Ann", "Bo"]'))
    assert "2 items" in watching.wait_for(2)
    assert watching.interrupt() == 130
