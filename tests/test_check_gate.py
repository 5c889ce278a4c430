"""`check` is a gate: what it cannot see does not pass it, and what is damaged can be mended."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command import Result, Run

from pflow_lower.files.atomic_write import LEFT_OVER
from pflow_lower.files.generated_header import LOWERED
from pflow_lower.write.generated_folder import MAP

FLAGS: list[list[str]] = [[], ["--program"], ["--program", "--standalone"]]
CONFLICT = b"<<<<<<< HEAD\n%s=======\n%s>>>>>>> theirs\n"


def workflow(path: str, node_id: str = "greet", **more: object) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    node = {
        "id": node_id,
        "type": "shell",
        "params": {"command": "cat", "stdin": "Hello ${item}", **more},
        "batch": {"items": ["Ann", "Bob"]},
    }
    file.write_text(json.dumps({"nodes": [node]}, indent=2), encoding="utf-8")
    return file


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def above(line: bytes) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        file.write_bytes(line + file.read_bytes())

    return write


def in_conflict(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(CONFLICT % (content, content))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "emptied": lambda file: file.write_bytes(b""),
    "a folder": as_folder,
    "in conflict": in_conflict,
    "a link to nowhere": lambda file: (file.unlink(), file.symlink_to("nowhere")),
    "a pipe": lambda file: (file.unlink(), os.mkfifo(file)),
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
}
ON_TOP = {
    "licence": b"# Copyright 2026 The Authors\n",
    "shebang": b"#!/usr/bin/env python3\n",
    "byte order mark": b"\xef\xbb\xbf",
    "blank line": b"\n",
    "licence of many lines": b"# Copyright\n#\n# All rights reserved.\n\n",
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_any_file_that_is_damaged_is_drift_and_is_mended(run: Run, flags: list[str], kind: str) -> None:
    workflow("wf.json")
    run("wf.json", "-o", "out", *flags)
    before = contents(Path("out"))
    names = [name for name in before if "/" not in name] + ["pflow_lower_runtime/batch.py"] * ("--standalone" in flags)
    for name in names:
        DAMAGE[kind](Path("out", name))
        for path in (".", "out"):
            shown = run("check", path)
            assert shown.status in (1, 2) and f"out/{name}" in shown.out, (name, shown)
        if run("check", "--update").status:  # nothing is left that says what it was made from
            assert name == "nodes.py"
            assert run("wf.json", "-o", "out", *flags).status == 0
        assert contents(Path("out")) == before, name


@pytest.mark.parametrize("line", ON_TOP.values(), ids=ON_TOP)
@pytest.mark.parametrize("name", ["nodes.py", "flow.py"])
def test_what_is_written_above_the_header_takes_no_file_away(run: Run, name: str, line: bytes) -> None:
    workflow("wf.json")
    run("wf.json", "-o", "out", "--program")
    before = contents(Path("out"))
    above(line)(Path("out", name))
    for path in (".", f"out/{name}"):
        shown = run("check", path)
        assert shown.status == 1 and f"out/{name}:" in shown.out
    assert run("wf.json", "-o", "out", "--program").status == 0
    assert contents(Path("out")) == before


@pytest.mark.parametrize("kept", [[LOWERED], ["flow.py"], ["pflow_lower_runtime/batch.py"], []], ids=str)
def test_what_is_left_of_a_folder_is_not_nothing(run: Run, kept: list[str]) -> None:
    workflow("wf.json")
    run("wf.json", "-o", "out", "--program", "--standalone")
    before = contents(Path("out"))
    for name in before.keys() - set(kept):
        Path("out", name).unlink()
    shown = run("check", ".")
    assert shown.status in (1, 2) and "out" in shown.out
    assert run("wf.json", "-o", "out", "--program", "--standalone").status == 0
    assert contents(Path("out")) == before
    assert run("check", ".").status == 0


def test_every_file_emptied_is_not_nothing(run: Run) -> None:
    workflow("wf.json")
    run("wf.json", "-o", "out")
    before = contents(Path("out"))
    for name in before:
        Path("out", name).write_bytes(b"")
    assert run("check", ".").status == 2
    assert run("wf.json", "-o", "out").status == 0
    assert contents(Path("out")) == before


@pytest.mark.parametrize("whole", [True, False])
def test_a_folder_that_a_table_lists_may_be_gone(run: Run, whole: bool) -> None:
    workflow("wf.json")
    Path("pflow-lower.toml").write_text("[[lowerings]]\nworkflows = 'wf.json'\nout = 'out'\n")
    assert run("check", "--update").status == 0
    shutil.rmtree("out")
    if not whole:
        Path("out").mkdir()
    assert run("check").status == 1
    assert run("check", "--update").status == 0
    assert run("check").status == 0


@pytest.mark.skipif(shutil.which("setpriv") is None and os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_told_and_mended(run: Run) -> None:
    workflow("wf.json")
    run("wf.json", "-o", "out")
    Path("out/nodes.py").chmod(0)
    limited = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*limited, sys.executable, "-m", "pflow_lower", "check", "."]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shown.returncode in (1, 2) and "out/nodes.py" in shown.stdout, shown
    again = [*limited, sys.executable, "-m", "pflow_lower", "wf.json", "-o", "out"]
    assert subprocess.run(again, capture_output=True, check=False).returncode == 0
    Path("out/nodes.py").chmod(0o644)
    assert run("check", ".").status == 0


# --- What has lost its header, or its place


TABLE = "[[lowerings]]\nworkflows = 'flows/*.json'\nout = 'gen/{name}'\nprogram = true\nstandalone = true\n"
WHOLE_LOWERING = ["flows/wf.json", "-o", "gen/wf", "--program", "--standalone"]


def git(*arguments: str) -> None:
    named = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *named, *arguments], check=True, capture_output=True)


def lines_without(first: int) -> Callable[[Path], None]:
    return lambda file: file.write_text("".join(file.read_text().splitlines(keepends=True)[first:]))


def commented_out(file: Path) -> None:
    file.write_text("".join(f"# {line}" for line in file.read_text().splitlines(keepends=True)))


def as_full_folder(file: Path) -> None:
    as_folder(file)
    Path(file, "notes.txt").write_text("a person's\n")


def as_link(to: str) -> Callable[[Path], None]:
    def link(file: Path) -> None:
        file.unlink()
        Path("elsewhere.py").write_text("a person's\n")
        file.symlink_to(to if os.path.isabs(to) else os.path.relpath(to, file.parent))

    return link


def as_a_persons(file: Path) -> None:
    file.write_text("from my import things\n\n\ndef main() -> None:\n    things()\n")


def taken_over(file: Path) -> None:
    """Without its header, and with lines of a person's that nothing else has."""
    lines_without(6)(file)
    file.write_text(file.read_text() + "\n\ndef mine() -> str:\n    return 'by hand'\n")


