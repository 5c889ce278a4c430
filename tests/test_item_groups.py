"""Items taken and finished several at a time, as the driver of a cluster does: nothing else than one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pocketflow import Node

from pflow_lower import lower
from pflow_lower.runtime.batch import Batch
from pflow_lower.runtime.outcome import outcome_of
from pflow_lower.runtime.run import Run, running
from pflow_lower.runtime.tally import Timing


def opened(items: Any, store: dict[str, Any], **settings: Any) -> Batch:
    batch = {"items": items, "parallel": True, **settings}
    inputs = {"list": {"type": "any"}}
    node = {"id": "b", "type": "work", "params": {"x": "${item}", "all": "${list}"}, "batch": batch}
    made = lower({"ir_version": "0.1.0", "inputs": inputs, "nodes": [node], "edges": []})
    found: Batch = made.load()["b"](Node()).prep(store)
    return found


def test_items_are_taken_in_their_order_until_none_is_left() -> None:
    batch = opened("${list}", {"list": ["a", "b", "c"]})
    assert batch.next_items(2) == [(0, "a"), (1, "b")]
    assert batch.next_items(2) == [(2, "c")]
    assert batch.next_items(2) == []


def test_a_closed_batch_gives_no_more() -> None:
    batch = opened("${list}", {"list": ["a", "b"]})
    assert batch.next_items(1)
    batch.close()
    assert batch.next_items(1) == []


def test_items_before_an_unreadable_line_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('"a"\n"b"\nno json\n"d"\n')
    batch = opened({"file": str(path)}, {})
    assert batch.next_items(10) == [(0, "a"), (1, "b")]
    assert batch.next_items(10) == [] and batch.unreadable is not None


def test_over_the_budget_no_group_is_taken() -> None:
    with running(Run("w", budget=1.0)) as run:
        batch = opened("${list}", {"list": [1, 2, 3, 4]})
        assert len(batch.next_items(2)) == 2
        run.spent = 1.0
        assert batch.next_items(2) == [] and "budget" in batch.ended_early


def test_a_group_that_ended_well_leaves_what_its_items_leave_one_by_one() -> None:
    one_by_one, at_once = (opened("${list}", {"list": list("abcd")}) for _ in range(2))
    assert at_once.only_counts
    seconds = [0.25, 0.5, 0.125, 1.0]
    while (call := one_by_one.next_call()) is not None:
        call.seconds = seconds[call.index]
        one_by_one.finish(call, {"response": call.item})
    at_once.next_items(4)
    at_once.finish_group([2, 0], [{"response": "c"}, {"response": "a"}], [0.125, 0.25])
    at_once.finish_group([1, 3], [{"response": "b"}, {"response": "d"}], [0.5, 1.0])
    assert outcome_of(at_once, at_once.results) == outcome_of(one_by_one, one_by_one.results)


def test_groups_of_a_file_may_come_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(n) + "\n" for n in range(4)))
    batch = opened({"file": str(path)}, {})
    batch.next_items(4)
    batch.finish_group([3], [{"n": 3}], [0.0])
    batch.finish_group([0, 1, 2], [{"n": 0}, {"n": 1}, {"n": 2}], [0.0, 0.0, 0.0])
    assert [result and result["n"] for result in batch.results] == [0, 1, 2, 3]


@pytest.mark.parametrize("settings", [{"key": "${item}"}, {"timeout": 5}, {"results": {"file": "out.jsonl"}}])
def test_where_more_is_kept_of_an_item_it_is_finished_by_itself(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    batch = opened("${list}", {"list": ["a"]}, **settings)
    batch.next_items(1)
    assert not batch.only_counts
    batch.end(ended_well=False)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.125, 0.5, 2.0]), max_size=4), max_size=4))
def test_times_added_together_are_those_added_one_by_one(groups: list[list[float]]) -> None:
    together, alone = Timing(), Timing()
    for group in groups:
        together.add_all(group)
        for seconds in group:
            alone.add(seconds)
    assert vars(together) == vars(alone)
