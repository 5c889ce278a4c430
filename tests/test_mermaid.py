"""Mermaid flowcharts: what they show, and that no text of a workflow becomes Mermaid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from pflow_lower.cli import cli
from pflow_lower.tools.lower.mermaid import before_and_after

GOLDEN = Path(__file__).parent.parent / "golden" / "ok"

LABEL = r"(?:[\w _\-.,/+=?!*()\[\]{}$:\u2060]|#[0-9]+;|<br/>)+"
LINE = re.compile(
    rf'flowchart TD|  classDef batch stroke-width:3px| *end| *subgraph (?:before|after)\["as (?:written|lowered)"\]'
    rf'| *[ab]\d+\["{LABEL}"\]| *[ab]\d+\[\["{LABEL}"\]\]:::batch'
    rf'| *[ab]\d+ -->(?:\|"{LABEL}"\|)? [ab]\d+'
)

texts = st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from('"`#&<>|[]{}%;\n\\$')) | st.sampled_from(
    ["end", "%%{init: {}}%%", "</script>", 'click n0 "javascript:x"', "$$x$$", "<br/>", "&quot;", "#quot;"]
)
nodes = st.fixed_dictionaries(
    {"id": texts, "type": texts},
    optional={
        "params": st.dictionaries(texts, texts) | st.fixed_dictionaries({"inner": texts}),
        "batch": st.fixed_dictionaries(
            {"items": texts | st.lists(texts, min_size=1)},
            optional={"as": texts, "parallel": st.booleans(), "max_retries": st.integers(1, 10)},
        ),
    },
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    listed = draw(st.lists(nodes, min_size=1, max_size=4, unique_by=lambda node: node["id"]))
    ids = st.sampled_from([node["id"] for node in listed])
    edge = st.fixed_dictionaries({"from": ids, "to": ids}, optional={"action": texts})
    return {"nodes": listed, "edges": draw(st.lists(edge, max_size=4))}


@given(document=documents())
def test_no_text_becomes_mermaid(document: dict[str, Any]) -> None:
    """The real Mermaid parser reads all that this grammar allows as what it says."""
    lines = before_and_after(document, document).split("\n")
    for line in lines:
        assert LINE.fullmatch(line), line
    drawn = {(edge["from"], edge.get("action", "default")) for edge in document["edges"]}
    assert sum(line.lstrip()[:1] in "ab" and " -->" in line for line in lines) == 2 * len(drawn)


def test_a_replaced_edge_is_not_drawn() -> None:
    nodes = [{"id": name, "type": "shell"} for name in "abc"]
    written = [("a", "b", {}), ("a", "b", {"action": ""}), ("a", "c", {"action": "default"})]
    document = {"nodes": nodes, "edges": [{"from": first, "to": then, **more} for first, then, more in written]}
    drawn = [line.strip() for line in before_and_after(document, document).split("\n") if " -->" in line]
    assert drawn[:2] == ['b0 -->|"#34;#34;"| b1', "b0 --> b2"]


@pytest.mark.parametrize("case", ["issue-classifier", "error-edge", "hostile-strings"])
def test_emit_graph(case: str, snapshot: SnapshotAssertion) -> None:
    shown = CliRunner().invoke(cli, [str(GOLDEN / case / "workflow.json"), "--emit", "graph", "-q"])
    assert shown.exit_code == 0
    assert shown.output == snapshot


def test_what_runs_is_what_edges_lead_to() -> None:
    document = {"nodes": [{"id": "a", "type": "shell"}, {"id": "b", "type": "shell"}]}
    assert "-->" not in before_and_after(document, document)


# --- --print-changed


def changes(workflow: dict[str, Any], tmp_path: Path, *flags: str) -> str:
    (tmp_path / "workflow.json").write_text(json.dumps(workflow))
    shown = CliRunner().invoke(cli, [str(tmp_path / "workflow.json"), "--print-changed", "-o", str(tmp_path), *flags])
    return shown.output


def test_print_changed(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    node = {
        "id": "greet",
        "type": "my:Greeter",
        "params": {"text": "Hello ${name}, ${style}"},
        "batch": {"items": ["Ann", "Bob"], "as": "name"},
    }
    workflow = {"inputs": {"style": {"type": "string"}}, "nodes": [node]}
    (tmp_path / "my.py").write_text("from pocketflow import Node\n\n\nclass Greeter(Node):\n    pass\n")
    assert changes(workflow, tmp_path).rpartition("wrote ")[0] == snapshot


def test_stages_that_change_nothing_say_nothing(tmp_path: Path) -> None:
    node = {"id": "greet", "type": "shell", "params": {"command": "echo hello"}}
    assert changes({"nodes": [node]}, tmp_path, "-q") == ""


def test_changes_up_to_an_error_are_shown(tmp_path: Path) -> None:
    node = {"id": "greet", "type": "shell", "params": {"command": "echo ${nobody}"}, "batch": {"items": ["Ann"]}}
    shown = changes({"nodes": [node]}, tmp_path)
    assert "+++ after validate" in shown and "+++ after analyse" not in shown and "PFL301" in shown
