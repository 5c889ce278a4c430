"""How many steps a regular expression takes: a backtracking matcher that counts, so that no clock is needed.

It tries what Python's own matcher tries, in the same order and without its short cuts: its count is at least of
the same kind of growth.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

if sys.version_info >= (3, 11):
    from re import _constants as sre  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_constants as sre
    import sre_parse as parser

Node = tuple[Any, Any]
Test = Callable[[str], bool]


class TooManySteps(Exception):
    """The limit was reached: growth is exponential, or close to it."""


class Counter:
    """One pattern, and the steps that it has taken."""

    def __init__(self, pattern: str, flags: int = 0, limit: int = 1_000_000) -> None:
        self.tree: list[Node] = list(parser.parse(pattern, flags))
        self.flags = re.compile(pattern, flags).flags
        self.limit = limit
        self.steps = 0
        self.tests: dict[int, Test] = {}
        self.groups: dict[int, str] = {}

    def match(self, text: str, at: int = 0, *, whole: bool = False) -> int | None:
        """Where a match at `at` ends."""
        for end in self._sequence(self.tree, 0, text, at):
            if not whole or end == len(text):
                return end
        return None

    def find_all(self, text: str) -> None:
        """What `finditer`, `sub`, `split` and a failing `search` do."""
        at = 0
        while at <= len(text):
            end = self.match(text, at)
            at = at + 1 if end is None or end == at else end

    def _step(self, count: int = 1) -> None:
        self.steps += count
        if self.steps > self.limit:
            raise TooManySteps

    def _sequence(self, nodes: list[Node], index: int, text: str, at: int) -> Iterator[int]:
        if index == len(nodes):
            yield at
            return
        for middle in self._node(nodes[index], text, at):
            yield from self._sequence(nodes, index + 1, text, middle)

    def _node(self, node: Node, text: str, at: int) -> Iterator[int]:
        self._step()
        kind, given = node
        if (test := self._test(node)) is not None:
            if at < len(text) and test(text[at]):
                yield at + 1
        elif kind is sre.AT:
            if self._position(given, text, at):
                yield at
        elif kind is sre.SUBPATTERN:
            for end in self._sequence(list(given[3]), 0, text, at):
                if given[0] is not None:
                    self.groups[given[0]] = text[at:end]
                yield end
        elif kind is sre.BRANCH:
            for branch in given[1]:
                yield from self._sequence(list(branch), 0, text, at)
        elif kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            yield from self._repeat(kind is sre.MAX_REPEAT, given, text, at)
        elif kind in (sre.ASSERT, sre.ASSERT_NOT):
            yield from self._look(kind is sre.ASSERT, given, text, at)
        elif kind is sre.GROUPREF:
            wanted = self.groups.get(given, "")
            self._step(len(wanted))
            if text.startswith(wanted, at):
                yield at + len(wanted)
        else:
            raise NotImplementedError(f"the counting matcher does not know {kind}")

    def _repeat(self, greedy: bool, given: Any, text: str, at: int) -> Iterator[int]:
        least, most, body = given
        most = len(text) + least if most is sre.MAXREPEAT else most
        nodes = list(body)
        test = self._test(nodes[0]) if len(nodes) == 1 else None
        if test is None:
            yield from self._repeat_long(greedy, least, most, nodes, text, at)
            return
        end = at
        if greedy:
            while end < len(text) and end - at < most and test(text[end]):
                self._step()
                end += 1
            for stop in range(end, at + least - 1, -1):
                self._step()
                yield stop
            return
        while True:
            if end - at >= least:
                self._step()
                yield end
            if end >= len(text) or end - at >= most or not test(text[end]):
                return
            self._step()
            end += 1

    def _repeat_long(self, greedy: bool, least: int, most: int, nodes: list[Node], text: str, at: int) -> Iterator[int]:
        self._step()
        if not greedy and least <= 0:
            yield at
        if most > 0:
            for end in self._sequence(nodes, 0, text, at):
                if end > at:  # a body that takes nothing is not repeated
                    yield from self._repeat_long(greedy, least - 1, most - 1, nodes, text, end)
                elif least > 0:
                    yield end
        if greedy and least <= 0:
            yield at

    def _look(self, wanted: bool, given: Any, text: str, at: int) -> Iterator[int]:
        direction, body = given
        if direction < 0:
            start = at - body.getwidth()[0]
            found = start >= 0 and any(end == at for end in self._sequence(list(body), 0, text, start))
        else:
            found = any(True for _ in self._sequence(list(body), 0, text, at))
        if found == wanted:
            yield at

    def _position(self, kind: Any, text: str, at: int) -> bool:
        if kind in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
            lines = kind is sre.AT_BEGINNING and self.flags & re.MULTILINE
            return at == 0 or bool(lines and text[at - 1] == "\n")
        if kind is sre.AT_END:
            return at == len(text) or (text[at] == "\n" and (at + 1 == len(text) or bool(self.flags & re.MULTILINE)))
        if kind is sre.AT_END_STRING:
            return at == len(text)
        edge = is_word(text, at - 1) != is_word(text, at)
        return edge == (kind is sre.AT_BOUNDARY)

    def _test(self, node: Node) -> Test | None:
        """What a node of one character asks of it; None for other nodes."""
        known = self.tests.get(id(node))
        if known is None and (made := self._make_test(node)):
            known = self.tests[id(node)] = made
        return known

    def _make_test(self, node: Node) -> Test | None:
        kind, given = node
        if kind is sre.LITERAL:
            return self._same(chr(given))
        if kind is sre.NOT_LITERAL:
            other = self._same(chr(given))
            return lambda char: not other(char)
        if kind is sre.ANY:
            return (lambda char: True) if self.flags & re.DOTALL else (lambda char: char != "\n")
        if kind is not sre.IN:
            return None
        parts = list(given)
        negated = parts[0][0] is sre.NEGATE
        tests = [self._member(part) for part in parts[negated:]]
        return lambda char: any(test(char) for test in tests) != negated

    def _same(self, wanted: str) -> Test:
        if self.flags & re.IGNORECASE:
            return lambda char: char.lower() == wanted.lower()
        return lambda char: char == wanted

    def _member(self, part: Node) -> Test:
        kind, given = part
        if kind is sre.RANGE:
            low, high = given
            if self.flags & re.IGNORECASE:
                return lambda char: low <= ord(char.lower()) <= high or low <= ord(char.upper()) <= high
            return lambda char: low <= ord(char) <= high
        if kind is sre.CATEGORY:
            found = re.compile(CATEGORIES[given], self.flags & re.ASCII).match
            return lambda char: found(char) is not None
        test = self._make_test(part)
        assert test is not None, part
        return test


CATEGORIES = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}


def is_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and re.match(r"\w", text[at]) is not None


def pieces(pattern: str, flags: int = 0) -> list[str]:
    """Texts out of which strings are made that lead `pattern` astray: what its parts match, and what they do not."""
    counter = Counter(pattern, flags)
    everything = [chr(code) for code in range(9, 127)] + ["é", "\u2003", "\ud83d"]
    found: dict[str, None] = {}

    def words(nodes: list[Node]) -> list[str]:
        """A few texts that the sequence matches; each part adds its own to `found`."""
        texts = [""]
        for node in nodes:
            ways = one(node)
            texts = [text + way for text in texts for way in ways][:6]
        found.update(dict.fromkeys(texts))
        return texts

    def one(node: Node) -> list[str]:
        kind, given = node
        if (test := counter._test(node)) is not None:
            return [char for char in everything if test(char)][:: max(1, len(everything) // 40)][:3] or [""]
        if kind is sre.SUBPATTERN:
            return words(list(given[3]))
        if kind is sre.BRANCH:
            return [text for branch in given[1] for text in words(list(branch))[:2]]
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            body = words(list(given[2]))
            return [*(text * max(1, given[0]) for text in body[:2]), *([""] if given[0] == 0 else [])]
        return [""]

    words(counter.tree)
    return [piece for piece in found if piece]
