"""Inside pflow, too, what an item raises ends that item: lowered batches lose nothing that interpreted ones keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pflow_lower.pflow

pytest.importorskip("pflow")

NODE = '''
from pflow.core.node import Node


def raising(*_):
    raise ValueError("raised by the exception itself")


def kind(name, **members):
    return type(name, (Exception,), members)


KINDS = {
    "str raises": kind("StrRaises", __str__=raising),
    "str is none": kind("StrNone", __str__=lambda self: None),
    "repr raises": kind("ReprRaises", __str__=raising, __repr__=raising),
    "any attribute raises": kind("GetattrRaises", __getattr__=raising),
    "retriable raises": kind("RetriableRaises", retriable=property(raising)),
    "add_note raises": kind("AddNoteRaises", add_note=raising),
    "notes are odd": kind("NotesOdd", __notes__=7),
    "false": kind("Falsy", __bool__=lambda self: False),
    "no bool": kind("NoBool", __bool__=raising),
    "without length": kind("LenZero", __len__=lambda self: 0),
    "provider_message raises": kind("ProviderRaises", provider_message=property(raising)),
}


class OddWarning:
    to_dict = raising


class OddNode(Node):
    """Raise odd exceptions.

    Interface:
    - Params: kind: str  # which one; "" for none
    - Writes: shared["out"]: str  # done
    - Actions: default
    """

    name = "odd"

    def exec(self, prep_res):
        if self.params["kind"] == "warning":
            return
        if self.params["kind"]:
            raise KINDS[self.params["kind"]]("went wrong")

    def post(self, shared, prep_res, exec_res):
        shared["out"] = "done"
        if self.params["kind"] == "warning":
            shared["__warnings__"] = {"b": OddWarning()}
        return "default"
'''
KINDS = [line.split('"')[1] for line in NODE.splitlines() if line.startswith('    "') and "kind(" in line]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    from pflow.registry import Registry

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    folder = tmp_path / "nodes"
    folder.mkdir()
    (folder / "odd_node.py").write_text(NODE)
    registry = Registry(tmp_path / "registry.json")
    nodes = registry.load()
    nodes |= {node.pop("name"): node for node in registry.scan_user_nodes(folder)}
    registry.save(nodes)
    return registry


@pytest.mark.parametrize("parallel", [False, True], ids=["in order", "parallel"])
def test_odd_exceptions_end_their_items_only(registry: Any, parallel: bool) -> None:
    from pflow.runtime import workflow_executor
    from pflow.runtime.compilation import compiler
    from pflow.runtime.engine import WorkflowEngine

    assert workflow_executor is not None
    wrong = {}
    pflow_lower.pflow.install()
    try:
        for name in KINDS:
            items = [name if at == 3 else "" for at in range(10)]
            batch = {"items": items, "error_handling": "continue", "parallel": parallel, "max_concurrent": 3}
            nodes = [{"id": "b", "type": "odd", "params": {"kind": "${item}"}, "batch": batch}]
            ir = {"ir_version": "0.1.0", "nodes": nodes, "edges": []}
            shared: dict[str, Any] = {}
            try:
                WorkflowEngine().run(compiler.compile_workflow(ir, registry, {}), shared)
            except Exception as error:  # noqa: BLE001  it may have no text
                wrong[name] = type(error).__name__
                continue
            found = shared["b"]
            failed = [error["index"] for error in found["errors"]]
            if (found["success_count"], failed) != (9, [3]):
                wrong[name] = found
    finally:
        pflow_lower.pflow.uninstall()
    assert wrong == {}


def test_an_odd_warning_ends_nothing(registry: Any) -> None:
    from pflow.runtime import workflow_executor
    from pflow.runtime.compilation import compiler
    from pflow.runtime.engine import WorkflowEngine

    assert workflow_executor is not None
    nodes = [{"id": "b", "type": "odd", "params": {"kind": "${item}"}, "batch": {"items": ["", "warning", ""]}}]
    shared: dict[str, Any] = {"__trace_collector__": None}
    pflow_lower.pflow.install()
    try:
        workflow = compiler.compile_workflow({"ir_version": "0.1.0", "nodes": nodes, "edges": []}, registry, {})
        WorkflowEngine().run(workflow, shared)
    finally:
        pflow_lower.pflow.uninstall()
    assert shared["b"]["success_count"] == 3
