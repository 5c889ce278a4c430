"""verify: what the compiler must never make, made by hand, is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pflow_lower
from pflow_lower import pipeline
from pflow_lower.emit.verify import BrokenPromise, verify_files, verify_lowered, verify_program
from pflow_lower.options import Options

WORKFLOW: dict[str, Any] = {
    "ir_version": "0.1.0",
    "inputs": {"rows": {"type": "array"}, "style": {"type": "string"}},
    "nodes": [
        {"id": "one", "type": "llm", "params": {"prompt": "${style}: ${item.a}"}, "batch": {"items": "${rows}"}},
        {"id": "two", "type": "shell", "params": {"command": "echo ${one.count}"}},
    ],
    "edges": [{"from": "one", "to": "two"}],
}


@pytest.fixture(scope="module")
def compiled() -> pipeline.Compiled:
    return pipeline.run(WORKFLOW, Options(program=True))


def test_what_the_compiler_makes_is_fine(compiled: pipeline.Compiled) -> None:
    verify_lowered(compiled.lowered)
    verify_files(compiled.lowered, compiled.files)
    verify_program(compiled.files["flow.py"])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"""Batch nodes', 'import os\n"""Batch nodes', "head"),
        ("class OneBatch", "class Other", "classes are"),
        ('node_id = "one"', 'node_id = "two"', "attributes"),
        ('node_id = "one"', 'node_id = "one"\n    os = 1\n    import os', "has a Import"),
        ("item, given_text = call.item", "item, given_text = open, call.item", "uses open"),
        ("text_at(item, 'a')", "text_at(item.__class__, 'a')", "reads .__class__"),
        ("text_at(item, 'a')", "(lambda: 1)()", "has a Lambda"),
        ("def post", "def extra(self): pass\n\n    def post", "methods are"),
        ("return publish(shared", "import os\n        return publish(shared", "has a Import"),
    ],
)
def test_a_module_of_another_shape(compiled: pipeline.Compiled, before: str, after: str, said: str) -> None:
    text = compiled.files["nodes.py"]
    assert before in text
    with pytest.raises(BrokenPromise, match=said):
        verify_files(compiled.lowered, {"nodes.py": text.replace(before, after)})


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("INPUTS:", "print()\nINPUTS:", "has a Expr"),
        ("one >> two", "one >> os", "uses os"),
        ("one >> two", "one.x >> two", "reads .x"),
        ("one >> two", "[n for n in two]", "has a ListComp"),
        ("raise SystemExit", "pass\n    raise SystemExit", "begin or end"),
    ],
)
def test_a_program_of_another_shape(compiled: pipeline.Compiled, before: str, after: str, said: str) -> None:
    text = compiled.files["flow.py"]
    assert before in text
    with pytest.raises(BrokenPromise, match=said):
        verify_program(text.replace(before, after))


def test_an_ir_of_another_shape(compiled: pipeline.Compiled) -> None:
    lowered = compiled.lowered
    (batch,) = lowered.batches
    node = dict(lowered.document["nodes"][0])

    def with_node(**changes: Any) -> Any:
        return {**lowered.document, "nodes": [{**node, **changes}, *lowered.document["nodes"][1:]]}

    for broken, said in [
        (lowered._replace(document=with_node(batch={})), "still has a batch"),
        (lowered._replace(document=with_node(type="llm")), "has the type"),
        (lowered._replace(document=with_node(params={"refs": {"a": "${b}"}})), "nested"),
        (lowered._replace(batches=(batch._replace(alias="not a name"),)), "is not a Python name"),
        (lowered._replace(batches=(batch._replace(captures=batch.captures * 2),)), "captured names"),
        (lowered._replace(batches=(batch, batch)), "one name"),
    ]:
        with pytest.raises(BrokenPromise, match=said):
            verify_lowered(broken)


def test_the_api_checks_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pflow_lower.emit import emit

    monkeypatch.setattr(emit, "docstring", lambda text: '"""x"""; import os')
    with pytest.raises(BrokenPromise):
        pflow_lower.lower(WORKFLOW)
