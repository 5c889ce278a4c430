"""What a parameter of one of pflow's types has to be, where it takes no other value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Allowed(NamedTuple):
    """The values that a parameter may have."""

    words: str
    """Which they are, for messages: "takes ..."."""
    has: Callable[[Any], bool]
    """Whether a value is one of them."""
    names: tuple[str, ...] = ()
    """The values themselves, where they are words."""
    refused: bool = False
    """Whether pflow refuses another one before a run; else the node fails."""


def one_of(
    *names: str, any_case: bool = False, empty: bool = False, null: bool = False, refused: bool = False
) -> Allowed:
    """Words, in any case if `any_case`; with `empty`, what counts as false is taken, too, or only `null`."""

    def has(value: Any) -> bool:
        word = value.lower() if any_case and isinstance(value, str) else value
        return (
            (empty and not value)
            or (null and value is None)
            or word in [name.lower() if any_case else name for name in names]
        )

    *most, last = names
    return Allowed(f"{', '.join(most)} or {last}" if most else last, has, names, refused)


def above_0(*, text: bool = False, whole: bool = False, null: bool = False) -> Allowed:
    """A number above 0, which may be written as `text`, of which only the `whole` part counts; or `null`."""
    words = "a number from 1 on" if whole else "a number above 0"
    return Allowed(words, lambda value: (null and value is None) or _number(value, text=text, whole=whole) > 0)


def between(least: int, most: int) -> Allowed:
    """A whole number, which may be written as text, or null."""

    def has(value: Any) -> bool:
        return value is None or least <= _number(value, text=True, whole=True) <= most

    return Allowed(f"a whole number from {least} to {most}", has)


def an_object(*, null: bool = False, refused: bool = False) -> Allowed:
    """An object, or `null`."""
    return Allowed("an object", lambda value: isinstance(value, dict) or (null and value is None), (), refused)


def _number(value: Any, *, text: bool, whole: bool) -> float:
    """The number that Python makes of a value; one below all of them if it makes none."""
    if not isinstance(value, (int, float, str) if text else (int, float)):
        return -math.inf
    try:
        return int(value) if whole else float(value)
    except (ValueError, OverflowError):
        return -math.inf
