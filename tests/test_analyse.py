"""References, and the whole front end against pflow itself: what it refuses, and only that, is an error."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pflow_lower.analyse.references import check_references
from pflow_lower.diagnostics.diagnostic import Diagnostic, LowerError, Severity
from pflow_lower.load.load import from_json, load
from pflow_lower.validate.validate import validate

pytestmark = pytest.mark.usefixtures("quiet_pflow")

CASES = sorted((Path(__file__).parent / "conformance" / "batch").glob("*.json"))
# pflow refuses these for what only its registry knows: the names of a node's outputs.
NEED_REGISTRY = {"no_namespacing"}


def findings(data: Any) -> list[Diagnostic]:
    """What load, validate and scope have to say about `data`, but for nodes that no edge leads to."""
    try:
        document = load(data)
    except LowerError as error:
        return list(error.diagnostics)
    ir, found = validate(document)
    found += check_references(ir) if ir is not None else []
    return [finding for finding in found if finding.code != "PFL323"]


def errors(data: Any) -> list[str]:
    return [found.render() for found in findings(data) if found.severity is Severity.ERROR]


def about(params: dict[str, Any], **more: Any) -> list[str]:
    """The findings about node `b`, with parameters `params`, after a node `a`; `more` changes the node."""
    node = {"id": "b", "type": "any", "params": params, **more}
    data = {"ir_version": "0.1.0", "nodes": [{"id": "a", "type": "any"}, node], "edges": [{"from": "a", "to": "b"}]}
    return [found.render() for found in findings(data)]


BATCH = {"items": "${a.out}"}


def nested(items: str, alias: str, outer: str = "${a.out}") -> dict[str, Any]:
    """A batch over rows, with one inside it."""
    return {"items": outer, "as": "row", "batch": {"items": items, "as": alias}}


# --- what is said -----------------------------------------------------------------------------------


def test_a_misspelled_node_is_found_at_its_place() -> None:
    text = """{
  "ir_version": "0.1.0",
  "nodes": [
    {"id": "list_issues", "type": "http"},
    {
      "id": "classify",
      "type": "llm",
      "batch": {
        "items": "${lst_issues.response}"
      },
      "params": {"prompt": "\\u00e9 ${style}"}
    }
  ],
  "edges": [{"from": "list_issues", "to": "classify"}]
}"""
    ir, found = validate(from_json(text, "workflow.json"))
    assert found == []
    assert ir is not None
    assert [finding.render() for finding in check_references(ir)] == [
        "workflow.json:9:19: error[PFL301] classify.batch.items: ${lst_issues.response} names no node or input\n"
        "  did you mean ${list_issues.response}?",
        "workflow.json:11:36: error[PFL301] classify.params.prompt: ${style} names no node or input",
    ]


@pytest.mark.parametrize(
    ("params", "more", "code", "message"),
    [
        ({"x": "${itme.y}"}, {"batch": BATCH}, "PFL301", "did you mean ${item.y}?"),
        ({"x": "${A}"}, {}, "PFL301", "did you mean an output of the node `a`?"),
        ({"x": {"y": ["${nope.z}"]}}, {}, "PFL301", "b.params.x.y[0]: ${nope.z} names no node or input"),
        ({"x": "${a.out[${nope.z}]}"}, {}, "PFL301", "${nope.z} names no node or input"),
        ({"x": "${a.out ?? nope.z}"}, {}, "PFL301", "${nope.z} names no node or input"),
        ({"x": "${a.0}"}, {}, "PFL302", "a list is indexed as items[0], not items.0"),
        ({"x": "${ a.out }"}, {}, "PFL302", "without spaces: ${a.out}"),
        ({"x": "${x:-y}"}, {}, "PFL302", 'a fallback is written ${x ?? "y"}'),
        ({"x": "${a.out"}, {}, "PFL302", "it is never closed"),
        ({"x": "${a:b}"}, {}, "PFL302", "a reference is a path such as"),
        ({"x": "${a.out[-1]}"}, {}, "PFL302", "an index is a number, 0 or more"),
        ({"x": "${a.out[*]}"}, {}, "PFL302", "an index is a number, 0 or more"),
        ({"x": "${a.out['y']}"}, {}, "PFL302", "an index is a number, 0 or more"),
        ({"x": '${a.out["y"]}'}, {}, "PFL302", "an index is a number, 0 or more"),
        ({"x": "${a.out ?? 'x'}"}, {}, "PFL302", "each side of ?? is a reference or JSON"),
        ({"x": "${b.out}"}, {}, "PFL304", "is this node's own output"),
        ({"x": "${__execution__.x}"}, {}, "PFL306", "pflow's own"),
        ({"x": "${__index__.x}"}, {"batch": BATCH}, "PFL307", "__index__ is a number"),
        ({"x": "${batch_index.x}"}, {"batch": BATCH}, "PFL307", "is a number"),
        ({"x": "${batch_index}"}, {}, "PFL301", "only exists in the params of a batch node"),
        ({"x": "${a}"}, {}, "PFL308", "name the output: ${a.NAME}"),
        ({"x": "${a[0]}"}, {}, "PFL308", "is a node"),
        ({"x": "${it}"}, {"batch": {"items": ["${it}"], "as": "it"}}, "PFL321", "before there is an item"),
        ({"x": "${a}"}, {"batch": {**BATCH, "as": "a"}}, "PFL320", 'the item\'s name "a" is also a node'),
        ({"x": 1}, {"batch": {**BATCH, "as": "row\n"}}, "PFL320", "no reference can name the item"),
        ({"x": "${a}"}, {"batch": nested("${row.parts}", "a")}, "PFL320", 'the item\'s name "a" is also a node'),
        ({"x": 1}, {"batch": nested("${row.parts}", "part", "${part.rows}")}, "PFL321", "read before there is an item"),
        ({"x": "${parrt.n}"}, {"batch": nested("${row.parts}", "part")}, "PFL301", "did you mean ${part.n}?"),
        ({"x": "${rwo}"}, {"batch": {**BATCH, "as": "row\n"}}, "PFL301", "did you mean ${row}?"),
        ({"inputs": {"k": 1, "l": "${k}"}}, {}, "PFL322", "filled in only after this is read"),
        ({"inputs": {"k": 1}}, {"batch": {**BATCH, "key": "${k}"}}, "PFL322", "filled in only after this is read"),
        ({"inputs": {"k": 1}}, {"batch": nested("${k}", "part")}, "PFL322", "filled in only after this is read"),
        ({"batch": BATCH, "x": "${item}"}, {}, "PFL301", "`batch` is one of its params"),
    ],
)
def test_what_is_wrong_with_a_reference(params: dict[str, Any], more: dict[str, Any], code: str, message: str) -> None:
    found = about(params, **more)
    assert any(f"[{code}]" in line and message in line for line in found), found


@pytest.mark.parametrize(
    ("params", "more"),
    [
        ({"x": "${a.out[0].y ?? null}"}, {}),
        ({"x": "$${not.a.reference}"}, {}),
        ({"x": "${item.y} ${__index__} ${batch_index} of ${batch_total} ${a.out[${__index__}].z}"}, {"batch": BATCH}),
        ({"x": "${k.y}", "inputs": {"k": "${a.out}"}}, {}),
        ({"x": "${b.out ?? 0} ${__iteration__}"}, {"loop": {"while": "${b.more}"}}),
    ],
)
def test_nothing_is_wrong(params: dict[str, Any], more: dict[str, Any]) -> None:
    assert about(params, **more) == []


@pytest.mark.parametrize(
    ("reference", "how", "code"),
    [
        ("results", "fail_fast", None),
        ("results[0].out", "fail_fast", None),
        ("results[0].out", "continue", "PFL310"),
        ("results[${i}].out", "continue", "PFL310"),
        ("results.out", "fail_fast", "PFL309"),
        ("errors[0].error", "continue", None),
        ("batch_metadata.timing", "fail_fast", None),
        ("batch_metadata[0]", "fail_fast", "PFL309"),
        ("count.x", "fail_fast", "PFL309"),
        ("stdout", "fail_fast", "PFL309"),
        ("stdout ?? 1", "fail_fast", None),
    ],
)
def test_outputs_of_a_batch_node(reference: str, how: str, code: str | None) -> None:
    after = {"id": "c", "type": "any", "params": {"x": f"${{a.{reference}}}", "i": "${i}"}}
    data = {
        "ir_version": "0.1.0",
        "nodes": [{"id": "a", "type": "any", "batch": {"items": [1], "error_handling": how}}, after],
        "inputs": {"i": {"type": "integer"}},
    }
    assert [found.code for found in findings(data)] == ([code] if code else [])
    data["nodes"].pop()
    data["outputs"] = {"o": {"source": f"${{a.{reference}}}"}, "i": {"source": "i"}}
    assert [found.code for found in findings(data)] == ([code] if code else [])


@pytest.mark.parametrize(("length", "shown"), [(60, "${" + "+" * 57 + "}"), (61, "${" + "+" * 55 + "...")])
def test_a_long_piece_that_is_not_a_reference_is_shown_by_its_beginning(length: int, shown: str) -> None:
    [said] = about({"x": "${" + "+" * (length - 3) + "}"})
    assert f": {shown} is not a reference" in said


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        ({"type": "shell", "params": {"command": "echo ${item}"}}, "PFL309"),
        ({"type": "workflow", "params": {"workflow": "./child.pflow.md"}}, None),
        ({"type": "of-somebody-else", "params": {}}, None),
    ],
)
def test_the_position_of_a_result_where_pflow_knows_the_outputs(batch: dict[str, Any], code: str | None) -> None:
    """It is there at run time; pflow refuses it where it can list what the type puts out, which no workflow's is."""
    a = {"id": "a", "batch": {"items": [1]}, **batch}
    by_index = {"nodes": [a, {"id": "b", "type": "any", "params": {"x": "${a.results[0].original_index}"}}]}
    by_item = {"id": "b", "type": "any", "params": {"x": "${item.original_index}"}, "batch": {"items": "${a.results}"}}
    for data in (by_index, {"nodes": [a, by_item]}):
        assert [found.code for found in findings(data)] == ([code] if code else [])


