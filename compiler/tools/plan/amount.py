"""Whole numbers of which some are not known: `3 x n(ask) + 2`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

Term = tuple[str, ...]
"""The unknowns of a product, sorted; () is the constant."""


class Amount(NamedTuple):
    """A sum of products of unknowns."""

    terms: tuple[tuple[Term, int], ...] = ()

    @classmethod
    def of(cls, number: int) -> Amount:
        return cls((((), number),) if number else ())

    @classmethod
    def unknown(cls, name: str) -> Amount:
        return cls((((name,), 1),))

    @property
    def value(self) -> int | None:
        """The number, if nothing in it is unknown."""
        if not self.terms:
            return 0
        return self.terms[0][1] if len(self.terms) == 1 and not self.terms[0][0] else None

    def plus(self, other: Amount) -> Amount:
        return _collected([*self.terms, *other.terms])

    def times(self, other: Amount | int) -> Amount:
        if isinstance(other, int):
            other = Amount.of(other)
        return _collected([(tuple(sorted((*a, *b))), m * n) for a, m in self.terms for b, n in other.terms])

    def least(self, other: Amount) -> Amount:
        """What both have at least; nothing that is unknown is negative."""
        theirs = dict(other.terms)
        return _collected([(names, min(number, theirs.get(names, 0))) for names, number in self.terms])

    def most(self, other: Amount) -> Amount:
        """What neither is more than."""
        mine, theirs = dict(self.terms), dict(other.terms)
        return _collected([(names, max(mine.get(names, 0), theirs.get(names, 0))) for names in {**mine, **theirs}])

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        return " + ".join(_product(names, number) for names, number in self.terms)


class Range(NamedTuple):
    """At best, and at worst."""

    low: Amount
    high: Amount

    @classmethod
    def of(cls, low: int, high: int | None = None) -> Range:
        return cls(Amount.of(low), Amount.of(low if high is None else high))

    def plus(self, other: Range) -> Range:
        return Range(self.low.plus(other.low), self.high.plus(other.high))

    def times(self, other: Range) -> Range:
        return Range(self.low.times(other.low), self.high.times(other.high))

    def either(self, other: Range) -> Range:
        """One of them, whichever."""
        return Range(self.low.least(other.low), self.high.most(other.high))

    def __str__(self) -> str:
        return f"{self.low}" if self.low == self.high else f"{self.low} to {self.high}"


NOTHING = Range.of(0)
ONCE = Range.of(1)


def total(ranges: Iterable[Range]) -> Range:
    """The sum of several ranges."""
    found = NOTHING
    for one in ranges:
        found = found.plus(one)
    return found


def _collected(terms: Iterable[tuple[Term, int]]) -> Amount:
    sums: dict[Term, int] = {}
    for names, number in terms:
        sums[names] = sums.get(names, 0) + number
    return Amount(tuple((names, sums[names]) for names in sorted(sums, key=lambda n: (-len(n), n)) if sums[names]))


def _product(names: Term, number: int) -> str:
    factors = [f"{number:,}"] if number != 1 or not names else []
    return " x ".join([*factors, *names])
