"""Plain JSON data: what it is, and how Python data becomes it.

Every walk in this module is a loop: the depth of the data is the author's, and a cycle is only
very deep data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from ..ir.paths import Path

MAX_DEPTH = 100
"""How many levels of objects and lists a workflow may have. Later stages may recurse over values."""

TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep, or contains itself"

MAX_REPEATED = 100_000
"""How often parts that stand in several places (YAML aliases) may be written out."""


class NotJson(Exception):
    """Data that is not plain JSON: at `path`, for the reason in `code` and `message`."""

    def __init__(self, code: str, path: Path, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.path = path
        self.message = message
        self.help = help


def too_deep(data: Any) -> bool:
    """Whether JSON data has more than `MAX_DEPTH` levels."""
    level = [data] if isinstance(data, (dict, list)) else []
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            return True
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, (dict, list))
        ]
    return False


class Plain(NamedTuple):
    """Data that holds JSON values only, and what pflow reads from YAML otherwise."""

    data: Any
    non_string_keys: list[Path]
    """The paths of keys that are not strings; they are kept as they are."""
    replaced: list[tuple[Path, Any]]
    """The paths of values without a JSON form, and what they were: in `data` there stands their text, or a list."""


def to_plain_json(data: Any) -> Plain:
    """A copy of `data` that shares nothing with it.

    Raises NotJson for the first value that neither JSON nor YAML has, text that UTF-8 cannot hold, too many
    levels (a cycle among them) or shared parts that would grow too large.
    """
    non_string_keys: list[Path] = []
    replaced: list[tuple[Path, Any]] = []
    holder: list[Any] = []
    todo: list[tuple[Any, Any, Any, Path]] = [(data, holder, None, ())]
    seen: set[int] = set()
    repeated = 0
    while todo:
        value, target, key, path = todo.pop()
        made: Any
        if isinstance(value, Mapping):
            made = {}
            members = [(_plain_scalar(name), value[name]) for name in value]
            non_string_keys += _check_keys([name for name, _ in members], path)
            made.update(dict.fromkeys(name for name, _ in members))  # the order, before the values
            todo.extend((child, made, name, (*path, name)) for name, child in reversed(members))
        elif isinstance(value, (list, tuple)):
            made = [None] * len(value)
            todo.extend((child, made, at, (*path, at)) for at, child in reversed(list(enumerate(value))))
        else:
            made = _scalar(value, path)
        if isinstance(value, _OF_YAML):
            replaced.append((path, value))
        if isinstance(made, (dict, list)):
            if len(path) >= MAX_DEPTH:
                raise NotJson("PFL109", path[:4], TOO_DEEP)
            repeated += id(value) in seen
            seen.add(id(value))
            if repeated > MAX_REPEATED:
                raise NotJson("PFL102", path[:4], "too large once its repeated parts are written out")
        if target is holder:
            holder.append(made)
        else:
            target[key] = made
    return Plain(holder[0], non_string_keys, replaced)


_OF_YAML = (date, bytes, set, tuple)
"""What YAML has and JSON has not: dates and times of day, `!!binary`, `!!set`, and `!!omap` and `!!pairs`."""


def _plain_scalar(value: Any) -> Any:
    """Of a text or number the plain one: what a subclass prints of itself, as an enum does, is not what it is."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else value


def _scalar(value: Any, path: Path) -> Any:
    value = _plain_scalar(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        _check_text(value, path)
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise NotJson("PFL107", path, f"{value} is a number that JSON cannot hold", "write a finite number or a string")
    if isinstance(value, set):
        return f"{{{', '.join(sorted(map(repr, value)))}}}" if value else repr(value)  # in one order of the possible
    if isinstance(value, _OF_YAML):
        return repr(value) if isinstance(value, bytes) else str(value)
    raise NotJson("PFL113", path, f"{no_json_form(value)} ({_shown(value)})", instead_of(value))


def no_json_form(value: object) -> str:
    """What is wrong with `value`."""
    return f"a {type(value).__name__} has no JSON form"


def instead_of(value: object) -> str:
    """What to write in place of `value`, which has no JSON form."""
    return "use a list" if isinstance(value, (tuple, set, frozenset)) else "put it in quotes to make it a string"


def _check_keys(names: list[Any], path: Path) -> list[Path]:
    odd: list[Path] = []
    for name in names:
        if isinstance(name, str):
            _check_text(name, path)
        elif name is None or isinstance(name, (bool, int)) or (isinstance(name, float) and math.isfinite(name)):
            odd.append((*path, name))  # type: ignore[arg-type]
        else:
            raise NotJson("PFL113", path, f"{_shown(name)} cannot be a key in JSON", "put it in quotes")
    if odd:
        spelled = [name if isinstance(name, str) else json_key(name) for name in names]
        if len(set(spelled)) != len(spelled):
            raise NotJson("PFL106", path, "two keys are the same once they are strings", "put keys in quotes")
    return odd


def json_key(key: object) -> str:
    """How `json.dumps` spells a key that is not a string."""
    if key is None:
        return "null"
    return str(key).lower() if isinstance(key, bool) else str(key)


def _check_text(text: str, path: Path) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotJson("PFL108", path, half_of_a_pair(text[error.start]), BOTH_HALVES) from None


def half_of_a_pair(character: str) -> str:
    """What is wrong with such a character."""
    return f"\\u{ord(character):04x} is half of a surrogate pair, which UTF-8 cannot hold"


BOTH_HALVES = "write both halves, or the character itself"


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
