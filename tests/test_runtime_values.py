"""What a reference reads and how a value becomes text: by example, and against pflow's own resolver."""

from __future__ import annotations

import contextlib
import copy
import json
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pflow_lower.runtime import (
    Missing,
    ParameterError,
    Unresolved,
    as_dict,
    as_json_text,
    as_list,
    as_text,
    capture,
    find,
    first,
    found_or,
    joined,
    none_unless_run,
    parsed,
    peek,
    position,
    text,
)
from pflow_lower.runtime.values import as_items

pytestmark = pytest.mark.usefixtures("quiet_pflow")

DEEP = "[" * 100_000 + "]" * 100_000
MISSING = peek({}, "gone")


# --- By example


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ({"a": 1}, ("a",), 1),
        ({"a": None}, ("a",), None),
        ({"a": {"b": [1, {"c": 2}]}}, ("a", "b", 1, "c"), 2),
        ("x", (), "x"),
        ('{"a": [1, 2]}', ("a", 1), 2),
        ({"a": ' {"b": 3}\n'}, ("a", "b"), 3),
        ('["x"]', (0,), "x"),
        (OrderedDict(a=1), ("a",), 1),
        (MappingProxyType({"a": {"b": 1}}), ("a", "b"), 1),
        ({"": 1}, ("",), 1),
    ],
)
def test_find(value: Any, path: tuple[Any, ...], found: Any) -> None:
    assert find(value, *path) == found
    assert peek(value, *path) == found


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ({"b": 1, "c": 2}, ("a",), "no 'a' among b, c"),
        ({}, ("a",), "no 'a' in an empty object"),
        ({str(n): n for n in range(20)}, ("a",), "no 'a' among 0, 1, 10, 11, 12, 13, 14, 15"),
        ({"a": None}, ("a", "b"), "no 'b' in null"),
        ([1, 2], (2,), "no [2] in a list of 2"),
        ([1, 2], (-1,), "no [-1] in a list of 2"),
        ([1, 2], ("a",), "no 'a' in a list of 2"),
        ([1, 2], (MISSING,), "the index is not a whole number"),
        ({0: "x"}, (0,), "no [0] among 0"),
        ({1, 2}, (0,), "no [0] in a set"),
        ("text", (0,), "no [0] in a str"),
        ("text", ("a",), "no 'a' in a str"),
        ('{"b": 1}', ("a",), "no 'a' among b"),
        ('"a"', ("a",), "no 'a' in a str"),
        ("[1", (0,), "no [0] in a str"),
        (DEEP, (0,), "no [0] in a str"),
        (MISSING, ("a",), "nothing was found"),
        (MISSING, (), "nothing was found"),
    ],
)
def test_find_says_what_is_missing(value: Any, path: tuple[Any, ...], message: str) -> None:
    with pytest.raises(Unresolved) as caught:
        find(value, *path)
    assert str(caught.value) == message
    missing = caught.value.missing
    assert missing is not None
    assert missing is value or (missing.start is value and missing.path == path)
    assert isinstance(peek(value, *path), Missing)
    assert isinstance(capture(value, *path).value, Missing)


@pytest.mark.parametrize(
    ("value", "index"),
    [(0, 0), (3, 3), (-1, -1), (True, MISSING), ("1", MISSING), (1.0, MISSING), (None, MISSING), (MISSING, MISSING)],
)
def test_position(value: Any, index: Any) -> None:
    found = position(value)
    assert isinstance(found, Missing) if index is MISSING else found == index
    assert isinstance(position({"n": value}, "n"), type(found))


def test_first_found() -> None:
    assert first(MISSING, None, 1) is None
    assert isinstance(first(MISSING, MISSING), Missing)
    assert isinstance(first(), Missing)


def test_what_was_looked_for_is_known() -> None:
    item, store = {"list": [1], "n": 3}, {"style": {}}
    names = {id(item): "issue", id(store): ""}

    def written(missing: Missing) -> str:
        return missing.reference(lambda start: names.get(id(start)))

    assert written(peek(store, "style", "tone")) == "style.tone"
    assert written(peek(item, "list", 4, "name")) == "issue.list[4].name"
    assert written(peek(peek(store, "gone"), "deeper")) == "gone.deeper"
    assert written(first(peek(item, "a"), peek(store, "b"))) == "issue.a ?? b"
    assert written(peek(item, "list", position(item, "n"))) == "issue.list[${issue.n}]"
    assert written(peek(item, "list", position(item, "m"))) == "issue.list[${issue.m}]"
    assert written(capture(store, "style", "tone").reference) == "style.tone"
    assert capture(store, "style").value is store["style"]


