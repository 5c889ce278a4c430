"""What `prompt_cache` names is text that the model gets: no command leaves it out without a word."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import pflow_lower
from pflow_lower.ir.workflow import SourceIR
from pflow_lower.options import Options
from pflow_lower.pipeline import run
from pflow_lower.tools.plan.clock import Times
from pflow_lower.tools.plan.forecast import forecast
from pflow_lower.tools.plan.known import KnownValues

WORKFLOW: dict[str, Any] = {
    "inputs": {"manual": {"type": "string"}, "notes": {"type": "string"}},
    "cache": {
        "items": [
            {"name": "manual", "var": "manual", "prose_before": "The manual:\n"},
            {"name": "notes", "var": "notes", "prose_before": "Notes:\n"},
        ]
    },
    "nodes": [
        {
            "id": "ask",
            "type": "llm",
            "prompt_cache": ["manual"],
            "params": {"prompt": "Answer: ${item} ${notes}"},
            "batch": {"items": ["one", "two"]},
        }
    ],
}


def changed(**changes: Any) -> dict[str, Any]:
    made = copy.deepcopy(WORKFLOW)
    made["nodes"][0] |= changes
    return {**made, "nodes": [{k: v for k, v in made["nodes"][0].items() if v is not None}]}


def test_lowering_says_that_the_text_is_missing() -> None:
    said = [found for found in run(WORKFLOW).diagnostics if found.code == "PFL401"]
    assert ["the text that it names is missing" in found.message for found in said] == [True]


@pytest.mark.parametrize("node", [WORKFLOW, changed(batch=None, params={"prompt": "Answer ${notes}"})])
def test_a_program_is_refused(node: dict[str, Any]) -> None:
    run(node)
    with pytest.raises(pflow_lower.LowerError) as failure:
        run(node, Options(program=True))
    assert [(found.code, found.where) for found in failure.value.diagnostics] == [("PFL450", "ask.prompt_cache")]


def test_a_program_that_only_warms_the_cache_is_not() -> None:
    assert "flow.py" in run(changed(prompt_cache=None, prewarm=True), Options(program=True)).files


def planned(source: SourceIR, **values: str) -> tuple[int | None, bool]:
    known = KnownValues(source, values, Path())
    tokens = forecast(source, known, Times(), folder=Path())[1].tokens
    assert tokens is not None
    return tokens.input.low.value, tokens.exact


def test_a_plan_counts_what_each_call_sends() -> None:
    source = run(WORKFLOW).source
    with_it, exact = planned(source, manual="m" * 4_000, notes="")
    without, _ = planned(source, manual="", notes="")
    assert with_it is not None
    assert without is not None
    assert with_it - without == 2 * 1_000
    assert exact
    assert not planned(source, notes="")[1], "a text that is not known is not taken for none"


def kinds(old: dict[str, Any], new: dict[str, Any]) -> dict[str, list[str]]:
    from pflow_lower.tools.diff.node_changes import compare

    return {change.field: [kind.value for kind in change.kinds] for change in compare(run(old).source, run(new).source)}


@pytest.mark.parametrize(
    ("chunk", "key", "value", "expected"),
    [
        (0, "prose_before", "The handbook:\n", ["behaviour", "cost"]),
        (0, "var", "notes", ["behaviour", "cost"]),
        (1, "prose_before", "Remarks:\n", ["cost"]),
    ],
)
def test_a_changed_text_of_the_cache_is_behaviour_if_it_is_sent(
    chunk: int, key: str, value: str, expected: list[str]
) -> None:
    new = copy.deepcopy(WORKFLOW)
    new["cache"]["items"][chunk][key] = value
    new["nodes"][0]["params"] = {"prompt": "Answer: ${item}", "system": "${manual}"}
    old = {**copy.deepcopy(WORKFLOW), "nodes": new["nodes"]}
    assert kinds(old, new)["cache"] == expected


def test_other_chunks_for_a_node_are_behaviour() -> None:
    assert kinds(WORKFLOW, changed(prompt_cache=None))["prompt_cache"] == ["behaviour", "cost"]
    assert kinds(WORKFLOW, changed(prewarm=True))["prewarm"] == ["cost"]
