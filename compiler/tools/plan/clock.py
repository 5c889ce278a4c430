"""How long calls take, and how long a batch of them takes: bounds by list scheduling.

Workers take the next item as soon as they are free. However the items stand in line, that takes at least the longest
of them and at least their sum divided by the workers, and at most that share plus the longest, less the part of it
that is in the share already (R. L. Graham, Bounds for Certain Multiprocessing Anomalies, 1966).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...files import regular_files
from .cluster import Cluster

_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|)")
_MOST = 1e9
"""Seconds, some thirty years: no call takes as long, and sums of shorter ones stay numbers."""
_INSIDE = ("events", "sub_workflow_events")
"""Where pflow puts the events of the nodes that an item, or a node inside one, has started."""


class TimeBounds(NamedTuple):
    """Seconds: at least and at most if every call succeeds at once, and at most with every attempt and wait."""

    low: float
    high: float
    worst: float

    def at_least(self, low: float, high: float, worst: float) -> TimeBounds:
        """These bounds, where none of them can be less than that."""
        return TimeBounds(max(self.low, low), max(self.high, high), max(self.worst, worst))

    def tried(self, attempts: int, waits: float, timeout: float | None) -> TimeBounds:
        """Of something that may be tried so often, with `waits` in between, and is given up after `timeout`."""
        low, high, worst = (min(bound, timeout) for bound in self) if timeout is not None else self
        return TimeBounds(low, high, attempts * worst + waits)

    def then(self, other: TimeBounds) -> TimeBounds:
        """One after the other."""
        return TimeBounds(self.low + other.low, self.high + other.high, self.worst + other.worst)


class Times(NamedTuple):
    """What is known of the durations of calls, in seconds."""

    each: float | None = None
    """Of every call that is made for an item."""
    of_node: dict[str, tuple[float, ...]] = {}  # noqa: RUF012  never changed
    """Of the calls of one node, by its path (`sub/ask`)."""
    named: frozenset[str] = frozenset()
    """The nodes that the user has named, so that they must be there."""
    cluster: Cluster | None = None
    """Where parallel batches run, if not in one process."""

    def calls(self, path: str, *, for_item: bool) -> tuple[float, ...]:
        """Sample durations of the node's calls; empty if nothing is known."""
        if path in self.of_node:
            return self.of_node[path]
        return (self.each,) if self.each is not None and for_item else ()


class WrongTime(ValueError):
    """A duration, or a trace, that cannot be read."""


def seconds(text: str) -> float:
    """`2s`, `150ms`, `1.5min` as seconds. Raises: WrongTime."""
    match = _TIME.fullmatch(text.strip())
    found = float(match[1]) * _UNITS[match[2]] if match is not None else _MOST
    if found >= _MOST:
        raise WrongTime(f"{text[:60]!r} is not a duration; write 2s, 150ms or 1.5min")
    return found


def from_trace(file: Path) -> dict[str, tuple[float, ...]]:
    """The durations of every node's calls in a trace that pflow has written, by the node's path.

    Raises: WrongTime.
    """
    try:
        lines = [json.loads(line) for line in regular_files.read(file).decode("utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise WrongTime(f"cannot read {file}: {regular_files.reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise WrongTime(f"{file} is not a trace of pflow: {error}") from error
    events = [line for line in lines if isinstance(line, dict) and line.get("kind") == "event"]
    if not events:
        raise WrongTime(f"{file} is not a trace of pflow: there is no event in it")
    found: dict[str, list[float]] = {}
    for path, duration in _durations(events, ""):
        found.setdefault(path, []).append(duration)
    return {path: tuple(durations) for path, durations in found.items()}


def _durations(events: Iterable[Any], above: str) -> Iterator[tuple[str, float]]:
    """By path of the node, the seconds of each call that succeeded; `above` is the path that the events stand below."""
    for event in events:
        if not isinstance(event, dict) or not isinstance(event.get("node_id"), str):
            continue
        path = above + "/".join([*_started_by(event), event["node_id"]])
        items = event.get("batch_items")
        for call in items if isinstance(items, list) else [event]:
            if not isinstance(call, dict):
                continue
            duration = call.get("duration_ms")
            if isinstance(duration, (int, float)) and 0 <= duration < _MOST * 1000 and call.get("status") == "success":
                yield path, duration / 1000
            for inside in (call.get(key) for key in _INSIDE):
                if isinstance(inside, list):
                    yield from _durations(inside, f"{path}/")


def _started_by(event: dict[str, Any]) -> Iterator[str]:
    """The ids of the nodes that started the workflow of an event's node, the outermost first; outside of items only."""
    steps = event.get("ancestor_path")
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict):
            yield str(step.get("node_id"))


def makespan(durations: Sequence[float], workers: int) -> tuple[float, float]:
    """Bounds of the time that `workers` take for items of these durations, in whatever order they stand."""
    if not durations:
        return 0.0, 0.0
    longest, shared = max(durations), sum(durations) / workers
    if min(durations) == longest or workers == 1:
        rounds = -(-len(durations) // workers)
        exact = sum(durations) if workers == 1 else rounds * longest
        return exact, exact
    return max(longest, shared), shared + longest * (1 - 1 / workers)


def of_calls(
    samples: Sequence[float], number: int, workers: int, attempts: int, waits: float, longest: float = math.inf
) -> TimeBounds:
    """How long `number` calls take whose durations are like `samples`; none of them, with all its attempts, longer
    than `longest`.

    With as many samples as calls these are the calls. Otherwise all that is taken from them is the mean, for the sum,
    and the longest; the bounds are as good as the samples then.
    """
    if number == 0:
        return TimeBounds(0.0, 0.0, 0.0)
    if len(samples) == number or min(samples) == max(samples):
        durations = samples if len(samples) == number else [samples[0]] * number
        low, high = makespan(durations, workers)
        return TimeBounds(low, high, makespan([min(attempts * d + waits, longest) for d in durations], workers)[1])
    mean, slowest = sum(samples) / len(samples), max(samples)

    def most(attempts: int, waits: float) -> float:
        each, last = (min(attempts * d + waits, longest) for d in (mean, slowest))
        return each * number / workers + last * (1 - 1 / workers)

    return TimeBounds(max(mean * number / workers, min(samples)), most(1, 0), most(attempts, waits))
