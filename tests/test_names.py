"""names: pure functions of an id, injective, never a word of Python's or of ours."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        assert len(names.class_name(node_id)) <= names.LONGEST
        assert names.class_name(node_id) != names.class_name(node_id + "a")


@given(st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True), st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True))
def test_similar_ids_have_different_names(one: str, other: str) -> None:
    assert (names.class_name(one) == names.class_name(other)) == (one == other)


@given(st.text())
def test_a_class_name_is_a_name(node_id: str) -> None:
    name = names.class_name(node_id)
    assert name.isidentifier() and name.isascii() and not keyword.iskeyword(name) and name not in names.RESERVED
    assert len(name) <= names.LONGEST


@given(st.text(), st.lists(st.text()))
def test_a_variable_is_free(text: str, others: list[str]) -> None:
    taken = {names.variable(other) for other in others}
    name = names.variable(text, taken)
    assert name.isidentifier() and not keyword.iskeyword(name) and name not in names.RESERVED | taken


def test_the_runtime_offers_what_the_compiler_thinks() -> None:
    assert set(runtime.__all__) == names.RUNTIME
