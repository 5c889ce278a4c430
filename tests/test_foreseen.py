"""What is said before a run because every run would show it: nodes that never run, items that are not a list."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pflow_lower import cli, lower
from pflow_lower.analyse.references import check_references
from pflow_lower.diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity
from pflow_lower.load.load import load
from pflow_lower.tools.lint.table import lint
from pflow_lower.tools.plan.run import plan
from pflow_lower.validate.validate import validate


def findings(data: dict[str, Any], *codes: str) -> list[Diagnostic]:
    ir, found = validate(load({"ir_version": "0.1.0", **data}))
    assert ir is not None
    return [finding for finding in [*found, *check_references(ir)] if finding.code.startswith(codes)]


def nodes(*ids: str) -> list[dict[str, Any]]:
    return [{"id": name, "type": "shell", "params": {"command": "date"}} for name in ids]


def edges(*pairs: str) -> list[dict[str, str]]:
    """Edges as a>b, or a>b!action."""
    found = []
    for pair in pairs:
        first, _, rest = pair.partition(">")
        then, _, action = rest.partition("!")
        found.append({"from": first, "to": then, **({"action": action} if action else {})})
    return found


@pytest.mark.parametrize(
    ("written", "more", "expected"),
    [
        ([], {}, {"b": ("a", "b"), "c": ("b", "c")}),
        (["a>b"], {}, {"c": ("b", "c")}),
        (["a>c"], {}, {"b": ("c", "b")}),
        (["b>c"], {}, {"b": ("a", "b")}),
        (["a>b", "a>c!error"], {}, {}),
        (["a>b", "b>c"], {}, {}),
        (["b>c"], {"start_node": "b"}, {"a": ("c", "a")}),
        (["b>c!again", "c>b!again"], {}, {"b": ("a", "b")}),
    ],
)
def test_a_node_that_no_edge_reaches(written: list[str], more: Any, expected: dict[str, tuple[str, str]]) -> None:
    data = {"nodes": nodes("a", "b", "c"), "edges": edges(*written), **more}
    found = findings(data, "PFL323")
    assert {finding.where.removesuffix(".id") for finding in found} == expected.keys()
    for finding in found:
        first, then = expected[finding.where.removesuffix(".id")]
        assert finding.severity is Severity.WARNING
        assert "this node never runs" in finding.message
        assert finding.help == f'add {{"from": "{first}", "to": "{then}"}} to `edges`'


def test_the_way_in_goes_on_from_a_node_that_runs() -> None:
    """Not from the last node that leads nowhere, which may itself never run."""
    found = findings({"nodes": nodes("a", "b", "c", "d"), "edges": edges("a>c")}, "PFL323")
    assert [finding.help for finding in found] == [
        'add {"from": "c", "to": "b"} to `edges`',
        'add {"from": "c", "to": "d"} to `edges`',
    ]


def test_the_way_in_goes_on_from_the_last_end() -> None:
    found = findings({"nodes": nodes("a", "é", "b", "c"), "edges": edges("a>b", "a>c!error")}, "PFL323")
    assert [finding.help for finding in found] == ['add {"from": "c", "to": "é"} to `edges`']


def test_where_every_node_goes_on_no_edge_is_made_up() -> None:
    ring = [{"from": a, "to": b, "action": "default"} for a, b in ("ab", "ba", "cc")]
    [found] = findings({"nodes": nodes("a", "b", "c"), "edges": ring}, "PFL323")
    assert found.help == "lead an edge of another node to it, or remove it"


@pytest.mark.parametrize(
    ("items", "help"), [("${n}", 'declare the input "n" as "array"'), ("${a.count}", "refer to a list")]
)
def test_help_for_items_that_are_not_a_list(items: str, help: str) -> None:
    one, other = ({**node, "batch": {"items": of}} for node, of in zip(nodes("a", "b"), ([1], items), strict=True))
    data = {"inputs": {"n": {"type": "integer"}}, "nodes": [one, other], "edges": edges("a>b")}
    assert [finding.help for finding in findings(data, "PFL324")] == [help]


def test_items_of_every_node_are_looked_at() -> None:
    one, other = (
        {**node, "batch": {"items": items}} for node, items in zip(nodes("a", "b"), ([1], "${n}"), strict=True)
    )
    found = findings({"inputs": {"n": {"type": "integer"}}, "nodes": [one, other], "edges": edges("a>b")}, "PFL")
    assert [finding.where for finding in found] == ["b.batch.items"]


def test_following_the_hints_leaves_nothing_to_say() -> None:
    data: dict[str, Any] = {"nodes": nodes("a", "b", "c", "d", "e"), "edges": edges("c>d!error")}
    hints = [finding.help for finding in findings(data, "PFL323")]
    data["edges"] += [json.loads(hint.removeprefix("add ").removesuffix(" to `edges`")) for hint in hints]
    assert findings(data, "PFL") == []


def test_other_mistakes_about_edges_are_said_alone() -> None:
    for wrong in (edges("a>nope"), edges("a>b", "b>a")):
        assert findings({"nodes": nodes("a", "b"), "edges": wrong}, "PFL323") == []
    assert findings({"nodes": nodes("a", "a")}, "PFL323") == []


def test_of_many_nodes_there_is_a_number() -> None:
    found = findings({"nodes": nodes(*(f"n{i}" for i in range(10_000)))}, "PFL323")
    assert len(found) == 21
    assert any(finding.message.startswith("9979 more nodes never run") for finding in found)


def batch(items: str) -> list[dict[str, Any]]:
    first = {"id": "first", "type": "shell", "params": {"command": "echo ${item}"}, "batch": {"items": [1]}}
    code: dict[str, Any] = {"id": "code", "type": "code", "params": {"code": "result: dict = {}", "inputs": {}}}
    last = {"id": "last", "type": "shell", "params": {"command": "echo ${item}"}, "batch": {"items": items}}
    return [first, code, last]


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        ("${number}", "a number"),
        ("${integer}", "a whole number"),
        ("${boolean}", "true or false"),
        ("${object}", "an object"),
        ("${string}", "text: a run fails unless it is a JSON list"),
        ("${number ?? []}", "a number"),
        ("${first.count}", "a number"),
        ("${first.batch_metadata}", "an object"),
        ("${first.results[0]}", "an object"),
        ("${code.result}", "an object"),
        ("${array}", None),
        ("${any}", None),
        ("${untyped}", None),
        ("${object.list}", None),
        ("${first.results}", None),
        ("${code.stdout}", None),
    ],
)
def test_items_that_are_not_a_list(items: str, kind: str | None) -> None:
    names = ("array", "number", "integer", "boolean", "object", "string", "any")
    data = {
        "inputs": {name: {"type": name} for name in names} | {"untyped": {}},
        "nodes": batch(items),
        "edges": edges("first>code", "code>last"),
    }
    found = findings(data, "PFL324")
    assert len(found) == (kind is not None)
    for finding in found:
        assert finding.severity is Severity.WARNING and finding.where == "last.batch.items"
        assert f"which is {kind}" in finding.message and finding.help


@pytest.mark.parametrize(
    ("items", "then"),
    [
        ("${array}}", "every run fails here"),
        ("${array}${array}", "every run fails here"),
        ("${string}}", "every run fails here"),
        ("${string}${array}", "a run fails unless that makes a JSON list"),
        ("${untyped},${array}", "a run fails unless that makes a JSON list"),
    ],
)
def test_items_that_are_more_than_one_reference(items: str, then: str) -> None:
    data = {
        "inputs": {name: {"type": name} for name in ("array", "string")} | {"untyped": {}},
        "nodes": batch(items),
        "edges": edges("first>code", "code>last"),
    }
    (found,) = findings(data, "PFL324")
    assert found.message == f"the items are a text that is put together, not one reference: {then}"
    assert found.where == "last.batch.items" and "refer to one list: ${" in found.help


def test_inner_items_that_are_more_than_one_reference() -> None:
    node = {**nodes("a")[0], "batch": {"items": [[1]], "as": "x", "batch": {"items": "${x}}", "as": "y"}}}
    (found,) = findings({"nodes": [node]}, "PFL324")
    assert found.where == "a.batch.batch.items" and found.message.endswith("every run fails here")


@pytest.mark.parametrize("depth", [0, -1, None, "5", [1]])
def test_a_depth_at_which_no_workflow_starts(depth: object) -> None:
    node = {"id": "w", "type": "workflow", "params": {"workflow": "saved", "max_depth": depth}}
    (found,) = findings({"nodes": [node]}, "PFL340")
    assert found.where == "w.params.max_depth" and found.message.endswith("every run that comes here fails")


@pytest.mark.parametrize("depth", [1, 10, "${n}"])
def test_a_depth_at_which_one_may_start(depth: object) -> None:
    node = {"id": "w", "type": "workflow", "params": {"workflow": "saved", "max_depth": depth}}
    assert not findings({"inputs": {"n": {"type": "integer"}}, "nodes": [node]}, "PFL340")


@pytest.mark.parametrize("reference", ["item", "my-item.name", "my_item"])
def test_a_name_that_cannot_be_one_is_one_error(reference: str) -> None:
    node = {"id": "a", "type": "shell", "params": {"command": f"echo ${{{reference}}}"}}
    (found,) = findings({"nodes": [{**node, "batch": {"items": [1], "as": "my-item"}}]}, "PFL")
    assert (found.code, found.where, found.help) == ("PFL204", "a.batch.as", "my_item would be one")


def test_no_hint_names_what_another_error_forbids() -> None:
    node = {"id": "a", "type": "shell", "params": {"command": "echo ${myitem}"}}
    found = findings({"nodes": [{**node, "batch": {"items": [1], "as": "my-item"}}]}, "PFL301")
    assert [finding.help.splitlines()[0] for finding in found] == ["did you mean ${my_item}?"]


@pytest.mark.parametrize("name", ["HOME", "f", "PATH"])
def test_a_variable_of_the_shell(name: str) -> None:
    command = {"id": "a", "type": "shell", "params": {"command": f"echo ${{{name}}}", "stdin": f"${{{name}}}"}}
    inside, outside = findings({"nodes": [command]}, "PFL301")
    assert inside.help == f"the shell's variable is ${name}, or $${{{name}}}"
    assert outside.help == ""


@pytest.mark.parametrize("inside", ["BEFORE%%<*", "BEFORE:-x", "BEFORE:1:2", "BEFORE/a/b", "BEFORE^^"])
def test_a_variable_that_the_shell_is_to_change(inside: str) -> None:
    template = f"echo ${{{inside}}}"
    command = {"id": "a", "type": "shell", "params": {"command": template, "stdin": template}}
    within, outside = findings({"nodes": [command]}, "PFL302")
    assert within.help == f"{outside.help}\nthe shell's variable is $BEFORE, or $${{{inside}}}"


@pytest.mark.parametrize(
    ("inside", "short"),
    [
        ("@", "$@, or "),
        ("*", "$*, or "),
        ("#", "$#, or "),
        ("?", "$?, or "),
        ("$", "$$, or "),
        ("!", "$!, or "),
        ("-", "$-, or "),
        ("1:-x", "$1, or "),
        ("@:2", "$@, or "),
        ("10:-x", ""),
        ("#ARR[@]", ""),
        ("#v", ""),
        ("!v", ""),
        ("!PREFIX@", ""),
        ("v[@]", ""),
        ("v[@]:1", ""),
        ("v[$i]", ""),
        ("v[-1]", ""),
        ("v@Q", "$v, or "),
    ],
)
def test_what_the_shell_knows_by_itself(inside: str, short: str) -> None:
    template = f"echo ${{{inside}}}"
    command = {"id": "a", "type": "shell", "params": {"command": template, "stdin": template}}
    within, outside = findings({"nodes": [command]}, "PFL302")
    assert within.help == f"{outside.help}\nthe shell's variable is {short}$${{{inside}}}"


def test_an_element_of_a_variable_of_the_shell() -> None:
    command = {"id": "a", "type": "shell", "params": {"command": "echo ${BASH_SOURCE[0]}", "stdin": "${HOME.x}"}}
    inside, _ = findings({"nodes": [command]}, "PFL301")
    assert inside.help == "the shell's variable is $${BASH_SOURCE[0]}"


@pytest.mark.parametrize(("number", "help"), [("1", "$1, or $${1}"), ("10", "$${10}")])
def test_an_argument_of_the_shell_is_not_a_number(number: str, help: str) -> None:
    text = f"awk '{{print ${{{number}}}}}'"
    found = findings({"nodes": [{"id": "a", "type": "shell", "params": {"command": text, "stdin": text}}]}, "PFL344")
    assert [(one.severity.value, one.where, one.help) for one in found] == [
        ("warning", "a.params.command", f"the shell's variable is {help}")
    ]
    assert not findings({"nodes": [{"id": "a", "type": "shell", "params": {"command": f"echo $${{{number}}}"}}]}, "PFL")


@pytest.mark.parametrize("inside", ["", " BEFORE", "a.0", "x ?? 'y'", "x??'y'"])
def test_what_is_no_variable_of_the_shell(inside: str) -> None:
    (found,) = findings({"nodes": [{"id": "a", "type": "shell", "params": {"command": f"${{{inside}}}"}}]}, "PFL302")
    assert "shell" not in found.help


@pytest.mark.parametrize("typed", [["chek"], ["chekc", "."], ["lnit", "x.json"], ["Plan"]])
def test_a_mistyped_command(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.run(typed)
    assert exited.value.code == 2
    assert "did you mean `" in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["chek.json", "./chek", "zzz"])
def test_what_may_be_a_file_is_not_a_command(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.run([typed])
    assert exited.value.code == 2 and "PFL101" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"cache": False}, False),
        ({"cache": False, "params": {"prompt": "x", "temperature": 1.0}}, False),
        ({"cache": False, "params": {"prompt": "x", "temperature": 0}}, True),
        ({}, True),
        ({"cache": True}, True),
        ({"type": "shell", "cache": False, "params": {"command": "date"}}, True),
    ],
)
def test_samples_of_a_model_are_not_a_mistake(more: dict[str, Any], found: bool) -> None:
    node = {"id": "a", "type": "llm", "params": {"prompt": "x"}, "batch": {"items": [1, 2]}, **more}
    ir, said = validate(load({"ir_version": "0.1.0", "nodes": [node]}))
    assert ir is not None
    assert any(one.diagnostic.code == "PFL501" for one in lint(ir, said)) == found


def prompt_in_a_file(folder: Path, prompt: str) -> Path:
    (folder / "flows/prompts").mkdir(parents=True)
    (folder / "flows/prompts/ask.md").write_text(prompt, encoding="utf-8")
    node = {"id": "ask", "type": "llm", "params": {"prompt": "./prompts/ask.md"}, "batch": {"items": [1]}}
    workflow = folder / "flows/wf.json"
    workflow.write_text(json.dumps({"nodes": [node]}, indent=1), encoding="utf-8")
    return workflow


@pytest.mark.parametrize(
    ("wrong", "code"), [("${itm.name}", "PFL301"), ("${item.}", "PFL302"), ("${item", "PFL302"), ("${ask.x}", "PFL304")]
)
def test_a_place_inside_a_prompt_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, code: str) -> None:
    monkeypatch.chdir(tmp_path)
    prompt_in_a_file(tmp_path, f"One line.\n\nÄnother: {wrong}\n${{item}}")
    with pytest.raises(LowerError) as refused:
        lower("flows/wf.json")
    (finding,) = refused.value.diagnostics
    assert (finding.code, finding.file, finding.position) == (code, "flows/prompts/ask.md", Position(3, 10))
    assert finding.render().startswith(f"flows/prompts/ask.md:3:10: error[{code}] ask.params.prompt: ")
    assert finding.via == Position(7, 15)


def test_code_in_a_file_that_is_not_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made.py").write_bytes("name: str = 'Ä'\r\nresult: str = name +\r\n".encode())
    node = {"id": "a", "type": "code", "params": {"code": "./made.py"}}
    (tmp_path / "wf.json").write_text(json.dumps({"nodes": [node]}), encoding="utf-8")
    (finding,) = lower("wf.json").diagnostics
    assert (finding.code, finding.file, finding.position) == ("PFL345", "made.py", Position(2, 20))
    assert finding.via == Position(1, 59)


@pytest.mark.parametrize("code", ["result: str = '\0'", "result: str = 'x\n"])
def test_code_whose_place_is_hard_to_tell(code: str) -> None:
    (finding,) = lower({"nodes": [{"id": "a", "type": "code", "params": {"code": code}}]}).diagnostics
    assert finding.code == "PFL345"


def test_what_stands_in_the_workflow_has_its_place_there(tmp_path: Path) -> None:
    workflow = prompt_in_a_file(tmp_path, "${item}")
    data = json.loads(workflow.read_text())
    data["nodes"][0]["params"]["system"] = "${nope.x}"
    workflow.write_text(json.dumps(data, indent=1))
    with pytest.raises(LowerError) as refused:
        lower(workflow)
    (finding,) = refused.value.diagnostics
    assert finding.file == str(workflow) and finding.via is None


@pytest.mark.parametrize(
    ("kind", "batch", "action", "said"),
    [
        ("shell", False, "done", 'gives no action "done"'),
        ("shell", False, "defualt", 'did you mean "default"?'),
        ("shell", True, "done", "and a run fails after `a`: a batch"),
        ("shell", False, "errors", 'did you mean "error"?'),
        ("shell", True, "error", "and `b` never runs: a batch gives no action"),
        ("mine", True, "error_of_mine", "a batch gives no action"),
        ("code", True, "error", "a batch gives no action"),
        ("code", False, "error", ""),
        ("mine", True, "done", "a batch gives no action"),
        ("shell", False, "error", ""),
        ("shell", False, "default", ""),
        ("mine", False, "done", ""),
        ("code", False, "done", ""),
        ("workflow", False, "done", ""),
    ],
)
def test_an_edge_that_is_never_taken(kind: str, batch: bool, action: str, said: str) -> None:
    first = {"id": "a", "type": kind, "params": {}, **({"batch": {"items": ["x"]}} if batch else {})}
    ir = {"nodes": [first, *nodes("b")], "edges": edges(f"a>b!{action}")}
    found = [one.render() for one in lower(ir).diagnostics if one.code == "PFL328"]
    assert bool(found) == bool(said)
    assert all(said in text for text in found)


@pytest.mark.parametrize(
    ("written", "where", "said", "help"),
    [
        (
            ["a>b", "a>c"],
            "edges[0]",
            "and `b` never runs: the later one to `c` (edges[1]) replaces it",
            "remove one of them; for both to run, lead the later one from `b` to `c`",
        ),
        (["a>b", "a>c!default"], "edges[0]", "and `b` never runs", "from `b` to `c`"),
        (["a>b!default", "c>b", "a>c"], "edges[0]", "is never taken: the later one to `c`", "remove one of them"),
        (["a>b", "b>c", "a>b"], "edges[0]", "is never taken: the same one in edges[2] replaces", "remove one of them"),
        (["a>b!error", "a>c!error"], "edges[0]", "`b` never runs", "from `b` to `c`"),
        (["b>c", "a>b", "a>c"], "edges[1]", "`b` never runs", "remove one of them"),
        (["b>c!error", "b>c!error", "a>b"], "edges[0]", "the same one in edges[1] replaces", "remove one of them"),
    ],
)
def test_an_edge_that_a_later_one_replaces(written: list[str], where: str, said: str, help: str) -> None:
    data = {"nodes": nodes("a", "b", "c"), "edges": edges(*written)}
    (found,) = findings(data, "PFL")
    assert (found.code, found.severity, found.where) == ("PFL328", Severity.WARNING, where)
    assert said in found.message and found.help.endswith(help)


def test_what_an_edge_says_that_two_others_replace() -> None:
    data = {"nodes": nodes("a", "b", "c", "d"), "edges": edges("a>b", "a>c", "a>d")}
    found = findings(data, "PFL")
    assert [(one.where, "(edges[2])" in one.message) for one in found] == [("edges[0]", True), ("edges[1]", True)]


def test_a_replaced_edge_where_something_else_is_wrong() -> None:
    """What never runs is not known then."""
    found = findings({"nodes": nodes("a", "b", "c"), "edges": edges("a>b", "a>c", "c>a", "b>gone")}, "PFL328")
    assert [finding.where for finding in found] == ["edges[0]"] and "never runs" not in found[0].message


@pytest.mark.parametrize(
    ("kind", "more", "said", "help"),
    [
        ("shell", [], ", and a run fails after `a`: ", 'leave "action" out'),
        ("shell", ["a>c"], ", and `b` never runs: ", "remove it"),
        ("shell", ["a>c", "c>b"], "never taken: ", "remove it"),
        ("mine", [], ", and `b` never runs: ", 'leave "action" out'),
        ("code", ["a>b!go"], "never taken: ", 'leave "action" out'),
    ],
)
def test_an_edge_with_an_empty_action(kind: str, more: list[str], said: str, help: str) -> None:
    params = {"code": "next: str = 'go'", "inputs": {}} if kind == "code" else {"command": "date"}
    first = {"id": "a", "type": kind, "params": params}
    written = [{"from": "a", "to": "b", "action": ""}, *edges(*more)]
    then = nodes("b", "c") if more[:1] == ["a>c"] else nodes("b")
    said_of_all = lower({"nodes": [first, *then], "edges": written}).diagnostics
    (found,) = (one for one in said_of_all if one.code in ("PFL323", "PFL328"))
    assert (found.code, found.where) == ("PFL328", "edges[0].action")
    assert said in found.message and found.help.startswith(help)


@pytest.mark.parametrize(
    ("written", "ran"),
    [
        ([("a", "b", {}), ("a", "c", {})], "ac"),
        ([("a", "b", {"action": "default"}), ("a", "c", {})], "ac"),
        ([("a", "b", {}), ("a", "b", {})], "ab"),
        ([("a", "b", {"action": ""}), ("a", "c", {})], "ac"),
        ([("a", "b", {"action": ""})], None),
    ],
)
@pytest.mark.filterwarnings("ignore:Overwriting successor")
def test_pflow_takes_the_edges_that_are_said_to_count(written: list[Any], ran: str | None) -> None:
    pytest.importorskip("pflow")
    from pflow.execution.result import RunnerConfig
    from pflow.execution.runner import WorkflowRunner

    written = [{"from": first, "to": then, **more} for first, then, more in written]
    ir = {"ir_version": "0.1.0", "nodes": nodes("a", "b", "c"), "edges": written}
    result = WorkflowRunner().run(ir, {}, RunnerConfig(trace_enabled=False, cache_enabled=False))
    assert result.success == (ran is not None)
    if ran is not None:
        assert "".join(name for name in "abc" if name in result.shared_after) == ran
        assert {node.path for node in plan(ir).nodes if node.calls.high.value} == set(ran)


def with_a_batch(*written: str, command: str = "${item}", **batch: Any) -> dict[str, Any]:
    first = {"id": "a", "type": "shell", "params": {"command": command}, "batch": {"items": ["true", "false"], **batch}}
    return {"ir_version": "0.1.0", "nodes": [first, *nodes("b", "c")], "edges": edges(*written)}


@pytest.mark.parametrize(
    ("batch", "said", "help"),
    [
        ({}, "where an item fails, the run fails", 'write "error_handling": "continue", and let a step after `a` read'),
        ({"error_handling": "continue"}, "where items fail it goes on, and where all fail the run fails", "let a step"),
    ],
)
def test_the_error_edge_of_a_batch(batch: dict[str, Any], said: str, help: str) -> None:
    (found,) = (one for one in lower(with_a_batch("a>b", "a>c!error", **batch)).diagnostics if one.code != "PFL501")
    assert (found.code, found.where) == ("PFL328", "edges[1].action")
    assert found.message == f'this edge is never taken, and `c` never runs: a batch gives no action "error": {said}'
    assert found.help.startswith(help)
    assert found.help.endswith("read ${a.error_count}, or ${a.errors}, which says what failed")


def test_two_error_edges_of_a_batch_to_one_step() -> None:
    data = with_a_batch("a>b", "a>c!error", "a>c!error")
    assert findings(data, "PFL328")[0].help == "remove one of them"


@pytest.mark.parametrize("command", ["true", "${item}", "false"])
@pytest.mark.parametrize("batch", [{}, {"error_handling": "continue"}, {"parallel": True}])
@pytest.mark.parametrize("written", [("a>b", "a>c!error"), ("a>c!error",)])
def test_pflow_never_takes_the_error_edge_of_a_batch(command: str, batch: dict[str, Any], written: Any) -> None:
    pytest.importorskip("pflow")
    from pflow.execution.result import RunnerConfig
    from pflow.execution.runner import WorkflowRunner

    ir = with_a_batch(*written, command=command, **batch)
    result = WorkflowRunner().run(ir, {}, RunnerConfig(trace_enabled=False, cache_enabled=False))
    goes_on = command == "true" or (command == "${item}" and batch == {"error_handling": "continue"})
    assert result.success == goes_on
    assert [name for name in "abc" if name in result.shared_after] == (["a", "b"][: len(written)] if goes_on else [])
    assert [node.path for node in plan(ir).nodes if node.calls.high.value] == ["a", "b"][: len(written)]


def test_every_edge_is_looked_at() -> None:
    first = {"id": "a", "type": "code", "params": {"code": "next: str = 'b'", "inputs": {}}}
    ir = {"nodes": [first, *nodes("b", "c")], "edges": edges("a>b!go", "a>c", "b>c!schön")}
    (found,) = (one for one in lower(ir).diagnostics if one.code == "PFL328")
    assert found.where == "edges[2].action" and 'gives no action "schön"' in found.message


def test_an_edge_beside_another_one_that_goes_on() -> None:
    ir = {"nodes": nodes("a", "b", "c"), "edges": edges("a>b", "b>c", "a>c!done")}
    (found,) = (one for one in lower(ir).diagnostics if one.code == "PFL328")
    assert "a run fails" not in found.message


@pytest.mark.parametrize(("kind", "code"), [("shel", "PFL336"), ("llm-call", "PFL330"), ("shell", None)])
@pytest.mark.parametrize("batch", [True, False])
def test_types_that_nobody_knows(kind: str, code: str | None, batch: bool) -> None:
    node = {"id": "a", "type": kind, "params": {"command": "${item}" if batch else "date"}}
    found = [
        one.code for one in lower({"nodes": [{**node, **({"batch": {"items": ["x"]}} if batch else {})}]}).diagnostics
    ]
    assert found == ([code] if code else [])


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("lqm", 1),
        ("weather-forecast", 1),
        ("lllm", 1),
        ("llm", 0),
        ("mcp-mail-send", 0),
        ("pocketflow:Node", 0),
        ("mine", 0),
    ],
)
@pytest.mark.parametrize("batch", [True, False])
def test_lint_says_of_a_type_that_nobody_knows(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, status: int, batch: bool
) -> None:
    node = {"id": "a", "type": kind, "params": {"prompt": "${item}" if batch else "x"}}
    (tmp_path / "w.json").write_text(
        json.dumps({"nodes": [{**node, **({"batch": {"items": ["x"]}} if batch else {})}]})
    )
    (tmp_path / "pyproject.toml").write_text('[tool.pflow-lower.nodes]\nmine = {class = "m:C", async = false}')
    monkeypatch.chdir(tmp_path)
    said = run("lint", "w.json")
    assert said.status == status, said.out
    assert ("nothing is known of the node type" in said.out) == bool(status)


@pytest.mark.parametrize(
    ("items", "reference", "said"),
    [
        ([{"v": 1}, {"w": 1}], "${item.v}", "${item.v} is not there in items[1]: the item fails"),
        ([{"w": 1}, {"w": 1}], "${item.v}", "in any item"),
        ([1, {"v": 1}, None], "${item.v}", "in items[0] and 1 more"),
        ([{"v": {"x": 1}}], "${item.v.y}", "in any item"),
        ([{"v": 1}, {"w": 1}], "${item.v ?? 1}", ""),
        ([{"v": 1}, '{"v": 1}', "${given}"], "${item.v}", ""),
        ([{"v": "${given}"}, {"v": [1]}], "${item.v[0]}", ""),
        ([{"v": None}], "${item.v}", ""),
    ],
)
def test_a_field_that_an_item_does_not_have(items: list[Any], reference: str, said: str) -> None:
    node = {"id": "a", "type": "llm", "params": {"prompt": reference}, "batch": {"items": items}}
    inputs = {"given": {"type": "string"}} if "${given}" in json.dumps(items) else {}
    ir = {"nodes": [node], "inputs": inputs}
    found = [one.message for one in lower(ir).diagnostics if one.code == "PFL322"]
    assert bool(found) == bool(said)
    assert all(said in text for text in found)
    assert [one.code for one in lower({**ir, "template_resolution_mode": "permissive"}).diagnostics] == []


@pytest.mark.parametrize(
    ("reference", "batch", "said"),
    [
        ("${a.results[2]}", {}, "${a.results[2]} is never there: a.results ends with [1]"),
        ("${a.results[1].stdout}", {"items": ["x"]}, "a.results ends with [0]"),
        ("${a.results[1].stdout}", {}, ""),
        ("${a.results[2] ?? 0}", {}, ""),
        ("${a.results[2]}", {"items": "${list}"}, ""),
        ("${a.results[2]}", {"items": [["x", "y"], ["z"]], "as": "o", "batch": {"items": "${o}", "as": "i"}}, ""),
    ],
)
def test_a_result_beyond_the_items(reference: str, batch: dict[str, Any], said: str) -> None:
    items = {"id": "a", "type": "shell", "params": {"command": "date"}, "batch": {"items": ["x", "y"], **batch}}
    reader = {"id": "b", "type": "llm", "params": {"prompt": f"Say {reference}"}}
    inputs = {"list": {"type": "array"}} if "${list}" in json.dumps(items) else {}
    ir = {"inputs": inputs, "nodes": [items, reader], "edges": [{"from": "a", "to": "b"}]}
    found = [one.message for one in lower(ir).diagnostics if one.code == "PFL322"]
    assert bool(found) == bool(said)
    assert all(said in text for text in found)


@pytest.mark.parametrize(
    ("kind", "annotation", "severity"),
    [
        ("integer", "str", Severity.WARNING),
        ("array", "str | None", Severity.WARNING),
        ("array", "int", Severity.ERROR),
        ("integer", "float", None),
        ("integer", "Any", None),
        ("string", "str", None),
    ],
)
def test_code_that_says_text_is_not_given_a_number(kind: str, annotation: str, severity: Severity | None) -> None:
    """pflow's validator takes anything for text; its code node refuses it when it runs."""
    code = f"n: {annotation}\nresult: str = str(n)"
    node = {"id": "c", "type": "code", "params": {"inputs": {"n": "${n}"}, "code": code}}
    found = findings({"inputs": {"n": {"type": kind}}, "nodes": [node]}, "PFL315")
    assert [one.severity for one in found] == ([] if severity is None else [severity])


