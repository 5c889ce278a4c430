"""`pflow-lower lint` beyond its golden cases: what it says of real workflows, what it reads, what it leaves alone."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.command import Run

from pflow_lower import pipeline
from pflow_lower.diagnostics.diagnostic import LowerError
from pflow_lower.ir.document import Document
from pflow_lower.ir.template import parse
from pflow_lower.load.load import from_bytes
from pflow_lower.options import Options
from pflow_lower.tools.lint.code_changes import changes
from pflow_lower.tools.lint.shell_text import contexts, overwritten
from pflow_lower.tools.lint.table import lint as lint_ir

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"


@pytest.fixture
def lint(run: Run) -> Run:
    return partial(run, "lint")


def ask(**batch: Any) -> dict[str, Any]:
    return {
        "ir_version": "0.1.0",
        "nodes": [
            {
                "id": "ask",
                "type": "llm",
                "params": {"model": "m", "prompt": "${item}"},
                "batch": {"items": ["a", "b"], **batch},
            }
        ],
        "edges": [],
    }


HOSTILE = json.loads((GOLDEN / "ok" / "hostile-strings" / "workflow.json").read_bytes())["nodes"][0]["id"]

# Every finding on the recorded workflows and on the examples that are lowered, each looked at: all of them are what
# the rule says. Shell commands that a recorded case runs with harmless items are still open to others.
ON_EXAMPLES = {
    "class-as-node-type": ["PFL331 forecast.type"],
    "code-inputs-shadow-the-alias": ["PFL510 upper.params.inputs.item"],
    "continue-on-error": ["PFL513 ping.params.command"],
    "declared-outputs": ["PFL513 count.params.command"],
    "durable-keys": ["PFL507 classify.batch.max_retries"],
    "edges-that-are-replaced": ["PFL328 edges[0]", "PFL328 edges[3]"],
    "error-edge": ["PFL513 scan.params.command"],
    "escaped-references": ["PFL501 explain.batch"],  # $${...} is text
    "issue-classifier": ["PFL514 classify.batch.max_retries"],
    "issue-classifier-program": ["PFL514 classify.batch.max_retries"],
    "no-params": ["PFL337 tick.params.command", "PFL501 tick.batch"],
    "retries": ["PFL507 fetch.batch.max_retries"],
    "source-maps": ["PFL514 classify.batch.max_retries"],
    "hostile-strings": [f"PFL330 {HOSTILE}.type", "PFL330 inline.type", "PFL328 edges[1].action"],
    "long-names": ["PFL328 edges[1].action", "PFL328 edges[3].action"],
    "unknown-node-type": ["PFL330 forecast.type"],
    "warnings": [
        *("PFL320 fetch.batch.as", "PFL320 judge.batch.as", "PFL512 count.params.command"),
        *("PFL321 count.batch.items[1]", "PFL321 last.params.command", "PFL330 old.type", "PFL210 old.params.batch"),
    ],
    "without-namespaces": ["PFL513 compress.params.command"],
}
ON_RECORDED = {
    "fail_fast_error_edge": ["PFL328 edges[1].action"],
    "item_custom_action": ["PFL328 edges[1].action"],
    "alias_item_vs_input_item": ["PFL320 b.batch"],
    "alias_null_literal": ["PFL320 b.batch.as"],
    "alias_same_as_input": ["PFL320 b.batch.as"],
    "batch_result_into_batch_items_text": ["PFL501 a.batch"],
    "inner_dynamic_index": ["PFL512 a.params.command"],
    "items_shell_json": ["PFL512 b.params.command"],
    "no_namespacing": ["PFL322 down.params.value"],
    "parallel_shell": ["PFL512 b.params.command"],
    "shell_exit_continue": ["PFL512 b.params.command"],
    "shell_quotes_in_item": ["PFL513 b.params.command"],
    "validate_item_outside_batch": ["PFL321 down.params.value"],
}


def findings(workflow: Any, **options: Any) -> list[str]:
    try:
        compiled = pipeline.run(workflow, Options(code=False, **options))
    except LowerError:
        return []
    return [f"{one.diagnostic.code} {one.diagnostic.where}" for one in lint_ir(compiled.source, compiled.diagnostics)]


def test_every_finding_on_the_examples_is_known() -> None:
    found = {}
    for case in sorted((GOLDEN / "ok").iterdir()):
        workflow = case / "workflow.json"
        nodes = case / "nodes.toml"
        if workflow.exists():
            found[case.name] = findings(workflow, nodes_file=nodes if nodes.exists() else None)
    assert {name: said for name, said in found.items() if said} == ON_EXAMPLES


def test_every_finding_on_the_markdown_examples_is_known() -> None:
    pytest.importorskip("pflow")
    found = {path.parent.name: findings(path) for path in GOLDEN.glob("ok/*/*.md")}
    assert {name: said for name, said in found.items() if said} == {
        "values-that-json-has-not": [
            f"PFL113 say.batch.items[0].{place}" for place in ("day", "at", "tags", "raw", "order[0]", "order[1]")
        ]
    }


def test_every_finding_on_the_recorded_workflows_is_known(tmp_path: Path) -> None:
    """The nodes that they were recorded with are in no table of pflow's, so the table here names them."""
    nodes = (HERE / "conformance" / "nodes" / "conf_nodes.py").read_text("utf-8")
    table = tmp_path / "nodes.toml"
    table.write_text(
        "[nodes]\n"
        + "".join(
            f'{name} = {{ class = "conf_nodes:Node", async = false }}\n'
            for name in re.findall(r'^    name = "(.+)"$', nodes, re.M)
        )
    )
    recorded = sorted((HERE / "conformance" / "batch").glob("*.json"))
    found = {path.stem: findings(json.loads(path.read_bytes())["ir"], nodes_file=table) for path in recorded}
    assert len(found) > 70
    assert {name: said for name, said in found.items() if said} == ON_RECORDED


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("echo ${x}", ["bare"]),
        ("echo '${x}' ${y}", ["single", "bare"]),
        ('echo "a ${x} b"${y}', ["double", "bare"]),
        ("echo \\'${x}", ["bare"]),
        ('echo "it\'s ${x}"', ["double"]),
        ("echo 'a\"' ${x}", ["bare"]),
        ('echo "$(cat ${x})" ${y}', ["bare", "bare"]),
        ('echo "$(cat "${x}")${y}"', ["double", "double"]),
        ("echo `cat ${x}` '${y}'", ["bare", "single"]),
        ('echo "`cat ${x}`${y}"', ["bare", "double"]),
        ("ls # ${x}\n${y}", ["comment", "bare"]),
        ("ls a#${x}", ["bare"]),
        ("cat <<E\n${x}\nE\necho ${y}", ["double", "bare"]),
        ("cat <<'E' | wc\n'${x}\nE\n${y}", ["kept", "bare"]),
        ("cat <<-E\n\t${x}\n\tE\n'${y}'", ["double", "single"]),
        ("cat <<< ${x}", ["bare"]),
        ("(cd a; ls '${x}') ${y}", ["single", "bare"]),
        ("case $1 in a) echo '${x}';; esac", ["single"]),
        ("echo $((1 + ${x}))", ["bare"]),
    ],
)
def test_what_encloses_a_reference_in_a_shell_command(command: str, expected: list[str]) -> None:
    assert [where for _, where in contexts(parse(command))] == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ls > a.txt", ["a.txt"]),
        ("ls >a.txt; ls 2> b 2>&1 >& c >> d", ["a.txt"]),
        ("ls >| a.txt | wc 1> b", ["a.txt", "b"]),
        ("ls > a${x}", []),
        ("ls > ${x}", []),
        ("ls > a ${x}", ["a"]),
        ("echo '> a' \"> b\" \\> c # > d", []),
        ("(ls > a)", []),
        ("test 1 -lt 2 && echo $(ls > a)", []),
        ("diff <(ls) >(wc)", []),
        ("cat <<E\n> a\nE", []),
        ("cat > a <<E\nx\nE", ["a"]),
        ("ls > 'a'", []),
        ("ls > $a", []),
    ],
)
def test_which_files_a_shell_command_overwrites(command: str, expected: list[str]) -> None:
    assert [path for _, path in overwritten(parse(command))] == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("xs.append(1)", ["xs"]),
        ("xs[0] = 1; d['a']['b'] = 2", ["xs", "d"]),
        ("del d['a']", ["d"]),
        ("d['n'] += 1", ["d"]),
        ("xs += [1]", ["xs"]),
        ("d |= {'a': 1}", ["d"]),
        ("ys = xs; ys.sort()", ["xs"]),
        ("row = d['rows'][0]; row['a'] = 1", ["d"]),
        ("for x in xs: x['a'] = 1", ["xs"]),
        ("for k, v in d.items(): v.append(k)", ["d"]),
        ("for n, x in enumerate(xs):\n  if n:\n    x['n'] = n", ["xs"]),
        ("if len(xs) > 1:\n  xs.pop()", ["xs"]),
        ("try:\n  pass\nexcept ValueError:\n  xs.clear()", ["xs"]),
        ("first = xs.pop()", ["xs"]),
        ("[xs.append(n) for n in range(3)]", ["xs"]),
        ("import random\nrandom.shuffle(xs)", ["xs"]),
        ("d.get('a', []).append(1)", ["d"]),
        # ... and what is none, or is not certain:
        ("xs = list(xs); xs.append(1)", []),
        ("if 1:\n  xs = []\nxs.append(1)", []),
        ("while True:\n  xs.append(1)\n  xs = []", []),
        ("ys = xs[:]; ys.append(1)", []),
        ("ys = sorted(xs); ys.append(1)", []),
        ("xs = xs + [1]", []),
        ("n = d['n']; n += 1", []),
        ("for x in xs: x += 1", []),
        ("for xs in [[], []]: xs.append(1)", []),
        ("[xs.append(1) for xs in [[]]]", []),
        ("def f(xs):\n  xs.append(1)", []),
        ("f = lambda xs: xs.append(1)", []),
        ("with open('f') as xs:\n  xs.update()", []),
        ("d.copy().update(a=1)", []),
        ("d['a'].strip()", []),
        ("import xs\nxs.append(1)", []),
        ("match d:\n  case {'a': xs}:\n    xs.append(1)", []),
        ("this is not Python", []),
    ],
)
def test_what_code_certainly_changes(code: str, expected: list[str]) -> None:
    assert [change.name for change in changes(code, {"xs": "xs", "d": "d"})] == expected


