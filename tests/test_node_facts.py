"""What lint and plan know of pflow's node types, held against the types themselves."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("pflow")

from pflow.execution.result import RunnerConfig
from pflow.execution.runner import WorkflowRunner

from pflow_lower.load.load import load
from pflow_lower.node_types import lookup
from pflow_lower.tools.shared import node_facts
from pflow_lower.validate.validate import validate

CORE = json.loads(Path(lookup.__file__).with_name("core_types.json").read_bytes())["types"]
TYPES = sorted(set(node_facts._KNOWN) - {"workflow", "pflow.runtime.workflow_executor"})


def made(type_name: str) -> Any:
    module, _, name = CORE[type_name]["class"].partition(":")
    return getattr(importlib.import_module(module), name)()


@pytest.mark.parametrize("type_name", TYPES)
def test_own_attempts(type_name: str) -> None:
    node, known = made(type_name), node_facts._KNOWN[type_name]
    assert (node.max_retries, node.wait) == (known.own, known.wait)


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
    if node_facts._KNOWN[type_name].raises:
        with pytest.raises(RuntimeError):
            node._exec(prepared)
    else:
        assert node._exec(prepared)["error"]
    assert node.exec.call_count == node_facts._KNOWN[type_name].own


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
    assert node_facts.budget_of(source.nodes[0]).waits() == sum(waits)
