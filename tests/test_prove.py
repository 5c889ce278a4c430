"""The equivalence report: on workflows that agree, on planted differences, and on what it cannot do."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("pflow")

from pflow_lower.node_types.pflow_types import REFERENCE
from pflow_lower.pflow.prove import run as proving
from pflow_lower.pflow.prove import virtual_time

OK = Path(__file__).parent.parent / "golden" / "ok"
CLASSIFIER = str(OK / "issue-classifier" / "workflow.json")

Prove = Callable[..., tuple[int, str, str]]


@pytest.fixture
def prove(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Prove:
    def run(workflow: str | dict[str, Any], *inputs: str) -> tuple[int, str, str]:
        if isinstance(workflow, dict):
            (tmp_path / "workflow.json").write_text(json.dumps(workflow))
            workflow = str(tmp_path / "workflow.json")
        status = proving.prove_all(workflow, inputs)
        return status, *capsys.readouterr()

    return run


def one(params: Any = None, node_type: str = "shell", **batch: Any) -> dict[str, Any]:
    node = {"id": "b", "type": node_type, "params": params or {"command": "echo ${item}"}}
    return {"ir_version": "0.1.0", "nodes": [{**node, "batch": {"items": [1, 2, 3], **batch}}], "edges": []}


def test_a_parallel_batch(prove: Prove) -> None:
    status, out, err = prove(CLASSIFIER)
    assert (status, err) == (0, "")
    assert out == (
        "classify: 101 runs\n"
        "  calls         agree  771, with the same parameters\n"
        "  attempts      agree  at most 9 for an item; not compared in 12 aborted runs\n"
        "  order         agree\n"
        "  in flight     agree  at most 5\n"
        "  outputs       agree\n"
        "  progress      agree  not compared in 12 aborted runs\n"
        "  trace         agree  not compared in 12 aborted runs\n"
        "  warnings      agree  not compared in 12 aborted runs\n"
        "  raised error  agree  in 60 runs\n"
        "  in 13 runs that stopped, items that never ran are left out: pflow counts them as failed\n"
        "1 batch node, 101 runs: all agree\n"
    )


def test_batches_in_order_and_side_by_side(prove: Prove) -> None:
    status, out, err = prove(str(OK / "summarise-files" / "workflow.json"), "folder=notes")
    assert (status, err) == (0, "")
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        "read: 57 runs",
        "summarise: 100 runs",
        "2 batch nodes, 157 runs: all agree",
    ]


def test_a_node_that_was_not_compared_is_not_counted_as_agreeing(prove: Prove) -> None:
    workflow = one()
    other = {"id": "c", "type": "shell", "params": {"command": "echo ${item}"}}
    workflow["nodes"].append({**other, "batch": {"items": [1, 2], "key": "${item}"}})
    workflow["edges"] = [{"from": "b", "to": "c"}]
    status, out, err = prove(workflow)
    assert (status, err) == (2, "")
    assert "c: nothing to compare, pflow does not know `key` as its annotation says it\n" in out
    assert out.endswith("\n1 of 2 batch nodes, 40 runs: all agree; 1 was not compared\n")
    assert out.count("not compared") == 1
    workflow["nodes"].append({**workflow["nodes"][1], "id": "d"})
    workflow["edges"].append({"from": "c", "to": "d"})
    status, out, _ = prove(workflow)
    assert status == 2 and out.endswith("\n1 of 3 batch nodes, 40 runs: all agree; 2 were not compared\n")
    with mock.patch("pflow_lower.runtime.attempts._is_worth_another", return_value=False):  # a difference, too
        status, out, _ = prove({**workflow, "nodes": [one(max_retries=2)["nodes"][0], *workflow["nodes"][1:]]})
    assert status == 2 and "differences; 2 were not compared" in out


@pytest.mark.parametrize("name", ["markdown", "retries", "sub-workflow", "two-batches-in-a-chain", "zip-by-index"])
def test_other_shapes(prove: Prove, name: str) -> None:
    (workflow,) = (OK / name).glob("workflow.*")
    status, out, err = prove(str(workflow))
    assert (status, err) == (0, ""), out
    assert out.endswith("all agree\n")


@pytest.mark.parametrize(
    ("place", "wrong", "facets"),
    [
        (
            "attempts._is_worth_another",
            lambda *_: False,
            {"calls", "attempts", "order", "outputs", "progress", "trace", "warnings", "raised error"},
        ),
        ("outcome._warnings", lambda *_: [], {"warnings"}),
        ("outcome._all_failed", lambda _: "everything failed", {"raised error"}),
        ("engine.Engine.reporter", lambda *_: None, {"progress"}),
        ("summary._bounded", lambda text, _: text, set()),  # nothing here is so long
    ],
)
def test_differences_are_shown(prove: Prove, place: str, wrong: Any, facets: set[str]) -> None:
    with mock.patch(f"pflow_lower.runtime.{place}", wrong):
        status, out, _ = prove(one(error_handling="continue", max_retries=2))
    assert status == (1 if facets else 0)
    different = {line.split("DIFFER")[0].strip() for line in out.splitlines() if "DIFFER" in line}
    assert different == facets
    assert (" differences\n" in out) == bool(facets)
    assert ("      interpreted  " in out) == bool(facets)


def test_the_clock_stands_still_wherever_a_batch_waits() -> None:
    from pflow_lower.pflow.prove.virtual_time import virtual_time
    from pflow_lower.runtime import attempts, schedule, stopping

    with virtual_time() as made:
        assert stopping.time is made.time
        assert attempts.perf_counter == made.time.perf_counter
        assert stopping.Latch == schedule.Latch == made.threading.Event
        assert schedule.threading is made.threading
    assert made.time not in (stopping.time, attempts.perf_counter)


def test_too_many_at_once(prove: Prove) -> None:
    from pflow_lower.runtime.schedule import in_threads

    def too_many(node: Any, batch: Any) -> Any:
        batch.max_concurrent += 1
        return in_threads(node, batch)

    with mock.patch("pflow_lower.runtime.batch_nodes.in_threads", too_many):
        status, out, _ = prove(
            one({"command": "${one_of_three}"}, parallel=True, max_concurrent=2, **{"as": "one_of_three"})
        )
    assert status == 1
    assert "  in flight     DIFFER" in out
    assert "      interpreted  2\n      lowered      3\n" in out


def test_hours_take_no_time(prove: Prove, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks: list[virtual_time.VirtualTime] = []

    class Noted(virtual_time.VirtualTime):
        def __init__(self) -> None:
            super().__init__()
            clocks.append(self)

    monkeypatch.setattr(virtual_time, "VirtualTime", Noted)
    for parallel in (False, True):
        workflow = one(max_retries=3, retry_wait=600, parallel=parallel, error_handling="continue")
        assert prove(workflow)[0] == 0
    assert max(clock.time.monotonic() for clock in clocks) >= 2 * 600  # theirs, not ours


def test_inputs_are_made_up_by_type_or_given(prove: Prove) -> None:
    types = ["string", "number", "integer", "boolean", "array", "object", "any"]
    workflow = one({"command": " ".join(f"'${{{name}_in}}'" for name in types) + " ${row.a[2].b}"}, **{"as": "row"})
    workflow["nodes"][0]["batch"]["items"] = "${array_in}"
    workflow["inputs"] = {f"{name}_in": {"type": name, "required": True} for name in types}
    assert prove(workflow)[1].endswith("1 batch node, 57 runs: all agree\n")
    rows = json.dumps([{"a": [0, 0, {"b": n}]} for n in range(4)])
    status, out, _ = prove(workflow, "string_in=it", "integer_in=4", "any_in=this", f"array_in={rows}")
    assert status == 0
    assert out.startswith("b: 41 runs\n")


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (["nope=1"], "'nope=1' is not an input of this workflow; its inputs: repo=..., style=..."),
        (["repo"], "the input repo needs a value: repo=..."),
        (["repo=a", "style=b", "repo=c"], "the input repo is given twice, as 'a' and 'c'"),
    ],
)
def test_inputs_that_are_wrong(prove: Prove, inputs: list[str], why: str) -> None:
    status, out, err = prove(CLASSIFIER, *inputs)
    assert (status, out) == (2, "")
    assert why in err


def test_an_input_that_is_no_json(prove: Prove) -> None:
    workflow = one()
    workflow["inputs"] = {"n": {"type": "integer", "required": True}}
    workflow["nodes"][0]["params"]["command"] = "${n} ${item}"
    assert prove(workflow, "n=many") == (2, "", "pflow-lower: the input n must be of type integer, not 'many'\n")


def test_what_cannot_be_compared(prove: Prove) -> None:
    status, out, err = prove(str(OK / "batch-index-and-total" / "workflow.json"))
    assert (status, err) == (2, "nothing was compared\n")
    assert out == "proofread: nothing to compare, it uses ${batch_index}, which pflow does not have\n"
    status, out, err = prove(str(OK / "durable-keys" / "workflow.json"))
    assert (status, err) == (2, "nothing was compared\n")
    assert "nothing to compare, pflow does not know `" in out
    assert prove("no-such-file.json")[0] == 2
    assert prove({"ir_version": "0.1.0", "nodes": [{"id": "a", "type": "shell", "params": {}}], "edges": []}) == (
        0, "no batch nodes\n", ""
    )  # fmt: skip


def test_a_date_runs_interpreted(prove: Prove) -> None:
    """What pflow has of it is no text, as generated code has it."""
    status, out, _ = prove(str(OK / "values-that-json-has-not" / "workflow.pflow.md"))
    assert (status, out.splitlines()[0]) == (2, "say: nothing to compare, it runs interpreted")


@pytest.mark.parametrize("node_type", ["no-such-type", "weather.nodes:Forecast", "mcp-mail-send", 'a\n"type"'])
def test_types_that_pflow_does_not_know_are_stood_in_for(prove: Prove, node_type: str) -> None:
    workflow = one({"x": "${item}"}, node_type)
    del workflow["edges"]
    status, out, err = prove(workflow)
    assert (status, err) == (0, "")
    assert out.endswith("all agree\n")


FLOWS = Path(__file__).parent / "pflow_flows"
EVERY = [*sorted(OK.glob("*/workflow.*")), *sorted(FLOWS.glob("*.pflow.md")), *sorted(FLOWS.glob("nodes/*.pflow.md"))]


@pytest.mark.slow
@pytest.mark.parametrize("workflow", EVERY, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_golden_agrees_without_key_and_registry(
    workflow: Path, prove: Prove, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    status, out, err = prove(str(workflow))
    assert "DIFFER" not in out
    assert (status, err) == (0, "") or (status == 2 and "nothing to compare" in out and err == "nothing was compared\n")


def test_a_required_input_has_its_default(prove: Prove) -> None:
    workflow = one({"command": "echo ${style} ${item}"}, items="${people}")
    workflow["inputs"] = {
        "style": {"type": "string", "description": "How.", "default": "hearty"},
        "people": {"type": "array", "description": "Who.", "required": True, "default": ["Ada", "Grace"]},
    }
    status, out, err = prove(workflow)
    assert (status, err) == (0, "")
    assert out.endswith("all agree\n")


def test_a_workflow_that_is_refused(prove: Prove) -> None:
    """pflow's compiler would run it: only its validator reads the schema."""
    status, out, err = prove(one(items=[]))
    assert (status, out) == (2, "")
    assert "error[PFL205] b.batch.items: " in err
    status, out, err = prove(one({"command": "echo ${itme}"}))
    assert (status, out) == (2, "")
    assert "did you mean ${item}?" in err