def code_node(annotation: str, value: str, **more: Any) -> list[Diagnostic]:
    """The findings about an input `x` of a code node, after a batch, a code node and a loop."""
    code = f"x: {annotation}\nresult: int = 1"
    loop = {"code": "result: str = ''\nmore: bool = False", "inputs": {}}
    data = {
        "ir_version": "0.1.0",
        "inputs": {name: {"type": name} for name in ("array", "integer", "any")} | {"untyped": {}},
        "nodes": [
            {"id": "use", "type": "any", "params": {"x": "${array} ${integer} ${any} ${untyped}"}},
            {"id": "batch", "type": "any", "batch": {"items": [1]}},
            {"id": "listed", "type": "code", "params": {"code": "result: list[int] | None = []"}},
            {"id": "each", "type": "code", "params": {"code": "result: dict = {}"}, "batch": {"items": [1]}},
            {"id": "turns", "type": "code", "params": loop, "loop": {"while": "${turns.more}"}},
            {"id": "c", "type": "code", "params": {"code": code, "inputs": {"x": value}}, **more},
        ],
    }
    return [found for found in findings(data) if found.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        ("dict", "${array}", "${array} is an array (list); the code says `x: dict`"),
        ("'dict'", "${array}\n", "${array} is an array (list)"),
        ("dict[str, int] | None", "${array}", 'annotate it `x: list | None`, or declare the input "array" as "object"'),
        ("Optional[typing.Optional[int]]", "${array}", "is an array"),
        ("list[str] | str", "${integer}", "${integer} is an integer (int)"),  # read up to the bracket
        ("list", "${batch.count}", "annotate it `x: int`, or refer to an array (list)"),
        ("dict", "${batch.errors}", "is an array"),
        ("int", "${batch.batch_metadata}", "is an object (dict)"),
        ("list", "${batch.results[0]}", "is an object"),
        ("dict", "${listed.result}", "is an array"),
        ("list", "${each.results[0].result}", "is an object"),
        ("int", "${turns.loop_stopped}", "is a string (str)"),
        ("dict", "${__index__}", "${__index__} is an integer"),
        ("list", "${__iteration__}", "is an integer"),
        ("dict", "${untyped ?? array ?? 1}", "${array} is an array"),
        (
            "int",
            "${integer}${integer}",
            "is text, because there is more in it than one reference; the code says `x: int`",
        ),
        ("dict = {}", "$${integer}", "is text"),
    ],
)
def test_an_annotation_contradicts_what_feeds_it(annotation: str, value: str, message: str) -> None:
    (found,) = code_node(annotation, value)
    assert (found.code, found.where) == ("PFL315", "c.params.inputs.x")
    assert message in found.render()


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("str", "${array}"),
        ("Any", "${array}"),
        ("set", "${array}"),
        ("list | dict", "${integer}"),
        ("'dict | None'", "${array}"),
        ("None", "${array}"),
        ("float", "${integer}"),
        ("int", "${batch.success_count}"),
        ("dict", "${turns.loop_stopped}"),  # the string may hold JSON
        ("dict", "${any}"),
        ("dict", "${untyped}"),
        ("dict", "${untyped ?? 1}"),
        ("dict", "${listed.result[0]}"),
        ("dict", "${batch.errors[0]}"),
        ("dict", "plain"),
        ("str", "${integer}${integer}"),
    ],
)
def test_an_annotation_allows_what_feeds_it(annotation: str, value: str) -> None:
    assert code_node(annotation, value) == []


