"""The guide is true: every workflow in it lowers, and gives in pflow what the guide says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import pflow_lower
from pflow_lower import pipeline
from pflow_lower.cli import cli
from pflow_lower.diagnostics.explanations import fenced
from pflow_lower.options import Options

GUIDE = (Path(pflow_lower.__file__).parent / "tools/guide/guide.md").read_text(encoding="utf-8")
EXAMPLES = fenced(GUIDE)
WORKFLOWS = [example for example in EXAMPLES if example.kind in ("json", "markdown")]
GIVEN = [n for n, example in enumerate(EXAMPLES) if example.kind.startswith("json gives ")]


def test_guide() -> None:
    shown = CliRunner().invoke(cli, ["guide"])
    assert (shown.exit_code, shown.output) == (0, GUIDE)


@pytest.mark.parametrize("example", WORKFLOWS, ids=range(len(WORKFLOWS)))
def test_every_workflow_lowers_without_a_remark(example: Any, tmp_path: Path) -> None:
    if example.kind == "markdown":
        pytest.importorskip("pflow")
    file = tmp_path / ("workflow.pflow.md" if example.kind == "markdown" else "workflow.json")
    file.write_text(example.text, encoding="utf-8")
    compiled = pipeline.run(str(file), Options(program=True, out=tmp_path))
    assert compiled.diagnostics == ()
    assert compiled.lowered.batches


def test_markdown_and_json_are_the_same() -> None:
    pytest.importorskip("pflow")
    from pflow_lower.load.markdown import from_markdown

    markdown, as_json = (example.text for example in WORKFLOWS[:2])
    one, two = from_markdown(markdown, "workflow.pflow.md", None).data, json.loads(as_json)
    assert [(node["id"], node["params"], node.get("batch")) for node in one["nodes"]] == [
        (node["id"], node["params"], node.get("batch")) for node in two["nodes"]
    ]


def test_what_workflows_give_is_what_the_guide_says(tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    assert len(GIVEN) >= 3
    requests = [{"ir": {"ir_version": "0.1.0", **json.loads(EXAMPLES[n - 1].text)}, "inputs": {}} for n in GIVEN]
    script = Path(__file__).parent / "helpers" / "guide_in_pflow.py"
    home = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}  # pflow writes its registry there
    command = [sys.executable, str(script)]
    run = subprocess.run(command, input=json.dumps(requests), capture_output=True, text=True, check=True, env=home)
    for n, given in zip(GIVEN, json.loads(run.stdout), strict=True):
        node = EXAMPLES[n].kind.removeprefix("json gives ")
        assert isinstance(given, dict), given
        assert shown_of(json.loads(EXAMPLES[n].text), given[node]) == json.loads(EXAMPLES[n].text)


def shown_of(told: Any, given: Any) -> Any:
    """What of `given` the guide shows: of objects the keys it names, of lists everything."""
    if isinstance(told, dict) and isinstance(given, dict):
        return {key: shown_of(told[key], given[key]) for key in told if key in given}
    if isinstance(told, list) and isinstance(given, list) and len(told) == len(given):
        return [shown_of(one, other) for one, other in zip(told, given, strict=True)]
    return given
