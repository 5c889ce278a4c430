"""Batches whose items come from a file and whose results go to one: in order, on threads, as tasks, and in pflow."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from helpers.shapes import missing_shapes
from pocketflow import AsyncNode, Node

from pflow_lower import lower
from pflow_lower.runtime.outcome import BatchEndedEarly
from pflow_lower.runtime.run import STATE_VARIABLE, Run, running
from pflow_lower.runtime.stream_files import StreamError
from pflow_lower.runtime.streams import ItemsFile, ResultsFile, number_of_items
from pflow_lower.runtime.tally import MOST_KEPT

MANY = 5000
"""More items than threads do while one of them fails."""

CALLS: Counter[Any] = Counter()


def answer(x: Any) -> Any:
    """What the node under test makes of an item."""
    CALLS[str(x)] += 1
    if x == "bad":
        raise RuntimeError("no such item")
    if x == "mute":
        raise TimeoutError
    if x == "set":
        return {1, 2}
    if x == "interrupt":
        raise KeyboardInterrupt
    return {"twice": x * 2} if isinstance(x, int) else x


class Blocking(Node):  # type: ignore[misc]
    def prep(self, shared: Any) -> Any:
        return self.params["x"]

    def exec(self, x: Any) -> Any:
        return answer(x)

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["response"] = exec_res


class Asynchronous(AsyncNode):  # type: ignore[misc]
    async def prep_async(self, shared: Any) -> Any:
        return self.params["x"]

    async def exec_async(self, x: Any) -> Any:
        await asyncio.sleep(0)
        return answer(x)

    async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["response"] = exec_res


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    CALLS.clear()
    return tmp_path


SHAPES = ["in order", "threads", "tasks"]
every_shape = pytest.mark.parametrize("shape", SHAPES)


def test_every_shape_is_tried() -> None:
    assert not missing_shapes(type(node_of(shape, {})) for shape in SHAPES)


def node_of(shape: str, batch: dict[str, Any]) -> Any:
    """The generated class around a node of the test; a key that is None is left out."""
    parallel = {} if shape == "in order" else {"parallel": True, "max_concurrent": 4}
    kind = "Asynchronous" if shape == "tasks" else "Blocking"
    files = {"items": {"file": "in.jsonl"}, "results": {"file": "out.jsonl"}}
    written = {key: value for key, value in {**files, **parallel, **batch}.items() if value is not None}
    node = {"id": "say", "type": "test", "params": {"x": "${item.x}"}, "batch": written}
    known = [name for name in ("folder", "starred") if name in str(batch)]
    inputs = {name: {"type": "string", "required": False} for name in known}
    table = Path("nodes.toml")
    table.write_text(f'test = {{ class = "{__name__}:{kind}", async = {"true" if shape == "tasks" else "false"} }}\n')
    made = lower({"ir_version": "0.1.0", "inputs": inputs, "nodes": [node], "edges": []}, nodes=table)
    return made.load()["say"](globals()[kind]())


def run(shape: str, batch: dict[str, Any], *, asked: dict[str, Any] | None = None, **store: Any) -> dict[str, Any]:
    """What the batch writes to the store."""
    shared = {**store}
    try:
        with running(Run("workflow.json", **(asked or {}))):
            node_of(shape, batch)._run(shared)
    finally:
        run.outcome = shared.get("say")  # type: ignore[attr-defined]
    found: dict[str, Any] = shared["say"]
    return found


def items(values: Iterable[Any], path: str = "in.jsonl") -> None:
    Path(path).write_text("".join(json.dumps({"x": value}) + "\n" for value in values))


def results(path: str = "out.jsonl") -> list[dict[str, Any]]:
    """The results in the file, by index; every line must be whole."""
    text = Path(path).read_text()
    assert not text or text.endswith("\n")
    return sorted(map(json.loads, text.splitlines()), key=lambda found: found["original_index"])


@every_shape
def test_items_are_read_and_results_written(shape: str) -> None:
    items(range(50))
    outcome = run(shape, {"key": "n${item.x}"})
    assert list(outcome) == ["file", "count", "success_count", "error_count", "errors", "batch_metadata"]
    assert outcome["file"] == "out.jsonl"
    assert (outcome["count"], outcome["success_count"], outcome["error_count"], outcome["errors"]) == (50, 50, 0, [])
    assert results() == [
        {"response": {"twice": 2 * n}, "item": {"x": n}, "original_index": n, "key": f"n{n}"} for n in range(50)
    ]
    timing = outcome["batch_metadata"]["timing"]
    assert timing["min_item_ms"] <= timing["avg_item_ms"] <= timing["max_item_ms"] <= timing["total_items_ms"]


@every_shape
@pytest.mark.parametrize(("source", "sink"), [(True, False), (False, True)], ids=["items", "results"])
def test_either_file_works_without_the_other(shape: str, source: bool, sink: bool) -> None:
    items([1, "bad", 3])
    batch: dict[str, Any] = {"error_handling": "continue"}
    batch["items"] = {"file": "in.jsonl"} if source else [{"x": 1}, {"x": "bad"}, {"x": 3}]
    batch["results"] = {"file": "new/out.jsonl"} if sink else None
    outcome = run(shape, batch)
    assert ("results" in outcome) is not sink and ("file" in outcome) is sink
    found = results("new/out.jsonl") if sink else outcome["results"]
    assert [result["response"]["twice"] for result in found] == [2, 6]
    assert [error["index"] for error in outcome["errors"]] == [1]
    assert (outcome["count"], outcome["success_count"], outcome["error_count"]) == (3, 2, 1)


@every_shape
def test_an_empty_file_is_an_empty_batch_and_the_results_of_an_earlier_run_are_gone(shape: str) -> None:
    items([])
    Path("out.jsonl").write_text("old\n")
    assert run(shape, {})["count"] == 0
    assert results() == []


MANY_FILES = {"items": {"file": "in/*.jsonl"}, "results": {"file": "out/*.jsonl"}}


def many_files(*files: Iterable[Any]) -> None:
    Path("in").mkdir()
    for number, values in enumerate(files):
        items(values, f"in/{number}.jsonl")


@every_shape
def test_a_star_stands_for_many_files(shape: str) -> None:
    many_files([1, 2], [], ["bad", 3, "mute"])
    outcome = run(shape, {**MANY_FILES, "error_handling": "continue"})
    assert (outcome["file"], outcome["success_count"]) == ("out/*.jsonl", 3)
    assert [result["original_index"] for result in results("out/00000.jsonl")] == [0, 1, 3]
    errors = [
        {"index": 2, "item": {"x": "bad"}, "error": "no such item"},
        {"index": 4, "item": {"x": "mute"}, "error": "TimeoutError"},
    ]
    counts = {"success_count": 3, "error_count": 2, "errors": errors}
    assert json.loads(Path("out/manifest.json").read_text()) == {"files": ["00000.jsonl"], "complete": True, **counts}
    again = {"items": {"file": "out/*.jsonl"}, "results": {"file": "out2.jsonl"}, "error_handling": "continue"}
    with pytest.raises(RuntimeError, match="x"):
        run(shape, again)  # the results of one are the items of another, which look different
    assert run(shape, {**MANY_FILES, "error_handling": "continue"})["success_count"] == 3


@every_shape
@pytest.mark.parametrize(
    ("values", "batch", "asked", "why"),
    [
        ([1, 2, "bad"], {}, {}, "item [2] failed"),
        ([1, 2, "unreadable"], {}, {}, "in/0.jsonl"),
        (["bad", "bad", 1, 2], {"error_handling": "continue", "tolerated_failures": 0}, {}, "failed, and tolerated"),
        ([1, 2, 3], {}, {"limit": 2}, "only the first 2 items ran (limit)"),
        ([1, 2, "interrupt"], {}, {}, "interrupted"),
    ],
)
@pytest.mark.parametrize("many", [True, False])
def test_results_that_are_not_those_of_all_items_say_so(
    shape: str, values: list[Any], batch: dict[str, Any], asked: dict[str, Any], why: str, many: bool
) -> None:
    many_files(values)
    text = Path("in/0.jsonl").read_text()
    Path("in/0.jsonl").write_text(text.replace('{"x": "unreadable"}', "{"))
    said: list[str] = []
    files = MANY_FILES if many else {**MANY_FILES, "results": {"file": "out.jsonl"}}
    shared: dict[str, Any] = {}
    with contextlib.suppress(Exception, KeyboardInterrupt), running(Run("workflow.json", **asked)) as made:
        made.tell = said.append
        node_of(shape, {**files, **batch})._run(shared)
    count = shared["say"]["success_count"]
    of = "1 item" if count == 1 else f"{count} items"
    path = files["results"]["file"]
    assert [line for line in said if line.startswith(f"say: {path} holds the results of {of} only: ") and why in line]
    if many:
        manifest = json.loads(Path("out/manifest.json").read_text())
        assert manifest["complete"] is False and why in manifest["ended_early"], manifest
        assert manifest["success_count"] == count == len(results("out/00000.jsonl"))
    else:
        assert len(results()) == count


@every_shape
@pytest.mark.parametrize("many", [True, False])
def test_a_file_in_which_no_result_is_since_every_item_failed_is_said_to_be_empty(shape: str, many: bool) -> None:
    many_files([1, 2])
    files = MANY_FILES if many else {**MANY_FILES, "results": {"file": "out.jsonl"}}
    path, made = files["results"]["file"], "out/00000.jsonl" if many else "out.jsonl"
    run(shape, {**files, "error_handling": "continue"})
    assert len(results(made)) == 2
    items(["bad", "bad"], "in/0.jsonl")
    said: list[str] = []
    node = node_of(shape, {**files, "error_handling": "continue"})
    asked = Run("workflow.json")
    asked.tell = said.append
    with running(asked), pytest.raises(RuntimeError, match="all 2 items failed"):
        node._run({})
    assert results(made) == []
    assert f"say: {path} holds the results of 0 items only: every item failed" in said
    if many:  # none is left that never ran
        assert json.loads(Path("out/manifest.json").read_text())["complete"] is True


def test_a_manifest_says_that_nobody_came_to_finish_it() -> None:
    many_files([1])
    Path("out").mkdir()
    ResultsFile("out/*.jsonl").begin().close()
    assert json.loads(Path("out/manifest.json").read_text()) == {"files": ["00000.jsonl"], "complete": False}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"items": {"file": "none/*.jsonl"}}, "cannot read none/.*: no file has such a name"),
        ({"results": {"file": "${folder}/*.jsonl"}}, "the results would replace the items"),
        ({"results": {"file": "${starred}/out*.jsonl"}}, "many files of results are told apart by one star"),
        ({"results": {"file": "there/*.jsonl"}}, "there/mine.jsonl is in the way"),
        ({"results": {"file": "[a]/*.jsonl"}}, "a./mine.jsonl is in the way"),
    ],
    ids=["no items", "the items", "two stars", "others", "others where a pattern would not look"],
)
def test_many_files_that_cannot_be_are_said_before_the_first_call(files: dict[str, Any], said: str) -> None:
    many_files([1])
    for folder in ("there", "[a]"):
        Path(folder).mkdir()
        items([7], f"{folder}/mine.jsonl")
    with pytest.raises(StreamError, match=said):
        run("threads", {**MANY_FILES, **files}, folder="in", starred="*")
    assert not CALLS
    assert Path("there/mine.jsonl").read_text() == '{"x": 7}\n' and Path("in/0.jsonl").read_text() == '{"x": 1}\n'


@every_shape
def test_fail_fast_keeps_what_was_done(shape: str) -> None:
    items([1, 2, "bad", *range(MANY)])
    with pytest.raises(RuntimeError, match="no such item"):
        run(shape, {})
    outcome = run.outcome  # type: ignore[attr-defined]
    assert outcome["error_count"] == 1 and outcome["count"] < MANY
    assert len(results()) == outcome["success_count"] >= 2


@every_shape
def test_errors_are_bounded_and_counted(shape: str) -> None:
    items([1, *["bad"] * 250, 2])
    outcome = run(shape, {"error_handling": "continue"})
    assert (outcome["count"], outcome["success_count"], outcome["error_count"]) == (252, 2, 250)
    assert [error["index"] for error in outcome["errors"]] == list(range(1, MOST_KEPT + 1))


def test_what_is_left_out_of_errors_is_said() -> None:
    items([1, *["bad"] * 250])
    shared: dict[str, Any] = {}
    node_of("threads", {"error_handling": "continue"})._run(shared)
    assert "250 error(s) out of 251 items; `errors` has the first 100" in shared["__warnings__"]["say"]


@every_shape
def test_a_line_that_cannot_be_read_ends_the_batch_and_keeps_what_was_done(shape: str) -> None:
    Path("in.jsonl").write_text('{"x": 1}\n{"x": 2}\n{"x": \n{"x": 4}\n')
    with pytest.raises(StreamError, match=r"in\.jsonl:3: the line is not JSON.*; 2 items were done$"):
        run(shape, {})
    assert [result["item"]["x"] for result in results()] == [1, 2]
    assert run.outcome["count"] == 2  # type: ignore[attr-defined]
    items([1, 2, 3, 4])
    assert run(shape, {"resume": True})["count"] == 4


@every_shape
def test_what_is_not_there_is_said_before_the_first_call(shape: str) -> None:
    with pytest.raises(StreamError, match=r"cannot read in\.jsonl: No such file"):
        run(shape, {})
    items([1])
    Path("file").write_text("")
    with pytest.raises(StreamError, match=r"cannot write file/out\.jsonl"):
        run(shape, {"results": {"file": "file/out.jsonl"}})
    Path("out.txt").write_text("")
    with pytest.raises(StreamError, match=r"out\.txt: a file of items or results is called"):
        run(shape, {"results": {"file": "${folder}"}}, folder="out.txt")
    with pytest.raises(ValueError, match=r"the file of `items` is \$\{folder\}/in\.jsonl, and \$\{folder\} was not"):
        run(shape, {"items": {"file": "${folder}/in.jsonl"}})
    with pytest.raises(TypeError, match=r"the file of `results` is \$\{folder\}, and that must be a path, not a list"):
        run(shape, {"results": {"file": "${folder}"}}, folder=["a"])
    assert not CALLS


def test_results_never_replace_the_items(here: Path) -> None:
    items([1])
    os.link("in.jsonl", "also.jsonl")
    with pytest.raises(StreamError, match="the results would replace the items"):
        run("threads", {"results": {"file": "also.jsonl"}})
    assert Path("in.jsonl").read_text() == '{"x": 1}\n'


@pytest.mark.parametrize(
    "path", ["in/out.jsonl", "none/../in/out.jsonl", "link/out.jsonl", "in/*.jsonl", "in/sub/a.jsonl"]
)
def test_results_never_become_items_of_the_next_run(here: Path, path: str) -> None:
    many_files([1])
    Path("link").symlink_to("in")
    with pytest.raises(StreamError, match="the results would replace the items"):
        run("in order", {"items": {"file": "in/**/*.jsonl"}, "results": {"file": "${folder}"}}, folder=path)
    assert not CALLS


@pytest.mark.parametrize("path", ["out/../in.jsonl", "./in.jsonl", "out/../*.jsonl", "sub/in.jsonl", "sub/*.jsonl"])
def test_results_never_replace_the_items_by_another_name(here: Path, path: str) -> None:
    """A folder of the path may be missing until it is made for the results."""
    items([1])
    Path("sub").symlink_to(".")
    with pytest.raises(StreamError, match="the results would replace the items"):
        run("in order", {"results": {"file": "${folder}"}}, folder=path)
    assert Path("in.jsonl").read_text() == '{"x": 1}\n'


def test_paths_start_at_the_working_directory_or_at_home(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here / "home"))
    (here / "home").mkdir()
    items([1], "home/in.jsonl")
    run("in order", {"items": {"file": "~/in.jsonl"}, "results": {"file": "${folder}/a/out.jsonl"}}, folder="sub")
    assert len(results("sub/a/out.jsonl")) == 1


@every_shape
def test_a_result_that_json_cannot_hold_is_that_item_s_error(shape: str) -> None:
    items([1, "set", 2])
    outcome = run(shape, {"error_handling": "continue", "resume": True})
    (error,) = outcome["errors"]
    assert error["error"] == (
        "the result cannot be written to out.jsonl: `response` is a set that JSON cannot hold; make it plain data"
    )
    assert [result["original_index"] for result in results()] == [0, 2]


@every_shape
def test_a_share_of_failures_ends_the_batch_as_soon_as_more_have_failed(shape: str) -> None:
    items([1, "bad", *range(18)])
    assert run(shape, {"error_handling": "continue", "tolerated_failures": "5%"})["error_count"] == 1
    items([1, "bad", *range(17)])
    with pytest.raises(BatchEndedEarly, match=r"1 item failed, and tolerated_failures is 5%; "):
        run(shape, {"error_handling": "continue", "tolerated_failures": "5%"})
    items([1, *["bad"] * 100, *range(MANY)])
    with pytest.raises(BatchEndedEarly, match=r"5[2-5] items failed, and tolerated_failures is 1%"):
        run(shape, {"error_handling": "continue", "tolerated_failures": "1%"})
    assert run.outcome["count"] < MANY  # type: ignore[attr-defined]
    items([1, "bad", *range(MANY)])
    with pytest.raises(BatchEndedEarly):
        run(shape, {"error_handling": "continue", "tolerated_failures": "0%"})
    assert run.outcome["count"] < MANY  # type: ignore[attr-defined]  # certain at once
    items([1, "bad", "bad", "bad", *range(MANY)])
    with pytest.raises(BatchEndedEarly):
        run(shape, {"error_handling": "continue", "tolerated_failures": 2})
    assert run.outcome["count"] < MANY  # type: ignore[attr-defined]


@every_shape
def test_limit_takes_the_first_items_and_the_journal_stays(shape: str) -> None:
    items(range(10))
    outcome = run(shape, {"resume": True}, asked={"limit": 3})
    assert outcome["count"] == 3 and [result["original_index"] for result in results()] == [0, 1, 2]
    assert sum(CALLS.values()) == 3
    assert run(shape, {"resume": True})["count"] == 10
    assert sum(CALLS.values()) == 10
    CALLS.clear()
    assert run(shape, {}, asked={"limit": 10})["count"] == 10
    assert run(shape, {}, asked={"limit": 99})["count"] == 10


@every_shape
def test_a_budget_ends_the_batch_and_the_next_run_goes_on(shape: str) -> None:
    items([1, 2, 3])
    outcome = run(shape, {}, asked={"budget": 100.0})
    assert outcome["count"] == 3
    with pytest.raises(BatchEndedEarly, match=r"the budget of \$0.* is reached"):
        run(shape, {"resume": True}, asked={"budget": 0.0})
    assert run(shape, {"resume": True})["count"] == 3


def test_limit_is_said() -> None:
    items(range(10))
    shared: dict[str, Any] = {}
    with running(Run("workflow.json", limit=3)):
        node_of("in order", {})._run(shared)
    assert "only the first 3 items ran (limit)" in shared["__warnings__"]["say"]


@every_shape
def test_two_items_with_one_name_end_the_batch_with_both_places(shape: str) -> None:
    items([5, 6, 7, 5, 8])
    with pytest.raises(
        StreamError, match=r"\(in.jsonl:1 and in.jsonl:4\) have the same key, '5'.*; 3 items were done$"
    ):
        run(shape, {"key": "${item.x}"})
    assert len(results()) == 3
    Path("in.jsonl").write_text('{"x": 1}\n{"y": 2}\n')
    with pytest.raises(
        StreamError, match=r"item \[1\] \(in.jsonl:2\) has no name, `key` is \$\{item\.x\}: .*no 'x' among y"
    ):
        run(shape, {"key": "${item.x}"})


@every_shape
def test_a_run_goes_on_from_the_journal_and_its_file_is_complete(shape: str) -> None:
    items([0, 1, 2, "bad", 4, 5])
    with pytest.raises(RuntimeError):
        run(shape, {"resume": True})
    first = Counter(CALLS)
    assert first["bad"] == 1
    items([0, 1, 2, 3, 4, 5])
    CALLS.clear()
    outcome = run(shape, {"resume": True})
    assert outcome["count"] == 6
    assert [result["response"]["twice"] for result in results()] == [0, 2, 4, 6, 8, 10]
    assert not CALLS.keys() & (first.keys() - {"bad"})  # nothing that had ended well ran again


def test_an_interrupt_leaves_whole_lines_and_the_count() -> None:
    items([1, 2, "interrupt", 4])
    with pytest.raises(KeyboardInterrupt):
        run("in order", {"resume": True})
    assert [result["item"]["x"] for result in results()] == [1, 2]
    assert run.outcome["count"] == 2  # type: ignore[attr-defined]


def test_a_second_run_does_not_touch_the_results_of_the_first(here: Path) -> None:
    items([1, 2])
    run("in order", {"resume": True}, asked={"limit": 1})
    before = Path("out.jsonl").read_text()
    busy = Run("workflow.json")
    busy.journal()
    with pytest.raises(Exception, match="another run"):
        run("in order", {"resume": True})
    assert Path("out.jsonl").read_text() == before
    busy.close(ended_well=False)


def test_a_full_disk_leaves_whole_lines() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    items([1, 2, 3])
    os.symlink("/dev/full", "out.jsonl")
    with pytest.raises(StreamError, match=r"cannot write out\.jsonl: No space left on device"):
        run("threads", {})


def test_a_write_that_fails_in_the_middle_is_taken_back(here: Path) -> None:
    code = """
