"""Tables that say how workflows are run: each wrong entry is found where it stands, by what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.command import Run

from pflow_lower.diagnostics.diagnostic import LowerError
from pflow_lower.node_types import run_tables
from pflow_lower.runtime import RayOptions


def test_a_table_and_a_generated_class_know_the_same_needs() -> None:
    assert set(run_tables._ON_KEYS) == RayOptions.__annotations__.keys()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("b = { num_cpu = 2 }", "unknown key 'num_cpu'"),
        ("b = {}", "says nothing of what a node needs"),
        ("b = 2", "says nothing of what a node needs"),
        ('b = { num_cpus = "2" }', "'2' is not an amount"),
        ("b = { memory = -1 }", "-1 is not an amount"),
        ("b = { num_gpus = 1.5 }", "Ray has no 1.5"),
        ('b = { runtime_env = "small" }', "not a table of Ray's"),
    ],
)
def test_what_a_node_cannot_need_on_ray_is_a_finding(tmp_path: Path, entry: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.pflow-lower.on]\n{entry}\n")
    with pytest.raises(LowerError) as caught:
        run_tables.ray_options_for(tmp_path)
    [found] = caught.value.diagnostics
    assert message in found.message and found.code == "PFL413"
    assert found.file and "pyproject.toml" in found.file
    assert found.position is not None and found.position.line == 2


FAULTY = {
    "journal": (
        '[tool.pflow-lower.journal]\ndir = ""\n',
        "2:1: error[PFL413] tool.pflow-lower.journal.dir: names no folder",
    ),
    "rates": (
        "[tool.pflow-lower.rates]\nall = 1\n",
        "2:1: error[PFL413] tool.pflow-lower.rates.all: a budget is a rate",
    ),
    "on": (
        "[tool.pflow-lower.on]\nb = 2\n",
        "2:1: error[PFL413] tool.pflow-lower.on.b: says nothing of what a node needs",
    ),
    "nodes": (
        "[tool.pflow-lower.nodes]\nb = 2\n",
        "2:1: error[PFL411] tool.pflow-lower.nodes.b: a node type is a string",
    ),
    "an unknown one": ("[tool.pflow-lower.jurnal]\n", "tool.pflow-lower.jurnal: unknown key 'jurnal'"),
    "no TOML": ("[tool.pflow-lower\n", "TOML: Expected ']'"),
}
COMMANDS = [
    ["wf.json"],
    ["wf.json", "-o", "out"],
    ["wf.json", "-o", "out", "--program"],
    ["check", "out"],
    ["lint", "wf.json"],
    ["plan", "wf.json"],
    ["diff", "wf.json", "other.json"],
    ["view", "wf.json", "--no-open", "-o", "page"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(("table", "said"), FAULTY.values(), ids=FAULTY)
def test_a_faulty_table_is_said_once_at_its_place_by_every_command(
    tmp_path: Path, run: Run, command: list[str], table: str, said: str
) -> None:
    batch = {"items": [1, 2], "resume": True}
    node = {"id": "b", "type": "shell", "params": {"command": "echo ${item}"}, "batch": batch}
    for name in ("wf.json", "other.json"):
        (tmp_path / name).write_text(json.dumps({"nodes": [node, {**node, "id": "c"}]}))
    assert run("wf.json", "-o", "out").status == 0
    (tmp_path / "pyproject.toml").write_text(table)
    shown = run(*command)
    assert shown.status == 2
    assert (shown.out + shown.err).count(said) == 1 and "\\n" not in shown.out + shown.err


UNREAD = {
    "of pyproject.toml": ("[nodes]\nx = 'm:X'\n", "unknown key 'nodes'\n  this table stands in pyproject.toml: [tool."),
    "misspelt": ("[rate]\nall = '1/s'\n", "unknown key 'rate'\n  did you mean [rates]?"),
    "of no use": ("[colours]\n", "unknown key 'colours'\n  the tables of this file are [journal], [[lowerings]], [on]"),
}


@pytest.mark.parametrize("command", [*COMMANDS[:3], ["lint", "wf.json"], ["plan", "wf.json"]], ids=" ".join)
@pytest.mark.parametrize(("table", "said"), UNREAD.values(), ids=UNREAD)
def test_a_table_that_nobody_reads_where_it_stands_is_a_warning(
    tmp_path: Path, run: Run, command: list[str], table: str, said: str
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "pflow-lower.toml").write_text(table + "[[lowering]]\n")  # which is for `check` to say
    (tmp_path / "flows").mkdir()
    node = {"id": "b", "type": "shell", "params": {"command": "echo ${item}"}, "batch": {"items": [1, 2]}}
    (tmp_path / "flows" / "wf.json").write_text(json.dumps({"nodes": [node]}))
    shown = run(*(argument.replace("wf.json", "flows/wf.json") for argument in command))
    text = shown.out + shown.err
    assert shown.status == (1 if command[0] == "lint" else 0), shown
    assert text.count(said) == text.count("warning[PFL413]") == 1 and "lowering:" not in text
    assert "pflow-lower.toml:1:" in text


def test_check_says_it_once_and_as_an_error(tmp_path: Path, run: Run) -> None:
    node = {"id": "b", "type": "shell", "params": {"command": "echo ${item}"}, "batch": {"items": [1, 2]}}
    (tmp_path / "wf.json").write_text(json.dumps({"nodes": [node]}))
    assert run("wf.json", "-o", "out").status == 0
    (tmp_path / "pflow-lower.toml").write_text(UNREAD["misspelt"][0])
    shown = run("check", "-q")
    assert shown.status == 2 and shown.out.count("unknown key 'rate'") == shown.out.count("error[PFL616]") == 1


def test_what_is_wrong_with_any_table_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("".join(FAULTY[name][0] for name in ("journal", "rates", "on")))
    with pytest.raises(LowerError) as caught:
        run_tables.RunTables.of(tmp_path)
    assert [found.where.split(".")[2] for found in caught.value.diagnostics] == ["journal", "rates", "on"]
