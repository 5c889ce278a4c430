"""How long a batch takes on a Ray cluster, how busy its workers are and what that costs: by dealing out its chunks.

The driver deals as the runtime does (`runtime/ray_chunks.py`), every item takes as long as is said, and what Ray costs
by itself is left out: some seconds to start, about 1.5 ms a chunk.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...runtime.ray_chunks import chunk_size, layout


class Cluster(NamedTuple):
    """Where parallel batches run."""

    nodes: int
    processors: int = 1
    """Of each node."""
    price: float | None = None
    """What a node costs an hour."""
    needs: Mapping[str, Mapping[str, Any]] = {}
    """What the items of a node of the workflow need, by its id, and under "*"."""

    def cost(self, seconds: float) -> float | None:
        """What all nodes cost for so long."""
        return None if self.price is None else self.nodes * self.price * seconds / 3600


class Dealt(NamedTuple):
    """What dealing out the items of a batch comes to."""

    workers: int
    """Tasks that run at a time."""
    threads: int
    """Items that each of them runs at a time."""
    chunks: int
    seconds: float
    utilisation: float
    """The share of the seconds of the cluster's processors that items take, those that wait included."""


def dealt(cluster: Cluster, node_id: str, items: int, seconds: float, max_concurrent: int) -> Dealt:
    """How the `items` of the node, which take `seconds` each, are dealt out. An item that waits leaves its processor
    to others; one that does not makes those on the same worker slower, which is not seen here."""
    needed = {**cluster.needs.get("*", {}), **cluster.needs.get(node_id, {})}.get("num_cpus", 1)
    processors = cluster.nodes * cluster.processors
    workers, threads = layout(processors, float(needed), max_concurrent)
    ends: list[tuple[float, int]] = []  # of chunks under way, and how many items they have
    left, now, chunks, done = items, 0.0, 0, 0
    while left or ends:
        while left and len(ends) < workers:
            size = min(left, chunk_size(seconds if done else 0.0, threads, left, workers))
            heapq.heappush(ends, (now + -(-size // threads) * seconds, size))
            left -= size
            chunks += 1
        now, size = heapq.heappop(ends)
        done += size
    busy = min(items * seconds / threads * float(needed) / (processors * now), 1.0) if now else 0.0
    return Dealt(workers, threads, chunks, now, busy)