def test_folders_are_searched_for_workflows(lint: Run, tmp_path: Path) -> None:
    for name, content in {
        "flows/a.json": json.dumps(ask(max_concurrent=2)),
        "flows/package.json": '{"nodes": []}',
        "flows/broken.json": '{"x": [',
        "flows/lowered.json": json.dumps(ask(max_concurrent=2)),
        "flows/.hidden/b.json": json.dumps(ask(max_concurrent=2)),
        "flows/node_modules/b.json": json.dumps(ask(max_concurrent=2)),
        "flows/deep/er/c.json": json.dumps(ask()),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    result = lint("flows", "flows/a.json", "--format", "json")
    assert result.status == 1
    assert [(found["code"], found["file"]) for found in json.loads(result.out)] == [("PFL506", "flows/a.json")]
    assert lint("flows").err == "not looked at: flows/broken.json (it is not JSON)\n2 workflows, 1 finding\n"


def test_exit_statuses(lint: Run, tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(json.dumps(ask()))
    (tmp_path / "found.json").write_text(json.dumps(ask(max_concurrent=2)))
    (tmp_path / "bad.json").write_text("{}")
    assert lint("good.json").status == 0
    assert lint("good.json", "found.json").status == 1
    both = lint("bad.json", "missing.json", "found.json")
    assert both.status == 2
    assert "PFL201" in both.out and "PFL101" in both.out and "PFL506" in both.out  # the rest is linted too
    assert lint("-", stdin=json.dumps(ask(max_concurrent=2))).out.startswith("<stdin>:")
    assert lint().status == 2


def test_an_effect_in_a_workflow_that_a_resumed_batch_starts(lint: Run, tmp_path: Path) -> None:
    def starts(name: str, **batch: Any) -> dict[str, Any]:
        params = {"workflow": f"./{name}", "inputs": {"item": "${item}"} if batch else {}}
        return {"id": "start", "type": "workflow", "params": params, **({"batch": batch} if batch else {})}

    def write(name: str, *nodes: dict[str, Any]) -> None:
        inputs = {"item": {"type": "any", "required": False}} if name == "child.json" else {}
        (tmp_path / name).write_text(json.dumps({"inputs": inputs, "nodes": nodes}))

    order = {"id": "order", "type": "http", "params": {"url": "x", "method": "POST", "body": {"x": "${item ?? 1}"}}}
    read = {"id": "order", "type": "http", "params": {"url": "x/${item ?? 1}"}}
    write("child.json", starts("grandchild.json"), read)
    write("grandchild.json", {**order, "params": {"url": "x", "method": "POST", "body": "x"}})
    write("w.json", starts("child.json", items=[1, 2], resume=True))
    said = lint("w.json", "--select", "PFL515")
    assert said.status == 1
    assert (
        "start.batch.resume: in ./grandchild.json, at `order`, a POST request may have been carried out before it "
        "failed, and `resume` starts what was under way again"
    ) in said.out
    write("child.json", order, {**order, "id": "pay"})
    assert "in ./child.json, at `order` and 1 more, a POST request" in lint("w.json", "--select", "PFL515").out
    write("w.json", starts("child.json", items=[1, 2]))
    assert lint("w.json", "--select", "PFL515").status == 0  # nothing is resumed
    write("child.json", read, starts("w.json"))
    write("w.json", starts("child.json", items=[1, 2], resume=True))
    assert lint("w.json", "--select", "PFL515").status == 0  # it starts itself, and leaves nothing behind


@pytest.mark.parametrize("codes", ["PFL9", "", "PFL501,", "X", "PFL613"])
def test_codes_that_nothing_has_are_refused(lint: Run, tmp_path: Path, codes: str) -> None:
    (tmp_path / "w.json").write_text(json.dumps(ask()))
    result = lint("w.json", "--select", codes)
    assert result.status == 2
    assert "not a lint code or prefix" in result.err


def test_fix_keeps_every_other_byte(lint: Run, tmp_path: Path) -> None:
    text = (
        '\ufeff{"edges": [],\r\n\t"nodes": [{"type": "llm", "params": {"prompt": "\\u0024{item} max_concurrent"},\r\n'
        '\t"batch": { "max_concurrent" : 5 ,\r\n\t\t"items": ["\\u00e9", 1.0, 2e1]}, "id": "a"}]}\r\n\r\n'
    )
    file = tmp_path / "w.json"
    file.write_bytes(text.encode())
    file.chmod(0o640)
    (tmp_path / "link.json").symlink_to(file)
    result = lint("link.json", "--fix")
    assert result.status == 0, result.out
    assert file.read_bytes() == text.replace('"max_concurrent" : 5 ,\r\n\t\t', "").encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert (tmp_path / "link.json").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.json", "w.json"]
    assert "fixed[PFL506]: removed a.batch.max_concurrent" in result.err


def test_fix_leaves_what_stands_elsewhere(lint: Run, tmp_path: Path) -> None:
    """A batch that is read from a file of its own is not in the text that could be edited."""
    workflow = ask()
    workflow["nodes"][0]["batch"] = "./batch.json"
    before = json.dumps(workflow)
    (tmp_path / "w.json").write_text(before)
    (tmp_path / "batch.json").write_text('{"items": [1, 2], "max_concurrent": 5}')
    result = lint("w.json", "--fix")
    assert result.status == 1
    assert "PFL506" in result.out and "fixed" not in result.err
    assert (tmp_path / "w.json").read_text() == before


def test_fix_does_not_take_a_name_away_that_hides_another(lint: Run, tmp_path: Path) -> None:
    workflow = ask(**{"as": "row"})
    workflow["inputs"] = {"item": {"type": "array", "description": "d"}}
    workflow["nodes"][0]["params"]["prompt"] = "${item[${__index__}]}"
    (tmp_path / "w.json").write_text(json.dumps(workflow))
    result = lint("w.json", "--fix")
    assert result.status == 1 and "PFL509" in result.out
    assert json.loads((tmp_path / "w.json").read_text()) == workflow


@pytest.mark.parametrize("markdown", [False, True])
def test_fix_reads_many_edits_at_once(
    lint: Run, tmp_path: Path, markdown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [{"max_concurrent": 5}, {"max_concurrent": 5, "parallel": True}, {"max_concurrent": 5, "as": "row"}]
    if markdown:
        pytest.importorskip("pflow")
        steps = [
            f"### n{n}\n\nAsk.\n\n- type: llm\n- model: m\n\n```yaml batch\nitems: [1, 2]\n"
            + "".join(f"{key}: {str(value).lower()}\n" for key, value in settings[n % 3].items())
            + "```\n\n```prompt\n${__index__}\n```\n"
            for n in range(12)
        ]
        (tmp_path / "w.pflow.md").write_text("# W\n\nAsk.\n\n## Steps\n\n" + "\n".join(steps))
    else:
        nodes = [ask(items=[1, 2], **settings[n % 3])["nodes"][0] | {"id": f"n{n}"} for n in range(12)]
        for node in nodes:
            node["params"]["prompt"] = "${__index__}"
        (tmp_path / "w.json").write_text(json.dumps({"nodes": nodes}))
    read: list[bytes] = []

    def noted(content: bytes, name: str, *, folder: Path) -> Document:
        read.append(content)
        return from_bytes(content, name, folder=folder)

    monkeypatch.setattr("pflow_lower.tools.lint.fix.from_bytes", noted)
    file = "w.pflow.md" if markdown else "w.json"
    result = lint(file, "--fix", "--select", "PFL5")
    assert (result.status, result.err.count("fixed[PFL506]"), result.err.count("fixed[PFL509]")) == (0, 8, 4), result
    text = (tmp_path / file).read_text()
    assert (text.count("max_concurrent"), text.count("parallel"), text.count("row")) == (4, 4, 0)
    assert len(read) == 1


@pytest.mark.parametrize(("declared", "is_found"), [("list | None", True), ("'list[int]'", True), ("List", False)])
def test_what_code_declares_is_read_as_pflow_reads_it(lint: Run, tmp_path: Path, declared: str, is_found: bool) -> None:
    code = f"data: {declared}\nx: int\ndata.append(x)\nresult: int = 1"
    node = {"id": "c", "type": "code", "params": {"inputs": {"data": "${rows}", "x": "${item}"}, "code": code}}
    node["batch"] = {"items": [1, 2], "parallel": True}
    workflow = {"inputs": {"rows": {"type": "array", "default": []}}, "nodes": [node]}
    (tmp_path / "w.json").write_text(json.dumps(workflow))
    assert ("PFL503" in lint("w.json").out) is is_found


def test_fix_needs_files(lint: Run) -> None:
    result = lint("-", "--fix", stdin=json.dumps(ask()))
    assert result.status == 2 and "standard input" in result.err


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("ignore = 3", "not a table"),
        ('ignore = {"*" = 3}', "not a table of nodes"),
        ('ignore = {"*" = {ask = 3}}', "not a list of codes"),
        ('ignore = {"*" = {ask = ["PFL9"]}}', "'PFL9' is not a lint code"),
        ("ignore = [", "TOML"),
    ],
)
def test_a_table_of_suppressions_that_is_wrong(lint: Run, tmp_path: Path, table: str, expected: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.pflow-lower.lint]\n{table}\n")
    (tmp_path / "w.json").write_text(json.dumps(ask()))
    result = lint("w.json")
    assert result.status == 2
    assert expected in result.out and "pyproject.toml" in result.out


def test_suppressions_above_the_workflow(lint: Run, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pflow-lower.lint.ignore]\n"flows/**/*.json" = { ask = "PFL50" }\n"none/*" = { ask = ["PFL501"] }\n'
    )
    (tmp_path / "flows" / "sub").mkdir(parents=True)
    (tmp_path / "flows" / "sub" / "w.json").write_text(json.dumps(ask(max_concurrent=2)))
    for workflow in ("flows", "flows/sub/w.json"):
        without = lint(workflow)
        assert without.status == 1
        assert without.out.startswith(
            "pyproject.toml:3:22: warning[PFL590] tool.pflow-lower.lint.ignore: 'none/*' matches"
        )
        assert without.out.count("PFL590") == 1
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "w.json").write_text("{}")
    assert lint("flows").status == 0
    (tmp_path / "flows" / "sub" / "w.json").write_text(json.dumps(ask()))
    unused = lint("flows")
    assert unused.status == 1
    assert unused.out.startswith("pyproject.toml:2:30: warning[PFL590]")
    assert lint("flows", "--ignore", "PFL506").status == 0  # it may be needed again without that option
    assert lint("flows", "--ignore", "PFL590").status == 0


