"""Parameters and outputs of pflow's own types: refused where pflow refuses them, with and without pflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pflow_lower
from pflow_lower.cli import run
from pflow_lower.node_types.pflow_types import TYPES, WORKFLOW_PARAMS, WORKFLOW_TYPES

OTHERS = ["stdot", "resutl", "result", "stdout", "error", "Response", "llm_usage", "results"]
OWN = {"PFL333", "PFL334"}


def codes(ir: dict[str, Any]) -> set[str]:
    try:
        return {found.code for found in pflow_lower.lower(ir).diagnostics} & OWN
    except pflow_lower.LowerError as error:
        return {found.code for found in error.diagnostics} & OWN


def with_params(kind: str, names: list[str]) -> dict[str, Any]:
    return {
        "ir_version": "0.1.0",
        "nodes": [{"id": "a", "type": kind, "params": dict.fromkeys(names, "x")}],
        "edges": [],
    }


def reading(kind: str, path: str, where: str) -> dict[str, Any]:
    """A workflow in which something reads ${a.PATH} of a node `a` of a type."""
    text = f"${{a.{path}}}"
    reader: dict[str, Any] = {"id": "b", "type": "shell", "params": {"command": "true"}}
    ir: dict[str, Any] = {"ir_version": "0.1.0", "edges": [{"from": "a", "to": "b"}]}
    ir["nodes"] = [{"id": "a", "type": kind, "params": {}}, reader]
    if where == "param":
        reader["params"]["stdin"] = text
    elif where == "fallback":
        reader["params"]["stdin"] = f"${{a.{path} ?? 1}}"
    elif where == "items":
        reader |= {"params": {"command": "true", "stdin": "${item}"}, "batch": {"items": text}}
    elif where == "output":
        ir["outputs"] = {"out": {"source": text}}
    return ir


@pytest.fixture
def pflows(tmp_path: Path) -> Any:
    """What pflow's validator refuses in a workflow, as text."""
    pytest.importorskip("pflow")
    from pflow.core.workflow.validator import WorkflowValidator
    from pflow.registry import Registry

    registry = Registry(tmp_path / "registry.json")

    def refused(ir: dict[str, Any]) -> list[str]:
        found = WorkflowValidator.validate(json.loads(json.dumps(ir)), {}, registry)
        return [said.message for said in found if said.severity.value == "error"]

    return refused


@pytest.mark.parametrize("kind", TYPES)
def test_parameters_are_refused_where_pflow_refuses_them(kind: str, pflows: Any) -> None:
    known = WORKFLOW_PARAMS if kind in WORKFLOW_TYPES else TYPES[kind].params
    for name in [*known, "inputs", "bacth", "Batch", "shell", "comand", "default", "max_retries", "_x"]:
        theirs = any(f"Unknown parameter '{name}'" in said for said in pflows(with_params(kind, [name])))
        ours = "PFL333" in codes(with_params(kind, [name]))
        assert ours <= theirs, (name, "refused by us alone")
        assert name == "default" or ours == theirs, name


@pytest.mark.slow
@pytest.mark.parametrize("where", ["param", "fallback", "items", "output"])
@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind not in WORKFLOW_TYPES])
def test_outputs_are_refused_where_pflow_refuses_them(kind: str, where: str, pflows: Any) -> None:
    for name in [*TYPES[kind].outputs, *OTHERS]:
        said = pflows(reading(kind, name, where))
        theirs = any(f"a.{name}" in text or f"output '{name}'" in text for text in said)
        assert ("PFL334" in codes(reading(kind, name, where))) <= theirs, (name, "refused by us alone", said)
        if where == "param" and TYPES[kind].known_outputs:
            assert ("PFL334" in codes(reading(kind, name, where))) == theirs, (name, said)


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind not in WORKFLOW_TYPES])
def test_outputs_of_an_item_are_refused_where_pflow_refuses_them(kind: str, pflows: Any) -> None:
    for name in [*TYPES[kind].outputs, *OTHERS, "item"]:
        ir = reading(kind, f"results[0].{name}", "param")
        ir["nodes"][0] |= {"batch": {"items": ["x"]}}
        said = pflows(ir)
        theirs = any("does not output 'results[0]'" in text or f"results[0].{name}" in text for text in said)
        ours = "PFL334" in codes(ir)
        assert ours <= theirs, (name, "refused by us alone", said)
        assert not TYPES[kind].known_outputs or ours == theirs, (name, said)


def test_a_type_of_the_authors_takes_what_it_likes(tmp_path: Path) -> None:
    table = tmp_path / "nodes.toml"
    table.write_text('[nodes]\nshell = "mine.nodes:Shell"\n', encoding="utf-8")
    workflow = tmp_path / "workflow.json"
    workflow.write_text(json.dumps(with_params("shell", ["mine"])), encoding="utf-8")
    assert "PFL333" in codes(with_params("shell", ["mine"]))
    with pytest.raises(SystemExit) as ended:
        run([str(workflow), "--nodes", str(table), "-q"])
    assert ended.value.code == 0