def test_none_unless_run() -> None:
    assert none_unless_run(1, MISSING) == 1
    assert none_unless_run(MISSING, MISSING, MISSING) is None
    assert none_unless_run(MISSING) is None
    with pytest.raises(Unresolved):
        none_unless_run(MISSING, {"there": 1}, MISSING)


def test_found_or() -> None:
    assert found_or(None, "${x}") is None
    assert found_or(MISSING, "${x}") == "${x}"


class Label(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a", "a"), ("", ""), (None, ""), (True, "True"), (False, "False"), (0, "0"), (0.0, "0"), (-0.0, "0"),
        (1.0, "1.0"), (1e20, "1e+20"), ([], "[]"), ({}, "{}"), ({"é": [1, None]}, '{"é": [1, null]}'),
        ({"x": {1}}, "{'x': {1}}"), ((1,), "(1,)"), (Label("a"), "a"),
    ],
)  # fmt: skip
def test_text(value: Any, said: str) -> None:
    assert text(value) == said
    assert joined("<", value, ">") == f"<{said}>"


def test_functions_that_need_a_value_take_a_path() -> None:
    assert text({"a": 0.0}, "a") == "0"
    assert text('{"a": "x"}', "a") == "x"
    assert text({"a": {"b": [None]}}, "a", "b", 0) == ""
    assert parsed({"a": "[1]"}, "a") == as_list({"a": "[1]"}, "a") == [1]
    assert as_dict({"a": '{"b": 2}'}, "a") == {"b": 2}
    assert as_text({"a": [1]}, "a") == as_json_text({"a": [1]}, "a") == "[1]"
    for convert in (find, text, parsed, as_text, as_json_text, as_dict, as_list):
        with pytest.raises(Unresolved, match="no 'b' among a"):
            convert({"a": 1}, "b")


def test_text_of_nothing() -> None:
    with pytest.raises(Unresolved, match="nothing was found"):
        text(MISSING)
    assert joined("a", MISSING) is MISSING


def test_values_that_no_text_can_hold() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert text(circle) == "[[...]]"
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ParameterError, match="nested too deeply"):
        text(deep)
    with pytest.raises(ParameterError, match="cannot be written as JSON"):
        as_text({"x": {1}})
    assert as_json_text(circle) is circle


@pytest.mark.parametrize(
    ("value", "result"),
    [('{"a": 1}', {"a": 1}), (" [1] ", [1]), ("1", "1"), ("{", "{"), ("", ""), (None, None), ([1], [1])],
)
def test_parsed(value: Any, result: Any) -> None:
    assert parsed(value) == result


def test_declared_containers() -> None:
    assert as_dict('{"a": 1}') == {"a": 1}
    assert as_list("[1]") == [1]
    assert as_list("plain") == "plain"
    assert as_dict([1]) == [1]
    assert as_text("[1]") == "[1]"
    assert as_text({"é": 1}) == '{"\\u00e9": 1}'
    for wrong in ("[1]", "{broken", DEEP):
        with pytest.raises(ParameterError, match="a JSON object is expected here"):
            as_dict(wrong)
    for convert in (as_dict, as_list, as_text, as_json_text, parsed, text):
        with pytest.raises(Unresolved):
            convert(MISSING)


def test_items() -> None:
    assert as_items("[1, 2]\n") == [1, 2]
    assert as_items('{"a": 1}') == '{"a": 1}'
    assert as_items(MISSING) is MISSING
    items = [1]
    assert as_items(items) is items


def test_missing_stays_one_object() -> None:
    assert copy.deepcopy({"x": MISSING})["x"] is copy.copy(MISSING) is MISSING
    assert not MISSING
    assert repr(MISSING) == "<Missing ${gone}>"


# --- Against pflow

NAMES = st.sampled_from(["a", "b", "c", "long_name", "x-y"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 4), st.floats(allow_nan=False), st.text(max_size=6),
    st.sampled_from(["", "0", "true", "[", "{}", "[]", '{"a": 1', " [1, 2]\n", '"a"']),
)  # fmt: skip


def _with_json_strings(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    containers = st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3))
    return st.one_of(containers, containers.map(json.dumps), containers.map(lambda value: f" {json.dumps(value)}\n"))


VALUES = st.recursive(SCALARS, _with_json_strings, max_leaves=12)
CONTEXTS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)
PATHS = st.lists(st.tuples(NAMES, st.one_of(st.none(), st.none(), st.integers(0, 3))), min_size=1, max_size=4)


