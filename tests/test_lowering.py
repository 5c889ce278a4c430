"""Lowering beyond what the golden cases show: what a generated class cannot keep is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pflow_lower
from pflow_lower import pipeline
from pflow_lower.emit.emit import summary

GOLDEN = Path(__file__).parent.parent / "golden" / "ok"

PROMPT_CACHE: dict[str, dict[str, Any]] = {
    "prewarm": {"prewarm": True, "params": {"prompt": "Greet ${item}"}},
    "prompt_cache": {"prompt_cache": ["rules"], "params": {"prompt": "Greet ${item}"}},
}


@pytest.mark.parametrize("key", PROMPT_CACHE)
def test_a_key_that_only_the_interpreter_honours_is_told(key: str) -> None:
    node = {"id": "greet", "type": "llm", "batch": {"items": ["Ann"]}, **PROMPT_CACHE[key]}
    told: dict[str, Any] = {
        "cache": {"items": [{"name": "rules", "var": "rules", "prose_before": ""}]},
        "inputs": {"rules": {"type": "string"}},
    }
    found = pflow_lower.lower({"nodes": [node], **told}).diagnostics
    assert [(one.code, one.where) for one in found] == [("PFL401", f"greet.{key}")]
    assert f"{key} is not carried over" in found[0].message


def test_a_changed_sentence_of_prose_changes_no_byte(tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    text = (GOLDEN / "markdown" / "workflow.pflow.md").read_text(encoding="utf-8")
    told = text.replace("Summarise one note.", "Summarise one note, in few words.\n\nNotes are short.")
    told = told.replace("Summarise every note of a folder", "Read a folder. Summarise every note of it")
    assert told != text
    made = []
    for version in (text, told):
        (tmp_path / "workflow.pflow.md").write_text(version, encoding="utf-8")
        made.append(pflow_lower.lower(tmp_path / "workflow.pflow.md", out=tmp_path, program=True).files)
    assert made[0] == made[1]


def test_an_optional_input_captures_a_node_only_where_it_may_be_absent() -> None:
    def captures(template: str | list[str]) -> str:
        node = {
            "id": "b",
            "type": "code",
            "params": {"inputs": {"v": template}, "code": "v: object | None\nresult: object = v"},
        }
        source = {"id": "src", "type": "code", "params": {"code": "result: object = {}"}}
        made = {"nodes": [source, {**node, "batch": {"items": [1, 2]}}], "edges": [{"from": "src", "to": "b"}]}
        return pflow_lower.lower(made).files["nodes.py"]

    assert "src=capture(" in captures("${src.result.o}")
    assert "src=capture(" not in captures('${src.result.o ?? "d"}')
    assert "src=capture(" not in captures(["${src.result.o}"])  # a list is never absent


def test_what_a_program_cannot_do_is_said_with_everything_else() -> None:
    node = {"id": "ask", "type": "shop.Ask", "approval": "required"}
    with pytest.raises(pflow_lower.LowerError) as caught:
        pflow_lower.lower({"nodes": [node]}, program=True)
    assert [found.code for found in caught.value.diagnostics] == ["PFL330", "PFL450"]


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({}, "one at a time, stops at the first failure"),
        ({"parallel": True, "error_handling": "continue"}, "up to 10 at once, goes on after failures"),
        ({"max_retries": 3}, "one at a time, 3 attempts, stops at the first failure"),
        ({"max_retries": 2, "retry_wait": 1.5}, "one at a time, 2 attempts, 1.5 s apart, stops at the first failure"),
    ],
)
def test_how_a_batch_runs_in_a_few_words(batch: dict[str, object], said: str) -> None:
    node = {"id": "a", "type": "shell", "params": {"command": "date"}, "batch": {"items": [1], **batch}}
    assert summary(pipeline.run({"nodes": [node]}).lowered.batches[0]) == said
