"""What real pflow 0.16 recorded, workflow by workflow, through generated classes: everything a user can see.

The cases are in `conformance/batch`, recorded by `conformance/observe.py` in the interpreter. The two places
where a lowered batch is different on purpose are tests of their own, at the end.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("pflow")

import pflow_lower.pflow

CONFORMANCE = Path(__file__).parent / "conformance"
CASES = {file.stem: file for file in sorted((CONFORMANCE / "batch").glob("*.json"))}
DIFFERENT_ON_PURPOSE = {"raise_one_fail_fast_parallel"}


@pytest.fixture(scope="module")
def observe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance_observe", CONFORMANCE / "observe.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """pflow-lower is on; the ids of the nodes whose batches ran, each with what ran it."""
    from pflow_lower.pflow.engine_0_16 import adapter as attach

    found: list[str] = []
    execute = attach.execute

    def noted(original: Any, node: Any, config: Any, shared: Any, run_one: Any) -> Any:
        lowered = isinstance(config.batch_config, attach.LoweredBatchConfig)
        found.append("generated class" if lowered else f"{config.node_id}: interpreter")
        return execute(original, node, config, shared, run_one)

    monkeypatch.setattr(attach, "execute", noted)
    for variable in ("HOME", "PYTHONDONTWRITEBYTECODE"):  # the harness sets them
        monkeypatch.setenv(variable, "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    pflow_lower.pflow.install()
    yield found
    pflow_lower.pflow.uninstall()
    logging.disable(logging.NOTSET)


def test_the_cases_are_there() -> None:
    assert len(CASES) >= 80


@pytest.mark.parametrize("name", sorted(CASES.keys() - DIFFERENT_ON_PURPOSE))
def test_as_recorded(name: str, observe: ModuleType, ran: list[str]) -> None:
    case, expected, got = observe.run_case(CASES[name], True)
    assert list(observe.differences(expected, got)) == []
    # Every batch that pflow executed ran through its generated class: none was refused before its start.
    batches = {node["id"] for node in case["ir"]["nodes"] if "batch" in node}
    executed = {event["node_id"] for event in expected["trace"]} & batches
    assert set(ran) == ({"generated class"} if executed else set())
    assert len(ran) >= len(executed)


# --- Different on purpose (design.md)


def parallel_fail_fast(observe: ModuleType) -> tuple[dict[str, Any], dict[str, Any]]:
    _, expected, got = observe.run_case(CASES["raise_one_fail_fast_parallel"], True)
    return expected, got


def test_parallel_fail_fast_counts_what_ran(observe: ModuleType, ran: list[str]) -> None:
    """pflow counts items that were cancelled before they ran as errors; here only what ran is counted.

    How many items had started when one failed depends on timing, in pflow as well (the case is "racy").
    """
    expected, got = parallel_fail_fast(observe)
    outcome = got["failures"]["b"]["data"]
    assert ran == ["generated class"]
    assert outcome["count"] == len(outcome["results"]) + len(outcome["errors"])
    assert outcome["error_count"] == len(outcome["errors"]) == 1
    assert not [error for error in outcome["errors"] if "Executor error" in error["error"]]
    racy = (".count", ".results", ".success_count", ".progress", ".batch_items", ".timing")
    assert [path for path, _, _ in observe.differences(expected, got, loose=racy) if "batch_metadata" not in path] == []


def test_parallel_fail_fast_reports_the_lowest_index(
    observe: ModuleType, ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """pflow reports the failure that finishes first; here it is the failed item with the lowest index."""
    case = json.loads(CASES["raise_one_fail_fast_parallel"].read_text())
    node = case["ir"]["nodes"][0]
    node["type"] = "shell"
    node["params"] = {"command": "sleep ${item.wait}; echo ${item.wait} >&2; exit 1"}
    node["batch"] = {"items": [{"wait": 0.3}, {"wait": 0}], "parallel": True, "max_concurrent": 2}
    del case["ir"]["inputs"]
    case["inputs"] = {}
    changed = tmp_path / "case.json"
    changed.write_text(json.dumps(case))
    _, _, got = observe.run_case(changed, True)
    assert ran == ["generated class"]
    assert [error["index"] for error in got["failures"]["b"]["data"]["errors"]] == [0, 1]
    assert "failed at item [0]" in got["errors"][0]["message"]
