"""The trace events of a batch's items, kept small until pflow's collector reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_ADDED_UP = ("index", "status", "duration_ms", "llm_call", "events")


def resolutions(templates: list[tuple[str, Any]], values: Iterator[Any]) -> dict[str, Any]:
    """An event's `template_resolutions`: of each parameter with its template, the next of `values`."""
    return {key: {"template": template, "resolved": next(values)} for key, template in templates}


class Events(list[Any]):
    """A list of events that makes those of ordinary items when they are read.

    pflow's collector reads each event once, after the batch, and keeps a copy of its own. Until then
    an ordinary item costs a place in three lists, where its event would be half a dozen dicts, which
    Python's garbage collector had to visit again and again.
    """

    def __init__(self, templates: list[tuple[str, Any]]) -> None:
        """`templates` are the parameters that have any, in the order of the values that are kept."""
        super().__init__()
        self._templates = templates
        self._seconds: list[float | None] = []  # None: the event is in the list as it is
        self._values: list[Any] = []

    def keep(self, result: dict[str, Any], seconds: float, values: tuple[Any, ...]) -> None:
        """Append the event of an ordinary item."""
        list.append(self, result)
        self._seconds.append(seconds)
        self._values += values

    def keep_cost_only(self) -> None:
        """Of the last event, keep what pflow adds up: what it cost, and what its own nodes did."""
        event = super().__getitem__(-1)
        super().__setitem__(-1, {key: event[key] for key in _ADDED_UP if key in event})

    def append(self, event: dict[str, Any]) -> None:
        """Append an event that is not ordinary."""
        list.append(self, event)
        self._seconds.append(None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        values, templates = iter(self._values), self._templates
        for kept, seconds in zip(super().__iter__(), self._seconds, strict=True):
            if seconds is None:
                yield kept
                continue
            event = {
                "index": kept["original_index"],
                "item": kept["item"],
                "status": "success",
                "duration_ms": int(seconds * 100_000 + 0.5) / 100,  # two decimals, as by `round`, which is slow
                "node_output": kept.copy(),
            }
            if templates:
                event["template_resolutions"] = resolutions(templates, values)
            yield event

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (list(self),)