def test_what_is_accepted_is_taken_away_again(lint: Run, tmp_path: Path) -> None:
    table = '[tool.pflow-lower.lint.ignore]\n"flows/*.json" = { ask = "PFL50" }\n"!flows/b.json" = { "*" = "PFL506" }\n'
    (tmp_path / "pyproject.toml").write_text(table)
    (tmp_path / "flows").mkdir()
    for name in ("a", "b"):
        (tmp_path / "flows" / f"{name}.json").write_text(json.dumps(ask(max_concurrent=2)))
    shown = lint("flows")
    assert shown.status == 1
    assert shown.out.startswith("flows/b.json:") and shown.out.count("PFL") == shown.out.count("PFL506") == 1
    (tmp_path / "flows" / "b.json").write_text(json.dumps(ask()))
    assert "`*` of !flows/b.json has no finding PFL506 (any more)" in lint("flows").out


def test_hostile_texts_make_no_traceback(lint: Run, tmp_path: Path) -> None:
    def node(number: int, **params: Any) -> Mapping[str, Any]:
        return {"id": f"n{number}", "batch": {"items": ["a", "${x}"], "as": "x"}, **params}

    odd = ["'", '"', "$(", "`", "<<", "<<'", ")", "))", "\\", "# ${x}", "<<E", "case", "${x", "$${x}", "\0", "> ", ">|"]
    nodes = [node(n, type="shell", params={"command": text + "${x}" + text}) for n, text in enumerate(odd)]
    nodes += [
        node(100 + n, type="code", params={"inputs": {"x": "${x}"}, "code": text})
        for n, text in enumerate(
            [*odd, "(" * 300, "x: list\nfor x[0] in x: pass", "x: list\ndel x, x[0]", "x: list\nx[x.pop()] = x"]
        )
    ]
    for each in nodes:
        workflow = {"nodes": [each], "edges": []}
        (tmp_path / "w.json").write_text(json.dumps(workflow))
        result = lint("w.json")
        assert result.status in (0, 1, 2), workflow


