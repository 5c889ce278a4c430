"""A key that stands twice is said with both places, wherever it stands: of two values, readers keep one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.command import Run

from pflow_lower import lower
from pflow_lower.diagnostics.diagnostic import LowerError
from pflow_lower.load.load import load

HEAD = "# W\n\nDoes it.\n\n## Steps\n\n### a\n\nDoes.\n\n"


def twice(tmp_path: Path, text: str, **files: str) -> list[str]:
    pytest.importorskip("pflow")
    for name, content in files.items():
        (tmp_path / name.replace("_", ".")).write_text(content)
    file = tmp_path / "w.pflow.md"
    file.write_text(text)
    found = [one for one in load(file).warnings if one.code == "PFL106"]
    return [one.render().splitlines()[0].removeprefix(f"{tmp_path}/") for one in found]


@pytest.mark.parametrize(
    ("body", "place", "said"),
    [
        ("- type: shell\n- command: a\n- command: b\n", "13:3", 'a: the key "command" stands twice; first on line 12'),
        ("- type: shell\n- command: a\n- env:\n    A: 1\n    A: 2\n", "15:5", 'a.env: the key "A" stands twice'),
        ("- type: shell\n- command: a\n- env: {A: 1, A: 2}\n", "13:15", 'a.env: the key "A" stands twice'),
        ("- type: shell\n- command: a\n  type: http\n- url: x\n", "13:3", 'a: the key "type" stands twice'),
        ("- type: shell\n- command: a\n  cwd: x\n  cwd: y\n", "14:3", 'a: the key "cwd" stands twice'),
        (
            "- type: shell\n- command: echo\n\n```yaml batch\nitems:\n  - {k: 1, k: 2}\n```\n",
            "16:12",
            'a.batch.items[0]: the key "k" stands twice; first on line 16',
        ),
        (
            "- type: shell\n- command: echo\n\n```yaml batch\nitems: [1]\nitems: [2]\n```\n",
            "16:1",
            'a.batch: the key "items" stands twice; first on line 15',
        ),
    ],
)
def test_in_markdown(tmp_path: Path, body: str, place: str, said: str) -> None:
    (found,) = twice(tmp_path, HEAD + body)
    assert found.startswith(f"w.pflow.md:{place}: warning[PFL106] {said}"), found


def test_in_front_matter_and_under_inputs_and_outputs(tmp_path: Path) -> None:
    inputs = "## Inputs\n\n### k\n\nIn.\n\n- type: array\n- type: string\n\n## Steps"
    text = HEAD.replace("## Steps", inputs) + "- type: shell\n- command: a\n"
    text += "\n## Outputs\n\n### o\n\nOut.\n\n- source: ${a.stdout}\n- source: ${a.stderr}\n"
    found = twice(tmp_path, f"---\nx: 1\nx: 2\n---\n{text}")
    assert [one.partition("]")[2] for one in found] == [
        f" {key} stands twice; first on line {line}"
        for key, line in [('the key "x"', 2), ('k: the key "type"', 15), ('o: the key "source"', 33)]
    ]


@pytest.mark.parametrize(
    "body",
    [
        "- type: shell\n- command: a\n\n* note: a\n* note: b\n",
        "- type: shell\n- command: |\n    - x: 1\n    - x: 2\n",
        "- type: shell\n- command: a\n- env:\n    <<: &b {A: 1}\n    <<: *b\n    A: 2\n",
        "- type: shell\n- command: a\n- stdin:\n    x: &a {k: 1}\n    y: *a\n",
        "- type: shell\n- command: a\n- stdin: {${k.a}: a, ${k.b}: b}\n",
    ],
)
def test_what_only_looks_so(tmp_path: Path, body: str) -> None:
    assert twice(tmp_path, f"{HEAD}{body}\n## Notes\n\n- note: a\n- note: b\n") == []


def test_in_a_file_of_data(tmp_path: Path) -> None:
    body = "- type: shell\n- command: echo ${item}\n- batch: ./b.yaml\n"
    (found,) = twice(tmp_path, HEAD + body, b_yaml="items: [1]\nparallel: true\nparallel: false\n")
    assert found.startswith('b.yaml:3:1: warning[PFL106] the key "parallel" stands twice; first on line 2')
    (tmp_path / "h.json").write_text('{"a": 1,\n "a": 2}')
    node = {"id": "a", "type": "http", "params": {"url": "x", "headers": "./h.json"}}
    (tmp_path / "w.json").write_text(json.dumps({"nodes": [node]}))
    with pytest.raises(LowerError) as refused:
        lower(tmp_path / "w.json")
    (one,) = refused.value.diagnostics
    assert one.render().startswith(f'{tmp_path}/h.json:2:2: error[PFL106] the key "a" stands twice; first on line 1')


def test_lint_says_so(run: Run, tmp_path: Path, monkeypatch: Any) -> None:
    pytest.importorskip("pflow")
    monkeypatch.chdir(tmp_path)
    Path("w.pflow.md").write_text(HEAD + "- type: shell\n- command: a\n- command: b\n")
    said = run("lint", "w.pflow.md")
    assert said.status == 1
    assert "PFL106" in said.out
