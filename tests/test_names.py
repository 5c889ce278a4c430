"""names: pure functions of an id, injective, never a word of Python's or of ours."""

from __future__ import annotations

import ast
import keyword
from functools import cache
from pathlib import Path
from typing import Any

import pocketflow
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pflow_lower
from pflow_lower import runtime
from pflow_lower.lowering import names

TABLE = {
    "classify": "ClassifyBatch",
    "list-issues": "ListIssuesBatch",
    "list_issues": "List_IssuesBatch",
    "step-2": "Step_2Batch",
    "step_2": "Step__2Batch",
    "step2": "Step2Batch",
    "class": "ClassBatch",
    "x" * 52: "X" + "x" * 51 + "Batch",
    "translate-" * 6 + "it": "TranslateTranslateTranslateTranslateTranslaBatch_f6dd6ebb",
}


@pytest.mark.parametrize(("node_id", "name"), TABLE.items())
def test_plain_ids_read_like_the_author_wrote_them(node_id: str, name: str) -> None:
    assert names.class_name(node_id) == name


@given(st.text(), st.text())
def test_different_ids_have_different_names(one: str, other: str) -> None:
    assert (names.class_name(one) == names.class_name(other)) == (one == other)


@given(st.from_regex(r"[a-z]{50}[a-z0-9_-]{1,3}", fullmatch=True), st.from_regex(r"x{60}[ab]", fullmatch=True))
def test_long_ids_have_short_names(one: str, other: str) -> None:
    for node_id in (one, other):
        assert len(names.class_name(node_id)) <= names.MAX_CLASS_NAME
        assert names.class_name(node_id) != names.class_name(node_id + "a")


@given(st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True), st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True))
def test_similar_ids_have_different_names(one: str, other: str) -> None:
    assert (names.class_name(one) == names.class_name(other)) == (one == other)


@given(st.text())
def test_a_class_name_is_a_name(node_id: str) -> None:
    name = names.class_name(node_id)
    assert name.isidentifier() and name.isascii() and not keyword.iskeyword(name) and name not in names.RESERVED
    assert len(name) <= names.MAX_CLASS_NAME


@given(st.text(), st.lists(st.text()))
def test_a_variable_is_free(text: str, others: list[str]) -> None:
    taken = {names.variable(other) for other in others}
    name = names.variable(text, taken)
    assert name.isidentifier() and not keyword.iskeyword(name) and name not in names.RESERVED | taken


def test_the_runtime_offers_what_the_compiler_thinks() -> None:
    assert set(runtime.__all__) == names.RUNTIME


# --- Names that generated code uses itself


def of_generated_code() -> list[str]:
    """Every name that stands in a class of golden/ok: whatever an author calls an item, it may be one of these."""
    found = set()
    for path in (Path(__file__).parent.parent / "golden" / "ok").glob("*/nodes*.py"):
        module = ast.parse(path.read_bytes())
        for node in [inner for cls in module.body if isinstance(cls, ast.ClassDef) for inner in ast.walk(cls)]:
            found |= {node.id} if isinstance(node, ast.Name) else {node.arg} if isinstance(node, ast.arg) else set()
    return sorted(found)


class Told(pocketflow.Node):  # type: ignore[misc]
    """Gives its parameters back."""

    def prep(self, shared: Any) -> Any:
        return dict(self.params)

    def exec(self, params: Any) -> Any:
        return params

    def post(self, shared: Any, _: Any, params: Any) -> None:
        shared["told"] = params


def told(alias: str, captured: str) -> Any:
    """What the items of a batch are told whose author calls them `alias`, and something captured `captured`."""
    code = f'result: str = "${{{alias}.name}} ${{{alias}.inputs}} ${{{captured}}} ${{word}}"'
    node = {"id": "run", "type": "code", "params": {"inputs": f"${{{alias}.inputs}}", "code": code}}
    source = {"id": "jobs", "type": "http", "params": {"url": "https://example.com"}}
    workflow = {
        "inputs": {captured: {"type": "string"}, "word": {"type": "string"}},
        "nodes": [source, {**node, "batch": {"items": "${jobs.response}", "as": alias}}],
        "edges": [{"from": "jobs", "to": "run"}],
    }
    jobs = [
        {"name": "one", "inputs": {"unused-key": 1}},
        {"name": "two", "inputs": {"unused-key": 2, "word": "hidden"}},
    ]
    shared: dict[str, Any] = {captured: "terse", "word": "said", "jobs": {"response": jobs}}
    lowered = pflow_lower.lower(workflow)
    for function in [
        node for node in ast.walk(ast.parse(lowered.files["nodes.py"])) if isinstance(node, ast.FunctionDef)
    ]:
        bound = [
            node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        ]
        bound += [argument.arg for argument in function.args.args]
        assert len(bound) == len(set(bound)), "a name means two things"
    lowered.load()["run"](Told()).run(shared)
    return [result["told"] for result in shared["run"]["results"]]


plain = cache(lambda: told("thing", "captured"))


@pytest.mark.parametrize("name", of_generated_code())
def test_a_name_of_generated_code_is_as_good_as_any(name: str) -> None:
    assert "one" in plain()[0]["code"] and "hidden" in plain()[1]["code"]
    if name not in ("word", "thing"):
        assert told(name, "captured") == plain()
        assert told("thing", name) == plain()
