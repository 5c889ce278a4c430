"""What nodes come to together: added up along a way through the workflow, and of ways that exclude each other one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ...analyse.reachability import Reachability
from .amount import NOTHING, ONCE, Amount, Range
from .clock import TimeBounds
from .limits import Starts
from .tokens import Tokens


class Totals(NamedTuple):
    """Calls, tokens and time of one passage through some nodes."""

    calls: Range = NOTHING
    kinds: Mapping[str, Range] = {}
    """The calls by what they are."""
    tokens: Tokens | None = None
    """None if no model is called."""
    time: TimeBounds | None = TimeBounds(0.0, 0.0, 0.0)
    """None if it is not known."""
    starts: Mapping[str, Starts] = {}
    """By limit, what it has to let through."""

    def plus(self, other: Totals) -> Totals:
        """One after the other."""
        tokens = self.tokens or other.tokens
        if self.tokens is not None and other.tokens is not None:
            tokens = self.tokens.plus(other.tokens)
        time = self.time.then(other.time) if self.time is not None and other.time is not None else None
        kinds = {what: self._of(what).plus(other._of(what)) for what in {**self.kinds, **other.kinds}}
        starts = _joined(self.starts, other.starts, Starts.plus)
        return Totals(self.calls.plus(other.calls), kinds, tokens, time, starts)

    def either(self, other: Totals) -> Totals:
        """The one or the other, never both."""
        tokens = None
        if self.tokens is not None or other.tokens is not None:
            tokens = (self.tokens or _NO_TOKENS).either(other.tokens or _NO_TOKENS)
        time = None
        if self.time is not None and other.time is not None:
            low, high = min(self.time.low, other.time.low), max(self.time.high, other.time.high)
            time = TimeBounds(low, high, max(self.time.worst, other.time.worst))
        kinds = {what: self._of(what).either(other._of(what)) for what in {**self.kinds, **other.kinds}}
        starts = _joined(self.starts, other.starts, Starts.either)
        return Totals(self.calls.either(other.calls), kinds, tokens, time, starts)

    def times(self, runs: Range) -> Totals:
        """Of several passages."""
        if runs == ONCE:
            return self
        time = self.time if runs.high.value == 1 else TimeBounds(0.0, 0.0, 0.0) if runs == NOTHING else None
        if time is not None and runs.low.value == 0:
            time = time._replace(low=0.0)
        tokens = self.tokens.times(runs) if self.tokens is not None else None
        kinds = {what: calls.times(runs) for what, calls in self.kinds.items()}
        low, high = runs.low.value or 0, runs.high.value
        starts = {name: found.times(low, high) for name, found in self.starts.items()} if high is not None else {}
        return Totals(self.calls.times(runs), kinds, tokens, time, starts)

    def tried(self, attempts: int) -> Totals:
        """Of one passage that may be tried so often; how long that takes is for the caller to say."""
        if attempts == 1:
            return self
        starts = {name: found.tried(attempts) for name, found in self.starts.items()}
        return self.times(Range.of(1, attempts))._replace(starts=starts)

    def within_limits(self) -> Totals:
        """The same, where it takes at least as long as its limits have it take, however its calls are dealt out."""
        if self.time is None:
            return self
        time = self.time
        for starts in self.starts.values():
            time = time.at_least(*starts.seconds())
        return self._replace(time=time)

    def _of(self, what: str) -> Range:
        return self.kinds.get(what, NOTHING)


_NO_TOKENS = Tokens(NOTHING, True, Amount())


def _joined(
    one: Mapping[str, Starts], two: Mapping[str, Starts], join: Callable[[Starts, Starts], Starts]
) -> dict[str, Starts]:
    """By limit, what both come to; where one has nothing for a limit, that is none of its calls."""
    known = {**one, **two}
    return {name: join(one.get(name, found.none()), two.get(name, found.none())) for name, found in known.items()}


def together(each: Iterable[Totals]) -> Totals:
    """Several, one after the other."""
    found = Totals()
    for one in each:
        found = found.plus(one)
    return found


def along(ways: Reachability, passages: Mapping[str, Totals], runs: Mapping[str, Range]) -> Totals:
    """A workflow whose nodes come to `passages` each time that they are reached.

    Where an edge leads back, ways that exclude each other in one round are both taken in several: there everything
    counts as often as the node can run.
    """
    if ways.has_loops:
        return together(passages[name].times(runs[name]) for name in passages)
    onward: dict[str, Totals] = {}
    for name in reversed(ways.order()):
        ends = [onward[then] for then in ways.follows(name)]
        if ways.may_end_at(name) or not ends:
            ends.append(Totals())
        rest = ends[0]
        for other in ends[1:]:
            rest = rest.either(other)
        onward[name] = passages[name].plus(rest)
    return onward[ways.start]