import json, resource, sys
from pathlib import Path
from pflow_lower.runtime.stream_files import StreamError
from pflow_lower.runtime.streams import results_file
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for name in ("a.jsonl", "a.csv"):
    file = results_file(Path(name))
    try:
        for number in range(1000):
            file.write({"n": number, "text": "x" * 50})
    except StreamError as error:
        assert "File too large" in str(error)
    else:
        raise AssertionError("all written")
    file.close()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in ("a.jsonl", "a.csv"):
        text = Path(name).read_text()
        assert text.endswith("\n") and 900 < len(text) <= 1000
    assert [json.loads(line)["n"] for line in Path("a.jsonl").read_text().splitlines()] == list(
        range(len(Path("a.jsonl").read_text().splitlines()))
    )


@every_shape
def test_csv(shape: str) -> None:
    with open("in.csv", "w", newline="") as file:
        csv.writer(file).writerows([["x", "y"], ["a", "1"], ['b "q"\nz', "2"]])
    run(shape, {"items": {"file": "in.csv"}, "results": {"file": "out.csv"}})
    with open("out.csv", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["original_index"])
    assert [row["response"] for row in rows] == ["a", 'b "q"\nz']
    assert [json.loads(row["item"])["y"] for row in rows] == ["1", "2"]


@every_shape
def test_parquet(shape: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"x": list(range(30))}), "in.parquet")
    run(shape, {"items": {"file": "in.parquet"}, "results": {"file": "out.parquet"}})
    rows = parquet.read_table("out.parquet").to_pylist()
    assert sorted(row["original_index"] for row in rows) == list(range(30))


