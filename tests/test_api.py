"""The Python API: what `import pflow_lower` promises."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from pocketflow import Flow, Node

import pflow_lower

WORKFLOW: dict[str, Any] = {
    "ir_version": "0.1.0",
    "inputs": {"rows": {"type": "array"}},
    "nodes": [
        {"id": "double", "type": "twice", "params": {"n": "${row.n}"}, "batch": {"items": "${rows}", "as": "row"}}
    ],
}


class Twice(Node):  # type: ignore[misc]  # pocketflow is not typed
    def prep(self, shared: Any) -> Any:
        return self.params["n"]

    def exec(self, n: Any) -> Any:
        return 2 * n

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["twice"] = exec_res


def test_from_a_dict_to_a_running_class() -> None:
    lowered = pflow_lower.lower(WORKFLOW)
    assert set(lowered.files) == {"lowered.json", "nodes.py"}
    assert lowered.ir["nodes"][0]["type"] == "nodes:DoubleBatch"
    assert [found.code for found in lowered.diagnostics] == ["PFL330"]  # an unknown type
    shared: dict[str, Any] = {"rows": [{"n": 1}, {"n": 2}]}
    Flow(start=lowered.load()["double"](Twice())).run(shared)
    assert [result["twice"] for result in shared["double"]["results"]] == [2, 4]
    assert shared["double"]["count"] == 2


def test_the_source_of_a_loaded_class_is_known() -> None:
    lowered = pflow_lower.lower(WORKFLOW)
    cls = lowered.load()["double"]
    assert inspect.getsource(cls.exec) in lowered.files["nodes.py"]
    shared: dict[str, Any] = {"rows": [{}]}
    with pytest.raises(ValueError, match=r"\$\{row\.n\}: no 'n' in an empty object") as caught:
        cls(Twice())._run(shared)
    shown = "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
    assert '"n": find(row, "n")' in shown
    if sys.version_info >= (3, 11):
        assert "double: item [0], attempt 1 of 1" in shown


def test_from_a_path_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    lowered = pflow_lower.lower(tmp_path / "workflow.json", out=tmp_path / "out")
    written = lowered.write(tmp_path / "out")
    names = ["lowered.json", "nodes.py"]
    assert [path.name for path in written] == names
    assert "from ../workflow.json." in (tmp_path / "out" / "nodes.py").read_text()
    assert lowered.write(tmp_path / "out") == []  # nothing changed
    mapped = pflow_lower.lower(tmp_path / "workflow.json", out=tmp_path / "out", maps=True)
    written = mapped.write(tmp_path / "out")  # nodes.py names the command that makes the maps, too
    assert [path.name for path in written] == ["nodes.py", "lowered.json.map.json", "nodes.py.map.json"]


def test_errors_come_all_at_once() -> None:
    broken = {**WORKFLOW, "nodes": [{**WORKFLOW["nodes"][0], "batch": {"items": "${rowz}", "max_retries": 0}}]}
    with pytest.raises(pflow_lower.LowerError) as caught:
        pflow_lower.lower(broken)
    codes = {found.code for found in caught.value.diagnostics}
    assert {"PFL204", "PFL301"} <= codes
    assert "did you mean ${rows}?" in str(caught.value)


def test_the_workflow_is_left_as_it_was() -> None:
    before = json.dumps(WORKFLOW)
    lowered = pflow_lower.lower(WORKFLOW)
    assert json.dumps(WORKFLOW) == before
    assert lowered.ir is not WORKFLOW


def test_evaluate() -> None:
    assert pflow_lower.evaluate('Hello ${user.name ?? "you"}', {"user": {"name": "Ada"}}) == "Hello Ada"
    with pytest.raises(pflow_lower.UnresolvedError) as caught:
        pflow_lower.evaluate("${a.b} ${c}", {"a": {}})
    assert caught.value.unresolved == ("a.b", "c")
    assert pflow_lower.evaluate("${a.b} ${c}", {"a": {}}, mode="permissive") == "${a.b} ${c}"


def test_names_stay_what_they_are_whatever_is_imported_first() -> None:
    script = (
        "import pflow_lower.lowering.lower, pflow_lower.emit.evaluation, pflow_lower as p;"
        "p.lower({'ir_version': '0.1.0', 'nodes': [{'id': 'a', 'type': 'shell'}]});"
        "print(callable(p.lower), callable(p.evaluate), sorted(set(p.__all__) - set(dir(p))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True True []"