def writing(*pairs: str) -> list[dict[str, Any]]:
    """Batches as a=out.jsonl, or a=out.jsonl<in.jsonl."""
    found = []
    for pair in pairs:
        name, _, files = pair.partition("=")
        results, _, items = files.partition("<")
        batch = {"items": {"file": items} if items else [1], "results": {"file": results}}
        found.append({"id": name, "type": "shell", "params": {"command": "echo ${item}"}, "batch": batch})
    return found


@pytest.mark.parametrize(
    ("written", "ways", "said"),
    [
        (
            ["a=out.jsonl", "b=out.jsonl"],
            ["a>b"],
            {"b": 'the results would replace those of "a": both write out.jsonl'},
        ),
        (["a=out.jsonl", "b=./out.jsonl", "c=x/../out.jsonl"], ["a>b", "b>c"], {"b": '"a"', "c": '"a"'}),
        (["a=out.jsonl", "b=b.jsonl", "c=out.jsonl"], ["a>b", "b>c"], {"c": '"a"'}),
        (["b=out.jsonl", "a=out.jsonl"], ["a>b"], {}),  # b runs first, and only
        (
            ["a=out/*.jsonl", "b=out/b-*.csv"],
            ["a>b"],
            {"b": 'those of "a": both list their files in out/manifest.json'},
        ),
        (["a=out/*.jsonl", "b=more/*.jsonl"], ["a>b"], {}),
        (["a=out/*.jsonl", "b=out/00000.jsonl"], ["a>b"], {"b": "out/00000.jsonl is one of out/*.jsonl"}),
        (["a=out/x.jsonl", "b=./out/*.jsonl"], ["a>b"], {"b": "out/x.jsonl is one of out/*.jsonl"}),
        (["a=*.jsonl", "b=00000.jsonl"], ["a>b"], {"b": "00000.jsonl is one of *.jsonl"}),
        (["a=out/*.jsonl", "b=out/sums.csv", "c=out/x/00000.jsonl"], ["a>b", "b>c"], {}),
        (["a=out.jsonl", "b=out.csv"], ["a>b"], {}),
        (["a=${dir}/out.jsonl", "b=${dir}/out.jsonl"], ["a>b"], {}),
        (["a=out.jsonl", "b=b.jsonl<out.jsonl"], ["a>b"], {}),  # it reads what the first one wrote
        (["a=out.jsonl", "b=./b.jsonl<b.jsonl"], ["a>b"], {"b": "the results would replace the items"}),
        (["a=a.jsonl", "b=out.jsonl", "c=out.jsonl"], ["a>b", "a>c!error"], {}),  # one of both
        (["a=out.jsonl", "b=out.jsonl"], ["a>b!error"], {}),  # `b` never runs
        (["a=out.jsonl", "b=b.jsonl", "c=out.jsonl"], ["a>b", "b>c", "c>b!error"], {"c": '"a"'}),
    ],
)
def test_results_in_place_of_those_of_an_earlier_batch(written: list[str], ways: list[str], said: Any) -> None:
    data = {"inputs": {"dir": {"type": "string"}}, "nodes": writing(*written), "edges": edges(*ways)}
    found = findings(data, "PFL219")
    assert {finding.where.partition(".")[0] for finding in found} == said.keys()
    assert all(finding.severity is Severity.ERROR for finding in found)
    for finding in found:
        assert said[finding.where.partition(".")[0]] in finding.message


