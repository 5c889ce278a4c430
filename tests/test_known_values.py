"""What is known of values before a run agrees with what a run finds there."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pflow_lower import LowerError, lower
from pflow_lower.analyse.known_values import Absent, found_in
from pflow_lower.ir.template import Field, Index, Step
from pflow_lower.runtime.missing import Missing
from pflow_lower.runtime.values import peek
from pflow_lower.tools.plan.run import run as plan

NAMES = ["x", "y", "source", "prompt"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["", "a", "./a.md", "{"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
        | st.lists(inner, max_size=3).map(json.dumps)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3).map(lambda found: f" {json.dumps(found)}\n")
    ),
    max_leaves=12,
)
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.sampled_from(NAMES).map(Field) | st.integers(0, 3).map(Index), min_size=1, max_size=4
)


def in_a_run(value: Any, path: list[Step]) -> Any:
    return peek(value, *(step.name if isinstance(step, Field) else step[0] for step in path))


@given(VALUES, STEPS)
def test_what_is_said_to_be_absent_is_not_found(value: Any, path: list[Step]) -> None:
    if isinstance(found_in(value, path), Absent):
        assert isinstance(in_a_run(value, path), Missing)


@given(
    st.recursive(st.integers() | st.just("a"), lambda inner: st.lists(inner) | st.dictionaries(st.just("x"), inner)),
    STEPS,
)
def test_what_is_not_found_is_said_to_be_absent(value: Any, path: list[Step]) -> None:
    """Where no text may be anything else."""
    found = in_a_run(value, path)
    assert isinstance(found_in(value, path), Absent) == isinstance(found, Missing)
    assert isinstance(found, Missing) or found_in(value, path) == found


def node(name: str, stdin: str = "", **batch: Any) -> dict[str, Any]:
    params = {"command": "cat", **({"stdin": stdin} if stdin else {})}
    return {"id": name, "type": "shell", "params": params, **({"batch": batch} if batch else {})}


def findings(*nodes: dict[str, Any], inputs: dict[str, Any] | None = None, **more: Any) -> list[str]:
    ids = [one["id"] for one in nodes]
    edges = [{"from": first, "to": then} for first, then in pairwise(ids)]
    try:
        found = lower({"inputs": inputs or {}, "nodes": [*nodes], "edges": edges, **more}).diagnostics
    except LowerError as error:
        found = error.diagnostics
    return [f"{one.where}: {one.code}" for one in found]


FIRST = node("a", "${n}", items=[1, {"x": 2}], **{"as": "n"})
TOLERANT = node("a", "${n}", items=[1, {"x": 2}], error_handling="continue", **{"as": "n"})


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([FIRST, node("b", "${r.item.x}", items="${a.results}", **{"as": "r"})], ["b.params.stdin: PFL322"]),
        ([FIRST, node("b", "${r.item.y}", items="${a.results}", **{"as": "r"})], ["b.params.stdin: PFL322"]),
        # Which of them failed is not known.
        ([TOLERANT, node("b", "${r.item.x}", items="${a.results}", **{"as": "r"})], []),
        ([TOLERANT, node("b", "${r.item.x}", items="${a.errors}", **{"as": "r"})], []),
        ([TOLERANT, node("b", "${r.item.y}", items="${a.errors}", **{"as": "r"})], ["b.params.stdin: PFL322"]),
        ([TOLERANT, node("b", "${r.key} ${r.exception}", items="${a.errors}", **{"as": "r"})], []),
        # Without failures there is nothing to go through.
        ([FIRST, node("b", "${r.message}", items="${a.errors}", **{"as": "r"})], []),
        ([FIRST, node("b", "${r.stdot ?? 1}", items="${a.results}", **{"as": "r"})], []),
        ([FIRST, node("b", "${r.stdot}", items="${a.results ?? []}", **{"as": "r"})], ["b.params.stdin: PFL334"]),
        # More is written than a type says, and only pflow's validator insists on that.
        ([FIRST, node("b", "${r.item.stdot}", items="${a.results}", **{"as": "r"})], ["b.params.stdin: PFL322"]),
        ([FIRST, node("b", "${a.results[1].item.x}")], []),
        ([FIRST, node("b", "${a.results[0].item.x}")], ["b.params.stdin: PFL322"]),
        ([FIRST, node("b", "${a.results[0].item.x ?? 1}")], []),
        # What pflow's validator refuses: a way into a number.
        ([node("a"), node("b", "${a.exit_code.z}")], ["b.params.stdin: PFL334"]),
        ([node("a"), node("b", "${a.exit_code.z ?? 1}")], []),
        (
            [{**node("a"), "type": "code", "params": {"code": "result: int = 1"}}, node("b", "${a.result.z}")],
            ["b.params.stdin: PFL334"],
        ),
        ([FIRST, node("b", "${a.results[0].exit_code.z}")], ["b.params.stdin: PFL334"]),
        ([FIRST, node("b", "${r.exit_code.z}", items="${a.results}", **{"as": "r"})], ["b.params.stdin: PFL334"]),
    ],
)
def test_the_item_of_a_batch_over_another(nodes: list[dict[str, Any]], said: list[str]) -> None:
    assert findings(*nodes) == said
    assert [one for one in findings(*nodes, template_resolution_mode="permissive") if "PFL322" in one] == []


@pytest.mark.parametrize("key", [True, 5, None, 1.5])
def test_keys_of_yaml_that_are_no_text(key: Any) -> None:
    """As YAML reads `on:` and `5:`, wherever they stand and whatever is looked for beside them."""
    odd = {key: 1, "x": 2}
    [missing] = [
        one
        for one in lower({"nodes": [node("a", "${r.y}", items=[odd], **{"as": "r"})]}).diagnostics
        if one.code == "PFL322"
    ]
    assert f"has only {key}, x" in missing.help
    one = node("a", "${nn}")
    assert findings({**one, "params": {**one["params"], **odd}}) != []
    assert findings(one, inputs={key: {"type": "string"}, "n": {"type": "string"}}) != []
    assert findings({**one, **odd}) != []
    assert findings({**one, "batch": {**odd, "itms": [1]}}) != []


def code(name: str, body: str, given: str, **batch: Any) -> dict[str, Any]:
    params = {"code": f"n: dict\n{body}\nresult: int = 1", "inputs": {"n": given}}
    return {"id": name, "type": "code", "params": params, **({"batch": batch} if batch else {})}


READS = node("last", "${r.item.y}", items="${a.results}", **{"as": "r"})


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        # Code has the object in hand that is handed on.
        ([code("a", 'n["y"] = 1', "${i}", items=[{"x": 1}], **{"as": "i"}), READS], False),
        ([code("a", "", "${i}", items=[1], **{"as": "i"}), READS], True),
        ([FIRST, code("b", 'n["item"] = {"y": 1}', "${a.results[0]}"), READS], False),
        (
            [
                FIRST,
                node("b", "${r.stdout}", items="${a.results}", **{"as": "r"}),
                code("c", 'n["item"]["item"] = {"y": 1}', "${b.results[0]}"),
                READS,
            ],
            False,
        ),
        ([FIRST, {"id": "mine", "type": "of.mine", "params": {"all": "${a.results}"}}, READS], False),
        # Or the list, to which it appends.
        (
            [FIRST, code("b", 'n.append({"stdout": "new"})', "${a.results}"), node("last", "${a.results[2].stdout}")],
            False,
        ),
        ([FIRST, code("b", "", "1"), node("last", "${a.results[2].stdout}")], True),
        ([FIRST, {"id": "mine", "type": "of.mine", "params": {}}, READS], True),
        # The same before anybody could change it, and in the hands of the one that reads.
        ([FIRST, READS, code("b", 'n["item"] = {"y": 1}', "${a.results[0]}")], True),
        ([FIRST, code("last", "", "${r.item.y}", items="${a.results}", **{"as": "r"})], True),
    ],
)
def test_an_object_that_code_may_have_changed(nodes: list[dict[str, Any]], said: bool) -> None:
    found = [one for one in findings(*nodes) if one.startswith("last.") and "PFL322" in one]
    assert bool(found) == said


def test_batches_that_go_through_each_other_are_not_followed_for_ever() -> None:
    one, other = (
        node("a", "${n.item.x}", items="${b.results}", **{"as": "n"}),
        node("b", "${m.item.y}", items="${a.results}", **{"as": "m"}),
    )
    assert findings(one, other) == ["a.batch.items: PFL303"]


def test_many_batches_over_each_other() -> None:
    nodes = [node("s0", "${n}", items=[*range(500)], **{"as": "n"})]
    nodes += [node(f"s{i}", "${n.item}", items=f"${{s{i - 1}.results}}", **{"as": "n"}) for i in range(1, 400)]
    assert findings(*reversed(nodes)) != []
    assert findings(*nodes) == []


@pytest.mark.parametrize(
    ("items", "declared", "warned"),
    [
        ("${xs}", {"required": False}, True),
        ("${xs ?? []}", {"required": False}, True),
        ("${xs}", {"default": None}, True),
        ("${xs}", {"required": False, "default": []}, False),
        ("${xs}", {}, False),
        ("${a.stdout ?? xs}", {"required": False}, False),
    ],
)
def test_items_from_an_input_that_may_be_left_out(
    items: str, declared: dict[str, Any], warned: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [node("a"), node("b", "${n}", items=items, **{"as": "n"})]
    inputs = {"xs": {"type": "array", **declared}}
    assert findings(*nodes, inputs=inputs) == (["b.batch.items: PFL324"] if warned else [])
    file = tmp_path / "w.json"
    file.write_text(json.dumps({"inputs": inputs, "nodes": nodes, "edges": [{"from": "a", "to": "b"}]}))
    status = plan(str(file), [], [], None, None, "text")
    assert (status == 2) == warned and ("the run will fail here" in capsys.readouterr().out) == warned
