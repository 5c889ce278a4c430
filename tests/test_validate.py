"""The schema and what it cannot say: each finding's code, place and sentence."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pflow_lower.analyse.references import check_references
from pflow_lower.diagnostics.diagnostic import Diagnostic, LowerError, Severity
from pflow_lower.ir.batch_spec import BatchSpec, ErrorHandling
from pflow_lower.ir.document import Document
from pflow_lower.load.load import from_json, load
from pflow_lower.validate.schema import workflow_schema
from pflow_lower.validate.validate import validate


def found(data: Any) -> list[Diagnostic]:
    return validate(load(data))[1]


def workflow(node: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"ir_version": "0.1.0", "nodes": [{"id": "a", "type": "any"}, {"id": "b", "type": "any", **node}], **more}


def lines(node: dict[str, Any], **more: Any) -> list[str]:
    return [finding.render().removeprefix("<data>: ") for finding in found(workflow(node, **more))]


@pytest.mark.parametrize(
    ("declared", "default", "expected"),
    [
        ("number", "soon", 'must be a number, as the input is declared, not "soon"'),
        ("number", "5", 'must be a number, as the input is declared, not "5"'),
        ("number", True, "not true"),
        ("integer", 1.5, "must be a whole number, as the input is declared, not 1.5"),
        ("boolean", "soon", "must be true or false"),
        ("array", {}, "must be a list, as the input is declared, not an object"),
        ("object", [1], "must be an object, as the input is declared, not a list"),
        ("string", 3, "must be a string, as the input is declared, not 3"),
        ("number", 5, None),
        ("number", None, None),
        ("integer", 2.0, None),
        ("string", "", None),
        ("any", 3, None),
        (None, 3, None),
    ],
)
def test_a_default_of_another_type(declared: str | None, default: Any, expected: str | None) -> None:
    spec = {"default": default} if declared is None else {"type": declared, "default": default}
    said = found(workflow({}, inputs={"wait": spec}))
    assert [(one.code, one.severity, one.where) for one in said] == (
        [("PFL220", Severity.WARNING, "inputs.wait.default")] if expected else []
    )
    assert all(expected in one.message for one in said if expected)


@pytest.mark.parametrize(("default", "declare"), [("soon", "string"), (True, "boolean"), ([], "array"), ({}, "object")])
def test_what_to_do_about_such_a_default(default: Any, declare: str) -> None:
    (said,) = found(workflow({}, inputs={"wait": {"type": "number", "default": default}}))
    assert said.help == f'write a number, or declare the input as "{declare}"'


def test_no_default_is_compared_with_a_type_that_there_is_not() -> None:
    said = found(workflow({}, inputs={"wait": {"type": "float", "default": "soon"}}))
    assert [one.code for one in said] == ["PFL204"]


ITEMS = 'must be a reference such as "${node.list}", or a list with at least one item, not'


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ({"items": []}, f"error[PFL205] b.batch.items: {ITEMS} an empty list"),
        ({"items": "${a.x} "}, f'{ITEMS} "${{a.x}} "\n  the reference must be the whole string'),
        ({"items": "[1, 2]"}, f'{ITEMS} "[1, 2]"\n  write the list itself, without quotes around it'),
        ({"items": {"a": 1}}, f"{ITEMS} an object\n  for one item, write a list with one item"),
        ({"items": None}, f"{ITEMS} null"),
        ({"items": "x" * 100}, f"{ITEMS} a string"),
        ({}, "error[PFL201] b.batch: `items` is missing"),
        ({"items": [1], "as": "my-item"}, "error[PFL204] b.batch.as: must be a name: letters, digits and _"),
        ({"items": [1], "as": 1}, "error[PFL203] b.batch.as: must be a string, not 1"),
        ({"items": [1], "parallel": "true"}, 'error[PFL203] b.batch.parallel: must be true or false, not "true"'),
        ({"items": [1], "parallel": 1}, "b.batch.parallel: must be true or false, not 1"),
        ({"items": [1], "max_concurrent": 0}, "error[PFL204] b.batch.max_concurrent: must be between 1 and 100, not 0"),
        ({"items": [1], "max_concurrent": True}, 'must be a whole number or "auto", not true'),
        ({"items": [1], "max_concurrent": "5"}, 'must be a whole number or "auto", not "5"\n  without quotes'),
        (
            {"items": [1], "max_retries": 11},
            "must be between 1 and 10, not 11\n  it counts the attempts; 1 means no retry",
        ),
        ({"items": [1], "retry_wait": -0.5}, "error[PFL204] b.batch.retry_wait: must be 0 or more, not -0.5"),
        ({"items": [1], "error_handling": "fail-fast"}, 'did you mean "fail_fast"?'),
        (
            {"items": [1], "paralel": True},
            'error[PFL202] b.batch.paralel: unknown key "paralel"\n  did you mean `parallel`?',
        ),
        ({"item": [1]}, "did you mean `items`?"),
        (
            {"items": [1], "rate": "60/min\n"},
            'b.batch.rate: must be a rate such as "60/min" (s, min, h, day), or a name',
        ),
        ({"items": {"file": "a.csv\n"}}, "b.batch.items.file: must be a path that ends in .jsonl, .csv or .parquet"),
        (
            {"items": [1], "error_handling": "continue", "tolerated_failures": "10%\n"},
            'b.batch.tolerated_failures: must be a whole number, 0 or more, or a share such as "10%"',
        ),
        ("batch.yaml", 'error[PFL203] b.batch: must be an object, not "batch.yaml"'),
    ],
)
def test_what_is_wrong_with_a_batch(batch: Any, expected: str) -> None:
    shown = lines({"batch": batch})
    assert any(expected in line for line in shown), shown


def test_what_a_batch_may_be() -> None:
    for batch in (
        {"items": "${a.x}\n"},
        {"items": "${a.x}${a.y}"},
        {"items": [None], "max_concurrent": 2.0, "max_retries": 10, "retry_wait": 0.5, "as": "class"},
    ):
        assert lines({"batch": batch}) == []


def test_the_annotation_has_its_defaults() -> None:
    ir, _ = validate(load(workflow({"batch": {"items": [1]}})))
    assert ir is not None
    assert ir.nodes[0].batch is None
    assert ir.nodes[1].batch == BatchSpec(items=[1], written=frozenset({"items"}))
    ir, _ = validate(
        load(workflow({"batch": {"items": "${a.x}", "max_concurrent": 2.0, "error_handling": "continue"}}))
    )
    assert ir is not None
    spec = ir.nodes[1].batch
    assert spec is not None
    assert (spec.max_concurrent, spec.error_handling) == (2, ErrorHandling.CONTINUE)
    assert isinstance(spec.max_concurrent, int)


@pytest.mark.parametrize(
    ("node", "more", "expected"),
    [
        ({"id": "a"}, {}, 'error[PFL206] a.id: another node has the id "a": nodes[0]'),
        ({"id": "end"}, {}, 'error[PFL207] end.id: "end" is reserved'),
        ({"id": "null"}, {}, "error[PFL207] null.id"),
        ({}, {"inputs": {"true": {}}}, "error[PFL207] inputs.true"),
        ({}, {"edges": [{"from": "a", "to": "B"}]}, 'PFL208] edges[0].to: no node has the id "B"\n  did you mean "b"?'),
        ({}, {"start_node": "c"}, 'error[PFL209] start_node: no node has the id "c"'),
        ({"batch": {"items": [1]}, "loop": {"while": "${b.x}"}}, {}, "error[PFL211] b.loop: a batch node cannot loop"),
        ({"batch": {"items": [1]}, "approval": "required"}, {}, "error[PFL212] b.approval"),
        ({"loop": {}}, {}, "error[PFL213] b.loop: a loop has one condition, `while` or `until`; there is none"),
        ({"loop": {"while": "${b.x}", "max_iterations": 101}}, {}, "pflow runs a node 100 times at most, not 101"),
        (
            {"loop": {"while": "${b.x}", "carry": {"k": "${b.k}"}}},
            {},
            '"k" is carried on, but has no value in the first',
        ),
        ({}, {"inputs": {"x": {"stdin": True}, "y": {"stdin": True}}}, "error[PFL215] inputs.y.stdin"),
        (
            {},
            {"outputs": {n: {"source": "${a.x}", "stdout": True} for n in "xy"}},
            "error[PFL216] outputs.y.stdout: only one output",
        ),
        ({}, {"inputs": {"a b": {}}}, 'error[PFL218] inputs.a b: "a b" cannot name an input: it contains " "'),
        ({}, {"outputs": {"__x__": {"source": "${a.x}"}}}, "error[PFL218] outputs.__x__"),
        ({}, {"inputs": {"x": {"type": "str"}}}, 'did you mean "string"?'),
        ({}, {"outputs": {"x": {"value": "${a.x}"}}}, "did you mean `source`?"),
        ({"approval": True}, {}, "error[PFL203] b.approval: must be a string, not true"),
        ({"type": 1}, {}, "error[PFL203] b.type: must be a string, not 1"),
        ({"id": 7}, {}, "error[PFL203] nodes[1].id: must be a string, not 7"),
        ({"parms": {}}, {}, "did you mean `params`?"),
        ({}, {"nodes": []}, "error[PFL204] nodes: is empty"),
        ({}, {"ir_version": "1"}, 'must be a version such as "0.1.0", not "1"'),
    ],
)
def test_what_else_is_wrong(node: dict[str, Any], more: dict[str, Any], expected: str) -> None:
    shown = lines(node, **more)
    assert any(expected in line for line in shown), shown


def test_the_older_spelling_shows_the_new_one() -> None:
    old = {"params": {"batch": {"items": "${a.x}", "as": "it"}}}
    (refused,) = found(workflow({**old, "type": "shell"}))
    assert (refused.code, refused.severity) == ("PFL210", Severity.ERROR)
    pasted = json.loads("{" + refused.help.partition("\n")[2] + "}")
    assert pasted == old["params"]
    (accepted,) = found(workflow(old))
    assert (accepted.code, accepted.severity) == ("PFL210", Severity.WARNING)
    assert "will NOT run as a batch" in accepted.message
    assert lines({**old, "batch": {"items": [1]}}) == []


def test_everything_is_reported_sorted_by_place() -> None:
    text = """{
      "nodes": [
        {"id": "a", "type": "any", "batch": {"items": [], "max_concurrent": 0}},
        {"id": "a", "typ": "any"}
      ], "foo": 1, "edges": {}
    }"""
    _, all_of_them = validate(from_json(text, "w.json"))
    places = [(str(d.position and d.position.line), d.code) for d in all_of_them]
    assert places == [
        ("3", "PFL205"),
        ("3", "PFL204"),
        ("4", "PFL201"),
        ("4", "PFL202"),
        ("5", "PFL202"),
        ("5", "PFL203"),
    ]


def test_small_mistakes_leave_the_rest_to_later_stages() -> None:
    ir, _ = validate(load(workflow({"batch": {"items": [], "as": "x-y", "foo": 1}, "params": {"x": "${nope.y}"}})))
    assert ir is not None
    assert [d.code for d in check_references(ir)] == ["PFL301", "PFL323"]
    assert validate(load(workflow({"id": 1})))[0] is None


def test_waiting_takes_a_finite_time() -> None:
    data = workflow({"batch": {"items": [1], "retry_wait": float("inf")}, "retry": {"wait": float("nan")}})
    _, by_other_means = validate(Document(name="x", data=data))
    assert [d.code for d in by_other_means] == ["PFL214", "PFL214"]


def test_nobody_is_changed() -> None:
    data = workflow({"parameters": {"x": [1, {"y": 2}]}})
    before = copy.deepcopy(data)
    ir, _ = validate(load(data))
    assert data == before
    assert ir is not None
    assert ir.nodes[1].params == {"x": [1, {"y": 2}]}


def test_a_valid_workflow_is_loaded_without_heavy_imports() -> None:
    code = (
        "import sys, pflow_lower.load.load as l\n"
        "l.from_json('{\"nodes\": []}', 'x.json')\n"
        "heavy = {'jsonschema', 'jinja2', 'pflow', 'click', 'yaml', 'difflib'}\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & heavy))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.slow
def test_ten_thousand_nodes_are_validated() -> None:
    node = {"type": "any", "batch": {"items": [1]}, "params": {"x": "${item}"}}
    edges = [{"from": f"n{i}", "to": f"n{i + 1}"} for i in range(9_999)]
    ir, nothing = validate(load({"nodes": [{"id": f"n{i}", **node} for i in range(10_000)], "edges": edges}))
    assert nothing == []
    assert ir is not None
    assert check_references(ir) == []


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("${a.b}"))
keys = st.one_of(
    st.sampled_from(
        ["nodes", "id", "type", "params", "batch", "items", "as", "edges", "from", "to", "inputs", "outputs"]
    ),
    st.sampled_from(
        ["source", "loop", "while", "carry", "retry", "wait", "cache", "prompt_cache", "start_node", "var"]
    ),
    st.text(max_size=3),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=20,
)
loose_nodes = st.lists(
    st.one_of(
        anything,
        st.fixed_dictionaries(
            {"id": st.one_of(st.sampled_from("ab"), scalars), "type": st.sampled_from(["any", "llm", "shell"])},
            optional=dict.fromkeys(("params", "batch", "loop", "retry", "prompt_cache", "approval"), anything),
        ),
    ),
    max_size=3,
)
loose = st.fixed_dictionaries(
    {"nodes": loose_nodes},
    optional=dict.fromkeys(("edges", "inputs", "outputs", "cache", "start_node", "enable_namespacing"), anything),
)


@settings(deadline=None, max_examples=250, derandomize=True)
@given(st.one_of(st.dictionaries(keys, anything, max_size=4), loose))
def test_no_document_is_a_surprise(data: dict[str, Any]) -> None:
    """Any JSON object is refused with findings or accepted; nothing else ever comes out."""
    try:
        document = load(data)
    except LowerError:
        return
    ir, diagnostics = validate(document)
    assert ir is not None or any(d.severity is Severity.ERROR for d in diagnostics)
    for diagnostic in [*diagnostics, *(check_references(ir) if ir is not None else [])]:
        assert "\n" not in diagnostic.render().splitlines()[0]
        assert len(diagnostic.message) < 500
        diagnostic.render().encode()


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.one_of(st.text(max_size=6), st.sampled_from(["__x__", "__", "_x_", "a.b", "2fa", "a-b", "é", " ", "\u00a0"])))
def test_names_that_pflow_refuses(name: str) -> None:
    from pflow.core.validation_utils import is_valid_parameter_name

    data = workflow({"params": {"x": "${a.x}"}}, outputs={name: {"source": "${a.x}"}})
    try:
        codes = [finding.code for finding in found(data)]
    except LowerError:  # text that is not text
        return
    assert codes == ([] if is_valid_parameter_name(name) else ["PFL218"])


def test_the_schema_is_pflows() -> None:
    """The same accept/reject set: the two schemas say the same, but for what they say to readers."""
    from pflow.core.ir_schema import FLOW_IR_SCHEMA

    assert _bare(workflow_schema(ours=False)) == _bare(FLOW_IR_SCHEMA)


def _bare(schema: Any, names: bool = False) -> Any:
    """A schema without its annotations and without what is true anyway. `names`: keys are property names."""
    if isinstance(schema, list):
        return [_bare(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    bare = {}
    for key, value in schema.items():
        if not names and (key in ("description", "default", "title", "$schema") or (key, value) in _IDLE):
            continue
        unordered = key in ("required", "enum") and not names
        bare[key] = sorted(value) if unordered else _bare(value, names=key == "properties" and not names)
    return bare


_IDLE = [("additionalProperties", True), ("required", [])]
