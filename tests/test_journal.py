"""The journal: what is kept, found again, and said when it cannot be."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pflow_lower.runtime.fingerprints import digest_of_inputs, fingerprint
from pflow_lower.runtime.journal import Journal
from pflow_lower.runtime.journal_file import JournalError, JournalInUse, NotOurs, forget, read_rows
from pflow_lower.runtime.missing import ParameterError


def ask(number: int) -> bytes:
    return fingerprint("classify", "llm", {"prompt": f"issue {number}"})


def journal(folder: Path, **options: bool) -> Journal:
    return Journal(folder / "state" / "w.db", "w.json", **options)


def test_a_failed_run_goes_on_and_a_good_one_starts_afresh(tmp_path: Path) -> None:
    first = journal(tmp_path)
    assert first.find(ask(1)) is None
    first.keep(ask(1), "classify", "a", {"response": "bug"}, seconds=1.5)
    first.close(ended_well=False)

    second = journal(tmp_path)
    assert second.found == 1
    answer = second.find(ask(1))
    assert answer is not None and answer.result == {"response": "bug"} and answer.seconds == 1.5
    assert second.find(ask(2)) is None
    second.close(ended_well=True)

    third = journal(tmp_path)
    assert third.found == 0 and third.find(ask(1)) is None
    third.close(ended_well=True)
    assert [path.name for path in (tmp_path / "state").iterdir()] == []


def test_a_good_run_forgets_what_runs_of_the_same_inputs_have_left_and_no_others(tmp_path: Path) -> None:
    def run(inputs: object, number: int, *, ended_well: bool) -> int:
        made = Journal(tmp_path / "w.db", "w.json", inputs=digest_of_inputs({"ids": inputs}))
        made.keep(ask(number), "classify", None, {}, seconds=0)
        return made.close(ended_well=ended_well)

    assert run([1, 2], 1, ended_well=False) == 1
    assert run([9], 9, ended_well=False) == 1
    assert run([9], 8, ended_well=True) == 0
    assert len(list(read_rows(tmp_path / "w.db"))) == 1
    assert run(object(), 7, ended_well=True) == 0  # not known
    given = Journal(tmp_path / "w.db", "w.json", inputs=digest_of_inputs({"ids": [1]}))
    assert given.find(ask(1)) is not None and given.find(ask(1)) is None
    given.close(ended_well=True)  # those who asked it first still need it
    assert len(list(read_rows(tmp_path / "w.db"))) == 1
    assert run([1, 2], 2, ended_well=True) == 0
    assert not list(tmp_path.iterdir())


def test_a_key_that_utf_8_cannot_hold(tmp_path: Path) -> None:
    first = journal(tmp_path)
    for number in range(3):
        first.keep(ask(number), "classify", f"{number}: \ud800", {"response": "\ud800"}, seconds=1)
    first.close(ended_well=False)
    assert [row.key for row in read_rows(tmp_path / "state" / "w.db")] == [f"{n}: \\ud800" for n in range(3)]
    second = journal(tmp_path)
    assert [(second.find(ask(n)) or pytest.fail("gone")).result for n in range(3)] == [{"response": "\ud800"}] * 3
    second.close(ended_well=True)


def test_equal_items_stay_apart(tmp_path: Path) -> None:
    first = journal(tmp_path)
    for text in ("one", "two"):
        first.keep(ask(1), "classify", None, {"response": text}, seconds=0)
    first.close(ended_well=False)
    for _ in range(2):  # an answer that was given out in a run that died is there for the next one
        again = journal(tmp_path)
        found = [again.find(ask(1)) for _ in range(3)]
        assert [answer and answer.result["response"] for answer in found] == ["one", "two", None]
        again.close(ended_well=False)


@pytest.mark.parametrize(
    "is_known", [False, True], ids=["at once", "after the journal has written that they are given"]
)
def test_many_equal_items_get_their_answers_in_order_and_in_as_many_steps_as_others(
    tmp_path: Path, is_known: bool
) -> None:
    def steps(items: list[bytes]) -> int:
        run = journal(tmp_path, fresh=True)
        for number, asked in enumerate(items):
            run.keep(asked, "classify", None, {"response": number}, seconds=0)
        run.close(ended_well=False)
        run = journal(tmp_path)
        counted: list[int] = []
        run._reader.set_progress_handler(lambda: counted.append(1), 10)
        for number, asked in enumerate(items):
            answer = run.find(asked)
            assert answer is not None and answer.result["response"] == number
            if is_known:
                run.flush()
                run.keep(asked, "classify", None, {"response": "new"}, seconds=0)
        assert run.find(items[0]) is None
        run.close(ended_well=True)
        return len(counted)

    assert steps([ask(1)] * 300) < 2 * steps([ask(number) for number in range(300)])


def test_what_is_not_known_of_an_answer_given_out_is_forgotten(tmp_path: Path) -> None:
    first = journal(tmp_path)
    for number in range(50):
        first.keep(ask(number), "classify", None, {}, seconds=0)
    first.close(ended_well=False)
    run = journal(tmp_path)
    for number in range(50):
        assert run.find(ask(number)) is not None
    run.flush()
    assert run.find(ask(99)) is None
    assert not run._given  # or a million items would need memory
    run.close(ended_well=True)


def test_an_answer_of_this_run_is_not_given_to_this_run(tmp_path: Path) -> None:
    run = journal(tmp_path)
    run.keep(ask(0), "classify", None, {}, seconds=0)
    run.close(ended_well=False)
    run = journal(tmp_path)
    run.keep(ask(1), "classify", None, {"response": "a"}, seconds=0)
    run.flush()
    assert run.find(ask(1)) is None
    run.close(ended_well=True)


def test_fresh_forgets(tmp_path: Path) -> None:
    first = journal(tmp_path)
    first.keep(ask(1), "classify", None, {}, seconds=0)
    first.close(ended_well=False)
    again = journal(tmp_path, fresh=True)
    assert again.find(ask(1)) is None
    again.close(ended_well=True)


def test_a_second_run_is_told_at_once(tmp_path: Path) -> None:
    first = journal(tmp_path)
    with pytest.raises(JournalInUse, match=rf"another run \(process {os.getpid()}\) is using the journal .*w\.db"):
        journal(tmp_path)
    first.keep(ask(1), "classify", "k", {"response": 1}, seconds=0.5, cost=0.01)
    first.flush()
    assert [(row.node, row.key, row.cost) for row in read_rows(first.path)] == [("classify", "k", 0.01)]
    first.close(ended_well=True)


def test_a_parameter_that_is_not_json_is_named() -> None:
    with pytest.raises(ParameterError, match="the parameter `stamp` is a PosixPath that JSON cannot hold"):
        fingerprint("n", "t", {"prompt": "x", "stamp": Path("x")})
    with pytest.raises(ParameterError, match="`n` is a float"):
        fingerprint("n", "t", {"n": float("nan")})


def test_the_order_of_keys_does_not_matter() -> None:
    assert fingerprint("n", "t", {"a": 1, "b": 2}) == fingerprint("n", "t", {"b": 2, "a": 1})
    assert fingerprint("n", "t", {"a": 1}) != fingerprint("m", "t", {"a": 1})


def cut(path: Path) -> None:
    """Take away pages that nothing reads until an answer in them is looked for."""
    many = Journal(path, "w.json")
    for number in range(500):
        many.keep(ask(number), "classify", None, {"response": "x" * 99}, seconds=0)
    many.close(ended_well=False)
    path.write_bytes(path.read_bytes()[:-5000])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"not a database at all" * 99), "file is not a database"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b'"bug"', b'"bgu"')), "is damaged"),
        (cut, "page|malformed"),
        (
            lambda path: path.write_bytes(b""),
            "it is empty, so whatever was in it is lost; `pflow-lower journal clear /",
        ),
        (lambda path: pragma(path, "user_version = 0"), "it is of format 0, and this pflow-lower writes format 4"),
    ],
)
def test_what_is_not_a_good_journal_is_said_and_never_guessed_at(tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    first = journal(tmp_path)
    first.keep(ask(1), "classify", None, {"response": "bug"}, seconds=0)
    first.close(ended_well=False)
    damage(first.path)
    with pytest.raises(JournalError, match=message) as caught:
        asked_once(tmp_path)
    assert "journal clear" in str(caught.value) and str(first.path) in str(caught.value)
    anew = Journal(tmp_path / "anew" / "w.db", "w.json", fresh=True)
    anew.close(ended_well=True)


@pytest.mark.parametrize("fresh", [False, True])
def test_somebody_elses_database_is_left_as_it_is(tmp_path: Path, fresh: bool) -> None:
    theirs = tmp_path / "state" / "w.db"
    theirs.parent.mkdir()
    with contextlib.closing(sqlite3.connect(theirs)) as db:
        db.execute("CREATE TABLE customer (name)")
    before = theirs.read_bytes()
    for use in (lambda: journal(tmp_path, fresh=fresh), lambda: forget(theirs), lambda: list(read_rows(theirs))):
        with pytest.raises(NotOurs, match="not a journal of pflow-lower but another database") as caught:
            use()
        assert "clear" not in str(caught.value) and str(theirs) in str(caught.value)
    assert list(theirs.parent.iterdir()) == [theirs] and theirs.read_bytes() == before


def test_a_lock_that_was_removed_while_somebody_waited_for_it_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = journal(tmp_path)
    connect = sqlite3.connect

    def connected_then_removed(*arguments: Any, **options: Any) -> sqlite3.Connection:
        made = connect(*arguments, **options)
        monkeypatch.setattr(sqlite3, "connect", connect)
        first.close(ended_well=True)  # between the opening of the lock and its taking
        return made

    monkeypatch.setattr(sqlite3, "connect", connected_then_removed)
    second = journal(tmp_path)
    with pytest.raises(JournalInUse):
        journal(tmp_path)
    second.close(ended_well=True)


def test_a_process_that_is_killed_while_it_makes_the_journal_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            journal(tmp_path)
    assert not (tmp_path / "state" / "w.db").exists()
    run = journal(tmp_path)
    run.keep(ask(1), "classify", None, {"response": 1}, seconds=0)
    run.close(ended_well=False)
    assert [row.result for row in read_rows(run.path)] == [{"response": 1}]


def test_nothing_of_a_journal_that_was_being_removed_comes_back(tmp_path: Path) -> None:
    run = journal(tmp_path)
    run.keep(ask(1), "classify", None, {"response": 1}, seconds=0)
    run.flush()
    log = run.path.with_name("w.db-wal")
    left = log.read_bytes()
    run.close(ended_well=True)
    log.write_bytes(left)  # killed between one file and the next
    run = journal(tmp_path)
    assert run.found == 0 and run.find(ask(1)) is None
    run.close(ended_well=True)


def test_a_run_that_has_ended_well_tidies_nothing_up(tmp_path: Path) -> None:
    run = journal(tmp_path)
    asked: list[str] = []
    run._db.set_trace_callback(asked.append)
    run.close(ended_well=True)
    assert not asked and not run.path.exists()


def asked_once(folder: Path) -> None:
    again = journal(folder)
    try:
        again.find(ask(1))
    finally:
        again.close(ended_well=False)


def pragma(path: Path, setting: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA {setting}")
    db.close()


CHILD = """
import sys
from pathlib import Path
from pflow_lower.runtime.fingerprints import fingerprint
from pflow_lower.runtime.journal import Journal
journal = Journal(Path(sys.argv[1]), "w")
print("ready", flush=True)
for number in range(2000):
    asked = fingerprint("n", "t", {"x": number})
    if journal.find(asked) is None:
        print("run", number, flush=True)
        journal.keep(asked, "n", None, {"x": number}, seconds=0)
        if number % 20 == 0:
            journal.flush()
            print("safe", number, flush=True)