@pytest.mark.parametrize("key", ["bacth", "Batch"])
def test_a_misspelt_batch_is_named(key: str) -> None:
    ir = with_params("shell", ["command", key])
    with pytest.raises(pflow_lower.LowerError) as failure:
        pflow_lower.lower(ir)
    assert [found.help for found in failure.value.diagnostics] == ["did you mean `batch`?"]


def test_a_misspelt_output_is_named() -> None:
    ir = reading("shell", "stdot.x", "param")
    with pytest.raises(pflow_lower.LowerError) as failure:
        pflow_lower.lower(ir)
    helps = [found.help for found in failure.value.diagnostics if found.code == "PFL334"]
    assert helps == ["did you mean ${a.stdout.x}?"]


@pytest.mark.parametrize("kind", [kind for kind in TYPES if TYPES[kind].needs])
@pytest.mark.parametrize("batch", [True, False])
def test_a_parameter_that_a_type_needs_is_missed(kind: str, batch: bool) -> None:
    node = {"id": "a", "type": kind, **({"batch": {"items": ["x"]}} if batch else {})}
    needs = TYPES[kind].needs
    given = {"code": "item: str\nresult: str = item", "inputs": {"item": "${item}"}} if kind == "code" and batch else {}
    given = {**dict.fromkeys(needs, "${item}" if batch else "x"), **given}
    if kind == "code" and not batch:
        given["code"] = "result: int = 1"

    def found(params: dict[str, Any]) -> list[str]:
        try:
            said = pflow_lower.lower({"nodes": [{**node, "params": params}]}).diagnostics
        except pflow_lower.LowerError as error:  # code that is null
            said = error.diagnostics
        return [one.message for one in said if one.code == "PFL337"]

    assert found(given) == []
    for key in needs:
        for params in ({k: v for k, v in given.items() if k != key}, {**given, key: None}):
            (said,) = found(params)
            assert said.startswith(f"`{key}` is ") and f"{kind} needs it" in said
        assert bool(found({**given, key: ""})) == (key not in TYPES[kind].may_be_empty)


def test_a_needed_parameter_that_is_misspelt_is_said_once() -> None:
    with pytest.raises(pflow_lower.LowerError) as failure:
        pflow_lower.lower(with_params("shell", ["comand"]))
    assert [found.code for found in failure.value.diagnostics] == ["PFL333"]


def test_parameters_of_types_in_the_registry_are_refused_where_pflow_refuses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pflows: Any
) -> None:
    from pflow.registry import Registry

    def entry(kind: str, *keys: str) -> dict[str, Any]:
        params = [{"key": key, "type": "str", "description": ""} for key in keys]
        interface = {"inputs": params[:1], "params": params[1:], "outputs": [], "actions": [], "description": ""}
        return {
            "module": "m",
            "class_name": "C",
            "docstring": "",
            "type": kind,
            "file_path": "",
            "interface": interface,
        }

    registry = Registry(tmp_path / "registry.json")
    nodes = registry.load(include_filtered=True)
    nodes |= {"mine": entry("user", "text", "times"), "takes-all": entry("user")}
    nodes |= {"mcp-mail-send": {**entry("mcp", "to", "body"), "file_path": "virtual://mcp"}}
    registry.save(nodes)
    (tmp_path / ".pflow").mkdir()
    (tmp_path / "registry.json").rename(tmp_path / ".pflow" / "registry.json")
    (tmp_path / "registry.json").write_bytes((tmp_path / ".pflow" / "registry.json").read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for kind in ("mine", "takes-all", "mcp-mail-send"):
        for name in ("text", "times", "tiems", "to", "boody", "inputs", "result_format"):
            ir = with_params(kind, [name])
            theirs = any(f"Unknown parameter '{name}'" in said for said in pflows(ir))
            assert ("PFL333" in codes(ir)) == theirs, (kind, name)
    with pytest.raises(pflow_lower.LowerError) as failure:
        pflow_lower.lower(with_params("mine", ["tiems"]))
    assert [found.help for found in failure.value.diagnostics] == ["did you mean `times`?"]


def test_a_model_that_is_no_text_is_refused_where_pflow_refuses_it(pflows: Any) -> None:
    for model in ("gpt-5", "", None, {"x": 1}, 5, ["gpt-5"], True):
        ir = with_params("llm", ["prompt"])
        ir["nodes"][0]["params"]["model"] = model
        theirs = any("must be a string identifier" in said for said in pflows(ir))
        try:
            found = pflow_lower.lower(ir).diagnostics
        except pflow_lower.LowerError as error:
            found = error.diagnostics
        assert ("PFL203" in {one.code for one in found}) == theirs, model


@pytest.mark.parametrize(("output", "wrong"), [("stdot", {"PFL334"}), ("stdout", set()), ("item.page", set())])
def test_an_inner_item_has_the_outputs_of_the_type(output: str, wrong: set[str]) -> None:
    ir = reading("shell", f"results[0].{output}", "param")
    inner = {"items": "${file.pages}", "as": "page"}
    ir["nodes"][0] |= {"batch": {"items": [{"pages": [1]}], "as": "file", "batch": inner}}
    assert codes(ir) == wrong
