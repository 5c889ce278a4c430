"""Values and references as messages and debuggers show them."""

from __future__ import annotations

import itertools
import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .exceptions import message_of
from .missing import Missing

if TYPE_CHECKING:
    from .batch import Batch

LONGEST_VALUE, FIRST_CHARACTERS, MOST_KEYS = 500, 200, 10
"""How many characters of a value a message shows whole, how many of a longer one, and how many of its keys."""


def described(value: Any) -> str:
    """`value` for a message: the whole of it if it is short, else its type, its keys and how it begins."""
    try:
        text = repr(value)
        if len(text) <= LONGEST_VALUE:
            return text
        kind = f"{type(value).__name__} of {len(text)} characters"
        if isinstance(value, Mapping):
            keys = ", ".join(reprlib.repr(key) for key in itertools.islice(value, MOST_KEYS))
            more = f" (+{len(value) - MOST_KEYS} more)" if len(value) > MOST_KEYS else ""
            kind += f", with the keys {keys}{more}"
        return f"{text[:FIRST_CHARACTERS]}... ({kind})"
    except Exception as instead:  # noqa: BLE001  it may have any __repr__
        return f"<{type(value).__name__} that cannot be shown: {message_of(instead)[:FIRST_CHARACTERS]}>"


def short(value: Any) -> str:
    """`value` for a debugger: not longer than a line, and of whatever class."""
    try:
        return reprlib.repr(value)
    except Exception:  # noqa: BLE001  it may have any __repr__
        return f"<{type(value).__name__}>"


def written(batch: Batch, missing: Missing, item: Any) -> str:
    """`missing` as its author wrote it, `${issue.title}`, given the item whose call looked for it.

    Where a lookup began at a value that has two names, it is said with both.
    """
    names: dict[int, list[str]] = {id(item): [batch.alias]}
    if batch.aliases:
        names = {id(item): [""], **{id(item[name]): [name] for name in batch.aliases}}
    for name, value in vars(batch.given).items():
        if not isinstance(value, Missing):
            known = names.setdefault(id(value), [])
            known += {batch.references[name].reference(lambda _: "")} - set(known)
    references = []
    for number in range(max(map(len, names.values()))):

        def name_of(start: Any, number: int = number) -> str:
            known = names.get(id(start)) or [""]
            return known[min(number, len(known) - 1)]

        references.append(f"${{{missing.reference(name_of)}}}")
    return " or ".join(dict.fromkeys(references))


def duration(seconds: float) -> str:
    """So many seconds, for a person: "4.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