def starting(name: str, workflow: str, **batch: Any) -> dict[str, Any]:
    node = {"id": name, "type": "workflow", "params": {"workflow": workflow}}
    return node | ({"batch": batch} if batch else {})


@pytest.mark.parametrize(
    ("nodes", "ways", "said"),
    [
        ([starting("a", "./go.json", items=[1, 2])], [], 'each item starts .*"go" in go.json writes out.jsonl'),
        ([starting("a", "./go.json", items=[1, 2], parallel=True)], [], "each item starts a workflow"),
        ([starting("a", "./over.json", items="${dir}")], [], '"go" in go.json writes out.jsonl'),
        ([starting("a", "${item}", items=["./go.json", "./go.json"])], [], "each item starts a workflow"),
        ([starting("a", "${item}", items=["./go.json", "./other.json"])], [], ""),
        ([starting("a", "./go.json", items=[1])], [], ""),
        ([starting("a", "./free.json", items=[1, 2])], [], ""),
        ([starting("a", "./go.json"), starting("b", "./over.json")], ["a>b"], 'of "go" in go.json would replace'),
        ([starting("a", "./go.json"), starting("b", "./other.json")], ["a>b"], ""),
        ([starting("a", "./go.json"), *writing("b=out.jsonl")], ["a>b"], 'replace those of "a" \\("go" in go.json'),
        ([starting("a", "./go.json"), *writing("b=*.jsonl")], ["a>b"], "out.jsonl is one of"),
    ],
)
def test_results_of_workflows_that_nodes_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, Any]], ways: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    free = writing("go=${dir}/out.jsonl")
    inputs = {"dir": {"type": "string", "required": False}}
    for name, data in {
        "go": {"nodes": writing("go=out.jsonl")},
        "over": {"nodes": [starting("on", "./go.json")]},
        "other": {"nodes": writing("go=other.jsonl")},
        "free": {"nodes": free, "inputs": inputs},
    }.items():
        Path(f"{name}.json").write_text(json.dumps(data))
    text = json.dumps(nodes)
    main = {"nodes": nodes, "edges": edges(*ways), "inputs": inputs if "${dir}" in text else {}}
    Path("w.json").write_text(json.dumps(main))
    try:
        found = lower("w.json").diagnostics
    except LowerError as error:
        found = error.diagnostics
    refused = [one.message for one in found if one.code == "PFL219"]
    assert bool(refused) == bool(said), found
    assert all(re.search(said, message) for message in refused), refused


