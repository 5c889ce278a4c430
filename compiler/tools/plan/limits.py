"""What a rate or a budget lets through: calls that start apart, and so many of them at a time.

All calls under one limit share it, whichever node makes them and whatever else runs beside: together they take at
least this long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Triple = tuple[float, float, float]
"""At least and at most if every call succeeds at once, and at most with every attempt."""


class Starts(NamedTuple):
    """Calls that one limit has to let through."""

    apart: float
    """The seconds between two of them."""
    most: int | None
    """How many may be under way at a time."""
    calls: Triple = (0, 0, 0)
    busy: Triple = (0, 0, 0)
    """The seconds that they take, one after the other."""

    def none(self) -> Starts:
        """None, of the same limit."""
        return Starts(self.apart, self.most)

    def plus(self, other: Starts) -> Starts:
        """Both."""
        return self._with(other, sum, sum, sum)

    def either(self, other: Starts) -> Starts:
        """The one or the other."""
        return self._with(other, min, max, max)

    def times(self, low: int, high: int) -> Starts:
        """Those of several passages."""
        calls, busy = ((found[0] * low, found[1] * high, found[2] * high) for found in (self.calls, self.busy))
        return self._replace(calls=calls, busy=busy)

    def tried(self, attempts: int) -> Starts:
        """Those of one passage that may be tried so often."""
        calls, busy = ((*found[:2], found[2] * attempts) for found in (self.calls, self.busy))
        return self._replace(calls=calls, busy=busy)

    def seconds(self) -> Triple:
        """How long they take at least, for each of `calls`."""
        low, high, worst = (
            max((calls - 1) * self.apart, busy / self.most if self.most else 0.0, 0.0)
            for calls, busy in zip(self.calls, self.busy, strict=True)
        )
        return low, high, worst

    def _with(self, other: Starts, *choose: Callable[[tuple[float, float]], float]) -> Starts:
        def chosen(mine: Triple, theirs: Triple) -> Triple:
            low, high, worst = (take(pair) for take, pair in zip(choose, zip(mine, theirs, strict=True), strict=True))
            return low, high, worst

        return self._replace(calls=chosen(self.calls, other.calls), busy=chosen(self.busy, other.busy))
