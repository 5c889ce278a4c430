"""What the texts for people name is there: files and folders of the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXTS = ("CONTRIBUTING.md", "README.md", "golden/README.md", "compiler/tools/guide/*.md")
TOPS = ("compiler", "templates", "tests", "golden", "benchmarks", ".ci", ".github")
_PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, TOPS))})/(?:[\w./*-]|<\w+>|\[\w+\])*[\w/*>]")
_ANY = re.compile(r"<\w+>|nnn")

pytestmark = pytest.mark.skipif(not (ROOT / "compiler").is_dir(), reason="runs away from the repository")


def named() -> Iterator[tuple[str, str]]:
    for pattern in TEXTS:
        for file in sorted(ROOT.glob(pattern)):
            for path in _PATH.findall(file.read_text("utf-8")):
                yield file.relative_to(ROOT).as_posix(), path


def test_every_path_that_is_named_is_there() -> None:
    found = list(named())
    assert {file for file, _ in found} >= {"CONTRIBUTING.md", "golden/README.md"}
    missing = {(file, path) for file, path in found if not any(ROOT.glob(_ANY.sub("*", path.rstrip("/"))))}
    assert not missing


def test_contributing_names_every_room() -> None:
    rooms = {path.name for path in (ROOT / "compiler").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {path.split("/")[1] for file, path in named() if file == "CONTRIBUTING.md" and "compiler/" in path} >= rooms
