"""What the compiler knows of pflow's node types, held against the types themselves; and of its reference version."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("pflow")

from pflow.core.exceptions import NodeError
from pflow.execution.result import RunnerConfig
from pflow.execution.runner import WorkflowRunner

import pflow_lower
from pflow_lower.load.load import load
from pflow_lower.node_types import pflow_types
from pflow_lower.node_types.pflow_types import (
    REFERENCE,
    STRAY_PARAM,
    WORKFLOW_TYPES,
    declares_params,
    is_mcp,
    mcp_tool,
    pflow_type,
)
from pflow_lower.node_types.pflow_types import TYPES as RECORDS
from pflow_lower.pflow.versions import SERIES
from pflow_lower.tools.lint.table import RULES
from pflow_lower.tools.shared import node_facts
from pflow_lower.validate.validate import validate

TYPES = sorted(RECORDS.keys() - WORKFLOW_TYPES - {"mcp"})


def made(type_name: str) -> Any:
    module, _, name = RECORDS[type_name].path.partition(":")
    return getattr(importlib.import_module(module), name)()


@pytest.mark.parametrize("type_name", TYPES)
def test_own_attempts(type_name: str) -> None:
    node, known = made(type_name), RECORDS[type_name].attempts
    assert (node.max_retries, node.wait) == (known.own, known.wait)


@pytest.mark.parametrize("type_name", TYPES)
def test_needed_parameters(type_name: str) -> None:
    """A node without one fails before it works, and says which; with all of them, nothing is wanting."""
    needs, may_be_empty = RECORDS[type_name].needs, RECORDS[type_name].may_be_empty
    values = {"backend": "claude", "code": "result: int = 1", "url": "http://localhost"}
    all_given = {key: values.get(key, "x") for key in needs} | {"model": "a/b"}  # which pflow's compiler adds

    def said(params: dict[str, Any]) -> str:
        node = made(type_name)
        node.set_params(params)
        try:
            node.prep({"confirm_delete": True})
        except Exception as error:  # noqa: BLE001  the types raise many kinds
            return str(error).lower()
        return ""

    assert not any(key in said(all_given) or "require" in said(all_given) for key in needs)
    for key in needs:
        assert key in said({name: value for name, value in all_given.items() if name != key})
        assert key in said(all_given | {key: None})
        assert (key in said(all_given | {key: ""})) == (key not in may_be_empty)


@pytest.mark.parametrize("annotation", ["int", "float", "str", "bool", "list[int]", "dict", "int | None", "Any"])
def test_values_that_code_does_not_take(annotation: str) -> None:
    for value in (None, True, 3, 1.5, [1], {"a": 1}, "abc", "5", "[1]"):
        params = {"code": f"n: {annotation}\nresult: str = 'x'", "inputs": {"n": value}}
        node = made("code")
        node.set_params(params)
        try:
            node.prep({})
            taken = True
        except NodeError:
            taken = False
        found = pflow_lower.lower({"nodes": [{"id": "a", "type": "code", "params": params}]}).diagnostics
        assert ("PFL315" in {one.code for one in found}) != taken, value


SOME_VALUES = [
    *(None, True, False, 0, 1, -1, 0.5, 29, 30, 3600, 3601, [], ["A"], {}, {"A": 1}),
    *(
        "",
        "abc",
        "5",
        "0",
        "-1",
        "0.5",
        "30",
        "GET",
        "get",
        "FETCH",
        "claude",
        "Claude",
        "high",
        "HIGH",
        "none",
        "json_block",
    ),
]


@pytest.mark.parametrize(("type_name", "key"), [(name, key) for name in TYPES for key in RECORDS[name].allowed])
def test_values_that_a_type_does_not_take(type_name: str, key: str) -> None:
    """As the type's own `prep` says, before it does anything."""
    values = {"backend": "claude", "code": "A: int = 1\nresult: int = 1", "url": "http://localhost"}
    given = {name: values.get(name, "true") for name in RECORDS[type_name].needs} | {"model": "a/b"}
    for value in SOME_VALUES:
        node = made(type_name)
        node.set_params({**given, key: value})
        with mock.patch.object(type(node), "_load_backend", mock.MagicMock(), create=True):
            try:
                node.prep({})
                taken = True
            except Exception:  # noqa: BLE001  the types raise many kinds
                taken = False
        assert RECORDS[type_name].allowed[key].has(value) == taken, value
        ir = {"nodes": [{"id": "a", "type": type_name, "params": {**given, key: value}}]}
        try:
            found = pflow_lower.lower(ir).diagnostics
        except pflow_lower.LowerError as error:
            found = error.diagnostics
        is_said = {one.code for one in found} & {"PFL348", "PFL337"}
        assert bool(is_said) != taken, value


