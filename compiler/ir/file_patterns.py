"""Paths that stand for many files, and whether two of them stand for the same one.

Results have at most one star, in the file's own name: a run writes `out/00000.jsonl` and so on for `out/*.jsonl`. Items
are read by a pattern, if their path has a star in it: `*`, `?` and `[a-z]` stay within a name and `**` does not, as in
the tables of pflow-lower. The runtime imports nothing of ours and has `meet` once more, for the real paths of a run:
tests/test_results_places.py compares the two.
"""

from __future__ import annotations

import glob
import posixpath
import re
import string
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

_T = TypeVar("_T")
_PIECE = re.compile(r"\*+|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
"""What a name in a pattern is made of: a star, or what stands for one character."""
_NUMBER = [string.digits] * 5
"""What stands in the star's place, as the characters that each place may have."""


def are_many(path: str) -> bool:
    """Whether the path stands for many files."""
    return "*" in path


def has_stray_star(results: str) -> bool:
    """Whether a path of results has a star besides the one that it may have."""
    folder, name = posixpath.split(results)
    return are_many(folder) or name.count("*") > 1


def meet(one: str, two: str) -> bool:
    """Whether results at one of these paths replace those at the other, or are in their way.

    Either is a file of the other, or both have a star: then one manifest tells of them.
    """
    if posixpath.dirname(one) != posixpath.dirname(two):
        return False
    return one == two or (are_many(one) and are_many(two)) or _is_one_of(one, two) or _is_one_of(two, one)


def _is_one_of(path: str, many: str) -> bool:
    before, star, after = many.partition("*")
    return bool(star) and len(path) >= len(before + after) and path.startswith(before) and path.endswith(after)


def may_read(items: str, written: str, *, are_results: bool) -> bool:
    """Whether items that are read from `items` may come out of a file that a step writes to `written`.

    For results, the star in it is a number; any other step takes it as it is.
    """
    folder, name = posixpath.split(written)
    before, star, after = name.partition("*") if are_results else (name, "", "")
    last = [*before, *(_NUMBER if star else ()), *after]
    names: list[Sequence[str]] = [*(folder.split("/") if folder else ()), last]
    read = items.split("/") if are_many(items) else map(glob.escape, items.split("/"))
    return _fits(list(read), names, "**".__eq__, _is_name)


def _is_name(pattern: str, name: Sequence[str]) -> bool:
    """Whether a name is one that `pattern` stands for; each place of it has the characters that may be there."""
    if name[:1] in (".", ["."]) and pattern[:1] != ".":  # no star finds what is hidden
        return False
    return _fits(_PIECE.findall(pattern), name, lambda piece: piece[0] == "*", _is_character)


def _is_character(pattern: str, allowed: str) -> bool:
    return any(fnmatchcase(character, pattern) for character in allowed)


def _fits(
    pattern: Sequence[str], parts: Sequence[_T], is_star: Callable[[str], bool], is_part: Callable[[str, _T], bool]
) -> bool:
    """Whether the pieces of `pattern` stand for all `parts`, one by one: a star for any number of them."""
    ends = {0}
    for piece in pattern:
        if is_star(piece):
            ends = set(range(min(ends, default=len(parts) + 1), len(parts) + 1))
        else:
            ends = {end + 1 for end in ends if end < len(parts) and is_part(piece, parts[end])}
    return len(parts) in ends
