"""README.md is true: its commands run, and the class that it shows is the one that is generated."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from helpers.documents import complaints, surroundings
from helpers.provider import serving

import pflow_lower
from pflow_lower.diagnostics.explanations import fenced

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
TO_TRY = README.split("## Try it")[1].split("\n## ")[0]
"""What `.ci/run` runs, in a fresh copy of the repository."""


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("file", ["labels.json", "labels.pflow.md"])
def test_the_class_is_what_comes_out(file: str, tmp_path: Path) -> None:
    if file.endswith(".md"):
        pytest.importorskip("pflow")
    blocks = {block.kind: block.text for block in fenced(README)}
    (tmp_path / file).write_text(next(text for kind, text in blocks.items() if kind.endswith(f" {file}")), "utf-8")
    lowered = pflow_lower.lower(tmp_path / file)
    generated = lowered.files["nodes.py"]
    assert not lowered.diagnostics
    assert generated[generated.index("class ClassifyBatch") :] == blocks["python in gen/nodes.py"]


def test_the_commands_to_try_are_two() -> None:
    commands = re.findall(r"```sh\n(.*?)```", TO_TRY, re.DOTALL)
    assert len(commands) == 2 and all(command.count("\n") == 1 for command in commands)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of a POSIX shell")
def test_what_it_shows_is_so(tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    shown = README.replace(TO_TRY, "")
    uses = next(block for block in fenced(shown) if block.kind == "sh")
    with serving() as provider:
        found = complaints(shown, tmp_path, surroundings(provider))
    assert uses.text.count("\n") == 3
    assert not found, "\n\n".join(found)
