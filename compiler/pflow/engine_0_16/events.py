"""The trace events of a batch's items, kept small until pflow's collector reads them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

_ADDED_UP = ("index", "status", "duration_ms", "llm_call", "events")


def resolutions(templates: list[tuple[str, Any]], values: Iterator[Any]) -> dict[str, Any]:
    """An event's `template_resolutions`: of each parameter with its template, the next of `values`."""
    return {key: {"template": template, "resolved": next(values)} for key, template in templates}


class Events(list[Any]):
    """A list of events that makes those of ordinary items when they are read.

    pflow's collector goes through it once, after the batch, and keeps a copy of its own. Until then
    an ordinary item costs a place in three lists, where its event would be half a dozen dicts, which
    Python's garbage collector had to visit again and again.

    Whoever iterates gets events made for him, and the list stays as small as it is. All other ways to read or change
    it make every event in its place, once and for all: from then on, it is as any other list.
    """

    def __init__(self, templates: list[tuple[str, Any]]) -> None:
        """`templates` are the parameters that have any, in the order of the values that are kept."""
        super().__init__()
        self._templates = templates
        self._seconds: list[float | None] | None = []
        """What each ordinary item took, whose result stands in the place of its event; None: that is an event.
        No list, once all are."""
        self._values: list[Any] = []

    def keep(self, result: dict[str, Any], seconds: float, values: tuple[Any, ...]) -> None:
        """Append the event of an ordinary item."""
        if self._seconds is None:
            list.append(self, self._event(result, seconds, iter(values)))
            return
        list.append(self, result)
        self._seconds.append(seconds)
        self._values += values

    def append(self, event: dict[str, Any]) -> None:
        """Append an event that is not ordinary."""
        super().append(event)
        if self._seconds is not None:
            self._seconds.append(None)

    def last_appended(self) -> dict[str, Any]:
        """The last event, which has come by `append`. No other is made for this, as it is by `[-1]`."""
        event: dict[str, Any] = super().__getitem__(-1)
        return event

    def keep_cost_only(self) -> None:
        """Of the event that was appended last, keep what pflow adds up: what it cost, and what its own nodes did."""
        event = self.last_appended()
        super().__setitem__(-1, {key: event[key] for key in _ADDED_UP if key in event})

    def make_all(self) -> None:
        """Make all events, each in its place."""
        if self._seconds is not None:
            super().__setitem__(slice(None), list(self))
            self._seconds, self._values = None, []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._seconds is None:
            yield from super().__iter__()
            return
        values, make = iter(self._values), self._event
        # Somebody may have all of them made meanwhile, and append more.
        for kept, seconds in itertools.zip_longest(super().__iter__(), self._seconds):
            yield kept if seconds is None or self._seconds is None else make(kept, seconds, values)

    def __radd__(self, other: Any) -> Any:
        """`list` has none: it would join what stands here as it is."""
        return [*other, *self] if isinstance(other, list) else NotImplemented

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For copies and pickles: a list."""
        return list, (list(self),)

    def _event(self, result: dict[str, Any], seconds: float, values: Iterator[Any]) -> dict[str, Any]:
        event = {
            "index": result["original_index"],
            "item": result["item"],
            "status": "success",
            "duration_ms": int(seconds * 100_000 + 0.5) / 100,  # two decimals, as by `round`, which takes twice as long
            "node_output": result.copy(),
        }
        if self._templates:
            event["template_resolutions"] = resolutions(self._templates, values)
        return event


def _on_all_made(method: Callable[..., Any]) -> Callable[..., Any]:
    """`method` of `list`, which reads its own list, and another one that it is given, past `__iter__`."""

    @functools.wraps(method)
    def on_all_made(*arguments: Any, **keywords: Any) -> Any:
        for argument in arguments:
            if isinstance(argument, Events):
                argument.make_all()
        return method(*arguments, **keywords)

    return on_all_made


_NEEDS_NO_EVENT = frozenset(
    ("__class_getitem__", "__getattribute__", "__hash__", "__init__", "__len__", "__new__", "__sizeof__")
)
for _name, _method in vars(list).items():
    if callable(_method) and _name not in _NEEDS_NO_EVENT and _name not in vars(Events):
        setattr(Events, _name, _on_all_made(_method))