def test_without_pflow(prove: Prove) -> None:
    with mock.patch.dict(sys.modules, {"pflow_lower.pflow.prove.prove": None}):
        status, _, err = prove(CLASSIFIER)
    assert status == 2
    assert err.startswith(f'this needs pflow {REFERENCE} (pip install "pflow-cli=={REFERENCE}.*" markdown-it-py)')


@pytest.mark.slow
def test_the_command() -> None:
    command = [sys.executable, "-m", "pflow_lower", "prove", CLASSIFIER, "style=warm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("1 batch node, 101 runs: all agree\n")


# --- Virtual time


def test_threads_wake_in_the_order_of_their_time() -> None:
    made = virtual_time.VirtualTime()
    said: list[tuple[float, int]] = []

    def work(number: int) -> None:
        for _ in range(3):
            made.time.sleep(number)
            said.append((made.time.monotonic(), number))

    threads = [made.threading.Thread(target=work, args=(number,)) for number in (3, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == sorted((count * number, number) for count, number in itertools.product((1, 2, 3), (3, 5, 7)))


def test_an_event_wakes_before_its_time() -> None:
    made = virtual_time.VirtualTime()
    event = made.threading.Event()
    thread = made.threading.Thread(target=lambda: (made.time.sleep(2), event.set()))
    thread.start()
    assert not event.wait(1)
    assert made.time.monotonic() == 1
    assert event.wait(100)
    assert made.time.monotonic() == 2
    assert event.wait(100)
    assert made.time.monotonic() == 2
    thread.join()


def test_what_can_never_go_on_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "_REAL_TIMEOUT", 0.1)
    with pytest.raises(virtual_time.Deadlock):
        virtual_time.VirtualTime().threading.Event().wait()
