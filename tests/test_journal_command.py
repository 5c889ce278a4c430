"""`pflow-lower journal`: what is there, what is in it, and how it goes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from helpers.command import Run

from pflow_lower.runtime.fingerprints import fingerprint
from pflow_lower.runtime.journal import Journal
from pflow_lower.runtime.journal_file import acquire_lock
from pflow_lower.runtime.run import JOURNAL_VARIABLE, STATE_VARIABLE, journal_name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    monkeypatch.delenv(JOURNAL_VARIABLE, raising=False)
    return tmp_path / "state" / "journals"


def write(folder: Path, workflow: str = "flow.pflow.md", items: int = 3) -> Path:
    path = folder / journal_name(workflow)
    journal = Journal(path, workflow)
    for number in range(items):
        asked = fingerprint("classify", "llm", {"prompt": str(number)})
        journal.keep(asked, "classify", f"#{number}", {"response": f"größe {number}"}, seconds=1.5, cost=0.25)
    journal.keep(fingerprint("sum", "llm", {}), "sum", None, {"response": "x" * 200}, seconds=2)
    journal.close(ended_well=False)
    return path


def test_nothing_there_is_said(run: Run, folder: Path) -> None:
    for command in (["show", "flow.pflow.md"], ["export", "x"], ["clear", "x"], ["clear", "--all"]):
        done = run("journal", *command)
        assert done.status == 1 and not done.out.strip("[]\n") and "no journal" in done.err
    assert run("journal", "clear").status == 2
    both, neither = run("journal", "clear", "--all", "flow.pflow.md"), run("journal", "clear")
    assert (both.status, "name journals, or say --all, not both" in both.err) == (2, True)
    assert (neither.status, "name the journals to clear, or say --all" in neither.err) == (2, True)


def test_list_and_show(run: Run, folder: Path) -> None:
    path = write(folder)
    write(folder, "other.pflow.md", 1)
    listed = run("journal", "list")
    assert listed.status == 0
    assert listed.out.splitlines()[0].startswith(f"{path.stem}  flow.pflow.md  classify 3, sum 1  20")
    first, _ = json.loads(run("journal", "list", "--format", "json").out)
    assert (first["nodes"], first["items"], first["in_use"]) == ({"classify": 3, "sum": 1}, 4, False)
    shown = run("journal", "show", "flow.pflow.md").out.splitlines()
    assert shown[0] == 'classify \'#0\'  1.50 s  $0.25  {"response": "größe 0"}'
    assert shown[3].startswith("sum  2.00 s  {") and shown[3].endswith("x…")
    assert (
        run("journal", "show", path.stem, "--format", "json").out
        == run("journal", "show", str(path), "--format", "json").out
    )
    rows = [json.loads(line) for line in run("journal", "export", "flow.pflow.md").out.splitlines()]
    assert rows[1] == {
        "node": "classify", "key": "#1", "seconds": 1.5, "cost": 0.25, "result": {"response": "größe 1"},
    }  # fmt: skip
    assert "there are" in run("journal", "show", "flwo").err


def test_clear_forgets_and_refuses_what_is_in_use(run: Run, folder: Path) -> None:
    path, other = write(folder), write(folder, "other.pflow.md")
    writing = Journal(path, "flow.pflow.md")
    assert "in use" in run("journal", "list").out.splitlines()[0]
    refused = run("journal", "clear", "--all")
    assert refused.status == 2 and "is using the journal" in refused.err and not other.exists() and path.exists()
    writing.close(ended_well=False)
    cleared = run("journal", "clear", "flow.pflow.md")
    assert (cleared.status, cleared.out) == (0, f"cleared {path.stem}\n") and not path.exists()


def test_what_is_not_a_journal_is_said_and_the_others_are_shown(run: Run, folder: Path) -> None:
    write(folder)
    broken = folder / journal_name("broken.pflow.md")
    broken.write_bytes(b"no database" * 100)
    listed = run("journal", "list")
    assert listed.status == 2 and broken.name in listed.err and "classify 3" in listed.out
    assert run("journal", "show", "broken.pflow.md").status == 2
    assert run("journal", "clear", "broken.pflow.md").status == 0


def test_what_is_not_called_as_journals_are_is_not_spoken_of_nor_touched(run: Run, folder: Path) -> None:
    path = write(folder)
    theirs = [folder / name for name in ("customers.db", "empty.db", "garbage.db", "customers.db.lock")]
    with contextlib.closing(sqlite3.connect(theirs[0])) as db:
        db.execute("CREATE TABLE customer (name)")
    theirs[1].touch()
    theirs[2].write_bytes(b"no database" * 100)
    theirs[3].touch()
    before = [file.read_bytes() for file in theirs]
    listed = run("journal", "list")
    assert listed.status == 0 and not listed.err and listed.out.count("\n") == 1
    assert run("journal", "clear", str(theirs[0])).status == 1
    cleared = run("journal", "clear", "--all")
    assert (cleared.status, cleared.out) == (0, f"cleared {path.stem}\n")
    assert sorted(folder.iterdir()) == sorted(theirs) and [file.read_bytes() for file in theirs] == before


def test_another_database_that_is_called_as_a_journal_is_refused(run: Run, folder: Path) -> None:
    folder.mkdir(parents=True)
    theirs = folder / journal_name("flow.pflow.md")
    with contextlib.closing(sqlite3.connect(theirs)) as db:
        db.execute("CREATE TABLE customer (name)")
    for command in (["show", "flow.pflow.md"], ["clear", "flow.pflow.md"], ["clear", "--all"]):
        done = run("journal", *command)
        assert done.status == 2 and "another database" in done.err and not done.out
    assert list(folder.iterdir()) == [theirs]


def test_another_database_does_not_keep_the_journals_from_being_listed(run: Run, folder: Path) -> None:
    """It is named, and what to do; it is no journal, so none is missing. Of one that is damaged, it is."""
    folder.mkdir(parents=True)
    theirs = folder / journal_name("theirs.pflow.md")
    with contextlib.closing(sqlite3.connect(theirs)) as db:
        db.execute("CREATE TABLE customer (name)")
    listed = run("journal", "list")
    assert listed.status == 1 and f"{theirs}: it is not a journal" in listed.err and "no journal in" in listed.err
    path = write(folder)
    for form in ("text", "json"):
        listed = run("journal", "list", "--format", form)
        assert listed.status == 0 and path.stem in listed.out and "theirs" not in listed.out
        assert f"{theirs}: it is not a journal" in listed.err and "move it" in listed.err
    (folder / journal_name("broken.pflow.md")).write_bytes(b"no database" * 100)
    listed = run("journal", "list")
    assert listed.status == 2 and path.stem in listed.out and "broken" in listed.err


def test_locks_of_journals_that_are_gone_go_unless_somebody_holds_them(run: Run, folder: Path) -> None:
    folder.mkdir(parents=True)
    gone, beginning = folder / journal_name("gone.pflow.md"), folder / journal_name("beginning.pflow.md")
    gone.with_name(f"{gone.name}.lock").touch()
    with contextlib.closing(acquire_lock(beginning)):  # as a run does first of all
        assert run("journal", "clear", "--all").status == 1
        assert [file.name for file in folder.iterdir()] == [f"{beginning.name}.lock"]
    run("journal", "clear", "--all")
    assert not list(folder.iterdir())


def test_a_table_here_names_the_place(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pflow-lower.toml").write_text('[journal]\ndir = "kept"\n')
    write(tmp_path / "kept", str(tmp_path / "flow.pflow.md"))
    assert run("journal", "list").status == 0
    assert run("journal", "show", "flow.pflow.md").status == 0


def test_plan_says_what_is_in_the_journal(run: Run, folder: Path, tmp_path: Path) -> None:
    batch = {"items": ["a", "b", "c", "d"], "resume": True}
    node = {"id": "classify", "type": "llm", "params": {"prompt": "${item}"}, "batch": batch}
    (tmp_path / "flow.json").write_text(json.dumps({"nodes": [node]}))
    assert "in the journal" not in run("plan", "flow.json").out
    write(folder, str(tmp_path / "flow.json"))
    assert "3 in the journal: a resumed run leaves out those that have not changed" in run("plan", "flow.json").out
    assert run("plan", "flow.json").status == 0


@pytest.mark.parametrize("items", [["a", "b"], "${names.stdout}"], ids=["known items", "items of a step"])
@pytest.mark.parametrize("damage", ["no database", "a page"])
def test_plan_says_that_a_journal_is_damaged_and_ends_so(
    run: Run, folder: Path, tmp_path: Path, items: object, damage: str
) -> None:
    names = {"id": "names", "type": "shell", "params": {"command": "echo '[1]'"}}
    node = {"id": "classify", "type": "llm", "params": {"prompt": "${item}"}, "batch": {"items": items, "resume": True}}
    edges = [{"from": "names", "to": "classify"}]
    (tmp_path / "flow.json").write_text(json.dumps({"nodes": [names, node], "edges": edges}))
    path = write(folder, str(tmp_path / "flow.json"), 200)
    content = path.read_bytes()
    assert len(content) > 6 * 4096
    path.write_bytes(b"broken" * 100 if damage == "no database" else content[:-8192] + b"\xff" * 8192)
    for form in ("text", "json"):
        shown = run("plan", "flow.json", "--format", form)
        assert shown.status == 2 and shown.err.count(f"pflow-lower: cannot use the journal {path}") == 1, shown
        assert "classify" in shown.out


def test_a_workflow_that_is_gone_is_marked(run: Run, folder: Path, tmp_path: Path) -> None:
    here, moved = tmp_path / "here.pflow.md", tmp_path / "moved.pflow.md"
    made = tmp_path / "nodes.py"
    for workflow in (str(here), str(moved), f"{made}#classify", "saved"):
        write(folder, workflow, 1)
    for file in (here, moved, made):
        file.touch()
    assert "(gone)" not in run("journal", "list").out
    moved.rename(tmp_path / "elsewhere.pflow.md")
    listed = run("journal", "list")
    assert listed.status == 0
    assert [line.split()[1] for line in listed.out.splitlines() if "(gone)" in line] == [str(moved)]
    told = {one["workflow"]: one["gone"] for one in json.loads(run("journal", "list", "--format", "json").out)}
    assert told == {str(here): False, str(moved): True, f"{made}#classify": False, "saved": False}


def test_what_is_wrong_with_a_table_is_said_line_by_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.pflow-lower.journal]\ndri = "x"\n')
    shown = run("journal", "list")
    assert shown.status == 2 and "names no folder\n  write dir" in shown.err
