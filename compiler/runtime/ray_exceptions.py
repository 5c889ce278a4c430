"""Exceptions on their way from a worker: of whatever class, what is reported of them is what one process reports."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeVar, cast

from .exceptions import add_note, attribute_of, message_of, notes_of
from .ray_cluster import ray_itself

E = TypeVar("E", bound=BaseException)


def why_not_pickled(dumps: Any, value: Any) -> str:
    """Why `dumps` cannot pickle `value`; "" if it can."""
    try:
        dumps(value)
    except Exception as error:  # noqa: BLE001  values fail at being pickled as they like
        return str(error) or type(error).__name__
    return ""


def picklable(exception: E) -> E:
    """`exception`, or what is unpickled as one whose class has the same name, that says the same."""
    dumps = ray_itself().cloudpickle.dumps
    ways: tuple[Callable[[], Any], ...] = (
        lambda: exception,
        lambda: _Bare(exception, exception.args, dumps),
        lambda: _Bare(exception, (message_of(exception),), dumps),
    )
    for way in ways:
        try:  # a class that came here by value goes back as itself: cloudpickle knows it again
            sent = way()
            back = pickle.loads(dumps(sent))
        except Exception:  # noqa: BLE001  exceptions fail at being pickled as they like
            continue
        # What `__init__` makes of `args` may be another text.
        if type(back).__name__ == type(exception).__name__ and message_of(back) == message_of(exception):
            return cast(E, sent)
    kind = type(exception)
    made = type(kind.__name__, (RuntimeError,), {"__module__": kind.__module__})(message_of(exception))
    for note in notes_of(exception):
        add_note(made, note)
    return cast(E, made)


class _Bare:
    """Is unpickled as an exception that is made without its `__init__`, which may want other arguments than `args`."""

    def __init__(self, exception: BaseException, args: tuple[Any, ...], dumps: Any) -> None:
        state = attribute_of(exception, "__dict__", {})
        self._parts = (
            type(exception),
            args,
            {name: value for name, value in state.items() if not why_not_pickled(dumps, value)},
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_bare, self._parts


def _made_bare(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    made = kind.__new__(kind, *args)
    made.args = args
    made.__dict__.update(state)
    return made