def test_code_that_does_not_parse_says_nothing_of_its_inputs() -> None:
    assert code_node("dict = (", "${array}") == []


def test_the_items_of_a_batch_may_be_anything() -> None:
    for value in ("${item}", "${item.x}"):
        assert code_node("dict", value, batch={"items": "${array}"}) == []
    (found,) = code_node("dict", "${__index__}", batch={"items": "${array}"})
    assert found.code == "PFL315"


def test_the_shell_sees_what_code_declares() -> None:
    def said(annotation: str, command: str) -> list[str]:
        code = {"id": "a", "type": "code", "params": {"code": f"result: {annotation} = make()"}}
        data = {
            "ir_version": "0.1.0",
            "nodes": [code, {"id": "b", "type": "shell", "params": {"command": command}}],
            "edges": [{"from": "a", "to": "b"}],
        }
        return [found.code for found in findings(data)]

    assert said("list[str]", "echo ${a.result}") == ["PFL314"]
    assert said("Optional[dict]", "echo ${a.result ?? 1}") == ["PFL314"]
    assert said("list[str]", "echo '${a.result}' ${a.result[0]}") == []
    assert said("str", "echo ${a.result}") == []
    assert said("Any", "echo ${a.result}") == []


def test_an_edge_back_lets_a_node_look_ahead() -> None:
    nodes = [{"id": n, "type": "any", "params": {"x": "${c.out ?? 0}"} if n == "a" else {}} for n in "abc"]
    edges: list[dict[str, str]] = [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}]
    data = {"ir_version": "0.1.0", "nodes": nodes, "edges": edges}
    assert "PFL303" in errors(data)[0]
    edges.append({"from": "c", "to": "a", "action": "again"})
    assert errors(data) == []
    del edges[-1]["action"]
    assert "PFL305] edges[2]: the edges go round in a circle: a -> b -> c -> a" in errors(data)[0]
    edges[1]["action"] = "again"
    assert "PFL305] edges[2]" in errors(data)[0]
    assert 'give it, as it leads back, an "action" other than "default"' in errors(data)[0]


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (7, "n0 -> n1 -> n2 -> n3 -> n4 -> n5 -> n6 -> n0"),
        (8, "n0 -> n1 -> n2 -> n3 -> n4 -> n5 -> n6 -> n7 -> n0"),
        (9, "n0 -> n1 -> n2 -> n3 -> n4 -> n5 -> n6 -> ... -> n0"),
    ],
)
def test_a_long_circle_is_shown_in_part(length: int, shown: str) -> None:
    nodes = [{"id": f"n{n}", "type": "any"} for n in range(length)]
    edges = [{"from": f"n{n}", "to": f"n{(n + 1) % length}"} for n in range(length)]
    (found,) = [line for line in errors({"nodes": nodes, "edges": edges}) if "PFL305" in line]
    assert f"edges[{length - 1}]: the edges go round in a circle: {shown}\n" in found


