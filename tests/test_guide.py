"""The guide is true: its commands print what it says, its workflows lower, and give in pflow what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from helpers.command import Run
from helpers.documents import complaints, surroundings
from helpers.provider import serving

import pflow_lower
from pflow_lower import pipeline, runtime
from pflow_lower.cli import cli
from pflow_lower.diagnostics.codes import CODES
from pflow_lower.diagnostics.explanations import fenced
from pflow_lower.lowering.names import RUNTIME
from pflow_lower.node_types.declared_type import outer_type
from pflow_lower.node_types.user_table import TYPES
from pflow_lower.options import Options
from pflow_lower.runtime import values
from pflow_lower.tools.guide.topics import FOLDER, topics

TOPICS = topics()
EXAMPLES = fenced(TOPICS["batches"].markdown)
WORKFLOWS = [example for example in EXAMPLES if example.kind in ("json", "markdown")]
GIVEN = [n for n, example in enumerate(EXAMPLES) if example.kind.startswith("json gives ")]
README = Path(__file__).parent.parent / "README.md"
ROOT = README.parent
PAGES = [README, *(FOLDER / f"{name}.md" for name in TOPICS)]


def test_without_a_topic_it_lists_them(run: Run) -> None:
    status, out, err = run("guide")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.split("\n\n")[0].splitlines()] == list(TOPICS)
    assert max(map(len, out.splitlines())) <= 88


@pytest.mark.parametrize("name", TOPICS)
def test_a_topic(name: str, run: Run) -> None:
    assert run("guide", name) == (0, TOPICS[name].markdown, "")


def test_an_unknown_topic(run: Run) -> None:
    assert run("guide", "batch") == (2, "", 'pflow-lower: no topic is called "batch"\n  did you mean `batches`?\n')
    status, out, err = run("guide", "xyz")
    assert (status, out) == (2, "")
    assert err == f'pflow-lower: no topic is called "xyz"\n  there are: {", ".join(TOPICS)}\n'


@pytest.mark.parametrize("name", TOPICS)
def test_topics_begin_alike(name: str) -> None:
    title, summary, rest = TOPICS[name].markdown.split("\n\n", 2)
    assert title.startswith("# ") and "\n" not in title + summary and rest
    assert summary.endswith(".")


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.stem)
def test_what_a_page_refers_to_is_there(file: Path) -> None:
    text = file.read_text("utf-8")
    assert set(re.findall(r"`pflow-lower guide ([\w-]+)`", text)) <= set(TOPICS)
    if file == README and not (ROOT / "compiler").exists():
        return  # runs away from the repository, without most of what the front page links to
    missing = [link for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text) if not (file.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.stem)
def test_commands_options_codes_and_variables_exist(file: Path) -> None:
    text = file.read_text("utf-8")
    assert set(re.findall(r"\bPFL\d{3}\b", text)) <= set(CODES)
    source = "".join(module.read_text("utf-8") for module in Path(pflow_lower.__file__).parent.rglob("*.py"))
    for variable in re.findall(r"\bPFLOW_LOWER\w*", text):
        assert f'"{variable}"' in source or variable == "PFLOW_LOWER_VERSIONS", variable
    shown = "".join(block.text for block in fenced(text) if block.kind.startswith(("console", "sh")))
    lines = re.findall(r"^(?:\$ )?(pflow-lower .*)", shown, re.MULTILINE)
    for line in [*lines, *re.findall(r"`(pflow-lower [^`\n]+)`", text)]:
        words = line.partition("  #")[0].split()[1:]
        name = words[0] if words[0] in cli.list_commands(click.Context(cli)) else "lower"
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert words[0] == name or re.search(r"\.|^[A-Z-]", words[0]), f"{line}: neither a command nor a workflow"
        if name not in ("pflow", "run"):  # whose other options are pflow's
            known = {option for parameter in command.get_params(click.Context(command)) for option in parameter.opts}
            assert {word for word in words if word.startswith("-") and word != "-"} <= known | {"--help"}, line


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of a POSIX shell")
@pytest.mark.parametrize("name", TOPICS)
def test_what_a_topic_shows_is_so(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    with serving() as provider:
        found = complaints(TOPICS[name].markdown, tmp_path, surroundings(provider))
    assert not found, "\n\n".join(found)


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


def test_the_types_of_a_parameter_are_those_that_a_table_takes() -> None:
    text = (FOLDER / "node-types.md").read_text(encoding="utf-8")
    listed, _, more = text.partition("`params` declares the type of a parameter: ")[2].partition(". What a list")
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(TYPES)
    for declared in re.findall(r"\(`([^`]*)`\)", more.partition(". As in")[0]):
        assert {outer_type(member).strip() for member in declared.split("|")} <= set(TYPES)


@pytest.mark.slow
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


def test_every_function_of_a_generated_expression_is_explained() -> None:
    text = (FOLDER / "review.md").read_text("utf-8").split("## Reading a generated class")[1].split("\n## ")[0]
    told = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", text))))
    functions = {name for name in RUNTIME if getattr(values, name, None) is getattr(runtime, name)}
    assert {name for name in functions if name.islower()} <= told