MENDED = {
    "first line": lines_without(1),
    "header": lines_without(6),
    "commented out": commented_out,
    "a blank line": lambda file: file.write_text("\n"),
    "a link inside": as_link("elsewhere.py"),
    "a link to the workflow": as_link("flows/wf.json"),
}
TOLD_FIRST = {
    "a full folder": as_full_folder,
    "a link out": as_link("/etc/hostname"),
    "a person's": as_a_persons,
    "taken over": taken_over,
}


def follow(run: Run, words: str, keep: str = "kept") -> None:
    """Do what a finding or a summary says: move what is named first, then run the command."""
    before, _, command = words.rpartition("pflow-lower ")
    if before not in ("", "refresh with: "):
        named = before.partition("move or delete ")[2].partition(", which --update does not replace; then: ")[0]
        for number, name in enumerate(shlex.split(named.replace(" and ", " "))):
            Path(name).rename(f"{keep}{number}")
    assert run(*shlex.split(command)).status == 0, words


def a_lowering(run: Run) -> dict[str, bytes]:
    Path(".git").mkdir()
    workflow("flows/wf.json")
    Path("pflow-lower.toml").write_text(TABLE)
    assert run("check", "--update").status == 0
    return contents(Path("gen"))


def said_in(shown: Result) -> list[str]:
    """What to do, as each finding and the summary say it."""
    found = [line.strip() for line in shown.out.splitlines() if "check --update" in line and line[0] not in "+-"]
    assert len(found) >= 2, shown
    return found