@pytest.mark.parametrize(("kind", "first"), [("str", "plain"), ("int", "${a.count}"), ("str", "say ${a.count}")])
def test_every_input_of_code_is_looked_at(kind: str, first: str) -> None:
    code = {"inputs": {"x": first, "y": "${a.results}"}, "code": f"x: {kind}\ny: int\nresult: int = 1"}
    batch = {"id": "a", "type": "shell", "params": {"command": "date"}, "batch": {"items": [1]}}
    data = {"nodes": [batch, {"id": "c", "type": "code", "params": code}], "edges": [{"from": "a", "to": "c"}]}
    assert [(found.code, found.where) for found in findings(data)] == [("PFL315", "c.params.inputs.y")]


def test_an_alias_elsewhere_is_a_warning() -> None:
    batch = {"id": "a", "type": "any", "batch": {"items": [1], "as": "issue"}}
    data = {"ir_version": "0.1.0", "nodes": [batch, {"id": "b", "type": "any", "params": {"x": "${issue.title}"}}]}
    (found,) = findings(data)
    assert (found.code, found.severity) == ("PFL321", Severity.WARNING)
    assert "is the item of `a`" in found.message


def chain(*nodes: dict[str, Any], edges: str = "") -> dict[str, Any]:
    """A workflow of nodes that follow each other, or along `edges`: "a>b b>c:again", the last for an action."""
    ids = [node["id"] for node in nodes]
    pairs = [edge.split(">") for edge in edges.split()] or [list(pair) for pair in itertools.pairwise(ids)]
    cut = [(first, *then.partition(":")[::2]) for first, then in pairs]
    listed = [{"from": one, "to": two, **({"action": action} if action else {})} for one, two, action in cut]
    return {"nodes": [{"type": "any", **node} for node in nodes], "edges": listed}


