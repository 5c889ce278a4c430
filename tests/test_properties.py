"""What must hold of every workflow: names, bytes, identity; and that formatters have nothing to say."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pflow_lower

PIECES = [
    *("word", "it's", 'say "hi"', "\n", "{x}", "{{ a }}", "{% b %}", "\\", "\\n", "'''", '"""', "\t", "é☃😀", "\x07"),
    *("\u2028", "\x7f", "\ufeff", "\r\n", "# no", " ", "$${esc}", "a" * 90),
    *("${item.title}", "${config.style}", "${rows[${__index__}].b}", "${__index__}", "${batch_total}"),
    *('${item.k ?? "it\'s"}', '${item.k ?? config.d ?? "z"}', "${item." + ".".join(["deep" * 8] * 3) + "}"),
]


class Workflows:
    """Random workflows of batch nodes, hostile on purpose, from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self) -> str:
        glue = self.random.choice(["", " "])
        return glue.join(self.random.choice(PIECES) for _ in range(self.random.randint(0, 14)))

    def value(self, depth: int = 0) -> Any:
        kind = self.random.random()
        if kind < 0.6 or depth > 3:
            return self.text()
        if kind < 0.7:
            return self.random.choice([1, -2, 1.5, None, True, [], {}, 1e30, 10**20])
        if kind < 0.85:
            return [self.value(depth + 1) for _ in range(self.random.randint(0, 4))]
        return {self.text()[:40]: self.value(depth + 1) for _ in range(self.random.randint(0, 4))}

    def node(self, number: int) -> dict[str, Any]:
        choose = self.random.choice
        inline = json.loads(json.dumps([self.value()]).replace("${batch_total}", "total"))  # not there yet
        batch: dict[str, Any] = {
            "items": choose(["${rows}", "${config.items}", "${rows}${rows}", inline, ["${rows}", 1]]),
            "as": choose(["item", "class", "a_rather_long_alias_for_an_item", "text", "call", "row\n"]),
            "parallel": choose([True, False]),
            "max_retries": choose([1, 3]),
            "retry_wait": choose([0, 0.5]),
        }
        kind = choose(["llm", "agent", "odd type", "${odd} $${type}"])
        names = {"llm": ["system", "images", "model"], "agent": ["prompt", "cwd", "config"]}.get(kind, [*"abcdef"])
        params = {choose(names): self.value() for _ in range(self.random.randint(0, 4))}
        if "model" in params:
            params["model"] = self.text()  # anything else is refused
        if batch["as"].isidentifier():  # a newline at its end is let through, and then nothing can name it
            params[names[0]] = f"${{{batch['as']}.x}} of ${{config.y}}"
        if self.random.random() < 0.3:
            params["inputs"] = {"config": "${rows}", "x": self.text()}
        return {"id": f"node-{number}", "type": kind, "params": params, "batch": batch}

    def workflow(self, nodes: int) -> dict[str, Any]:
        inputs = {"rows": {"type": "array"}, "config": {"type": "object"}, "item": {"type": "any"}}
        used = {"id": "uses", "type": "llm", "params": {"prompt": "${rows} ${config} ${item}"}}
        return {"ir_version": "0.1.0", "inputs": inputs, "nodes": [used, *map(self.node, range(nodes))]}


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of generated modules."""
    folder = tmp_path_factory.mktemp("modules")
    for seed in range(60):
        files = pflow_lower.lower(Workflows(seed).workflow(4)).files
        (folder / f"nodes_{seed}.py").write_text(files["nodes.py"], encoding="utf-8", newline="")
    return folder


@pytest.mark.parametrize("command", [["format", "--diff"], ["check", "--output-format", "concise"]])
def test_generated_code_is_clean_as_it_stands(modules: Path, command: list[str]) -> None:
    ruff = [sys.executable, "-m", "ruff", command[0], "--isolated", *command[1:], str(modules)]
    done = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_lowering_again_changes_nothing(seed: int) -> None:
    lowered = pflow_lower.lower(Workflows(seed).workflow(3))
    again = pflow_lower.lower(json.loads(lowered.files["lowered.json"]))
    assert again.files["lowered.json"] == lowered.files["lowered.json"]
    assert not any("batch" in node for node in lowered.ir["nodes"])


@pytest.mark.slow
@given(st.integers(0, 10_000), st.integers(0, 3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_new_node_changes_no_other_class(seed: int, place: int) -> None:
    workflow = Workflows(seed).workflow(3)
    before = classes(pflow_lower.lower(workflow).files["nodes.py"])
    workflow["nodes"].insert(place, {**Workflows(seed + 1).node(99), "id": "new_one"})
    after = classes(pflow_lower.lower(workflow).files["nodes.py"])
    assert {name: text for name, text in after.items() if name in before} == before
    assert len(after) == len(before) + 1


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_order_of_keys_changes_no_class(seed: int) -> None:
    workflow = Workflows(seed).workflow(2)
    turned = {key: workflow[key] for key in reversed(workflow)}
    turned["nodes"] = [{key: node[key] for key in reversed(node)} for node in workflow["nodes"]]
    assert pflow_lower.lower(turned).files["nodes.py"] == pflow_lower.lower(workflow).files["nodes.py"]


def classes(text: str) -> dict[str, str]:
    """The source of each class in a module."""
    parts = text.split("\n\n\nclass ")[1:]
    return {part.split("(")[0]: part.rstrip("\n") for part in parts}


def test_an_input_that_the_alias_hides_is_not_unused_afterwards() -> None:
    node = {"id": "a", "type": "llm", "params": {"prompt": "${item}"}, "batch": {"items": [1]}}
    workflow = {"ir_version": "0.1.0", "inputs": {"item": {"type": "any"}}, "nodes": [node]}
    lowered = pflow_lower.lower(workflow)
    assert lowered.ir["nodes"][0]["params"]["item"] == "${item ?? null}"
    assert pflow_lower.lower(dict(lowered.ir)).files["lowered.json"] == lowered.files["lowered.json"]


def test_programs_are_clean_however_long_the_ids(tmp_path: Path) -> None:
    for length in range(24, 84, 3):
        first, second, third = (f"{letter}{'-word' * 20}"[:length] + "x" for letter in "abc")
        batch = {"items": "${rows}", "as": "row"}
        nodes = [
            {"id": first, "type": "llm", "params": {"prompt": "${row}"}, "batch": batch},
            {"id": second, "type": "llm", "params": {"prompt": "${row}"}, "batch": {**batch, "parallel": True}},
            {"id": third, "type": "llm", "params": {"prompt": f"${{{first}.count}} ${{{second}.count}}"}},
        ]
        edges = [
            {"from": first, "to": second},
            {"from": second, "to": third},
            {"from": first, "to": third, "action": "error"},
            {"from": second, "to": third, "action": "a" * length},
        ]
        workflow = {"inputs": {"rows": {"type": "array"}}, "nodes": nodes, "edges": edges}
        files = pflow_lower.lower(workflow, program=True).files
        for name in ("nodes.py", "flow.py"):
            (tmp_path / f"{name[:-3]}_{length}.py").write_text(files[name], encoding="utf-8", newline="")
    ruff = [sys.executable, "-m", "ruff", "format", "--diff", "--isolated", str(tmp_path)]
    done = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
