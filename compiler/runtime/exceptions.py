"""Text and attributes of an exception that a node raised, which may be of any class, with any methods.

An exception ends its own item only. So nothing here raises, whatever `__str__`, a property or `__getattr__` does.
"""

from __future__ import annotations

import contextlib
from typing import Any, TypeGuard, TypeVar

E = TypeVar("E", bound=BaseException)


def is_a(exception: BaseException, kind: type[E]) -> TypeGuard[E]:
    """Whether `exception` was raised as a `kind`. `isinstance` asks its `__class__` as well, which may raise."""
    return issubclass(type(exception), kind)


def attribute_of(value: object, name: str, default: Any = None) -> Any:
    """`value.name`; `default` if that is not there, or cannot be had."""
    try:
        return getattr(value, name, default)
    except Exception:  # noqa: BLE001  a property, or `__getattr__`, may raise anything
        return default


def is_set(value: object, name: str, *, default: bool = False) -> bool:
    """Whether `value.name` is true; `default` if that is not there, or cannot be told."""
    try:
        return bool(getattr(value, name, default))
    except Exception:  # noqa: BLE001  as above, and `__bool__` may raise as well
        return default


def message_of(exception: BaseException) -> str:
    """`str(exception)`; where there is no such text, one that says so."""
    try:
        return str(exception)
    except Exception as instead:  # noqa: BLE001  as above
        return f"{type(exception).__name__} (its message cannot be had: {type(instead).__name__} in __str__)"


def said_by(message: object, exception: BaseException | None) -> str:
    """What to show of an error: its text or, where that says nothing, the kind of the exception."""
    text = str(message)
    return text if text.strip() or exception is None else type(exception).__name__


def notes_of(exception: BaseException) -> list[str]:
    """The notes on `exception`."""
    notes = attribute_of(exception, "__notes__")
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, (list, tuple)) else []


def add_note(exception: BaseException, note: str) -> None:
    """Put `note` on `exception`, where Python (3.11) and its class let it."""
    with contextlib.suppress(Exception):  # a class that does not take notes keeps its own text
        add = getattr(exception, "add_note", None)
        if add is not None:
            add(note)