@pytest.mark.parametrize("name", ["wf/nodes.py", "wf/flow.py", "wf/pflow_lower_runtime/batch.py"])
@pytest.mark.parametrize("kind", MENDED)
def test_a_generated_file_without_its_header_is_mended(run: Run, kind: str, name: str) -> None:
    before = a_lowering(run)
    commands: list[Callable[[str], object]] = [
        lambda said: follow(run, said),
        lambda _: run(*WHOLE_LOWERING),
    ]
    for command in commands:
        MENDED[kind](Path("gen", name))
        shown = run("check", "-q")
        assert shown.status == 1 and "move or delete" not in shown.out
        command(said_in(run("check"))[0])
        assert contents(Path("gen")) == before and run("check").status == 0
    assert json.loads(Path("flows/wf.json").read_text())["nodes"], "what a link leads to stays"


@pytest.mark.parametrize("name", ["wf/nodes.py", "wf/flow.py", "wf/pflow_lower_runtime/batch.py"])
@pytest.mark.parametrize("kind", TOLD_FIRST)
@pytest.mark.parametrize("which", [0, -1], ids=["finding", "summary"])
def test_what_is_not_replaced_is_named_before_the_command(run: Run, kind: str, name: str, which: int) -> None:
    before = a_lowering(run)
    TOLD_FIRST[kind](Path("gen", name))
    Path("gen/wf/lowered.json").write_text("{}")  # another finding in the folder: its command would refuse, too
    damaged = contents(Path("gen"))
    assert run("check", "--update").status == 2
    shown = run(*WHOLE_LOWERING)
    assert shown.status == 2 and f"gen/{name}: error[PFL601]" in shown.err and "move or delete it" in shown.err
    assert contents(Path("gen")) == damaged
    shown = run("check")
    assert shown.status == 1
    said = said_in(shown)
    assert len(set(said[:-1])) == 1 and f"move or delete gen/{name}, which" in said[0]
    follow(run, said[which])
    assert contents(Path("gen")) == before and run("check").status == 0
    assert os.path.lexists("kept0")


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("gen/wf/pflow_lower_runtime", "file"),
        ("gen/wf/pflow_lower_runtime", "link"),
        ("gen/wf", "file"),
        ("gen", "file"),
    ],
)
def test_what_stands_where_a_folder_belongs_is_named(run: Run, place: str, target: str) -> None:
    before = a_lowering(run)
    shutil.rmtree(place)
    Path("elsewhere").mkdir()
    Path(place).write_text("a person's\n") if target == "file" else Path(place).symlink_to(Path("elsewhere").absolute())
    shown = run("check", "flows/wf.json")
    assert shown.status == 1
    assert f"move or delete {place}, which" in said_in(shown)[0]
    follow(run, said_in(shown)[0])
    assert contents(Path("gen")) == before and run("check").status == 0


