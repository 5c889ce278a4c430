"""Batches inside each other, and items that read the result of the one before: against comprehensions and folds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketflow import Node

from pflow_lower import lower
from pflow_lower.diagnostics.diagnostic import LowerError, Severity
from pflow_lower.runtime.run import STATE_VARIABLE, Run, running


class Echo(Node):  # type: ignore[misc]
    """Answers its parameters; fails where one of them is "bad"."""

    calls: list[Any] = []  # noqa: RUF012  of the class: the runtime makes copies

    def prep(self, shared: Any) -> Any:
        return dict(self.params)

    def exec(self, params: Any) -> Any:
        Echo.calls.append(params)
        if "bad" in map(str, params.values()):
            raise RuntimeError("no")
        return params

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["response"] = exec_res


def outcome(batch: dict[str, Any], params: dict[str, Any], store: dict[str, Any]) -> dict[str, Any]:
    """What the lowered batch writes, on plain PocketFlow."""
    node = {"id": "say", "type": "echo", "params": params, "batch": batch}
    inputs = {name: {"type": "any", "description": name} for name in store}
    made = lower({"ir_version": "0.1.0", "inputs": inputs, "nodes": [node], "edges": []})
    shared = {**store}
    Echo.calls = []
    made.load()["say"](Echo())._run(shared)
    found: dict[str, Any] = shared["say"]
    return found


def errors(refusal: LowerError) -> set[str]:
    return {found.code for found in refusal.diagnostics if found.severity is Severity.ERROR}


pages = st.lists(st.integers(0, 9), max_size=3)
files = st.lists(st.fixed_dictionaries({"name": st.text(max_size=3), "pages": pages}), max_size=4)


@settings(deadline=None)
@given(files=files, parallel=st.booleans())
def test_two_levels_are_a_comprehension(files: list[dict[str, Any]], parallel: bool) -> None:
    batch = {
        "items": "${files}",
        "as": "file",
        "parallel": parallel,
        "batch": {"items": "${file.pages}", "as": "page"},
    }
    found = outcome(batch, {"page": "${page}", "name": "${file.name}", "n": "${__index__}"}, {"files": files})
    leaves = [(file, page) for file in files for page in file["pages"]]
    assert [result["response"] for result in found["results"]] == [
        {"page": page, "name": file["name"], "n": number} for number, (file, page) in enumerate(leaves)
    ]
    assert [result["item"] for result in found["results"]] == [{"file": file, "page": page} for file, page in leaves]


tree = st.lists(st.lists(st.lists(st.integers(0, 9), max_size=2), max_size=3), max_size=3)


@settings(deadline=None)
@given(tree=tree, extra=st.lists(st.sampled_from("xy"), min_size=1, max_size=2))
def test_four_levels_and_one_that_depends_on_none(tree: list[Any], extra: list[str]) -> None:
    inner = {"items": "${b}", "as": "c", "batch": {"items": extra, "as": "d"}}
    batch = {"items": "${tree}", "as": "a", "batch": {"items": "${a}", "as": "b", "batch": inner}}
    found = outcome(batch, {"c": "${c}", "d": "${d}"}, {"tree": tree})
    expected = [{"c": c, "d": d} for a in tree for b in a for c in b for d in extra]
    assert [result["response"] for result in found["results"]] == expected


def test_one_cap_one_failure_one_name() -> None:
    store = {"files": [{"name": "a", "pages": ["1", "bad"]}, {"name": "b", "pages": ["1"]}]}
    batch: dict[str, Any] = {"items": "${files}", "as": "file", "batch": {"items": "${file.pages}", "as": "page"}}
    batch |= {"error_handling": "continue", "parallel": True, "max_concurrent": 2, "key": "${file.name}/${page}"}
    found = outcome(batch, {"page": "${page}"}, store)
    assert [result["key"] for result in found["results"]] == ["a/1", "b/1"]
    assert found["errors"][0]["key"] == "a/bad" and found["errors"][0]["index"] == 1
    assert found["batch_metadata"]["max_concurrent"] == 2


@pytest.mark.parametrize(
    ("pages", "error"),
    [(7, r"\$\{file\.pages\}: the items of a batch must be a list, not a int"), (None, r"\$\{file\.pages\}: nothing")],
)
def test_inner_items_that_are_not_a_list_name_their_reference(pages: Any, error: str) -> None:
    batch = {"items": "${files}", "as": "file", "batch": {"items": "${file.pages}", "as": "page"}}
    with pytest.raises((TypeError, ValueError), match=error) as raised:
        outcome(batch, {"page": "${page}"}, {"files": [{"name": "a", "pages": [1]}, {"name": "b", "pages": pages}]})
    assert str(raised.value).endswith(f"; file is {{'name': 'b', 'pages': {pages}}}"), "which of them"
    assert Echo.calls == []


def test_an_outer_item_may_be_called_as_anything() -> None:
    batch = {"items": "${value}", "as": "reference", "batch": {"items": "${reference.of}", "as": "value"}}
    found = outcome(batch, {"page": "${value}"}, {"value": [{"of": [1, 2]}]})
    assert [result["response"]["page"] for result in found["results"]] == [1, 2]


@pytest.mark.parametrize(
    ("batch", "codes"),
    [
        ({"items": "${files}", "as": "file", "batch": {"items": "${page.x}", "as": "page"}}, {"PFL327"}),
        ({"items": "${files}", "as": "file", "batch": {"items": "${file.x}", "as": "file"}}, {"PFL219"}),
        ({"items": "${files}", "as": "file", "batch": {"as": "page"}}, {"PFL201"}),
        ({"items": "${files}", "as": "file", "batch": {"items": "${file.x}", "as": "page", "rate": "1/s"}}, {"PFL202"}),
        ({"items": "${files}", "as": "file", "batch": {"items": "${fil.x}", "as": "page"}}, {"PFL301"}),
    ],
)
def test_what_is_wrong_with_an_inner_batch_is_said(batch: dict[str, Any], codes: set[str]) -> None:
    with pytest.raises(LowerError) as caught:
        outcome(batch, {"page": "${page}" if "page" in str(batch) else "${file}"}, {"files": []})
    assert errors(caught.value) == codes


@settings(deadline=None)
@given(items=st.lists(st.sampled_from(["a", "b", "bad"]), max_size=6))
def test_the_item_before_is_a_fold(items: list[str]) -> None:
    batch = {"items": "${list}", "error_handling": "continue"}
    expected, before = [], ""
    for item in items:
        if item != "bad":
            expected.append({"x": item, "so_far": before})
            before = item
    params = {"x": "${item}", "so_far": '${__previous__.response.x ?? ""}'}
    if items and not expected:
        with pytest.raises(RuntimeError, match="all"):
            outcome(batch, params, {"list": items})
        return
    found = outcome(batch, params, {"list": items})
    assert [result["response"] for result in found["results"]] == expected


def test_without_a_fallback_the_first_item_fails_by_name() -> None:
    with pytest.raises(ValueError, match=r"\$\{__previous__\.response\}: nothing was found"):
        outcome({"items": ["a"]}, {"x": "${item}", "before": "${__previous__.response}"}, {})


def test_the_journal_gives_the_result_before_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    params = {"x": "${item}", "so_far": '${__previous__.response.x ?? ""}'}
    with pytest.raises(RuntimeError), running(Run("w", resume=True)):
        outcome({"items": "${list}"}, params, {"list": ["a", "b", "bad"]})
    with running(Run("w", resume=True)):
        found = outcome({"items": "${list}"}, params, {"list": ["a", "b", "c"]})
    assert Echo.calls == [{"x": "c", "so_far": "b"}]
    assert [result["response"]["so_far"] for result in found["results"]] == ["", "a", "b"]


@pytest.mark.parametrize(
    ("batch", "code"),
    [({"items": ["a"], "parallel": True}, "PFL325"), ({"items": ["a"], "key": "${__previous__.x ?? item}"}, "PFL325")],
)
def test_where_there_is_no_item_before(batch: dict[str, Any], code: str) -> None:
    with pytest.raises(LowerError) as caught:
        outcome(batch, {"x": "${item}", **({"y": "${__previous__.x ?? 1}"} if "parallel" in batch else {})}, {})
    assert errors(caught.value) == {code}


@pytest.mark.parametrize(
    ("alias", "said"),
    [
        ("true", "${true} is the value true, never the item"),
        ("files", 'the item\'s name "files" is also an input: in this batch ${files} is the item'),
        ("say", 'the item\'s name "say" is also this node: in this batch ${say} is the item'),
        ("page\n", "the item's name ends in a newline: no reference can name the item"),
    ],
)
def test_a_name_of_inner_items_that_nobody_can_read_is_said(alias: str, said: str) -> None:
    batch = {"items": "${files}", "as": "file", "batch": {"items": "${file.pages}", "as": alias}}
    node = {"id": "say", "type": "shell", "params": {"command": "echo ${file.name}"}, "batch": batch}
    made = lower({"inputs": {"files": {"type": "array"}}, "nodes": [node], "edges": []})
    assert [(found.where, found.message) for found in made.diagnostics] == [("say.batch.batch.as", said)]


def test_a_newline_after_the_name_of_outer_items_is_left_out_of_the_code() -> None:
    batch = {"items": "${files}", "as": "file\n", "batch": {"items": "${files}", "as": "page"}}
    assert outcome(batch, {"page": "${page}"}, {"files": ["a"]})["results"][0]["response"] == {"page": "a"}
