"""The workflows that nodes start, in files beside the workflow: what pflow refuses of them is refused."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.command import Run

import pflow_lower
from pflow_lower import LowerError, pipeline
from pflow_lower.options import Options

NODE: dict[str, Any] = {"id": "say", "type": "shell", "params": {"command": "cat", "stdin": "${name}"}}


def write(file: Path, node: dict[str, Any], *more: dict[str, Any], **rest: Any) -> Path:
    nodes = [node, *more]
    edges = [{"from": a["id"], "to": b["id"]} for a, b in itertools.pairwise(nodes)]
    file.write_text(json.dumps({"nodes": nodes, "edges": edges, **rest}), encoding="utf-8")
    return file


def child(file: Path) -> Path:
    inputs = {"name": {"type": "string"}, "word": {"type": "string", "required": False, "default": "Hi"}}
    node = {**NODE, "params": {"command": "cat", "stdin": "${name} ${word}"}}
    return write(file, node, inputs=inputs, outputs={"said": {"source": "${say.stdout}"}})


def start(name: object, inputs: object = None, **more: Any) -> dict[str, Any]:
    params = {"workflow": name} | ({} if inputs is None else {"inputs": inputs})
    return {"id": "start", "type": "workflow", "params": params, **more}


def said(file: Path) -> list[str]:
    """What is said of a workflow: severities, codes and messages."""
    try:
        found = pipeline.run(file, Options(code=False)).diagnostics
    except LowerError as error:
        found = error.diagnostics
    return [f"{one.severity.value}[{one.code}] {one.message}" for one in found]


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"name": "Ada"}, None),
        ({"name": "Ada", "word": 1}, None),
        ({}, "PFL342"),
        (None, "PFL342"),
        ({"name": 1, "nmae": 2}, "PFL341"),
        ([], "PFL341"),
        ("Ada", "PFL341"),
    ],
)
def test_inputs(inputs: object, code: str | None, tmp_path: Path) -> None:
    child(tmp_path / "child.json")
    found = said(write(tmp_path / "wf.json", start("./child.json", inputs)))
    assert [line for line in found if line.startswith("error")] == [line for line in found if code and code in line]
    assert any(code in line for line in found) if code else True
    assert any("is JSON" in line and line.startswith("warning[PFL340]") for line in found), "pflow reads Markdown"


@pytest.mark.parametrize(
    ("reference", "batch", "fine"),
    [
        ("${start.said}", None, True),
        ("${start.siad}", None, False),
        ("${start.siad ?? 1}", None, True),
        ("${start}", None, True),
        ("${start.loop_stopped}", None, False),
        ("${start.results}", ["a"], True),
        ("${start.results[0].said}", ["a"], True),
        ("${start.results[0].item}", ["a"], True),
        ("${start.results[0].siad}", ["a"], False),
    ],
)
def test_outputs(reference: str, batch: object, fine: bool, tmp_path: Path) -> None:
    child(tmp_path / "child.json")
    node = start(
        "./child.json", {"name": "${item}" if batch else "a"}, **({"batch": {"items": batch}} if batch else {})
    )
    show = {"id": "show", "type": "shell", "params": {"command": "cat", "stdin": reference}}
    found = said(write(tmp_path / "wf.json", node, show))
    assert any(line.startswith("error[PFL343]") for line in found) is not fine, found


def test_items_that_name_a_workflow_each(tmp_path: Path) -> None:
    child(tmp_path / "a.json")
    items = [{"w": "./a.json", "i": {"name": 1}}, {"w": "./b.json", "i": {"name": 1}}, {"w": "./a.json", "i": {}}]
    found = said(write(tmp_path / "wf.json", start("${item.w}", "${item.i}", batch={"items": items})))
    errors = [line.split("]")[0] for line in found if line.startswith("error")]
    assert sorted(errors) == ["error[PFL340", "error[PFL342"], found
    assert any("./b.json cannot be read: no such file" in line for line in found)


def test_what_is_not_known_before_a_run_is_left_alone(tmp_path: Path) -> None:
    inputs = {"which": {"type": "string"}, "given": {"type": "object"}}
    for node in (start("./${which}.json", "${given}"), start("saved", {"any": "${which} ${given}"})):
        if "saved" not in node["params"].values():
            node["batch"] = {"items": "${given.rows}"}
        assert said(write(tmp_path / "wf.json", node, inputs=inputs)) == []


@pytest.mark.parametrize("name", ["saved", "${which}", 1])
def test_outputs_of_a_workflow_that_is_not_a_file_are_not_known(name: object, tmp_path: Path) -> None:
    child(tmp_path / "saved")  # of that name, and not what is meant
    show = {"id": "show", "type": "shell", "params": {"command": "cat", "stdin": "${start.any}"}}
    found = said(write(tmp_path / "wf.json", start(name), show, inputs={"which": {"type": "string"}}))
    assert not [line for line in found if "PFL343" in line]


def test_a_workflow_without_a_file_is_left_alone() -> None:
    pflow_lower.lower({"nodes": [start("./nowhere.pflow.md", {"x": "${item}"}, batch={"items": [1]})]})


def test_what_is_wrong_inside_is_said_with_its_place(tmp_path: Path) -> None:
    write(tmp_path / "c.json", {**NODE, "params": {"command": "cat", "stdin": "${nmae}"}})
    write(tmp_path / "b.json", start("./c.json"))
    found = said(write(tmp_path / "wf.json", start("./b.json")))
    assert any(f"{tmp_path / 'c.json'}:1:" in line and "${nmae}" in line for line in found), found
    assert found[0].startswith("error[PFL340]")


@pytest.mark.parametrize(("wrong", "more"), [(1, ""), (2, " (and 1 more)"), (3, " (and 2 more)")])
def test_the_first_of_what_is_wrong_inside(wrong: int, more: str, tmp_path: Path) -> None:
    nodes = [{"id": f"n{n}", "type": "shell", "params": {"command": f"${{gone{n}}}"}} for n in range(wrong)]
    write(tmp_path / "b.json", *nodes)
    (found,) = said(write(tmp_path / "wf.json", start("./b.json")))
    assert "is refused: " in found and found.endswith(f"${{gone0}} names no node or input{more}")


@pytest.mark.parametrize(
    ("reference", "item"),
    [("${item.w}", {"x": 1}), ("${item.w}", 1), ("${item[1]}", ["a"]), ("./${item.w}", {"w": 1}), ("${item}", "saved")],
)
def test_an_item_that_names_no_file_does_not_hide_the_next(reference: str, item: object, tmp_path: Path) -> None:
    gone = {"${item[1]}": ["a", "./gone.json"], "${item}": "./gone.json"}.get(reference, {"w": "./gone.json"})
    found = said(write(tmp_path / "wf.json", start(reference, batch={"items": [item, gone]})))
    errors = [line for line in found if line.startswith("error")]
    assert len(errors) == 1 and "gone.json cannot be read: no such file" in errors[0], found


@pytest.mark.parametrize(
    ("inputs", "given", "help"),
    [
        ({"name": {"type": "string"}}, "nmae", "did you mean `name`?"),
        ({"name": {"type": "string"}, "word": {"type": "string"}}, "qqqq", "it has: name, word"),
        ({}, "qqqq", "it has no inputs"),
    ],
)
def test_help_for_an_unknown_input(inputs: dict[str, Any], given: str, help: str, tmp_path: Path) -> None:
    write(tmp_path / "child.json", {**NODE, "params": {"command": "true"}}, inputs=inputs)
    file = write(tmp_path / "wf.json", start("./child.json", {**dict.fromkeys(inputs, "a"), given: 1}))
    with pytest.raises(LowerError) as caught:
        pipeline.run(file, Options(code=False))
    assert [one.help for one in caught.value.diagnostics if one.code == "PFL341"] == [help]


def test_circles_and_depth_end(tmp_path: Path) -> None:
    write(tmp_path / "b.json", start("./wf.json"), {**start("./wf.json"), "id": "twice"})
    found = said(write(tmp_path / "wf.json", start("./b.json"), {**start("./b.json"), "id": "again"}))
    assert any(line.startswith("warning[PFL340]") and "starts itself" in line for line in found), found
    for n in range(30):
        nodes = [{**start(f"./{n + 1}.json"), "id": f"n{m}"} for m in range(5)]
        write(tmp_path / f"{n}.json", *nodes)
    assert any("10 deep" in line for line in said(tmp_path / "0.json"))


def test_many_files_are_not_all_read(tmp_path: Path) -> None:
    for n in range(203):
        child(tmp_path / f"{n}.json")
    items = [f"./{n}.json" for n in range(203)]
    node = start("${item}", {"name": 1}, batch={"items": items})
    assert sum("was not looked at" in line for line in said(write(tmp_path / "wf.json", node))) == 3


@pytest.mark.parametrize("name", ["../child.json", "/etc/passwd", "./link.json"])
def test_nothing_outside_is_read(name: str, tmp_path: Path) -> None:
    child(tmp_path / "child.json")
    inside = tmp_path / "inside"
    inside.mkdir()
    if name == "./link.json":
        try:
            (inside / "link.json").symlink_to(tmp_path / "child.json")
        except OSError:
            pytest.skip("no links here")
    found = said(write(inside / "wf.json", start(name, {"name": 1, "other": 2})))
    assert len(found) == 1
    assert found[0].startswith("warning[PFL340]")
    assert "outside of the repository" in found[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_a_folder_and_a_large_file_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(40_000_000)
    for name in ("pipe", "folder", "large"):
        assert [line[:14] for line in said(write(tmp_path / "wf.json", start(f"./{name}.json")))] == ["error[PFL340] "]


def test_without_pflow_a_markdown_workflow_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "child.pflow.md").write_text("# Child\n", encoding="utf-8")
    for name in [name for name in sys.modules if name.partition(".")[0] == "pflow"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "pflow", None)
    found = said(write(tmp_path / "wf.json", start("./child.pflow.md")))
    assert [line[:16] for line in found] == ["warning[PFL340] "]
    assert "pflow, which is not installed" in found[0]


@pytest.mark.parametrize("arguments", [["wf.json"], ["lint", "wf.json"], ["plan", "wf.json"], ["check"]])
def test_every_command_that_lowers_says_so(
    arguments: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = child(tmp_path / "child.json")
    write(tmp_path / "wf.json", start("./child.json", {"name": "${item}"}, batch={"items": ["a"]}))
    assert run("wf.json", "-o", "out", "-q").status == 0
    there.unlink()
    done = run(*arguments)
    assert done.status == 2
    assert "PFL340" in done.out + done.err


def test_diff_compares_what_stands_alone(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "old.json", start("./gone.json"))
    write(tmp_path / "new.json", start("./gone.json", {"a": 1}))
    done = run("diff", "old.json", "new.json")
    assert "PFL340" not in done.out + done.err


def test_a_budget_that_the_child_names_is_looked_for_at_the_child(tmp_path: Path) -> None:
    node = {**NODE, "batch": {"items": ["${name}"], "rate": "api"}}
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "child.json", node, inputs={"name": {"type": "string"}})
    parent = write(tmp_path / "wf.json", start("./sub/child.json", {"name": "Ada"}))
    table = '[rates]\napi = "5/min"\n'
    errors = [line for line in said(parent) if line.startswith("error")]
    assert [line[:14] for line in errors] == ["error[PFL340] "] and 'no budget is called "api"' in errors[0]
    (tmp_path / "sub" / "pflow-lower.toml").write_text(table, encoding="utf-8")
    assert not [line for line in said(parent) if line.startswith("error")]
    (tmp_path / "sub" / "pflow-lower.toml").write_text(table.replace("5/min", "often"), encoding="utf-8")
    errors = [line for line in said(parent) if line.startswith("error")]
    assert [line[:14] for line in errors] == ["error[PFL340] "] and "'often' is not a rate" in errors[0]