WORKFLOW = """# Files

Doubles numbers.

## Inputs

### folder

Where the files are.

- type: string
- required: true

## Steps

### double

Double them.

- type: code

```yaml inputs
x: ${line.x}
```

```python code
x: int
import time
time.sleep(0.01)
open("calls", "a").write(f"{x}\\\\n")
result: int = 2 * x
```

```yaml batch
items:
  file: ${folder}/in.jsonl
results:
  file: ${folder}/out.jsonl
as: line
parallel: true
max_concurrent: 4
resume: true
```

### show

Show how many.

- type: shell

```shell command
wc -l < '${double.file}'; echo ${double.count}
```

## Outputs

### file

The file.

- source: ${double.file}

### shown

What was shown.

- stdout: true
- source: ${show.stdout}
""".replace("\\\\n", "\\n")


def environment(here: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(here), "PFLOW_LOWER_RESUME": "", STATE_VARIABLE: str(here / "state")}


def kill_and_resume(command: list[str], here: Path, kills: int, number: int) -> None:
    """Run `command` until it ends by itself, after so many SIGKILLs at random moments: complete and right."""
    chance = random.Random(5)
    killed = 0
    for _ in range(200):
        before = len(calls(here))
        with (
            open("said", "w") as said,
            subprocess.Popen(command, cwd=here, env=environment(here), stdout=said, stderr=said) as process,
        ):
            until = before + chance.randint(5, number // (kills + 1))
            while killed < kills and process.poll() is None and len(calls(here)) < until:
                time.sleep(0.01)
            if killed < kills and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed += 1
                continue
        assert process.returncode == 0, Path("said").read_text()
        break
    assert killed == kills
    found = results(str(here / "out.jsonl"))
    assert [result["original_index"] for result in found] == list(range(number))
    assert [result["result"] for result in found] == [2 * n for n in range(number)]
    assert set(calls(here)) == set(range(number))
    # Those under way at a kill run again, and those that were not on the disk yet; not all that were done by then.
    assert len(calls(here)) - number < before / 2


def calls(here: Path) -> list[int]:
    file = here / "calls"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.mark.slow
def test_killed_in_pflow_and_resumed(here: Path) -> None:
    pytest.importorskip("pflow")
    number = 400
    items(range(number))
    Path("wf.pflow.md").write_text(WORKFLOW)
    command = [sys.executable, "-m", "pflow_lower", "run", "wf.pflow.md", f"folder={here}"]
    kill_and_resume(command, here, 3, number)


def in_pflow(here: Path) -> tuple[int, str]:
    """The exit status of the workflow's run in pflow, and what was said."""
    done = subprocess.run(
        [sys.executable, "-m", "pflow_lower", "run", "wf.pflow.md", "folder=."],
        capture_output=True,
        text=True,
        env=environment(here),
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_in_pflow(here: Path) -> None:
    pytest.importorskip("pflow")
    items(range(30))
    Path("wf.pflow.md").write_text(WORKFLOW)
    status, said = in_pflow(here)
    assert status == 0 and "30\n30" in said, said
    assert len(results()) == 30
    items([*range(10), "no number"])
    status, _ = in_pflow(here)
    assert status == 1
    Path("in.jsonl").write_text('{"x": 1}\n{"x"\n')
    status, said = in_pflow(here)
    assert status == 1 and "in.jsonl:2: the line is not JSON" in said


@pytest.mark.slow
def test_memory_does_not_grow(here: Path) -> None:
    number = 40_000
    items(["bad" if n % 2 else n for n in range(number)])
    node = node_of("threads", {"key": "${batch_index}", "error_handling": "continue"})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    node._run({})
    assert len(results()) == number / 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # kilobytes


@pytest.mark.slow
def test_the_benchmark_in_small() -> None:
    script = Path(__file__).parent.parent / "benchmarks" / "stream.py"
    command = [sys.executable, str(script), "--items", "10000", "--kills", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10,000 items, 10 workers, 1 kills" in done.stdout


FILES = pytest.mark.parametrize(
    "files", [{}, {"results": {"file": "out/*.jsonl"}}, {"results": {"file": "out.csv"}}], ids=["one", "many", "csv"]
)


@FILES
@every_shape
def test_two_batches_at_once_do_not_write_one_file(
    shape: str, files: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    items([1, 2, 3])
    items([7], "more.jsonl")
    second = {**files, "items": {"file": "more.jsonl"}}
    if "results" in files:
        path = files["results"]["file"]
        second["results"] = {"file": f"../{Path.cwd().name}/{path}"}  # by its real path, not by how it is written
    refused = []

    def other(x: Any) -> Any:
        if x == 2 and not refused:
            with pytest.raises(StreamError, match="another batch that has not ended; put") as caught:
                run("in order", second)
            refused.append(str(caught.value))
        return {"x": x}

    monkeypatch.setattr(sys.modules[__name__], "answer", other)
    assert run(shape, files)["success_count"] == 3
    assert len(refused) == 1
    assert "7" not in "".join(file.read_text() for file in Path().glob("out*/*0*.jsonl"))
    assert run("in order", second)["success_count"] == 1, "the first one has ended"


@FILES
@pytest.mark.parametrize("end", ["interrupt", "bad"])
def test_a_batch_lets_go_of_its_file_however_it_ends(end: str, files: dict[str, Any]) -> None:
    items([1, end])
    with pytest.raises((KeyboardInterrupt, RuntimeError)) as caught:  # it is kept, with all that it refers to
        run("in order", files)
    items([1, 2])
    assert run("in order", files)["success_count"] == 2
    assert caught.value is not None


@pytest.mark.skipif(sys.platform == "win32", reason="no flock there")
@pytest.mark.parametrize("path", ["out.jsonl", "out/*.jsonl"])
def test_another_process_does_not_write_that_file(path: str) -> None:
    items([1])
    script = (
        "import sys; from pflow_lower.runtime.streams import ResultsFile; "
        f"file = ResultsFile({path!r}); writer = file.begin(); writer.write({{'x': 5}}); "
        "print('begun', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "begun\n"
        with pytest.raises(StreamError, match="another batch that has not ended"):
            run("in order", {"results": {"file": path}})
        assert "5" in Path(path.replace("*", "00000")).read_text(), "what it has written is still there"
        other.kill()
    assert run("in order", {"results": {"file": path}})["success_count"] == 1


@every_shape
def test_a_line_that_cannot_be_read_is_said_where_all_items_before_it_failed(shape: str) -> None:
    Path("in.jsonl").write_text('{"x": "bad"}\n{"x": \n{"x": 3}\n')
    with pytest.raises(StreamError, match=r"in\.jsonl.*; 1 item was done\. Errors: \[0\] no such item"):
        run(shape, {"error_handling": "continue"})


@every_shape
def test_another_node_of_the_run_does_not_replace_results(shape: str, here: Path) -> None:
    """However the path is spelt; the node itself may begin its file anew, and so may the next run."""
    items([1, 2])
    (here / "link.jsonl").symlink_to(here / "out.jsonl")
    with running(Run("workflow.json")):
        node_of(shape, {})._run({})
        node_of(shape, {})._run({})
        other = node_of(shape, {"results": {"file": "${folder}/link.jsonl"}})
        type(other).node_id = "other"
        with pytest.raises(StreamError, match=r"^other: the results would replace those of 'say' in .*link"):
            other._run({"folder": str(here)})
        assert [result["response"] for result in results()] == [{"twice": 2}, {"twice": 4}]
    with running(Run("workflow.json")):
        other._run({"folder": str(here)})


@every_shape
@pytest.mark.parametrize("order", [("d/*.jsonl", "d/00000.jsonl"), ("d/00000.jsonl", "d/*.jsonl")])
def test_one_of_many_files_is_not_replaced_either(shape: str, order: tuple[str, str], here: Path) -> None:
    items([1, 2])
    with running(Run("workflow.json")):
        node_of(shape, {"results": {"file": order[0]}})._run({})
        other = node_of(shape, {"results": {"file": order[1]}})
        type(other).node_id = "other"
        with pytest.raises(StreamError, match=r"^other: the results would replace those of 'say'"):
            other._run({})
    assert len(results("d/00000.jsonl")) == 2


class Starting(Node):  # type: ignore[misc]
    """As pflow's node that runs a workflow: here, one of a single batch."""

    shape = "in order"
    attempts: ClassVar[Counter[Any]] = Counter()

    def _compile_sub_workflow(self) -> None:
        """What pflow's node is known by."""

    def exec(self, prep_res: Any) -> None:
        name, tries = self.params["x"]
        self.attempts[name] += 1
        node_of(self.shape, {"results": {"file": f"{name}.jsonl"}})._run({})
        if self.attempts[name] < tries:
            raise RuntimeError("once more")


def start(*written: tuple[str, int], **batch: Any) -> dict[str, Any]:
    """What becomes of items that start a workflow each: the name of its results file, at which attempt it succeeds."""
    batch = {"items": [list(one) for one in written], "error_handling": "continue", **batch}
    node = {"id": "start", "type": "test", "params": {"x": "${item}"}, "batch": batch}
    Path("nodes.toml").write_text(f'test = "{__name__}:Starting"\n')
    made = lower({"ir_version": "0.1.0", "nodes": [node], "edges": []}, nodes=Path("nodes.toml"))
    store: dict[str, Any] = {}
    made.load()["start"](Starting())._run(store)
    return store["start"]  # type: ignore[no-any-return]


@every_shape
@pytest.mark.parametrize("parallel", [{}, {"parallel": True}], ids=["one by one", "at once"])
def test_items_that_start_a_workflow_do_not_replace_each_other_s_results(
    shape: str, parallel: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another attempt of an item may; so may another round of a loop."""
    monkeypatch.setattr(Starting, "shape", shape)
    monkeypatch.setattr(Starting, "attempts", Counter())
    items([1, 2])

    def started(*written: tuple[str, int]) -> dict[str, Any]:
        return start(*written, max_retries=2, **parallel)

    with running(Run("workflow.json")):
        assert started(("a", 1), ("b", 2))["error_count"] == 0
        assert started(("a", 1), ("b", 1))["error_count"] == 0
    with running(Run("workflow.json")):
        outcome = started(("a", 1), ("a", 1))
    (error,) = outcome["errors"]
    assert "those of another item that has started this workflow, in a.jsonl" in error["error"] or parallel
    assert len(results("a.jsonl")) == 2


class Resumed(NamedTuple):
    """A run that goes on after one of which an item has failed."""

    outcome: dict[str, Any]
    begun: set[str]
    """The items that were run, by the name of their results file."""
    said: str


def resumed(*written: tuple[str, int], after: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Resumed:
    """A run of `written`, after one that left `a` and `b` with their results and `c` not, and then `after`."""
    monkeypatch.setattr(Starting, "attempts", Counter())
    items([1, 2])
    with running(Run("workflow.json", resume=True)):
        assert start(("a", 1), ("b", 1), ("c", 2))["error_count"] == 1
    after()
    before, said = Counter(Starting.attempts), list[str]()
    again = Run("workflow.json", resume=True)
    again.tell = said.append
    with running(again):
        outcome = start(*written)
    return Resumed(outcome, set(Starting.attempts - before), "\n".join(said))


ALL = (("a", 1), ("b", 1), ("c", 2))


def test_a_resumed_run_uses_answers_whose_files_are_as_they_were_left(monkeypatch: pytest.MonkeyPatch) -> None:
    found = resumed(*ALL, after=lambda: None, monkeypatch=monkeypatch)
    assert found.begun == {"c"} and found.outcome["success_count"] == 3 and "runs again" not in found.said


@pytest.mark.parametrize(
    ("after", "why"),
    [
        pytest.param(lambda: Path("a.jsonl").unlink(), "a.jsonl is gone", id="gone"),
        pytest.param(lambda: items([7], "a.jsonl"), "a.jsonl has changed", id="changed"),
    ],
)
def test_a_resumed_run_runs_items_again_whose_files_are_not(
    after: Callable[[], object], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = resumed(*ALL, after=after, monkeypatch=monkeypatch)
    assert found.begun == {"a", "c"} and found.outcome["success_count"] == 3
    assert "start: what item [0] gave is not used, it runs again: " in found.said and why in found.said
    assert [one["response"]["twice"] for one in results("a.jsonl")] == [2, 4]


def test_a_resumed_run_does_not_replace_results_of_items_that_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = resumed(("a", 1), ("b", 1), ("a", 2), after=lambda: None, monkeypatch=monkeypatch)
    (error,) = found.outcome["errors"]
    assert "those of another item that has started this workflow" in error["error"] and error["index"] == 2


def test_an_answer_of_a_resumed_run_is_as_good_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an older one does not hold, the newer one does."""
    again = (("a", 1), ("b", 1), ("c", 9))
    found = resumed(*again, after=lambda: Path("a.jsonl").unlink(), monkeypatch=monkeypatch)
    assert found.begun == {"a", "c"} and found.outcome["error_count"] == 1
    before = Counter(Starting.attempts)
    with running(Run("workflow.json", resume=True)):
        assert start(*again)["error_count"] == 1
    assert set(Starting.attempts - before) == {"c"}


def test_bytes_that_are_not_utf_8_are_found_in_their_line() -> None:
    Path("in.jsonl").write_bytes(b'{"x": 1}\n' * 20_000 + b'{"x": "\xe9"}\n')
    with pytest.raises(StreamError, match=r"^in\.jsonl:20001: the line is not UTF-8 \(.*, byte 8\)"):
        list(ItemsFile("in.jsonl"))
    with pytest.raises(StreamError, match=r"^in\.jsonl:20001: "):
        number_of_items(Path("in.jsonl"))
    Path("in.csv").write_bytes(b"x\n" + b"1\n" * 20_000 + b"\xe9\n")
    with pytest.raises(StreamError, match=r"^in\.csv:20002: the line is not UTF-8 \(.*, byte 1\)"):
        list(ItemsFile("in.csv"))


def test_a_parquet_file_that_is_broken_is_named() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    Path("in").mkdir()
    parquet.write_table(pyarrow.table({"x": [1]}), "in/0.parquet")
    Path("in/1.parquet").write_text("no such thing")
    with pytest.raises(
        StreamError, match=r"cannot read in/1\.parquet: Parquet magic bytes not found.*[^.]; 1 item was done"
    ):
        run("in order", {"items": {"file": "in/*.parquet"}})
    with pytest.raises(StreamError, match=r"cannot read in/1\.parquet: "):
        number_of_items(Path("in/1.parquet"))


def test_a_row_of_a_parquet_file_is_named() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    Path("in").mkdir()
    for number in range(2):
        parquet.write_table(pyarrow.table({"x": [1, 2] if number else [3, 1]}), f"in/{number}.parquet")
    with pytest.raises(StreamError, match=r"\(row 2 of in/0\.parquet and row 1 of in/1\.parquet\)"):
        run("in order", {"items": {"file": "in/*.parquet"}, "key": "${item.x}"})


@pytest.mark.skipif(os.name == "nt", reason="no named pipes")
@pytest.mark.parametrize("last", ['{"x": 1, "id": "a"}\n', '{"x": 1}\n', '{"x": 1, "id": "\udcff"}\n'])
def test_what_is_wrong_in_a_pipe_is_said_though_it_cannot_be_read_again(tmp_path: Path, last: str) -> None:
    pipe = tmp_path / "items.jsonl"
    os.mkfifo(pipe)
    text = ('{"x": 1, "id": "a"}\n{"x": 1, "id": "b"}\n' + last).encode("utf-8", "surrogateescape")
    threading.Thread(target=lambda: pipe.write_bytes(text), daemon=True).start()
    with pytest.raises((StreamError, ValueError), match=r"not UTF-8|have the same key|has no name"):
        run("in order", {"items": {"file": "items.jsonl"}, "key": "${item.id}"})


def test_a_row_of_csv_stands_where_it_begins(tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text('id,t\n\n1,"x\ny"\n\n2,z\n')
    assert [ItemsFile(str(file)).place_of(index) for index in (0, 1)] == [f"{file}:3", f"{file}:6"]
    file.unlink()
    assert ItemsFile(str(file)).place_of(0) == ""