def _spelled(path: list[tuple[str, int | None]]) -> tuple[str, list[Any]]:
    """A path in pflow's spelling, and as the steps that generated code takes."""
    said = ".".join(name if index is None else f"{name}[{index}]" for name, index in path)
    return said, [step for name, index in path for step in ((name,) if index is None else (name, index))]


def _same(ours: Any, theirs: Any) -> bool:
    return repr(ours) == repr(theirs)  # tells 1 from 1.0 and True, and -0.0 from 0.0


@settings(max_examples=300, deadline=None)
@given(CONTEXTS, PATHS)
def test_lookups_find_what_pflow_finds(context: dict[str, Any], path: list[tuple[str, int | None]]) -> None:
    templates = pytest.importorskip("pflow.core.templates")
    said, steps = _spelled(path)
    theirs = templates.resolve(f"${{{said}}}", context)
    ours = peek(context, *steps)
    if theirs.unresolved:
        assert isinstance(ours, Missing)
        with pytest.raises(Unresolved):
            find(context, *steps)
    else:
        assert _same(ours, theirs.value)
        assert len(steps) > 1 or text(context, steps[0]) == text(ours)
        assert find(context, *steps) is ours or _same(find(context, *steps), ours)
        # `peek` in two goes is `peek` in one, as where a captured value is looked into.
        assert all(_same(peek(peek(context, *steps[:n]), *steps[n:]), ours) for n in range(len(steps)))


@settings(max_examples=300, deadline=None)
@given(CONTEXTS, PATHS, PATHS)
def test_dynamic_indexes_and_coalescing(
    context: dict[str, Any], path: list[tuple[str, int | None]], index: list[tuple[str, int | None]]
) -> None:
    templates = pytest.importorskip("pflow.core.templates")
    (base, steps), (inner, inner_steps) = _spelled(path), _spelled(index)
    if base.endswith("]"):
        return
    theirs = templates.resolve(f"${{{base}[${{{inner}}}].a ?? {inner} ?? null}}", context)
    ours = first(peek(context, *steps, position(context, *inner_steps), "a"), peek(context, *inner_steps), None)
    assert _same(ours, theirs.value)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_values_become_what_pflow_makes_of_them(value: Any) -> None:
    templates = pytest.importorskip("pflow.core.templates")
    from pflow.runtime.engine.batch_executor import resolve_batch_items

    assert text(value) == templates.to_string(value)
    assert _same(parsed(value), templates.resolve("${x}", {"x": value}, auto_parse=True).value)
    assert _same(as_items(value), resolve_batch_items("${x}", {"x": value}))


@settings(max_examples=300, deadline=None)
@given(VALUES, st.sampled_from(["str", "dict", "object", "list", "array"]))
def test_declared_types_are_pflows(value: Any, declared: str) -> None:
    pytest.importorskip("pflow")
    from pflow.runtime.engine.template_resolution import resolve_templates
    from pflow.runtime.engine.types import TemplateConfig

    config = TemplateConfig({"p": "${x}"}, {}, {"p": declared}, "strict")
    convert = {"str": as_text, "dict": as_dict, "object": as_dict, "list": as_list, "array": as_list}[declared]
    try:
        theirs = resolve_templates(config, {"x": value}, "n")[0]["p"]
    except ValueError:
        with pytest.raises(ParameterError):
            convert(value)
    else:
        assert _same(convert(value), theirs)


ODD = st.recursive(
    st.one_of(SCALARS, st.just(MISSING), st.binary(max_size=3), st.just({1, 2}), st.just(object()), st.just(DEEP)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(NAMES, st.integers(0, 3), st.none()), inner, max_size=3),
    ),
    max_leaves=8,
)
KEYS = st.lists(st.one_of(NAMES, st.integers(-2, 5), st.just(MISSING)), max_size=4)


@settings(max_examples=500, deadline=None)
@given(ODD, KEYS)
def test_nothing_but_a_parameter_error_is_ever_raised(value: Any, keys: list[Any]) -> None:
    peek(value, *keys)
    for convert in (text, parsed, as_text, as_dict, as_list, as_json_text, as_items, position, none_unless_run, joined):
        with contextlib.suppress(ParameterError):
            convert(value)
    with contextlib.suppress(Unresolved):
        find(value, *keys)


def test_what_was_captured_can_be_read_in_a_debugger() -> None:
    assert repr(capture({"style": {"tone": "terse"}}, "style", "tone")) == "<Capture ${style.tone}: 'terse'>"
    assert repr(capture({}, "style")) == "<Capture ${style}: <Missing ${style}>>"
