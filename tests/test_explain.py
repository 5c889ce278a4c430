"""What `pflow-lower explain` says is true: every example gives what it says it gives."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pflow_lower import pipeline
from pflow_lower.diagnostics import CODES, Diagnostic, LowerError
from pflow_lower.explanations import FOLDER, Example, explanation
from pflow_lower.pipeline import Options

TO_READ_ONLY = {"PFL101", "PFL102", "PFL103", "PFL104", "PFL112", "PFL214", "PFL412", "PFL601", "PFL602"}
"""Codes whose wrong example is a command line: no file gives them, or none that one would print."""

TABLE_USER = '{"nodes": [{"id": "t", "type": "translate", "params": {"text": "${item}"}, "batch": {"items": ["a"]}}]}'


def said(example: Example, folder: Path) -> list[Diagnostic]:
    """All findings about an example."""
    kind, *flags = shlex.split(example.kind)
    if kind == "python":
        return said_in_python(example.text)
    if kind == "markdown":
        pytest.importorskip("pflow")
    file = folder / ("workflow.pflow.md" if kind == "markdown" else "workflow.json")
    file.write_text(TABLE_USER if kind == "toml" else example.text, encoding="utf-8")
    if kind == "toml":
        folder.joinpath("nodes.toml").write_text(example.text, encoding="utf-8")
    options = Options(
        out=folder / "out",
        program="--program" in flags,
        nodes_file=folder / "nodes.toml" if kind == "toml" else None,
    )
    try:
        return list(pipeline.run(str(file), options).diagnostics)
    except LowerError as error:
        return list(error.diagnostics)


def said_in_python(text: str) -> list[Diagnostic]:
    found: list[Diagnostic] = []

    class Watched:
        @staticmethod
        def lower(workflow: object) -> None:
            try:
                found.extend(pipeline.run(workflow).diagnostics)
            except LowerError as error:
                found.extend(error.diagnostics)

    exec(text, {"pflow_lower": Watched})  # noqa: S102  an example of ours
    return found


def test_every_code_has_an_explanation_and_no_other() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == set(CODES)


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_examples_are_true(code: str, tmp_path: Path) -> None:
    explained = explanation(code)
    assert explained is not None
    wrong, right = explained.examples("Wrong"), explained.examples("Right")
    assert wrong and right, "both headings, each with an example"
    tested = {"json", "markdown", "toml", "python"}
    assert {example.kind.split()[0] for example in wrong} <= tested or code in TO_READ_ONLY
    for example in wrong:
        if example.kind.split()[0] in tested:
            assert {finding.code for finding in said(example, tmp_path)} == {code}
    for example in right:
        if example.kind.split()[0] in tested:
            assert [finding.render() for finding in said(example, tmp_path)] == []


def test_explanations_are_of_the_length_of_the_terminal() -> None:
    for file in FOLDER.iterdir():
        for line in file.read_text(encoding="utf-8").splitlines():
            assert len(line) <= 120 or line.startswith(('{"', "    {")), f"{file.name}: {line}"