@pytest.mark.parametrize(("type_name", "key"), [(name, key) for name in TYPES for key in RECORDS[name].allowed])
def test_values_that_pflow_refuses_before_a_run(type_name: str, key: str, tmp_path: Path) -> None:
    from pflow.core.workflow.validator import WorkflowValidator
    from pflow.registry import Registry

    params = {
        "command": "true",
        "code": "result: int = 1",
        "url": "http://localhost",
        "prompt": "x",
        "backend": "claude",
    }
    given = {name: params[name] for name in RECORDS[type_name].needs} | {key: ["A"]}
    ir = {"ir_version": "0.1.0", "nodes": [{"id": "a", "type": type_name, "params": given}], "edges": []}
    said = [one.message for one in WorkflowValidator.validate(ir, {}, Registry(tmp_path / "registry.json"))]
    assert any(key in one for one in said) == RECORDS[type_name].allowed[key].refused, said


@pytest.mark.parametrize(
    ("items", "is_taken"),
    [
        (["get", "POST"], True),
        (["get", "FETCH"], False),
        (["get", "${how}"], True),
        ("${hows}", True),
        ([["get"]], False),
        (['["get"]'], True),
    ],
)
def test_values_that_items_make(items: Any, is_taken: bool) -> None:
    node = {"id": "a", "type": "http", "params": {"url": "x", "method": "${item}"}, "batch": {"items": items}}
    inputs = {"how": {"type": "string"}, "hows": {"type": "array"}}
    used = {"id": "b", "type": "shell", "params": {"command": "true", "stdin": "${how} ${hows}"}}
    ir = {"nodes": [node, used], "inputs": inputs, "edges": [{"from": "a", "to": "b"}]}
    assert ("PFL348" in [one.code for one in pflow_lower.lower(ir).diagnostics]) != is_taken


def calls(node: dict[str, Any], log: Path) -> int:
    """How often a batch of one item makes the node do its work, which leaves a mark and fails."""
    ir = {
        "ir_version": "0.1.0",
        "nodes": [{"id": "b", "batch": {"items": [1], "max_retries": 3}, **node}],
        "edges": [],
    }
    result = WorkflowRunner().run(ir, {}, RunnerConfig(trace_enabled=False, cache_enabled=False))
    assert not result.success
    return len(log.read_text()) if log.exists() else 0


@pytest.mark.parametrize(("retry", "expected"), [(None, 1), ({"max": 2}, 2)])
def test_code_answers_and_heeds_retry(tmp_path: Path, retry: Any, expected: int) -> None:
    log = tmp_path / "log"
    code = f"with open({str(log)!r}, 'a') as log: log.write('x')\nresult: int = 1\nraise ValueError"
    node: dict[str, Any] = {"type": "code", "params": {"code": code}} | ({"retry": retry} if retry else {})
    assert calls(node, log) == expected


def test_shell_answers_and_heeds_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    node = {"type": "shell", "params": {"command": f"printf x >> {log}; exit 3"}, "retry": {"max": 2}}
    assert calls(node, log) == 1


