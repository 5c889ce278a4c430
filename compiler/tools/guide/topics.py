"""The topics of the guide: the Markdown files of this folder, one each, known by their names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent


class Topic(NamedTuple):
    """One page. `summary` is its first paragraph, a line that says what it is about."""

    name: str
    summary: str
    markdown: str


def topics() -> dict[str, Topic]:
    """Every topic by its name, in alphabetical order."""
    return {file.stem: _read(file) for file in sorted(FOLDER.glob("*.md"))}


def _read(file: Path) -> Topic:
    markdown = file.read_text(encoding="utf-8")
    _title, summary, _rest = markdown.split("\n\n", 2)
    return Topic(file.stem, summary, markdown)