@pytest.mark.parametrize("listed", [True, False])
def test_the_command_for_a_folder_that_is_gone_brings_it_back(
    run: Run, listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "there is no such file or folder", it said to the command that it had named."""
    before = a_lowering(run)
    if not listed:
        Path("pflow-lower.toml").unlink()
        Path(".git").rmdir()
        git("init", "-q", ".")
        git("add", ".")
    shutil.rmtree("gen")
    said = said_in(run("check"))[-1]
    follow(run, said)
    assert contents(Path("gen")) == before and run("check").status == 0
    shutil.rmtree("gen")
    monkeypatch.chdir("flows")
    assert run("check", "../gen/wf").status == (1 if listed else 2)
    assert run("check", "../gen/other").status == 2


def test_every_module_without_its_header_is_mended(run: Run) -> None:
    before = a_lowering(run)
    for name in before:
        Path("gen", name).unlink() if name.endswith(".json") else lines_without(3)(Path("gen", name))
    follow(run, said_in(run("check"))[-1])
    assert contents(Path("gen")) == before and run("check").status == 0


@pytest.mark.skipif(shutil.which("git") is None, reason="git has what would be overwritten")
@pytest.mark.parametrize("change", ["workflow", "edit"])
def test_lines_that_git_has_are_not_lost(run: Run, change: str) -> None:
    a_lowering(run)
    Path(".git").rmdir()
    git("init", "-q", ".")
    git("add", ".")
    git("commit", "-qm", "x")
    if change == "workflow":  # the lines of before are nowhere else
        workflow("flows/wf.json", stdin="Good evening\n\n${item}\nand good night")
    else:
        taken_over(Path("gen/wf/nodes.py"))
        assert "move or delete" in run("check").out
        git("add", ".")
    lines_without(6)(Path("gen/wf/nodes.py")) if change == "workflow" else None
    follow(run, said_in(run("check"))[0])
    assert run("check").status == 0 and not os.path.lexists("kept0")


@pytest.mark.skipif(shutil.which("git") is None, reason="git knows what the header said")
@pytest.mark.parametrize("kind", [*MENDED, *TOLD_FIRST])
def test_the_only_module_is_mended_where_git_knows_it(run: Run, kind: str) -> None:
    workflow("flows/wf.json")
    run("flows/wf.json", "-o", "gen/wf")
    before = contents(Path("gen"))
    git("init", "-q", ".")
    git("add", "gen")
    {**MENDED, **TOLD_FIRST}[kind](Path("gen/wf/nodes.py"))
    follow(run, said_in(run("check"))[0])
    assert contents(Path("gen")) == before and run("check").status == 0
    assert os.path.lexists("kept0") == (kind in TOLD_FIRST)


def test_a_folder_of_another_workflow_is_no_folder_to_update(run: Run) -> None:
    workflow("one.json", "one")
    workflow("two.json", "two")
    run("one.json", "-o", "out")
    Path("pflow-lower.toml").write_text("[[lowerings]]\nworkflows = 'two.json'\nout = 'out'\n")
    shown = run("check")
    assert shown.status == 1 and "choose another folder" in shown.out and "check --update" not in shown.out


def test_a_folder_under_the_name_of_a_source_map_is_not_left_over(run: Run) -> None:
    workflow("wf.json")
    run("wf.json", "-o", "out")
    Path("out/flow.py.map.json").mkdir()
    Path("out/flow.py.map.json/mine.txt").touch()
    assert run("check").status == 0


# --- Whatever a folder is called


@pytest.mark.parametrize("folder", ["venv", ".venv/x", "lib/site-packages/x", "node_modules/x", "__pycache__", "env"])
def test_no_name_hides_a_folder(run: Run, folder: str) -> None:
    workflow("wf.json")
    run("wf.json", "-o", folder)
    if folder == "env":
        Path("env/pyvenv.cfg").touch()
    with Path(folder, "nodes.py").open("a") as file:
        file.write("import os\n")
    shown = run("check", ".")
    assert shown.status == 1 and f"{folder}/nodes.py" in shown.out
    assert run("check").status == 1


@pytest.mark.skipif(shutil.which("git") is None, reason="git tells what is checked in")
def test_what_is_checked_in_is_not_an_installed_program(run: Run) -> None:
    workflow("wf.json")
    run("wf.json", "-o", "venv/x")
    Path("wf.json").unlink()
    shown = run("check")
    assert shown.status == 2 and "passed by: venv/x" in shown.err
    subprocess.run(["git", "init", "-q", "."], check=True)
    assert run("check").status == 2
    subprocess.run(["git", "add", "-f", "venv"], check=True)
    shown = run("check")
    assert shown.status == 1 and "PFL614" in shown.out


# --- A path at which nothing is found


def test_a_path_with_nothing_to_check_is_not_passed(run: Run) -> None:
    Path("empty").mkdir()
    Path("notes.md").write_text("# Notes\n")
    workflow("wf.json")
    for path in ("empty", "notes.md", "wf.json", "."):
        shown = run("check", path)
        assert shown.status == 2 and "PFL117" in shown.out, path
    assert run("check", "nowhere").status == 2
    run("wf.json", "-o", "out")
    assert run("check", ".").status == 0
    assert run("check", "out", "empty").status == 2


def test_lint_of_a_folder_without_workflows_is_not_clean(run: Run) -> None:
    Path("empty").mkdir()
    workflow("flows/wf.json")
    assert run("lint", "flows").status == 0
    for arguments in (["empty"], ["flows", "empty"], ["nowhere"]):
        assert run("lint", *arguments).status == 2


@pytest.mark.skipif(shutil.which("git") is None, reason="git tells what is checked in")
def test_a_folder_that_is_deleted_as_a_whole(run: Run) -> None:
    """No table lists it: git's index still knows it, until it is removed from there, too, or its workflow is gone."""
    workflow("flows/wf.json")
    workflow("flows/kept.json")
    run("flows/wf.json", "-o", "gen/wf", "--program")
    run("flows/kept.json", "-o", "gen/kept")
    subprocess.run(["git", "init", "-q", "."], check=True)
    subprocess.run(["git", "add", "."], check=True)
    shutil.rmtree("gen/wf")
    for paths in ([], ["."], ["gen"], ["flows/wf.json"]):
        shown = run("check", *paths)
        assert shown.status == 1 and "gen/wf/nodes.py: error[PFL612]" in shown.out, paths
    assert run("check", "gen/kept").status == 0
    assert run("check", "--update").status == 0 and Path("gen/wf/flow.py").exists()
    shutil.rmtree("gen/wf")
    Path("flows/wf.json").rename("elsewhere.json")
    assert run("check").status == 0  # both are gone
    Path("elsewhere.json").rename("flows/wf.json")
    subprocess.run(["git", "rm", "-rqf", "gen/wf"], check=True)
    assert run("check").status == 0
    subprocess.run(["git", "rm", "-rqf", "gen/kept"], check=True)
    shown = run("check")
    assert shown.status == 2 and "no folder here was written by" in shown.err and "no table lists one" in shown.err


def test_a_lowered_json_under_another_name_is_not_passed(run: Run) -> None:
    workflow("wf.json")
    run("wf.json", "-o", "gen")
    Path("gen/mine.json").write_text('{"nodes": [{"id": "a", "type": "nodes:Mine", "params": {}}]}')
    shutil.copy("gen/lowered.json", "gen/lowered (1).json")
    shown = run("check", "gen")
    assert shown.status == 1 and "gen/lowered (1).json: error[PFL613]" in shown.out and "mine" not in shown.out
    Path("gen/lowered.json").unlink()
    shown = run("check", "--update", "gen")
    assert shown.status == 0 and "removed gen/lowered (1).json" in shown.out
    assert sorted(os.listdir("gen")) == ["lowered.json", "mine.json", "nodes.py"]


@pytest.mark.skipif(shutil.which("git") is None, reason="asks git")
def test_diff_of_a_path_that_neither_version_has(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow("wf.json")
    workflow("flows/gone.json")
    workflow("flows/kept.json")
    Path("README.md").write_text("read\n")
    Path("empty").mkdir()
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q", "."], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)
    Path("flows/gone.json").unlink()
    for path in ("wf.json", "flows/gone.json", "flows", "."):
        assert run("diff", "--git", "HEAD", path).status == 0, path
    for path in ("nosuch.json", "empty", "README.md", "gone.json"):
        shown = run("diff", "--git", "HEAD", "--fail-on", "breaking", "wf.json", path)
        assert shown.status == 2 and path in shown.err and "PFL117" in shown.err, path
    monkeypatch.chdir("flows")
    assert run("diff", "--git", "HEAD", "kept.json").status == 0
    assert run("diff", "--git", "HEAD..HEAD", "wf.json").status == 2


# --- One workflow, one folder


def test_a_second_workflow_does_not_take_a_folder(run: Run) -> None:
    workflow("one.json", "one")
    workflow("two.json", "two")
    run("one.json", "-o", "out", "--program")
    before = contents(Path("out"))
    for arguments in (["two.json"], ["two.json", "--program"], ["-"]):
        text = Path("two.json").read_text() if arguments == ["-"] else ""
        shown = run(*arguments, "-o", "out", stdin=text)
        assert shown.status == 2 and "PFL603" in shown.err and "one.json" in shown.err
    assert contents(Path("out")) == before
    assert run("one.json", "-o", "out").status == 0
    Path("one.json").rename("renamed.json")  # the same workflow under another name
    assert run("renamed.json", "-o", "out").status == 0


def commit_all() -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q", "."], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)


@pytest.mark.parametrize("says", ["nobody", "a map", "requirements", "git", "git, of the other one"])
@pytest.mark.parametrize("gone", ["deleted", "emptied"])
def test_what_is_left_in_a_folder_is_not_taken_either(run: Run, says: str, gone: str) -> None:
    """It was replaced, lowered.json and all, since no module said whose it was."""
    workflow("one.json", "one")
    workflow("two.json", "two")
    first, second = ("two.json", "one.json") if says == "git, of the other one" else ("one.json", "two.json")
    flags = {"a map": ["--maps"], "requirements": ["--program", "--standalone"]}.get(says, [])
    run(first, "-o", "out", *flags)
    if says.startswith("git"):
        commit_all()
    for name in ("nodes.py", "flow.py"):
        if Path("out", name).exists():
            DAMAGE[gone](Path("out", name))
    before = contents(Path("out"))
    for arguments in ([second], [second, "--program"], ["-"]):
        text = Path(second).read_text() if arguments == ["-"] else ""
        shown = run(*arguments, "-o", "out", stdin=text)
        assert shown.status == 2 and "PFL603" in shown.err
        if says == "nobody":
            assert "out/lowered.json: error[PFL603] this is left of a lowering, and nothing beside it says" in shown.err
            assert "delete it, if it was made from this workflow" in shown.err
        else:
            assert f"this folder holds what ../{first} is lowered to" in shown.err
    assert contents(Path("out")) == before
    assert run(first, "-o", "out").status == 0 and Path("out/nodes.py").stat().st_size


def test_what_is_left_is_replaced_where_it_is_of_the_workflow_or_of_no_use(run: Run) -> None:
    for name in ("one", "two"):
        workflow(f"{name}.json", name)
        run(f"{name}.json", "-o", name)
    commit_all()
    workflow("one.json", "one-n")
    Path("one/nodes.py").unlink()
    assert run("one.json", "-o", "one").status == 0  # git knows that it is its own
    for left in contents(Path("two")):
        Path("two", left).unlink()
    assert run("one.json", "-o", "two").status == 0  # nothing is lost
    shutil.rmtree(".git")
    workflow("one.json", "one-b")
    Path("one/nodes.py").unlink()
    assert run("one.json", "-o", "one").status == 2
    Path("one/lowered.json").write_text("")
    assert run("one.json", "-o", "one").status == 0
    workflow("one.json", "one-v")
    Path("one/nodes.py").unlink()
    Path("pflow-lower.toml").write_text("[[lowerings]]\nworkflows = 'one.json'\nout = 'one'\n")
    assert run("check", "--update").status == 0  # a table says so
    assert "OneVBatch" in Path("one/nodes.py").read_text() and run("check").status == 0


def test_a_table_does_not_take_a_folder_either(run: Run) -> None:
    workflow("one.json", "one")
    workflow("two.json", "two")
    run("one.json", "-o", "out")
    Path("pflow-lower.toml").write_text("[[lowerings]]\nworkflows = 'two.json'\nout = 'out'\n")
    shown = run("check", "--update")
    assert shown.status == 2 and "PFL603" in shown.out and "one.json" in shown.out
    assert "class OneBatch" in Path("out/nodes.py").read_text()
    Path("pyproject.toml").write_text("[[tool.pflow-lower.lowerings]]\nworkflows = 'one.json'\nout = 'out'\n")
    shown = run("check")
    assert shown.status == 2 and "PFL616" in shown.out
    assert "one.json" in shown.out and "two.json" in shown.out


@pytest.mark.parametrize("path", [None, ".", "one.json", "two.json", "pflow-lower.toml"])
@pytest.mark.parametrize("tables", ["one", "two"])
def test_a_folder_of_two_workflows_is_written_for_neither(run: Run, path: str | None, tables: str) -> None:
    """What came first was written, and "2 folders checked: 2 up to date" said above the error."""
    for name in ("one", "two", "other"):
        workflow(f"{name}.json", name)
    entry = "[[{}]]\nworkflows = '{}'\nout = '{}'\n"
    first, second = entry.format("lowerings", "one.json", "out"), entry.format("lowerings", "two.json", "out")
    if tables == "two":
        if path == "pflow-lower.toml":
            return  # only that table is asked
        Path("pyproject.toml").write_text(second.replace("[[", "[[tool.pflow-lower."))
        second = ""
    Path("pflow-lower.toml").write_text(first + second + entry.format("lowerings", "other.json", "fine"))
    for flags in ((), ("--update",)):
        shown = run("check", *flags, *([path] if path else []))
        assert shown.status == 2 and "PFL616" in shown.out
        assert "1 could not be checked" in shown.out
    assert not Path("out").exists()
    if path in (None, "."):
        assert Path("fine/nodes.py").exists()
        assert shown.out.endswith("2 folders checked: 1 up to date, 1 could not be checked\n")


# --- What it says


def test_what_is_removed_is_not_called_refreshed(run: Run) -> None:
    workflow("wf.json")
    run("wf.json", "-o", "out", "--program", "--standalone")
    shown = run("wf.json", "-o", "out")
    assert "are left from an earlier run" in shown.err
    assert "out/flow.py, out/pflow_lower_runtime, out/requirements.txt are" in shown.err
    shown = run("check", "--update", "out")
    assert shown.status == 0
    lines = shown.out.splitlines()
    assert "removed out/flow.py" in lines and "removed out/pflow_lower_runtime" in lines
    assert not any(line.startswith("refreshed") for line in lines)
    assert all("pflow_lower_runtime" not in str(path) for path in Path("out").rglob("*"))


def test_many_files_are_summed_up(run: Run) -> None:
    workflow("wf.json")
    shown = run("wf.json", "-o", "out", "--program", "--standalone")
    assert len(shown.err.splitlines()) == 1 and len(shown.err) < 150
    assert "out/nodes.py" in shown.err and "the runtime (" in shown.err


def test_what_a_killed_write_left_is_named_and_removed(run: Run) -> None:
    workflow("wf.json")
    run("wf.json", "-o", "out")
    left = Path("out", f".nodes.py.abc{LEFT_OVER}")
    left.write_text("half of a fi")
    shown = run("check", ".")
    assert shown.status == 1 and str(left) in shown.out
    assert f"removed {left}" in run("check", "--update", ".").out
    assert not left.exists()


def test_a_signal_waits_until_all_files_are_moved(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from pflow_lower.files import atomic_write
replace = os.replace
def interrupted(one, two):
    replace(one, two)
    os.kill(os.getpid(), signal.SIGTERM)
atomic_write.os.replace = interrupted
atomic_write.replace_files({{Path({str(tmp_path)!r}, name): b"new" for name in "abc"}})
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode < 0
    assert contents(tmp_path) == dict.fromkeys("abc", b"new")


def test_prose_of_a_markdown_workflow_is_not_drift(run: Run) -> None:
    pytest.importorskip("pflow")
    text = (
        "# Rows\n\nHandles rows.\n\n## Steps\n\n### list\n\nLists rows.\n\n- type: shell\n\n"
        "```shell command\necho row\n```\n\n### show\n\nShows each.\n\n- type: shell\n\n"
        "```yaml batch\nitems: [1, 2]\n```\n\n```shell command\necho ${item}\n```\n"
    )
    Path("wf.pflow.md").write_text(text)
    run("wf.pflow.md", "-o", "out")
    Path("wf.pflow.md").write_text(text.replace("Handles rows.\n", "Handles rows.\n\nThey come from a shell.\nTwo.\n"))
    shown = run("check", "out")
    assert f"out/{LOWERED}:" not in shown.out and "_source_line" not in shown.out
    assert all(MAP in line or "checked" in line or line.startswith(" ") for line in shown.out.splitlines()[:-1])
    Path("wf.pflow.md").write_text(text.replace("echo row", "echo ROW"))
    shown = run("check", "out")
    assert shown.status == 1 and "ROW" in shown.out


def test_a_folder_of_which_nothing_is_left_is_named(run: Run) -> None:
    workflow("wf.json")
    run("wf.json", "-o", "out")
    for name in contents(Path("out")):
        Path("out", name).unlink()
    shown = run("check", ".")
    assert shown.status == 2 and "empty folders in it: out" in shown.out


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
@pytest.mark.parametrize("name", ["pyproject.toml", "pflow-lower.toml"])
def test_a_table_that_is_not_utf_8_is_said(
    encoding: str, name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PowerShell's `>` writes UTF-16."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.json").write_text(
        json.dumps({"nodes": [{"id": "a", "type": "shell", "params": {"command": "date"}}]})
    )
    assert run("w.json", "-o", "gen").status == 0
    table = '[[tool.pflow-lower.lowerings]]  # für\nworkflows = ["flows/*.json"]\nout = "generated/{name}"\n'
    (tmp_path / name).write_bytes(table.encode(encoding))
    done = run("check")
    assert done.status == 2 and name in done.out + done.err