def test_a_sub_workflow_answers_and_heeds_nothing(tmp_path: Path) -> None:
    log, child = tmp_path / "log", tmp_path / "child.pflow.md"
    child.write_text(
        "# Child\n\nFails.\n\n## Steps\n\n### fail\n\nFail.\n\n- type: shell\n\n"
        f"```shell command\nprintf x >> {log}; exit 3\n```\n"
    )
    node = {"type": "workflow", "params": {"workflow": str(child)}, "retry": {"max": 2}}
    assert calls(node, log) == 1


@pytest.mark.parametrize(("retry", "expected"), [({"wait": 0}, 9), ({"max": 2, "wait": 0}, 6)])
def test_http_raises_so_the_budgets_multiply(tmp_path: Path, retry: Any, expected: int) -> None:
    with mock.patch("pflow.nodes.http.http.requests.request", side_effect=OSError("no network here")) as request:
        node = {"type": "http", "params": {"url": "https://example.com"}, "retry": retry}
        calls(node, tmp_path / "log")
    assert request.call_count == expected


@pytest.mark.parametrize(("retry", "expected"), [({"wait": 0}, 3), ({"max": 2, "wait": 0}, 2)])
def test_files_answer_and_heed_retry(tmp_path: Path, retry: Any, expected: int) -> None:
    with mock.patch("pflow.nodes.file.write_file.WriteFileNode._atomic_write", side_effect=OSError("full")) as write:
        node = {"type": "write-file", "params": {"file_path": str(tmp_path / "f"), "content": "x"}, "retry": retry}
        calls(node, tmp_path / "log")
    assert write.call_count == expected


@pytest.mark.parametrize("type_name", ["llm", "agent"])
def test_what_becomes_of_the_last_failure(type_name: str) -> None:
    """A model call that failed is an answer; an agent session that failed is raised again."""
    node = made(type_name)
    node.wait = 0
    backend = mock.Mock(translate_error=lambda error, _: RuntimeError(str(error)))
    node.exec = mock.Mock(side_effect=OSError("no network here"))
    prepared = {"model": "m", "_backend": backend}
    if RECORDS[type_name].attempts.raises:
        with pytest.raises(RuntimeError):
            node._exec(prepared)
    else:
        assert node._exec(prepared)["error"]
    assert node.exec.call_count == RECORDS[type_name].attempts.own


@pytest.mark.parametrize("backoff", ["fixed", "exponential"])
def test_the_waits_between_a_node_s_own_attempts(tmp_path: Path, backoff: str) -> None:
    """pflow's are recorded without waiting: they double, up to a longest."""
    node = {"id": "b", "type": "http", "params": {"url": "https://example.com"}}
    node["retry"] = {"max": 6, "wait": 7, "backoff": backoff}
    ir = {"ir_version": "0.1.0", "nodes": [node], "edges": []}
    source, _ = validate(load(ir))
    assert source is not None
    with (
        mock.patch("pflow.nodes.http.http.requests.request", side_effect=OSError("no network here")),
        mock.patch("pflow.core.node.time.sleep") as slept,
    ):
        assert not WorkflowRunner().run(ir, {}, RunnerConfig(trace_enabled=False, cache_enabled=False)).success
    waits = [call.args[0] for call in slept.call_args_list if call.args[0] >= 1]
    assert len(waits) == 5
    assert node_facts.retry_budget_of(source.nodes[0]).waits() == sum(waits)


def registry(home: Path) -> dict[str, Any]:
    """pflow's own account of its types, made anew."""
    script = (
        "import json\n"
        "from pflow_lower import before_pflow\n"
        "from pflow.registry import Registry\n"
        "print(json.dumps({name: node for name, node in Registry().load(include_filtered=True).items()}))\n"
    )
    environment = {**os.environ, "HOME": str(home)}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def declared(node: dict[str, Any], section: str) -> dict[str, str]:
    return {entry["key"]: entry["type"] for entry in node["interface"][section]}


