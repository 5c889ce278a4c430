"""The list of a batch's trace events is as a list of dicts that holds them all, whatever is asked of it first."""

from __future__ import annotations

import copy
import json
import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("pflow")
from pflow_lower.pflow.engine_0_16.events import Events

FAILED = {"index": 1, "item": "b", "status": "failed", "duration_ms": 0, "error": "no"}


def ordinary(index: int, item: str) -> dict[str, Any]:
    """The event of an item that took 12.346 ms."""
    return {
        "index": index,
        "item": item,
        "status": "success",
        "duration_ms": 12.35,
        "node_output": {"out": 1, "original_index": index, "item": item},
        "template_resolutions": {"text": {"template": "${item}", "resolved": item}},
    }


def made() -> Events:
    """Three events, of which the second is not ordinary."""
    events = Events([("text", "${item}")])
    events.keep({"out": 1, "original_index": 0, "item": "a"}, 0.012346, ("a",))
    events.append(dict(FAILED))
    events.keep({"out": 1, "original_index": 2, "item": "c"}, 0.012346, ("c",))
    return events


EXPECTED = [ordinary(0, "a"), FAILED, ordinary(2, "c")]


def changed(change: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    """What `change` gives, and what the list is then."""
    return lambda events: (change(events), list(events))


def both_ways(compare: Callable[[Any, Any], bool], events: list[Any]) -> list[bool]:
    return [compare(events, other) for other in (EXPECTED, made(), [])] + [
        compare(EXPECTED, events),
        compare([], events),
    ]


READ: dict[str, Callable[[list[Any]], Any]] = {
    "iter": lambda events: [dict(event) for event in events],
    "unpacked": lambda events: [*events],
    "tuple": tuple,
    "sorted": lambda events: sorted(events, key=lambda event: -event["index"]),
    "reversed": lambda events: list(reversed(events)),
    "first": lambda events: events[0],
    "last": lambda events: events[-1],
    "slice": lambda events: events[::2],
    "in": lambda events: (ordinary(2, "c") in events, ordinary(1, "c") in events),
    "index": lambda events: events.index(ordinary(2, "c")),
    "count": lambda events: events.count(ordinary(2, "c")),
    "len": len,
    "bool": bool,
    "==": lambda events: both_ways(operator.eq, events),
    "!=": lambda events: both_ways(operator.ne, events),
    "<": lambda events: both_ways(operator.lt, events),
    "+": lambda events: operator.add(events, [1]),
    "+ another": lambda events: operator.add(operator.add([], events), made()),
    "after +": lambda events: operator.add([1], events),
    "into another": lambda events: operator.iadd([1], events),
    "*": lambda events: (operator.mul(events, 2), operator.mul(2, events)),
    "repr": repr,
    "copy": lambda events: events.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda events: pickle.loads(pickle.dumps(events)),
    "json": json.dumps,
    "json, indented": lambda events: json.dumps(events, indent=1),
    "append": changed(lambda events: events.append({"index": 3})),
    "extend": changed(lambda events: events.extend(made())),
    "insert": changed(lambda events: events.insert(1, {"index": 3})),
    "set": changed(lambda events: events.__setitem__(0, 1)),
    "set a slice": changed(lambda events: events.__setitem__(slice(0, 2), [1])),
    "delete": changed(lambda events: events.__delitem__(0)),
    "pop": changed(lambda events: events.pop(0)),
    "remove": changed(lambda events: events.remove(ordinary(2, "c"))),
    "reverse": changed(lambda events: events.reverse()),
    "sort": changed(lambda events: events.sort(key=lambda event: -event["index"])),
    "clear": changed(lambda events: events.clear()),
    "+=": lambda events: operator.iadd(events, [1]),
    "*=": lambda events: operator.imul(events, 2),
}


@pytest.mark.parametrize("name", READ)
def test_it_is_as_a_list_of_all_events(name: str) -> None:
    expected = READ[name](copy.deepcopy(EXPECTED))
    events = made()
    assert READ[name](events) == expected
    assert READ[name](made()[:]) == expected


def test_every_method_of_a_list_is_seen_to() -> None:
    """One that a later Python adds would read the list as it stands."""
    unaware = {name for name, method in vars(list).items() if callable(method) and getattr(Events, name) is method}
    assert unaware <= {"__class_getitem__", "__getattribute__", "__hash__", "__len__", "__new__", "__sizeof__"}


def test_it_is_a_list_that_has_no_hash() -> None:
    assert isinstance(made(), list)
    with pytest.raises(TypeError, match="unhashable"):
        hash(made())


def test_what_is_changed_stays() -> None:
    events = made()
    events[0]["status"] = "cached"
    assert [event["status"] for event in events] == ["cached", "failed", "success"]


def test_what_comes_after_it_was_read() -> None:
    events = made()
    del events[:2]
    events.keep({"out": 1, "original_index": 3, "item": "d"}, 0.012346, ("d",))
    events.append(FAILED)
    assert events == [ordinary(2, "c"), ordinary(3, "d"), FAILED]


def test_read_while_it_is_gone_through() -> None:
    events = made()
    seen = []
    for event in events:
        seen.append(event)
        if len(seen) == 2:
            assert events[-1] == ordinary(2, "c")
            events.keep({"out": 1, "original_index": 3, "item": "d"}, 0.012346, ("d",))
    assert seen == [*EXPECTED, ordinary(3, "d")]


def test_only_the_cost_of_an_event_is_kept() -> None:
    events = made()
    events.append({"index": 3, "item": "x" * 1000, "status": "success", "duration_ms": 1.5})
    events.last_appended()["status"] = "cached"
    events.keep_cost_only()
    assert events == [*EXPECTED, {"index": 3, "status": "cached", "duration_ms": 1.5}]
