"""How many items of a batch a worker of a cluster gets at a time, for `ray_driver.py` and for `plan`."""

from __future__ import annotations

from typing import Any

CHUNK_SECONDS = 0.5
"""About how long a chunk takes: long against what a task costs, short against what a death loses."""
LARGEST_CHUNK = 1_000
LEAST_SECONDS = 0.02
"""How short chunks get towards the end of a batch, so that all workers end at about the same time."""


def layout(processors: float, needed: float, at_once: int) -> tuple[int, int]:
    """How many tasks run at a time where each item needs `needed` of the processors, and on how many threads each of
    them runs items, so that `at_once` items are never exceeded."""
    places = max(1, min(int(processors // (needed or 1.0)), at_once))
    width = max(1, at_once // places)
    return max(1, at_once // width), width


def chunk_size(mean: float, width: int, left: int | None, tasks: int) -> int:
    """How many items the next chunk has: as many as take about CHUNK_SECONDS, and towards the end fewer.

    `mean` is how long an item takes, 0 where that is not known yet; `left` is how many are to be dealt out, None where
    that is not known.
    """
    if not mean:
        return width
    size = min(LARGEST_CHUNK, int(CHUNK_SECONDS / mean * width))
    if left is not None:
        size = min(size, max(left // (2 * tasks), int(LEAST_SECONDS / mean * width)))
    return max(width, size)


class Chunk:
    """Items on their way: a task, and those of its items, by index, that have no outcome yet."""

    def __init__(self, items: dict[int, Any], deaths: int = 0) -> None:
        self.left = items
        self.most = len(items)
        """How many of its items can run at a time."""
        self.deaths = deaths
        self.is_done = False
        self.is_whole = False
        """Whether it comes back as one value, and not as a stream."""
        self.places: list[int] = []
        """Those that it takes in a budget that others have a part in."""
