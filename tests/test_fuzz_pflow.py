"""500 random workflows, interpreted and lowered; and that a difference would be found."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import fuzz_pflow
import pytest
from hypothesis import Phase


@pytest.fixture(scope="module")
def bench() -> Iterator[fuzz_pflow.Bench]:
    pytest.importorskip("pflow")
    with fuzz_pflow.bench() as made:
        yield made


@pytest.mark.slow
def test_500_workflows(bench: fuzz_pflow.Bench) -> None:
    fuzz_pflow.search(bench, max_examples=500, derandomize=True)()
    assert bench.seen["ran"] > 300
    assert bench.seen["batches run"] > 300
    assert bench.seen["parallel batches run"] > 50
    assert bench.seen["ended success"] > 100


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("pflow_lower.runtime.values._render", str),
        ("pflow_lower.runtime.values._container", lambda value: None),
        ("pflow_lower.runtime.batch_outcomes.is_empty", lambda result: False),
        ("pflow_lower.pflow.engine_0_16.events.resolutions", lambda *_: {}),
        ("pflow_lower.runtime.attempts._is_worth_another", lambda *_: False),
    ],
)
def test_what_is_wrong_is_found(bench: fuzz_pflow.Bench, place: str, wrong: Any) -> None:
    search = fuzz_pflow.search(bench, max_examples=400, derandomize=True, phases=[Phase.generate])
    with mock.patch(place, wrong), pytest.raises(fuzz_pflow.Different) as found:
        search()
    case = json.loads(str(found.value).splitlines()[-1])
    with mock.patch(place, wrong):
        assert bench.difference(case["ir"], case["inputs"])
    assert not bench.difference(case["ir"], case["inputs"])


# What the search has found, kept: the nodes after `src`.
FOUND: dict[str, list[dict[str, Any]]] = {
    "parameters come to a node in another order": [
        {
            "id": "b", "type": "conf-misc", "batch": {"items": "${xs}"},
            "params": {"mode": "${item}", "file": "f", "value": "v", "inputs": {"x": "${n}"}},
        }
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_once(bench: fuzz_pflow.Bench, name: str) -> None:
    ids = ["src", *(node["id"] for node in FOUND[name])]
    ir = {
        "ir_version": "0.1.0",
        "inputs": fuzz_pflow.INPUTS,
        "nodes": [fuzz_pflow.SOURCE, *FOUND[name]],
        "edges": [{"from": one, "to": other} for one, other in itertools.pairwise(ids)],
    }
    inputs = {"xs": ["ok", "errkey_empty"], "o": {"a": [1]}, "s": "x", "n": 0}
    assert bench.run(ir, inputs, lowered=False)["calls"]
    fuzz_pflow.check(bench, ir, inputs)
