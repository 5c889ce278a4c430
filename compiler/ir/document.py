"""A workflow as `load` read it: plain data, and where each part of it stands."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from ..diagnostics.diagnostic import Diagnostic, Position
from .paths import Path

Workflow = str | os.PathLike[str] | Mapping[str, Any]
"""What can be lowered: the path of a file, "-" for standard input, or the data itself."""


def file_of(workflow: Workflow) -> pathlib.Path | None:
    """The absolute path of the file that a workflow comes from; None for data and for standard input."""
    if isinstance(workflow, Mapping) or os.fspath(workflow) == "-":
        return None
    return pathlib.Path(workflow).absolute()


class Positions(Protocol):
    """Finds where a path of the document stands in the source text (computed when first asked)."""

    def find(self, path: Path, text: str | None = None) -> Position | None:
        """The position of the value at `path`, or of its nearest parent that has one.

        With `text`, the position of the first occurrence of `text` inside that value's spelling,
        where it can be found there. None if the source has no positions at all.
        """
        ...

    def find_key(self, path: Path) -> Position | None:
        """The position of the key that names the value at `path`; without a key, as `find`."""
        ...

    def find_inside(self, path: Path, value: str, offsets: Collection[int]) -> Mapping[int, Position | None]:
        """The positions of the characters `offsets` of the string `value`, which stands at `path`.

        Where the source spells the value in a way that hides one (a file that was read in), as `find`.
        """
        ...

    def extent(self, path: Path) -> tuple[int, int] | None:
        """The first and the last line of the value at `path`, or of its nearest parent that has one.

        The key that names the value belongs to it. None if the source has no positions at all.
        """
        ...

    def span(self, path: Path) -> tuple[int, int] | None:
        """The offsets between which the value at `path` is spelled, quotes included; None if it cannot be found."""
        ...

    def key_span(self, path: Path) -> tuple[int, int] | None:
        """The offsets between which the key that names the value is spelled, quotes included; None without one."""
        ...


class NoPositions:
    """Positions of a document that came as Python data."""

    def find(self, path: Path, text: str | None = None) -> Position | None:
        """Always None: there is no source text."""
        return None

    def find_key(self, path: Path) -> Position | None:
        """Always None: there is no source text."""
        return None

    def find_inside(self, path: Path, value: str, offsets: Collection[int]) -> Mapping[int, Position | None]:
        """Always None: there is no source text."""
        return dict.fromkeys(offsets)

    def extent(self, path: Path) -> tuple[int, int] | None:
        """Always None: there is no source text."""
        return None

    def span(self, path: Path) -> tuple[int, int] | None:
        """Always None: there is no source text."""
        return None

    def key_span(self, path: Path) -> tuple[int, int] | None:
        """Always None: there is no source text."""
        return None


STDIN = "<stdin>"
"""The name of a workflow that comes from standard input."""
ONE_NODE = "a workflow has at least one node"
NOT_STDIN = "give the workflow's path instead of -"
"""What to do where its folder has to be known."""


class Document(NamedTuple):
    """What `load` read: the workflow as plain JSON data, and where each part of it stands."""

    name: str
    """The file's name as the user gave it; STDIN for standard input, "<data>" for a dict."""
    data: Any
    positions: Positions = NoPositions()
    warnings: tuple[Diagnostic, ...] = ()
    """What `load` had to say about a document it could read; `validate` passes it on."""
    is_markdown: bool = False
    """Whether the author wrote Markdown, and advice is to be given in it."""
    is_plain: bool = True
    """Whether the author wrote what JSON can hold. Else pflow runs it with values that `data` has the texts of."""