OTHER = {"id": "other", "batch": {"items": [1], "as": "customer"}}
READER = {"id": "b", "params": {"x": "${customer.name}"}}
INSIDE = {"id": "b", "params": {"x": "${customer.name}", "y": "${cust}"}, "batch": {"items": [{}], "as": "cust"}}
NESTED = {**INSIDE, "batch": nested("${row.parts}", "part")}
GIVES = "read what the batch gives: ${other.results}"
OWN = "did you mean ${cust.name}?"


@pytest.mark.parametrize(
    ("data", "batch", "help"),
    [
        (chain(OTHER, READER), "other", GIVES),
        (chain(READER, OTHER), "other", "let `other` run before `b`, which can then read what the batch gives: "),
        (chain(OTHER, INSIDE), "other", f"{OWN}\n{GIVES}"),
        (chain(INSIDE, OTHER), "other", OWN),
        (chain(NESTED, OTHER), "other", "did you mean ${part.name}?\ndid you mean ${row.name}?"),
        ({**chain(INSIDE, OTHER), "edges": []}, "other", OWN),
        (chain({"id": "a"}, OTHER, READER, edges="a>other:one a>b"), "other", "let `other` run before `b`"),
        (chain(READER, OTHER, edges="b>other other>b:again"), "other", "let `other` run before `b`"),
        (chain(OTHER, READER, {**OTHER, "id": "third"}), "other", GIVES),
        (chain(OTHER, {**OTHER, "id": "third"}, READER), "third", "read what the batch gives: ${third.results}"),
        (
            chain({**OTHER, "batch": {**OTHER["batch"], "results": {"file": "r.jsonl"}}}, READER),
            "other",
            "read what the batch gives: ${other.file}",
        ),
        ({**chain(OTHER, READER), "enable_namespacing": False}, "other", ""),
        (chain(READER, {**OTHER, "params": {"y": "${b.out}"}}), "other", ""),
        (chain(READER, {**OTHER, "batch": {**OTHER["batch"], "items": "${b.out}"}}), "other", ""),
        ({**chain(OTHER, READER), "edges": [{"from": "other", "to": "nowhere"}]}, "other", ""),
        (
            chain({**INSIDE, "batch": {**INSIDE["batch"], "items": ["${customer.name}"]}, "params": {}}, OTHER),
            "other",
            "let `other` run before `b`",
        ),
    ],
)
def test_where_the_item_of_another_batch_is_read_there_is_a_way_out(
    data: dict[str, Any], batch: str, help: str
) -> None:
    (found,) = (one for one in findings({"ir_version": "0.1.0", **data}) if one.code == "PFL321")
    assert f"is the item of `{batch}`" in found.message
    assert found.help == help or (help.startswith("let") and found.help.startswith(help))


def test_the_way_out_of_an_item_of_another_batch_leads_out() -> None:
    for data in (chain(OTHER, READER), chain(OTHER, INSIDE), chain(INSIDE, OTHER)):
        (found,) = (one for one in findings({"ir_version": "0.1.0", **data}) if one.code == "PFL321")
        for line in found.help.splitlines():
            better = json.loads(json.dumps(data))
            (reader,) = (node for node in better["nodes"] if node["id"] == "b")
            reader["params"]["x"] = line[line.index("${") :].rstrip("?")
            if "batch" in reader:
                reader["batch"]["items"] = [{"name": "Ann"}]
            assert findings({"ir_version": "0.1.0", **better}) == []


def test_inputs_must_be_used() -> None:
    data: dict[str, Any] = {
        "ir_version": "0.1.0",
        "nodes": [{"id": "a", "type": "any", "params": {"x": "${used}"}}],
        "inputs": {"used": {}, "left": {}, "a": {}},
    }
    assert [found.where for found in findings(data)] == ["inputs.a", "inputs.left"]
    data["nodes"][0]["params"]["y"] = "${left"  # which may be the use: say only that
    assert [found.code for found in findings(data)] == ["PFL302"]


