"""Which batch has written which files of results in a run. No other may replace them: somebody may still read them."""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar
from typing import NamedTuple

from .stream_files import StreamError
from .streams import is_one_of

items_around: ContextVar[tuple[tuple[str, int], ...]] = ContextVar("items_around", default=())
"""The items whose nodes have started the workflow that runs here, from the outermost one: the batch and the index."""


class Writer(NamedTuple):
    """A batch that writes results. It may write again where it has written: in another attempt, say."""

    node_id: str
    items: tuple[tuple[str, int], ...]
    """`items_around` it."""


class ResultsPlaces:
    """The paths that the batches of one run have written, or will. Threads may ask at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folders: dict[str, dict[str, Writer]] = {}
        self._with_star: dict[str, list[str]] = {}

    def _claim(self, path: str, writer: Writer) -> tuple[str, Writer] | None:
        """Note that `writer` writes what `path` stands for, one file or with a star many, unless somebody else does:
        under which name of the folder, and who."""
        folder, name = os.path.split(real_path(path))
        with self._lock:
            names, stars = self._folders.setdefault(folder, {}), self._with_star.setdefault(folder, [])
            for other in names if "*" in name else stars:
                if names[other] != writer and _meet(name, other):
                    return other, names[other]
            if name not in names and "*" in name:
                stars.append(name)
            owner = names.setdefault(name, writer)
        return None if owner == writer else (name, owner)

    def claim(self, path: str, writer: Writer) -> None:
        """Let nobody but `writer` write there. Raises: StreamError, if others have: somebody may still read that."""
        taken = self._claim(path, writer)
        if taken is None:
            return
        name, other = taken
        if other.node_id == writer.node_id:
            raise StreamError(
                f"{writer.node_id}: the results would replace those of another item that has started this workflow, in "
                f"{path}; put an input into the path that each item gives another value"
            )
        own = "folder" if "*" in os.path.basename(path) + name else "file"
        raise StreamError(
            f"{writer.node_id}: the results would replace those of '{other.node_id}' in {path}; "
            f"give each batch a {own} of its own for its results"
        )


def real_path(path: str) -> str:
    """The one name of what `path` stands for; a star in it stays."""
    return os.path.realpath(os.path.expanduser(path))


def _meet(one: str, two: str) -> bool:
    """Whether two names in one folder, of which one has a star, stand for the same files; of two with stars, one
    manifest would tell."""
    if "*" in one and "*" in two:
        return True
    return is_one_of(two, one) if "*" in one else is_one_of(one, two)