def test_a_wrong_table_above_several_workflows_is_said_once(lint: Run, run: Run, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        Path(name).write_text(json.dumps(ask(rate="api")))
    Path("pyproject.toml").write_text('[tool.pflow-lower.rates]\napi = "20/q"\n')
    shown = lint(".")
    assert shown.status == 2 and shown.out.count("'20/q' is not a rate") == 1
    table = '[tool.pflow-lower.ratez]\n[[tool.pflow-lower.lowerings]]\nworkflows = "*.json"\nout = "{name}"\n'
    Path("pyproject.toml").write_text(table)
    for name in ("a.json", "b.json"):
        Path(name).write_text(json.dumps(ask()))
    Path("pflow-lower.toml").write_text('[[lowerings]]\nworkflows = "*.json"\nout = "{name}"\n')
    shown = run("check")
    assert shown.status == 2 and shown.out.count("unknown key 'ratez'") == 1, shown


def test_a_file_that_may_have_been_a_workflow_is_said_to_be_not_looked_at(lint: Run, tmp_path: Path) -> None:
    Path("good.json").write_text(json.dumps(ask()))
    Path("empty.json").write_text("")
    Path("cut.json").write_text('{"x": [')
    Path("latin.json").write_bytes(b'{"x": "\xff"')
    Path("wide.json").write_bytes('{"x": '.encode("utf-16"))
    Path("map.json").write_text('{"nodes": {"a": 1}}')
    Path("number.json").write_text('{"nodes": 3}')
    Path("typeless.json").write_text('{"nodes": [{"id": "a", "params": {}}]}')
    Path("misspelt.json").write_text('{"node": [{"id": "a", "type": "b"}]}')
    Path("other.json").write_text('{"name": "x", "node": [1], "nods": {}}')
    Path("graph.json").write_text('{"nodes": [{"id": "a", "type": "b", "data": {}}, {"params": 1, "position": 1}]}')
    Path("away.json").symlink_to("nowhere")
    shown = lint(".")
    lines = [line for line in shown.err.splitlines() if line.startswith("not looked at")]
    assert shown.status == 0
    assert sorted(line.partition(": ")[2] for line in lines)[1:] == [
        "cut.json (it is not JSON)",
        "empty.json (it is empty)",
        "latin.json (it is not JSON)",
        'map.json (its "nodes" are not a list)',
        'misspelt.json (it has no "nodes", but "node")',
        'number.json (its "nodes" are not a list)',
        "typeless.json (none of its nodes has an id and a type)",
        "wide.json (it is not JSON)",
    ]
    assert min(lines).startswith("not looked at: away.json (cannot be read: ")
    for line in lines:
        assert lint(line.split()[3]).status == 2, "whoever names a file means a workflow"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("w.json", json.dumps(ask()).encode("utf-16"), "PFL103"),
        ("w.json", json.dumps(ask()).encode("utf-16-le"), "PFL103"),
        ("w.json", json.dumps(ask()).replace("ask", "\xe9").encode("latin-1"), "PFL103"),
        ("w.json", b'{"nodes', "PFL105"),
        ("w.json", b'{"nodes": [', "PFL105"),
        ("w.json", json.dumps({"node": ask()["nodes"]}).encode(), "PFL201"),
        ("w.pflow.json", b"", "PFL104"),
        ("w.pflow.json", b"{}", "PFL201"),
        ("w.pflow.md", b"", "PFL104"),
        ("w.pflow.md", b"\xff\xfe", "PFL103"),
    ],
)
def test_what_looks_like_a_workflow_and_cannot_be_read_is_an_error(
    lint: Run, run: Run, name: str, content: bytes, code: str
) -> None:
    Path("flows").mkdir()
    Path("flows/good.json").write_text(json.dumps(ask()))
    Path("flows", name).write_bytes(content)
    for argument in (".", "flows", f"flows/{name}"):
        shown = lint(argument)
        assert shown.status == 2 and f"flows/{name}:" in shown.out and "not looked at" not in shown.err
    Path("pflow-lower.toml").write_text('[[lowerings]]\nworkflows = "flows/*"\nout = "made/{name}"\n')
    assert run("check").status == 2