@pytest.mark.slow
def test_many_mistakes_are_found_in_time() -> None:
    """Ten thousand misspelled references: a suggestion for each would compare each with all."""
    nodes = [{"id": f"n{i}", "type": "any", "params": {"x": f"${{m{i}.out}}"}} for i in range(10_000)]
    assert len(findings({"ir_version": "0.1.0", "nodes": nodes})) == 10_000


# --- against the recorded runs ----------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_recorded_case(case: Path) -> None:
    recorded = json.loads(case.read_text(encoding="utf-8"))
    refused = recorded["expected"]["success"] is False and not recorded["expected"].get("trace")
    if refused and case.stem not in NEED_REGISTRY:
        assert errors(recorded["ir"])
    else:
        assert errors(recorded["ir"]) == []


# --- against pflow ----------------------------------------------------------------------------------


OUTPUTS = ["out", "results", "count", "errors", "z"]


def pflow_refuses(data: dict[str, Any]) -> list[str]:
    """What pflow 0.16 has against `data`, with node types whose interface accepts everything."""
    from pflow.core import normalize_ir
    from pflow.core.workflow.validator import WorkflowValidator
    from pflow.registry import Registry

    anything = {
        "module": "x",
        "class_name": "X",
        "type": "user",
        "interface": {
            "inputs": [],
            "params": [],
            "actions": [],
            "outputs": [{"key": key, "type": "any", "structure": {}} for key in OUTPUTS],
        },
    }

    class Permissive(Registry):  # type: ignore[misc, unused-ignore]
        def load(self, include_filtered: bool = False) -> dict[str, Any]:
            return {"any": anything, "shell": anything, "llm": anything, "code": anything}

    data = copy.deepcopy(data)
    try:
        normalize_ir(data)
    except (TypeError, AttributeError) as error:  # a node that is not an object
        return [str(error)]
    inputs = data.get("inputs")
    found = WorkflowValidator.validate(
        data,
        extracted_params=dict.fromkeys(inputs, "x") if isinstance(inputs, dict) else {},
        registry=Permissive(),
    )
    return [str(diagnostic.message) for diagnostic in found if diagnostic.severity.value == "error"]


ROOTS = ["a", "b", "c", "x", "y", "item", "it", "k", "__index__", "__iteration__", "__foo__", "nope"]
PATHS = ["", "", ".out", ".out", ".results", ".results[0].out", ".results[0].item", ".count", ".errors[0].error"]
PATHS += ["[0]", ".out[${__index__}].z", ".results[${x}]", ".count.x", ".results.out", ".out.deep.er"]
references = st.builds("{}{}".format, st.sampled_from(ROOTS), st.sampled_from(PATHS))
operands = st.one_of(references, references, st.sampled_from(['"text"', "0", "null", "[]"]))
expressions = st.one_of(
    references.map("${{{}}}".format),
    references.map("${{{}}}".format),
    st.builds("${{{} ?? {}}}".format, references, operands),
    st.sampled_from(["${a.0}", "${", "${ x }", "$${a.b}", "${x-}", '${"t"}', "${a.b ?? 'c'}", "${a.out}\n"]),
)
texts = st.one_of(expressions, expressions, st.builds("'{}' {}".format, expressions, expressions), st.just("plain"))
values = st.one_of(texts, texts, st.lists(texts, max_size=2), st.dictionaries(st.just("z"), texts, max_size=1))
batches = st.fixed_dictionaries(
    {"items": st.one_of(expressions, st.lists(st.one_of(texts, st.integers()), min_size=1, max_size=2))},
    optional={
        "as": st.sampled_from(["item", "it", "a", "x"]),
        "error_handling": st.sampled_from(["fail_fast", "continue"]),
        "parallel": st.booleans(),
    },
)
loops = st.fixed_dictionaries(
    {},
    optional={
        "while": st.one_of(expressions, st.just("${a.out > 0}")),
        "until": expressions,
        "max_iterations": st.sampled_from([1, 100, 101, "${x}", "${c.out}"]),
        "carry": st.dictionaries(st.sampled_from(["k", "l"]), st.one_of(expressions, st.just("${b.out}")), max_size=1),
    },
)
SOUND = ["a", "b", "c"]


def nodes(name: str) -> st.SearchStrategy[dict[str, Any]]:
    params = st.fixed_dictionaries(
        {},
        optional={
            "command": texts,
            "prompt": texts,
            "value": values,
            "inputs": st.dictionaries(st.sampled_from(["k", "l", "x"]), values, max_size=2),
        },
    )
    rare = {
        "loop": loops,
        "approval": st.just("required"),
        "prompt_cache": st.lists(st.sampled_from(["x", "a.out", "y"]), max_size=2),
    }
    plain = st.fixed_dictionaries(
        {"id": st.just(name), "type": st.sampled_from(["any", "any", "shell", "llm"])},
        optional={"params": params, "batch": batches},
    )
    return st.one_of(
        plain, plain, plain, st.builds(lambda n, r: {**n, **r}, plain, st.fixed_dictionaries({}, optional=rare))
    )


