"""The `${...}` language against pflow's answers, recorded and live, through the compiled form."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pflow_lower.emit.evaluation import UnresolvedError, evaluate
from pflow_lower.runtime import ParameterError

RECORDED = json.loads((Path(__file__).parent / "conformance" / "templates.json").read_text())
CASES = [pytest.param(case, id=case["id"]) for case in RECORDED["cases"]]


@pytest.mark.parametrize("case", CASES)
def test_strict(case: dict[str, Any]) -> None:
    context = RECORDED["contexts"][case["context"]]
    if "error" in case:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is ours, the type is the contract
            evaluate(case["template"], context, case.get("param_type"))
        if isinstance(caught.value, UnresolvedError):
            assert list(caught.value.unresolved) == case["unresolved"]
        else:
            assert case["unresolved"] == []
    else:
        result = evaluate(case["template"], context, case.get("param_type"))
        assert (type(result).__name__, result) == (case["result_type"], case["result"])


@pytest.mark.parametrize("case", CASES)
def test_permissive(case: dict[str, Any]) -> None:
    context = RECORDED["contexts"][case["context"]]
    result = evaluate(case["template"], context, case.get("param_type"), mode="permissive")
    assert json.dumps(result) == json.dumps(case["permissive_result"])


@pytest.mark.parametrize("mode", ["strict", "permissive"])
def test_a_template_of_too_many_levels_is_refused(mode: Any) -> None:
    template: Any = "${a.n}"
    for _ in range(100):
        template = [template]
    assert json.dumps(evaluate(template, {"a": {"n": 7}}, mode=mode)) == "[" * 100 + "7" + "]" * 100
    for more in (1, 200, 10_000):
        for _ in range(more):
            template = [template]
        with pytest.raises(ParameterError, match="more than 100 levels"):
            evaluate(template, {}, mode=mode)
    template = {"again": "${a}"}
    template["itself"] = template
    with pytest.raises(ParameterError, match="contains itself"):
        evaluate(template, {}, mode=mode)


# A store small enough that random references often hit something.
STORE = {
    "a": {"b": [1, "two", None, {"c": "x"}], "j": '{"k": [1, {"m": "deep"}]}', "n": 0, "t": True, "e": "", "f": 1.0},
    "l": ["r0", '["j0", 7]', {"a": "é\u2028"}],
    "i": 1,
    "s": " [1, 2] ",
    "bad": "{not json",
    "none": None,
}
NAMES = st.sampled_from(["a", "b", "j", "k", "l", "i", "s", "n", "t", "e", "f", "bad", "none", "m", "missing", "x-y"])
INDEX = st.sampled_from(["", "[0]", "[1]", "[01]", "[9]", "[-1]", "[${i}]", "[${a.n}]", "[${none}]", "[${a.t}]", "[i]"])
PATH = st.lists(st.tuples(NAMES, INDEX).map("".join), min_size=1, max_size=4).map(".".join)
OPERAND = PATH | st.sampled_from(['"lit"', "'no'", "1.5", "01", "true", "null", "[]", "{}", "[1]", '"a ?? b"', ""])
OPERATOR = st.sampled_from([" ?? ", "??", " ?", "\n??\n"])
EXPRESSION = st.builds(lambda one, op, other: f"{one}{op}{other}", OPERAND, OPERATOR, OPERAND) | OPERAND
PIECE = EXPRESSION.map(lambda e: f"${{{e}}}") | st.sampled_from(
    ["$${", "$$${a}", "${", "}", "$", "\n", " text ", "\"'{}"]
)
TEMPLATE = PIECE | st.lists(PIECE, max_size=5).map("".join)
TEMPLATES = st.recursive(
    TEMPLATE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
TYPES = st.sampled_from([None, "str", "dict", "list", "list[str]", "object", "array", "int", "any", "str|dict"])


@given(TEMPLATES, TYPES, st.sampled_from(["strict", "permissive"]))
@settings(max_examples=500, deadline=None)
def test_as_pflow_resolves_it(template: Any, declared: str | None, mode: Any) -> None:
    from pflow.runtime.engine.template_resolution import build_type_cache, resolve_templates, split_params
    from pflow.runtime.engine.types import TemplateConfig

    types = build_type_cache({"params": [{"key": "p", "type": declared}]} if declared else None)
    dynamic, static = split_params({"p": template}, types)
    config = TemplateConfig(dynamic, static, types, mode)
    try:
        theirs: Any = resolve_templates(config, STORE, "node")[0]["p"]
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011  as above
            evaluate(template, STORE, declared, mode)
    else:
        assert repr(evaluate(template, STORE, declared, mode)) == repr(theirs)
