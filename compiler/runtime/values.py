"""What a reference reads and how a value becomes text: the leaves of every generated expression.

A lookup that finds nothing is not an error by itself: `${a ?? b}` goes on to `b`, and a captured
value may never be needed. So `peek` answers `MISSING`, and only `find`, `text` and the other
functions that need a value raise `Unresolved`. A found None is a value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

_LONGEST_JSON = 10 * 1024 * 1024  # characters; a longer string is never parsed on a path
_NOTHING = "nothing was found"


class ParameterError(ValueError):
    """A parameter of one item has no usable value."""


class Unresolved(ParameterError):
    """A reference found nothing. `start` and `path` say where the lookup began and what it looked for."""

    def __init__(self, message: str, start: Any = None, path: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.start = start
        self.path = path

    def where(self) -> str:
        """The path as it is written in a reference: `.user.names[0]`."""
        return "".join(
            f".{key}" if isinstance(key, str) else f"[{'?' if key is MISSING else key}]" for key in self.path
        )

    def tell(self, reference: str) -> None:
        """Put `reference` in front of what is said, once: whoever catches this next has other names."""
        self.args = (f"{reference}: {self}",)
        self.start = None


class _Missing:
    """The type of `MISSING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __copy__(self) -> _Missing:
        return self

    def __deepcopy__(self, memo: object) -> _Missing:
        return self


MISSING: Final = _Missing()
"""What a lookup gives that found nothing."""


def find(value: Any, key: Any = None, /, *more: Any) -> Any:
    """The value at the end of a path (names and list indexes), starting from `value`.

    A string that holds a JSON object or array is read as that where a step is taken from it.

    Raises: Unresolved, if a step finds nothing or `value` itself is MISSING.
    """
    if type(value) is dict and type(key) is str and not more:  # one field, by far the most frequent lookup
        try:
            return value[key]
        except KeyError:
            pass  # said below
    path = more if key is None else (key, *more)
    found, step = _walk(value, path)
    if found is MISSING:
        raise Unresolved(_NOTHING if step is None else _nothing_at(*step), value, path)
    return found


def peek(value: Any, key: Any = None, /, *more: Any) -> Any:
    """Like `find`, but MISSING where `find` raises."""
    if type(value) is dict and type(key) is str and not more:
        return value.get(key, MISSING)
    return _walk(value, more if key is None else (key, *more))[0]


def position(value: Any) -> Any:
    """`value` as a list index, for `${list[${value}]}`: an int that is no bool, else MISSING."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return MISSING


def first(*operands: Any) -> Any:
    """The first operand that was found, for `${a ?? b}`; MISSING if none was."""
    for operand in operands:
        if operand is not MISSING:
            return operand
    return MISSING


def optional(value: Any, *roots: Any) -> Any:
    """`value`; None where it is MISSING because none of `roots`, the nodes it is read from, has run.

    Raises: Unresolved, if it is MISSING for another reason.
    """
    if value is MISSING and all(root is MISSING for root in roots):
        return None
    return find(value)


def keep(value: Any, reference: str | None) -> Any:
    """`value`, or the text of its reference where it is MISSING (permissive mode, inline items)."""
    return reference if value is MISSING else value


def text(value: Any) -> str:
    """`value` as it reads inside other text: None as nothing, containers as JSON, 0.0 as 0.

    Raises: Unresolved, if it is MISSING.
    """
    return value if type(value) is str else _render(value)


def text_at(value: Any, key: str) -> str:
    """`text(find(value, key))` for a name as `key`, in one call.

    Raises: Unresolved, if there is no such field.
    """
    if type(value) is dict:
        try:
            found = value[key]
        except KeyError:
            pass  # `find` says so
        else:
            return found if type(found) is str else _render(found)
    return text(find(value, key))


class LateText:
    """The text of a captured value, made when an item's text needs it: by then the value may have changed."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __str__(self) -> str:
        return text(self._value)


def _render(value: Any) -> str:
    if type(value) is int:
        return str(value)
    if value is MISSING:
        raise Unresolved(_NOTHING, value)
    if value is None or value == "":
        return ""
    if value is True or value is False:
        return str(value)
    if value == 0:  # 0.0 and -0.0 too
        return "0"
    if isinstance(value, (dict, list)):
        try:
            return json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError):  # something inside is not JSON
            return str(value)
        except RecursionError:
            raise ParameterError("this value is nested too deeply to be written as text") from None
    return str(value)


def parsed(value: Any) -> Any:
    """`value`, but a string that holds a JSON object or array as that object or array.

    Raises: Unresolved, if it is MISSING.
    """
    if type(value) is str:
        found = _container(value)
        return value if found is None else found
    return find(value)


def as_text(value: Any) -> Any:
    """`value` for a parameter declared `str`: containers become JSON, other types stay.

    Raises: Unresolved, if it is MISSING. ParameterError, if a container is not JSON.
    """
    value = json_text(find(value))
    if isinstance(value, (dict, list)):
        raise ParameterError(f"a str is expected here, and this {type(value).__name__} cannot be written as JSON")
    return value


def json_text(value: Any) -> Any:
    """A list or dict as JSON in ASCII; anything else, or what is not JSON, as it is."""
    if isinstance(value, (dict, list)):
        try:
            return json.dumps(value)
        except (TypeError, ValueError, RecursionError):
            return value
    return value


def as_dict(value: Any) -> Any:
    """`value` for a parameter declared `dict`: a JSON object in a string is parsed.

    Raises: Unresolved, if it is MISSING. ParameterError, if a string looks like JSON and is no object.
    """
    return _as_container(find(value), dict, "object")


def as_list(value: Any) -> Any:
    """`value` for a parameter declared `list`: a JSON array in a string is parsed.

    Raises: Unresolved, if it is MISSING. ParameterError, if a string looks like JSON and is no array.
    """
    return _as_container(find(value), list, "array")


def array(value: Any) -> Any:
    """`value` as the items of a batch: a JSON array in a string is parsed, the rest stays."""
    if isinstance(value, str):
        found = _container(value)
        if isinstance(found, list):
            return found
    return value


def joined(*parts: Any) -> Any:
    """The texts of `parts` put together; MISSING if one of them is."""
    if any(part is MISSING for part in parts):
        return MISSING
    return "".join(text(part) for part in parts)


def _as_container(value: Any, kind: type[list[Any]] | type[dict[Any, Any]], name: str) -> Any:
    if not isinstance(value, str):
        return value
    found = _container(value)
    if isinstance(found, kind):
        return found
    if value.strip()[:1] in ("{", "["):
        raise ParameterError(f"a JSON {name} is expected here, and this is none: {value[:60]!r}")
    return value


def _walk(value: Any, path: tuple[Any, ...]) -> tuple[Any, tuple[Any, Any] | None]:
    """What is at the end of `path`; or MISSING, and the step (from which value, by which key) that failed."""
    for key in path:
        if type(value) is dict and type(key) is str and key in value:
            value = value[key]
            continue
        if isinstance(value, str):
            whole, value = value, _container(value)
            if value is None:
                return MISSING, (whole, key)
        if type(key) is str:
            if not (isinstance(value, Mapping) and key in value):
                return MISSING, (value, key)
        elif key is MISSING or not (isinstance(value, list) and 0 <= key < len(value)):
            return MISSING, (value, key)
        value = value[key]
    return value, None


def _container(value: str) -> dict[str, Any] | list[Any] | None:
    """The JSON object or array that `value` holds, None if it holds none.

    Numbers and words stay strings on purpose: "1458059302022549698" is an id, not a number.
    """
    value = value.strip()
    if value[:1] not in ("{", "[") or len(value) > _LONGEST_JSON:
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):  # no JSON, or nested too deeply to be read
        return None
    return found if isinstance(found, (dict, list)) else None


def _nothing_at(value: Any, key: Any) -> str:
    if key is MISSING:
        return "the index is not a whole number"
    wanted = f"[{key}]" if isinstance(key, int) else repr(key)
    if isinstance(value, Mapping):
        known = ", ".join(sorted(map(str, value))[:8])
        return f"no {wanted} among {known}" if known else f"no {wanted} in an empty object"
    if isinstance(value, list):
        return f"no {wanted} in a list of {len(value)}"
    return f"no {wanted} in {'null' if value is None else f'a {type(value).__name__}'}"