edges = st.lists(
    st.fixed_dictionaries(
        {"from": st.sampled_from(SOUND), "to": st.sampled_from(SOUND)},
        optional={"action": st.sampled_from(["default", "again"])},
    ),
    max_size=3,
)
IN_ORDER = [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}]
CHUNKS = [{"name": name, "var": name, "prose_before": ""} for name in ("x", "a.out", "item.z", "nope")]
workflows = st.fixed_dictionaries(
    {"ir_version": st.just("0.1.0"), "nodes": st.tuples(*map(nodes, SOUND)).map(list)},
    optional={
        "edges": st.one_of(st.just(IN_ORDER), st.just(IN_ORDER), edges),
        "inputs": st.dictionaries(
            st.sampled_from(["x", "y", "a"]),
            st.sampled_from([{}, {"type": "array"}, {"type": "string"}, {"required": False, "default": 1}]),
            max_size=2,
        ),
        "outputs": st.dictionaries(
            st.just("o"),
            st.builds(
                lambda source: {"source": source},
                st.one_of(
                    texts, references, st.sampled_from(["", "a", "a.out ?? b.out", "a.out.0", "$a.out", "nope[0]"])
                ),
            ),
            max_size=1,
        ),
        "cache": st.lists(st.sampled_from(CHUNKS), max_size=2).map(lambda items: {"items": items}),
    },
)


def agree(data: dict[str, Any]) -> None:
    theirs, ours = pflow_refuses(data), errors(data)
    assert bool(ours) == bool(theirs), f"pflow: {theirs}\nwe: {ours}\n{json.dumps(data, indent=1)}"


COMMON = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.mark.slow
@settings(COMMON, max_examples=200)
@given(workflows)
def test_we_refuse_what_pflow_refuses(data: dict[str, Any]) -> None:
    agree(data)


def sound() -> dict[str, Any]:
    """A workflow that has one of everything, and nothing wrong with it."""
    return {
        "ir_version": "0.1.0",
        "nodes": [
            {
                "id": "a",
                "type": "any",
                "purpose": "p",
                "params": {"v": "${x}"},
                "retry": {"max": 2, "wait": 1, "backoff": "fixed"},
                "cache": True,
            },
            {
                "id": "b",
                "type": "any",
                "params": {"v": "${item.z} ${y}"},
                "batch": {"items": "${a.out}", "as": "item", "parallel": True, "max_concurrent": 3, "max_retries": 2},
            },
            {"id": "c", "type": "any", "params": {"v": "${b.results}"}, "loop": {"while": "${c.out}"}},
            {"id": "d", "type": "llm", "prompt_cache": ["x"], "params": {"prompt": "${c.out}"}},
        ],
        "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "c", "action": "default"}, {"from": "c", "to": "d"}],
        "start_node": "a",
        "inputs": {"x": {"type": "string", "stdin": True}, "y": {"required": False, "default": 1}},
        "outputs": {"o": {"source": "${b.results[0].out}", "type": "any", "stdout": True}},
        "cache": {"ttl": "5m", "items": [{"name": "x", "var": "x", "prose_before": "text"}]},
        "enable_namespacing": True,
        "template_resolution_mode": "strict",
    }


TEMPLATES: list[tuple[Any, ...]] = [
    *((("nodes", n, "params", key)) for n in range(5) for key in ("v", "command", "prompt")),
    ("nodes", 1, "params", "inputs"),
    ("nodes", 1, "params", "inputs", "k"),
    ("nodes", 1, "batch", "items"),
    ("nodes", 1, "batch", "items"),
    ("nodes", 2, "params", "inputs"),
    ("nodes", 2, "loop", "while"),
    ("nodes", 2, "loop", "max_iterations"),
    ("nodes", 2, "loop", "carry", "k"),
    ("outputs", "o", "source"),
    ("outputs", "o", "source"),
    ("cache", "items", 0, "var"),
    ("cache", "items", 0, "prose_before"),
]


