"""What each code means, in words: `explained/PFL301.md` and its like, one file per code.

A file says what the code means, then shows under `## Wrong` what gives it and under `## Right` what to write
instead. The title is that of `CODES`. The examples are tested by what stands after their fence:

    json, json --program    a workflow, lowered with those options
    json lint               the same, for `pflow-lower lint`
    markdown                a workflow as .pflow.md
    toml                    a table of node types, given with --nodes
    python                  run with `pflow_lower` imported
    anything else           to be read only
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from .codes import CODES

FOLDER = Path(__file__).with_name("explained")

_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<kind>[^`\n]*)\n(?P<text>.*?)^(?P=fence)$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^## (Wrong|Right)$", re.MULTILINE)


class Example(NamedTuple):
    """A fenced block: what stands after its fence ("json --program"), and its text."""

    kind: str
    text: str


class Explanation(NamedTuple):
    """One code in words. `markdown` is all of it, below the title."""

    code: str
    title: str
    markdown: str

    @property
    def summary(self) -> str:
        """The first paragraph, on one line."""
        return " ".join(self.markdown.split("\n\n")[0].split())

    @property
    def text(self) -> str:
        """All of it for a reader without Markdown: the examples indented, without fences."""
        return _FENCE.sub(lambda block: _indented(block["text"]), self.markdown).replace("\n## ", "\n")

    def examples(self, heading: str) -> list[Example]:
        """The blocks under `heading`, "Wrong" or "Right"."""
        parts = _HEADING.split(self.markdown)
        return [
            found
            for name, part in zip(parts[1::2], parts[2::2], strict=True)
            if name == heading
            for found in fenced(part)
        ]


def explanation(code: str) -> Explanation | None:
    """What the code means; None if it is not a code, or nothing is written about it."""
    file = FOLDER / f"{code}.md"
    if code not in CODES or not file.is_file():
        return None
    return Explanation(code, CODES[code], file.read_text(encoding="utf-8").rstrip("\n"))


def fenced(markdown: str) -> list[Example]:
    """Every fenced block of a Markdown text."""
    return [Example(block["kind"].strip(), block["text"]) for block in _FENCE.finditer(markdown)]


def _indented(text: str) -> str:
    return "".join(f"    {line}" if line.strip() else line for line in text.splitlines(keepends=True)).rstrip("\n")
