"""Names and texts that would be something else where they are printed: in a log, in a terminal, in a comment."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import Run

from pflow_lower.diagnostics.diagnostic import for_log
from pflow_lower.tools.diff.show_markdown import sentence

ESCAPE = "\x1b]0;owned\x07\x9b31m"


def flow(path: str, node_id: str = "a", **params: object) -> None:
    node = {"id": node_id, "type": "llm", "params": {"prompt": "${item}", **params}, "batch": {"items": [1]}}
    Path(path).write_text(json.dumps({"nodes": [node]}))


# --- What plan prints


@pytest.mark.parametrize("name", [f"x{ESCAPE}.json", "::error::x.json", "x\n::error::y.json", "##[error]x.json"])
def test_plan_prints_nothing_that_a_runner_or_a_terminal_obeys(run: Run, name: str) -> None:
    flow(name)
    shown = run("plan", f"./{name}" if name.startswith("-") else name)
    assert shown.status == 0
    for line in (shown.out + shown.err).splitlines():
        assert line.isprintable() and not line.lstrip().startswith("::") and "##[" not in line, line


def test_plan_escapes_types_and_notes(run: Run) -> None:
    node = {"id": "a", "type": f"x\n::error::{ESCAPE}", "params": {}, "batch": {"items": "${in.::error::}"}}
    other = {"id": "b", "type": "::set-output name=x::y", "params": {}}
    Path("wf.json").write_text(json.dumps({"inputs": {"in": {"type": "object"}}, "nodes": [node, other]}))
    shown = run("plan", "wf.json")
    for line in (shown.out + shown.err).splitlines():
        assert line.isprintable() and not line.lstrip().startswith("::"), line


def test_findings_are_no_commands(run: Run) -> None:
    Path("::error::x.json").write_text("{")
    for arguments in (["::error::x.json"], ["lint", "."]):
        shown = run(*arguments)
        assert shown.status == 2
        assert not re.search(r"^\s*::", shown.out + shown.err, re.M)


@pytest.mark.parametrize(
    ("line", "shown"),
    [("a::b", "a::b"), ("  ::error::x", "  \\x3a:error::x"), ("x ##[y", "x #\\x23[y"), ("a\x1b", "a\\x1b")],
)
def test_a_line_of_a_log(line: str, shown: str) -> None:
    assert for_log(line) == shown


# --- What stands in a comment


@pytest.mark.parametrize(
    "text",
    [
        "www.evil.example",
        "https://evil.example",
        "#1",
        "o/r#1",
        "GH-12",
        ":+1:",
        "@someone",
        "a@b.example",
        "mailto:a@b.example",
        "0123456789abcdef0123456789abcdef01234567",
        "<b>x</b>",
        "![x](y)",
    ],
)
def test_what_an_author_wrote_is_no_link_in_a_comment(text: str) -> None:
    made = sentence(f"After its action {text} comes `b`.")
    plain = made.replace("&#8203;", "\u200b")
    for linked in (r"www\.", r"https?:/", r"#\d", r"GH-\d", r":\+1:", r"@\w", r"[0-9a-f]{7}", r"<b>", r"!\["):
        assert not re.search(linked, plain), made
    assert made.endswith(" comes `b`.")


def test_the_words_of_a_sentence_stay_words() -> None:
    assert sentence("The batch stops: nothing is read of `x`.") == "The batch stops: nothing is read of `x`."


# --- Names that are not UTF-8


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
@pytest.mark.parametrize(
    "command",
    [
        ["lower"],
        ["lower", "-o", "out"],
        ["lower", "--emit", "python"],
        ["plan"],
        ["lint"],
        ["check"],
        ["view", "--no-open"],
        ["diff", "other.json"],
        ["lint", "--format", "sarif"],
        ["lint", "--format", "junit"],
        ["lint", "--format", "github"],
    ],
    ids=" ".join,
)
def test_a_name_that_is_not_utf_8_is_a_finding(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flow("other.json")
    name = os.fsdecode(b"bad\xff.json")
    flow(name)
    script = Path(sys.executable).with_name("pflow-lower")
    shown = subprocess.run([script, *command, name], capture_output=True, check=False)
    assert shown.returncode == 2
    assert b"Traceback" not in shown.stderr
    assert b"bad" in shown.stdout + shown.stderr
    assert not Path("out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
def test_a_folder_whose_name_is_not_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / os.fsdecode(b"bad\xff")
    folder.mkdir()
    script = Path(sys.executable).with_name("pflow-lower")
    monkeypatch.chdir(folder)
    flow("wf.json")
    for command in (["wf.json"], ["plan", "wf.json"], ["wf.json", "-o", "../out"], ["lint", "."], ["check", ".."]):
        shown = subprocess.run([script, *command], capture_output=True, check=False)
        assert b"Traceback" not in shown.stderr and shown.returncode in (0, 2), shown


# --- Files that are something else than a workflow


TAKE_A_WORKFLOW = [[], ["plan"], ["lint"], ["view", "--no-open"], ["prove"], ["diff", "wf.json"]]


@pytest.mark.parametrize("command", [*TAKE_A_WORKFLOW, ["run"]], ids=str)
@pytest.mark.parametrize("name", ["nodes.py", "flow.py"])
def test_a_generated_module_as_workflow(run: Run, command: list[str], name: str) -> None:
    pytest.importorskip("pflow") if command == ["prove"] else None
    flow("wf.json")
    run("wf.json", "-o", "out", "--program")
    shown = run(*command, f"out/{name}")
    said = shown.out + shown.err
    assert shown.status == 2 and "PFL118" in said and "generated from ../wf.json" in said and "take wf.json" in said
    text = Path(f"out/{name}").read_text()
    Path(f"out/{name}").write_text(f"# licence\n{text}")
    assert "PFL118" in run(f"out/{name}").err


@pytest.mark.parametrize("command", TAKE_A_WORKFLOW, ids=str)
@pytest.mark.parametrize(
    ("name", "is_what"),
    [
        ("lowered.json", "the expanded IR of a workflow"),
        ("lowered.json.map.json", "the source map of lowered.json"),
        ("nodes.py.map.json", "the source map of nodes.py"),
    ],
)
def test_the_expanded_ir_and_source_maps_as_workflow(run: Run, command: list[str], name: str, is_what: str) -> None:
    pytest.importorskip("pflow") if command == ["prove"] else None
    flow("wf.json")
    run("wf.json", "-o", "out", "--maps")
    shown = run(*command, f"out/{name}")
    said = shown.out + shown.err
    assert shown.status == 2 and f"error[PFL118] this is {is_what}, which was generated from ../wf.json" in said
    assert "take wf.json instead" in said and "did you mean" not in said
    run(*command, "wf.json")  # is taken
    Path("out/nodes.py").unlink()
    assert "take" in run(f"out/{name}").err


def test_a_workflow_that_is_only_called_as_the_expanded_ir(run: Run) -> None:
    flow("lowered.json")
    assert run("lowered.json").status == 0


def test_a_folder_as_workflow(run: Run) -> None:
    Path("flows").mkdir()
    for command in ([], ["plan"], ["view", "--no-open"]):
        shown = run(*command, "flows")
        assert shown.status == 2 and "is a directory" in shown.err and "the workflow in it" in shown.err


# --- The command in a header


@pytest.mark.parametrize("name", ["-x.json", "--program", "-dir/x.json", "run", "check", ".hidden"])
def test_the_command_in_a_header_takes_the_workflow_for_one(run: Run, name: str) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    flow(name)
    assert run(f"./{name}", "-o", ".").status == 0
    header = Path("nodes.py").read_text(encoding="utf-8").splitlines()
    assert header[0].startswith(f"# Generated by pflow-lower from {name}. ")
    os.remove("nodes.py")
    assert run(*shlex.split(header[2].removeprefix("#"))[1:]).status == 0
    assert Path("nodes.py").read_text(encoding="utf-8").splitlines()[:3] == header[:3]
    assert run("check").status == 0
