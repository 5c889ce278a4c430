"""Malformed `${...}` where pflow's validator does not look: the same outcome, item by item, as without pflow-lower."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pflow")

import pflow_lower.pflow

MALFORMED = [
    "${",
    "${}",
    "${ item }",
    "${item",
    "${item.}",
    "${item[x]}",
    "${1a}",
    "${item ?? }",
    "${a b}",
    "${item|x}",
    "${?}",
]
LAYOUTS = ["{}", "{} ${{item}}", "${{item}} {}", "${{item}}{}", "a {} b ${{item}} c", "${{style}} {}", "$${{x}} {}"]
CONTAINERS = {
    "text": lambda text: {"text": text},
    "dict": lambda text: {"text": {"key": text, "other": "${item}"}},
    "list": lambda text: {"text": ["${item}", text]},
    "beside": lambda text: {"text": "${item}", "more": text},
}
MODES = ["strict", "permissive"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def workflows() -> Iterator[dict[str, Any]]:
    for malformed, layout, container, mode in itertools.product(MALFORMED, LAYOUTS, CONTAINERS, MODES):
        inputs = CONTAINERS[container](layout.format(malformed))
        names = "".join(f"{name}: object\n" for name in inputs)
        yield {
            "ir_version": "0.1.0",
            "template_resolution_mode": mode,
            "inputs": {"style": {"type": "string", "default": "terse"}},
            "nodes": [
                {
                    "id": "b",
                    "type": "code",
                    "params": {"code": f"{names}result: object = [{', '.join(inputs)}]", "inputs": inputs},
                    "batch": {"items": ["x", "y"], "error_handling": "continue"},
                }
            ],
            "edges": [],
        }


def outcome(ir: dict[str, Any], registry: Any) -> tuple[Any, str]:
    from pflow.runtime import workflow_executor
    from pflow.runtime.compilation import compiler
    from pflow.runtime.engine import WorkflowEngine

    assert workflow_executor is not None
    shared: dict[str, Any] = {"style": "terse"}
    try:
        WorkflowEngine().run(compiler.compile_workflow(copy.deepcopy(ir), registry, {"style": "terse"}), shared)
    except Exception as error:  # noqa: BLE001 - compared with what the other run raises
        return shared.get("b"), f"{type(error).__name__}: {error}"
    return shared.get("b"), ""


def said(result: tuple[Any, str]) -> str:
    """The outcome as text, without times."""
    found, error = copy.deepcopy(result)
    if isinstance(found, dict):
        found.pop("batch_metadata", None)
    return f"{found!r} {error}"


@pytest.mark.slow
def test_every_shape_of_malformed_text_ends_as_in_pflow(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pflow.registry import Registry

    registry = Registry(home / "registry.json")
    every = list(workflows())
    interpreted = [said(outcome(ir, registry)) for ir in every]
    assert sum("Template" in text or "malformed" in text.lower() for text in interpreted) > 100
    pflow_lower.pflow.install()
    try:
        lowered = [said(outcome(ir, registry)) for ir in every]
    finally:
        pflow_lower.pflow.uninstall()
    different = [
        (ir["nodes"][0]["params"]["inputs"], one, two)
        for ir, one, two in zip(every, interpreted, lowered, strict=True)
        if one != two
    ]
    assert not different, f"{len(different)} of {len(every)}: {different[0]}"
    assert "is malformed" in capsys.readouterr().err
