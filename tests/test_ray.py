"""Batches on a real Ray of this machine: the same results, whatever dies on the way. `pytest -m ray` runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pocketflow import AsyncNode, Node

from pflow_lower import lower
from pflow_lower.runtime.ray_batch import NotForRay
from pflow_lower.runtime.run import STATE_VARIABLE, Run, running

ray = pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.ray


class Work(Node):  # type: ignore[misc]
    """Answers its item, and writes to a ledger that it began; fails at "bad", dies at "poison"."""

    def prep(self, shared: Any) -> Any:
        return self.params

    def exec(self, params: Any) -> Any:
        if params.get("ledger"):
            with open(params["ledger"], "a") as file:
                file.write(f"{params['x']}\n")
        if params["x"] == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        if params["x"] == "bad":
            raise ValueError("no bad")
        if params.get("seconds"):
            time.sleep(params["seconds"])
        return f"{params.get('style')} {params['x']} of {params.get('total')}"

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["response"] = exec_res


class WorkAsync(AsyncNode):  # type: ignore[misc]
    async def prep_async(self, shared: Any) -> Any:
        return self.params

    async def exec_async(self, params: Any) -> Any:
        return Work.exec(Work(), params)

    async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["response"] = exec_res


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))


def outcome(items: list[Any], batch: dict[str, Any], *, inner: Any = None, on: str | None = "ray", **store: Any) -> Any:
    """What a batch over `items` writes, on Ray or, with `on` None, here."""
    params = {"x": "${item}", "style": "${style}", "total": "${batch_total}"}
    params |= {name: f"${{{name}}}" for name in store}
    settings = {"items": "${list}", "parallel": True, "max_concurrent": 4, "error_handling": "continue", **batch}
    inputs = {name: {"type": "any"} for name in ("list", "style", *store)}
    node = {"id": "b", "type": "work", "params": params, "batch": settings}
    made = lower({"ir_version": "0.1.0", "inputs": inputs, "nodes": [node], "edges": []})
    shared = {"list": items, "style": "plain", **store}
    with running(Run("w", on=on)):
        made.load()["b"](inner or Work())._run(shared)
    return shared["b"]


def shown(found: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in found.items() if key != "batch_metadata"}, default=repr)


@pytest.mark.parametrize("items", [[], ["a"], [*map(str, range(300)), "bad"]])
def test_results_are_byte_for_byte_those_of_this_process(items: list[str]) -> None:
    assert shown(outcome(items, {})) == shown(outcome(items, {}, on=None))


def test_asynchronous_nodes_run_too() -> None:
    items = list(map(str, range(20)))
    here = [f"plain {n} of 20" for n in range(20)]
    assert [result["response"] for result in outcome(items, {}, inner=WorkAsync())["results"]] == here


def test_keys_of_ours_hold_on_workers() -> None:
    settings = {"key": "n${item}", "max_retries": 2, "timeout": 0.3}
    found = outcome(["a", "bad", "c"], settings)
    assert [result["key"] for result in found["results"]] == ["na", "nc"]
    assert found["errors"][0]["key"] == "nbad" and "attempt 2 of 2" in found["errors"][0]["exception"].__notes__[0]


def test_fail_fast_starts_nothing_after_the_failure(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    items = ["bad", *map(str, range(500))]
    with pytest.raises(ValueError, match="no bad"):
        outcome(items, {"error_handling": "fail_fast", "max_concurrent": 2}, ledger=str(ledger), seconds=0.01)
    assert len(ledger.read_text().splitlines()) < 100


def test_a_poison_item_is_that_item_s_failure_and_harms_no_neighbour() -> None:
    items = [*map(str, range(60)), "poison", *map(str, range(60, 90))]
    found = outcome(items, {})
    assert found["success_count"] == 90 and found["error_count"] == 1
    assert found["errors"][0]["index"] == 60
    assert "3 workers died of this item" in found["errors"][0]["error"]


def test_workers_that_are_killed_lose_nothing_and_finished_items_are_not_run_again(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    items = list(map(str, range(800)))
    over = threading.Event()
    kills = []

    def kill() -> None:
        while not over.wait(0.05) and len(kills) < 4:
            begun = len(ledger.read_text().split()) if ledger.exists() else 0
            if begun < 100 * (len(kills) + 1):  # between two deaths items end: no item is there for three of them
                continue
            workers = [p for p in psutil.process_iter(["cmdline"]) if is_at_work(p)]
            for worker in workers[:1]:
                worker.kill()
                kills.append(worker.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        found = outcome(items, {"max_concurrent": 2}, ledger=str(ledger), seconds=0.01)
    finally:
        over.set()
        thread.join()
    assert [result["response"] for result in found["results"]] == [f"plain {n} of 800" for n in range(800)]
    started = Counter(ledger.read_text().split())
    assert kills and sum(started.values()) - 800 <= len(kills) * 2  # what was under way, or on its way back


def is_at_work(process: Any) -> bool:
    return (process.info["cmdline"] or [""])[0].startswith("ray::_run_chunk")


def test_what_is_in_the_journal_is_not_sent_to_a_worker(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger")
    with pytest.raises(ValueError, match="no bad"):
        outcome([*map(str, range(40)), "bad"], {"resume": True, "error_handling": "fail_fast"}, ledger=ledger)
    before = Counter(Path(ledger).read_text().split())
    found = outcome([*map(str, range(40)), "good"], {"resume": True}, ledger=ledger)
    after = Counter(Path(ledger).read_text().split())
    assert found["success_count"] == 41
    # Those of the first run whose outcomes came back are not run again; `total` is the same.
    assert sum((after - before).values()) < 41


@pytest.mark.parametrize(
    ("inner", "store", "what"),
    [
        (None, {"held": threading.Lock()}, r"the captured value \$\{held\} \(a lock\) cannot be sent"),
        ("node", {}, r"the node `Holding` that runs for each item cannot be sent"),
    ],
)
def test_what_cannot_be_sent_is_said_before_the_first_item(
    inner: str | None, store: dict[str, Any], what: str, tmp_path: Path
) -> None:
    with pytest.raises(NotForRay, match=what):
        outcome(["a"], {}, inner=Holding() if inner else None, **store)


def test_an_item_that_cannot_be_sent_is_named() -> None:
    said = r"shared\['list'\] \(a list\) cannot be sent"
    with pytest.warns(UserWarning, match=said), pytest.raises(NotForRay, match=r"item \[1\] \(a lock\)"):
        outcome(["a", threading.Lock()], {"max_concurrent": 1})


class Locks(Work):
    """Puts out what cannot be pickled, for every item but "a"."""

    def exec(self, params: Any) -> Any:
        return "fine" if params["x"] == "a" else threading.Lock()


def test_outputs_that_cannot_be_sent_back_are_that_item_s_failure() -> None:
    found = outcome(["a", "b", "a", "a"], {"max_concurrent": 2}, inner=Locks())
    assert found["success_count"] == 3 and found["errors"][0]["index"] == 1
    assert "the outputs cannot be sent back from a worker" in found["errors"][0]["error"]


class Holding(Work):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def test_auto_is_refused() -> None:
    with pytest.raises(NotForRay, match="on Ray, write a number"):
        outcome(["a"], {"max_concurrent": "auto"})


def test_a_rate_holds_over_all_workers(tmp_path: Path) -> None:
    begun = time.monotonic()
    outcome(list(map(str, range(20))), {"rate": "20/s"})
    assert time.monotonic() - begun >= 0.9


def test_one_word_on_pflow_s_command_line_changes_the_place_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    flow = Path(__file__).parent / "pflow_flows" / "on_ray.pflow.md"
    home = {**os.environ, "HOME": str(tmp_path), STATE_VARIABLE: str(tmp_path / "state")}
    results = []
    for place in ([], ["--on", "ray"]):
        command = [sys.executable, "-m", "pflow_lower", "run", *place, "--output-format", "json", str(flow)]
        shown = subprocess.run(
            [*command, 'words=["a", "b", "c", "dddd"]'], capture_output=True, text=True, env=home, check=False
        )
        assert shown.returncode == 0, shown.stderr
        results.append(json.loads(shown.stdout)["result"])
    assert results[0] == results[1]