def test_the_batch_before_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "w.json"
    written = {"ir_version": "0.1.0", "nodes": writing("a=o.csv", "b=./o.csv"), "edges": edges("a>b")}
    file.write_text(json.dumps(written, indent=2))
    with pytest.raises(LowerError) as refused:
        lower(file)
    (found,) = refused.value.diagnostics
    lines = file.read_text().splitlines()
    assert found.position is not None
    assert "./o.csv" in "".join(lines[found.position.line - 1 :][:2])
    line = next(number for number, line in enumerate(lines, 1) if '"results"' in line)
    assert found.message == f'the results would replace those of "a" (line {line}): both write o.csv'


def test_a_run_that_begins_at_the_end_is_told_where_to_begin() -> None:
    """The first of `nodes` runs first: an edge from it to the others would lead in a circle."""
    data = {"nodes": nodes("total", "translate", "length"), "edges": edges("length>translate", "translate>total")}
    (one,) = findings(data, "PFL323")
    assert one.where == "length.id"
    assert one.help == 'a run begins with `total`, the first of `nodes`: to begin here, add "start_node": "length"'
    assert findings({**data, "start_node": "length"}, "PFL323", "PFL305") == []


@pytest.mark.parametrize(("name", "told"), [("w", True), ("HOME", False), ("w:-1", False)])
def test_a_small_name_in_a_command_of_a_batch_may_have_been_the_item(name: str, told: bool) -> None:
    batch = {"items": ["a"], "as": "word"}
    node = {"id": "say", "type": "shell", "params": {"command": f"echo ${{{name}}} ${{word}}"}, "batch": batch}
    (one,) = [one for one in findings({"nodes": [node]}, "PFL3", "PFL1") if "shell's variable" in one.help]
    assert ("the item is ${word}" in one.help) == told
