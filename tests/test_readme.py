"""README.md: what it shows of generated code is what is generated."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pflow_lower

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_example_is_what_comes_out() -> None:
    before, after, code = re.findall(r"```(?:json|python)\n(.*?)```", README, re.DOTALL)[:3]
    workflow = {
        "ir_version": "0.1.0",
        "inputs": {"config": {"type": "object"}},
        "nodes": [{"id": "list_issues", "type": "http", "params": {"url": "https://example.org"}}, json.loads(before)],
        "edges": [{"from": "list_issues", "to": "classify"}],
    }
    lowered = pflow_lower.lower(workflow)
    assert lowered.ir["nodes"][1] == json.loads(after)
    generated = lowered.files["nodes.py"]
    assert generated[generated.index("class ClassifyBatch") :] == code


def test_the_commands_to_try_are_two() -> None:
    section = README.split("## Try it")[1].split("\n## ")[0]
    commands = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert len(commands) == 2 and all(command.count("\n") == 1 for command in commands)


def test_every_file_it_names_is_there() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (Path(__file__).parent.parent / link).exists(), link