journal.close(ended_well=False)
print("done", flush=True)
"""


@pytest.mark.slow
def test_killed_at_random_moments_nothing_acknowledged_is_lost_or_run_again(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    chance = random.Random(7)
    safe: set[int] = set()
    for _ in range(12):
        before = {row.result["x"] for row in read_rows(path)} if path.exists() else set()
        assert safe <= before
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        said = [line.split() for line in child.communicate()[0].splitlines()]
        assert not {int(line[1]) for line in said if line[0] == "run" and len(line) == 2} & before
        safe |= {int(line[1]) for line in said if line[0] == "safe" and len(line) == 2}
    subprocess.run([sys.executable, "-c", CHILD, str(path)], check=True, stdout=subprocess.DEVNULL)
    assert sorted(row.result["x"] for row in read_rows(path)) == list(range(2000))


def keep_many(run: Journal) -> None:
    for number in range(10_000):
        run.keep(ask(number), "classify", None, {"response": "x" * 500}, seconds=0)
        run.flush()


def test_a_full_disk_is_said_by_the_next_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = journal(tmp_path)
    run._db.execute("PRAGMA max_page_count = 12")
    with pytest.raises(JournalError, match="database or disk is full; make room"):
        keep_many(run)
    with pytest.raises(JournalError, match="disk is full"):
        run.close(ended_well=True)
    assert list(read_rows(run.path))  # what was written before is still there


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that every user may look into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def said_to_an_ordinary_user(folder: Path) -> str:
    """What keeps somebody who is not root, and may so not write everywhere, from opening the journal."""
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks where threads are: this one needs none of them
        child = os.fork()
    if not child:
        said = "nothing"
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            journal(folder)
        except JournalError as error:
            said = str(error)
        finally:
            os.write(theirs, said.encode())
            os._exit(0)
    os.close(theirs)
    os.waitpid(child, 0)
    with os.fdopen(ours) as pipe:
        return pipe.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no such rights")
def test_a_read_only_folder_or_file_is_an_error_before_the_first_item(everybodys: Path) -> None:
    folder = everybodys / "state"
    folder.mkdir()
    folder.chmod(0o555)
    assert said_to_an_ordinary_user(everybodys).startswith(f"cannot write the journal {folder / 'w.db'}: ")
    folder.chmod(0o777)
    assert said_to_an_ordinary_user(everybodys) == "nothing"
    for left in folder.iterdir():
        left.unlink()
    run = journal(everybodys)
    run.keep(ask(1), "classify", None, {"response": 1}, seconds=0)
    run.close(ended_well=False)
    run.path.with_name("w.db.lock").chmod(0o666)
    run.path.chmod(0o444)
    assert "attempt to write a readonly database; make room or name another place" in said_to_an_ordinary_user(
        everybodys
    )


def test_a_folder_that_is_a_file_is_an_error_before_the_first_item(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(JournalError, match="cannot write the journal"):
        journal(tmp_path)