@pytest.mark.slow
@settings(COMMON, max_examples=500)
@given(
    st.lists(st.tuples(st.sampled_from(TEMPLATES), values), min_size=1, max_size=2),
    st.sampled_from(["item", "it", "a", "x", "c"]),
    st.sampled_from(["fail_fast", "continue"]),
    st.sampled_from([None, "again"]),
    st.sampled_from(["any", "shell", "llm"]),
)
def test_we_refuse_what_pflow_refuses_of_templates(
    changes: list[tuple[tuple[Any, ...], Any]], alias: str, how: str, back: str | None, kind: str
) -> None:
    data = sound()
    second, third = data["nodes"][1:3]
    second["batch"].update({"as": alias, "error_handling": how})
    second["params"] = {"v": f"${{{alias}.z}} ${{y}}", "inputs": {"k": "${y}"}}
    third["params"]["inputs"] = {"k": 1}
    third["loop"]["carry"] = {"k": "${c.out}"}
    data["nodes"].append({"id": "e", "type": kind, "params": {}})
    if back:
        data["edges"].append({"from": "c", "to": "a", "action": back})
    for place, value in changes:
        change(data, place, "set", value)
    agree(data)


def change(data: Any, place: tuple[Any, ...], how: str, value: Any) -> None:
    """Set, drop or add to what stands at `place`, if an earlier change has left that place alone."""
    holder = data
    for step in place[:-1]:
        inside = holder if isinstance(holder, dict) else dict(enumerate(holder)) if isinstance(holder, list) else {}
        holder = inside.get(step)
    last = place[-1]
    if isinstance(holder, dict) and how == "drop":
        holder.pop(last, None)
    elif isinstance(holder, dict):
        holder["strange" if how == "add" else last] = copy.deepcopy(value)
    elif isinstance(holder, list) and isinstance(last, int) and last < len(holder):
        holder[last] = copy.deepcopy(value)


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in children:
        yield (*path, key)
        yield from places(value, (*path, key))


# Left out: what only the registry knows (types), and what pflow looks at when it compiles (start_node).
PLACES = [place for place in places(sound()) if place[-1] != "start_node" and place[2:] != ("type",)]
STRANGE = [None, True, 0, 1, 2.0, -1, 0.5, 101, "", "a", "${a.out}", "zz", [], ["a"], {}, {"items": [1]}, {"z": 1}]


@pytest.mark.slow
@settings(COMMON, max_examples=400)
@given(
    st.lists(
        st.tuples(st.sampled_from(PLACES), st.sampled_from(["set", "drop", "add"]), st.sampled_from(STRANGE)),
        max_size=2,
    )
)
def test_we_refuse_what_pflow_refuses_of_a_changed_workflow(changes: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    data = sound()
    for place, how, value in changes:
        change(data, place, how, value)
    agree(data)


def test_the_sound_workflow_is_sound() -> None:
    assert errors(sound()) == []
    assert pflow_refuses(sound()) == []


ANNOTATED = st.builds(
    str.format,
    st.sampled_from(
        [
            *(
                "{n}: {t}",
                "{n}: {t}",
                "{n}: {t} = x",
                "{n} = 1",
                "if 1:\n    {n}: {t}",
                "for i in []:\n    {n}: {t} = 1",
            ),
            *("def f():\n    {n}: {t} = 1", "class C:\n    {n}: {t}", "print(x)", "self.{n}: {t} = 1", "(("),
        ]
    ),
    n=st.sampled_from(["x", "y", "item", "result", "next"]),
    t=st.sampled_from(
        [
            *("str", "int", "list[str]", "Any", "set", "bytes", "'str'", '"list[int]"', "Named", "int | str"),
            *("str | None", "None | int", "Optional[str]", "typing.Optional[dict]", "Optional[int | None]"),
        ]
    ),
)
FED = st.dictionaries(st.sampled_from(["x", "y", "item", "result", "next"]), st.sampled_from(["${item}", "t", 3]))


@pytest.mark.slow
@given(
    st.one_of(st.lists(ANNOTATED, max_size=5).map("\n".join), st.sampled_from([None, 3, ["a"]])),
    st.one_of(FED, st.none()),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_we_refuse_what_pflow_refuses_of_code(code: object, inputs: object) -> None:
    pytest.importorskip("pflow")
    params = {"code": code, **({} if inputs is None else {"inputs": inputs})}
    node = {"id": "c", "type": "code", "params": params, "batch": {"items": ["${xs}"]}}
    data = {"ir_version": "0.1.0", "inputs": {"xs": {"type": "any"}}, "nodes": [node], "edges": []}
    theirs = pflow_refuses(data)
    ours = [found.render() for found in findings(data) if found.severity is Severity.ERROR]
    assert bool(theirs) == bool(ours), (theirs, ours)