def test_a_link_to_nowhere_that_is_called_a_workflow_is_an_error(lint: Run) -> None:
    Path("good.json").write_text(json.dumps(ask()))
    Path("w.pflow.json").symlink_to("nowhere")
    assert lint(".").status == 2


@pytest.mark.parametrize("folder", [".", "flows", ".flows"])
@pytest.mark.parametrize("content", [b"", b'{"nodes": [', b'{"node": []}', b'{"nodes": 3}', b"\xff", b"[]"])
def test_what_a_table_lists_is_linted_whatever_it_looks_like(lint: Run, folder: str, content: bytes) -> None:
    Path(".git").mkdir()
    Path(folder).mkdir(exist_ok=True)
    Path(folder, "good.json").write_text(json.dumps(ask()))
    Path(folder, "w.json").write_bytes(content)
    assert lint(".").status == (2 if folder == ".flows" or content == b'{"nodes": [' else 0)
    Path("pflow-lower.toml").write_text(f'[[lowerings]]\nworkflows = "{folder}/w.json"\nout = "made"\n')
    for argument in (".", folder, os.path.abspath(folder)):
        said = lint(argument)
        assert said.status == 2 and "w.json:" in said.out, said
        assert "w.json (it" not in said.err and "1 invalid" in said.err


def test_a_broken_workflow_in_a_folder_is_not_passed_by(lint: Run, tmp_path: Path) -> None:
    text = json.dumps(ask())
    (tmp_path / "w.json").write_text(text[:-1])
    (tmp_path / "package.json").write_text('{"name": "nodes", ')
    result = lint(".")
    assert result.status == 2 and "w.json:1:" in result.out and "package.json" not in result.out


def test_lists_of_other_people_are_not_misspelt_nodes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    models = [{"id": "gpt-4o", "type": "chat", "params": {"temperature": 0.2}}, {"id": "bge", "type": "embedding"}]
    (tmp_path / "models.json").write_text(json.dumps({"models": models}))
    (tmp_path / "node.json").write_text(json.dumps({"node": [{"id": "a", "type": "x"}, "text"]}))
    node = {"id": "a", "type": "shell", "params": {"command": "date"}}
    (tmp_path / "w.json").write_text(json.dumps({"nodes": [node]}))
    assert run("lint", ".").status == 0
    (tmp_path / "typo.json").write_text(json.dumps({"ndoes": [node]}))
    assert run("lint", ".").status == 2