def test_the_records_are_what_pflow_declares(tmp_path: Path) -> None:
    theirs = registry(tmp_path)
    assert theirs.keys() == RECORDS.keys() - WORKFLOW_TYPES
    for name, node in theirs.items():
        record = RECORDS[name]
        params = declared(node, "params") | declared(node, "inputs")
        params.pop(STRAY_PARAM, None)
        assert record.path == f"{node['module']}:{node['class_name']}"
        assert dict(record.params) == params
        assert dict(record.outputs) == declared(node, "outputs")
        assert {record.writes_file} - {""} <= record.params.keys() >= record.text_containers
        assert set(record.data_outputs) | ({record.structured_output} - {""}) <= record.outputs.keys()
        assert record.structured_output == "" or "output_schema" in record.params
        assert record.declares_params == bool(params)


def test_a_tool_of_an_mcp_server_is_known_by_its_name() -> None:
    assert pflow_type("mcp-github-create_issue") is pflow_type("mcp-a-b-c") is not None
    assert [is_mcp(name) for name in ("mcp", "mcp-a-b", "mcp-a", "mcps-a-b")] == [True, True, False, False]
    assert mcp_tool("mcp-github-create-issue") == "create-issue" and mcp_tool("mcp") == ""
    assert pflow_type("my-own") is None and not declares_params("mcp-a-b") and declares_params("shell")


ROOT = Path(__file__).parent.parent


def test_the_reference_version_stands_in_one_place() -> None:
    folders = (Path(pflow_lower.__file__).parent, ROOT / "templates")
    kinds = (".py", ".json", ".jinja", ".txt")
    files = [file for folder in folders for file in folder.rglob("*") if file.suffix in kinds]
    naming = {file.name for file in files if REFERENCE in file.read_text("utf-8")}
    assert naming == {"pflow_types.py"}
    assert Path(pflow_types.__file__).read_text("utf-8").count(REFERENCE) == 1


def test_what_is_said_of_versions_elsewhere_is_the_table() -> None:
    """A document that names versions of pflow names the latest one that there is, and none that is not supported."""
    series = [known.series for known in SERIES]
    assert series[-1] == REFERENCE
    for known in SERIES:  # whoever changes the constant alone would drop the version before it
        folder = known.adapter.partition(".")[0]
        assert f"{known.series}.".startswith(f"{folder.removeprefix('engine_').replace('_', '.')}."), folder
    major, minor = map(int, REFERENCE.split("."))
    assert f'"pflow-cli>={REFERENCE},<{major}.{minor + 1}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    package = Path(pflow_lower.__file__).parent
    texts = [ROOT / "README.md", *(package / "tools/guide").rglob("*.md"), *(package / "diagnostics").rglob("*.md")]
    for file in texts:
        text = file.read_text("utf-8")
        named = re.findall(r"pflow(?:-cli)?(?: |[=<>]=|@)(\d+\.\d+(?:\.\d+)?)", text)
        assert not named or REFERENCE in re.findall(r"\d+\.\d+", text), (file.name, named)
        for version in named:
            assert any(f"{version}.".startswith(f"{known}.") for known in series), (file.name, version)
    versions = (package / "tools/guide/pflow.md").read_text("utf-8")
    assert all(f"\n| {known} " in versions for known in series)
    if (hooks := ROOT / ".pre-commit-hooks.yaml").exists():  # not beside the wheel
        assert f"pflow-cli>={REFERENCE},<{major}.{minor + 1}" in hooks.read_text("utf-8")


def test_the_guide_names_the_last_lint_rule() -> None:
    last = max(rule.code for rule in RULES)
    texts = [*(Path(pflow_lower.__file__).parent / "tools/guide").rglob("*.md"), ROOT / "CHANGELOG.md"]
    named = [named for file in texts for named in re.findall(r"PFL501 to (PFL\d+)", file.read_text("utf-8"))]
    assert len(named) > 1 and set(named) == {last}
