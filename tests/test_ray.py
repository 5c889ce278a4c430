"""Batches on a real Ray of this machine: the same results, whatever dies on the way. `pytest -m ray` runs them."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import importlib
import itertools
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pocketflow import AsyncNode, Node

from pflow_lower import lower
from pflow_lower.runtime import ray_driver, ray_waiting
from pflow_lower.runtime.batch import Batch
from pflow_lower.runtime.outcome import BatchEndedEarly
from pflow_lower.runtime.ray_cluster import connect
from pflow_lower.runtime.ray_driver import MOST_IN_CODE, Driver
from pflow_lower.runtime.ray_exceptions import picklable
from pflow_lower.runtime.ray_home import Home, go_home, home_of
from pflow_lower.runtime.ray_place import NO_AUTO, NotForRay, _expect_it_at, look_for_cluster
from pflow_lower.runtime.run import STATE_VARIABLE, Run, running
from pflow_lower.runtime.stream_files import StreamError
from pflow_lower.tools.plan.cluster import Cluster, dealt

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
    paths = {"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}}  # where `helpers` are
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env=paths,
    )
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))


def outcome(
    items: list[Any],
    batch: dict[str, Any],
    *,
    inner: Any = None,
    on: str | None = "ray",
    nodes: Path | None = None,
    derived: Callable[[type], type] = lambda generated: generated,
    **store: Any,
) -> Any:
    """What a batch over `items` writes, on Ray or, with `on` None, here."""
    params = {"x": "${item}", "style": "${style}", "total": "${batch_total}"}
    params |= {name: f"${{{name}}}" for name in store}
    settings = {"items": "${list}", "parallel": True, "max_concurrent": 4, "error_handling": "continue", **batch}
    inputs = {name: {"type": "any"} for name in ("list", "style", *store)}
    node = {"id": "b", "type": "work", "params": params, "batch": settings}
    made = lower({"ir_version": "0.1.0", "inputs": inputs, "nodes": [node], "edges": []}, nodes=nodes)
    shared = {"list": items, "style": "plain", **store}
    with running(Run("w", on=on)):
        derived(made.load()["b"])(inner or Work())._run(shared)
    return shared["b"]


def shown(found: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in found.items() if key != "batch_metadata"}, default=repr)


@pytest.mark.parametrize("items", [[], ["a"], [*map(str, range(300)), "bad"]])
def test_results_are_byte_for_byte_those_of_this_process(items: list[str]) -> None:
    assert shown(outcome(items, {})) == shown(outcome(items, {}, on=None))


class Same(Node):  # type: ignore[misc]
    """Answers the very same object, whatever the item."""

    answer = {"same": True}  # noqa: RUF012  that is the point

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared.update(self.answer)
        shared._root["b"] = self.answer


def test_an_answer_that_items_share_is_each_items_own_result() -> None:
    found = outcome(list(range(300)), {"max_concurrent": 2}, inner=Same())
    assert [(result["same"], result["item"]) for result in found["results"]] == [(True, n) for n in range(300)]


def test_what_is_large_is_sent_to_a_worker_once_by_reference() -> None:
    items, large = list(map(str, range(50))), "x" * (MOST_IN_CODE + 1)
    assert shown(outcome(items, {}, large=large)) == shown(outcome(items, {}, on=None, large=large))


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
            workers = at_work()
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


def at_work() -> list[Any]:
    """The workers of this process's own cluster that run items of ours: others may have clusters here, too."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended
            if " ".join(process.cmdline()).startswith("ray::pflow-lower"):
                found.append(process)
    return found


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


def test_a_global_that_cannot_be_sent_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "nodes_with_a_lock.py"
    module.write_text(
        "import threading\nfrom test_ray import Work\nUNUSED, LOCK = threading.Lock(), threading.Lock()\n"
        "class Rec(Work):\n    def exec(self, params):\n        with LOCK:\n            return 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    said = (
        rf"`Rec` .* cannot be sent to a worker, as `LOCK` of {module} goes with it: .*; make it where it is first used"
    )
    with pytest.raises(NotForRay, match=said):
        outcome(["a"], {}, inner=importlib.import_module("nodes_with_a_lock").Rec())


class Raises(Node):  # type: ignore[misc]
    """Fails with exceptions of classes of its own, which do not come through pickle as they are."""

    def prep(self, shared: Any) -> Any:
        return self.params["x"]

    def exec(self, x: str) -> None:
        class WantsTwo(Exception):
            def __init__(self, text: str, code: int) -> None:
                super().__init__(text)
                self.code = code
                self.held = threading.Lock()

        class AddsText(Exception):
            def __init__(self, text: str, more: str = "as ever") -> None:
                super().__init__(f"{text}, {more}")

        if x == "fine":
            return
        lock = threading.Lock()

        class HasALock(Exception):
            def __str__(self) -> str:
                return f"{lock.locked()} {self.args[0]}"

        raise {"two": WantsTwo("x", 3), "text": AddsText("x"), "lock": HasALock("x"), "key": KeyError("x")}[x]


class Said:
    """What libraries put into exceptions: it has a text, and cannot be pickled."""

    lock = threading.Lock()

    def __init__(self) -> None:
        self.own = self.lock

    def __str__(self) -> str:
        return "connection refused"


class Argless(Exception):
    @property
    def args(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no arguments")

    def __str__(self) -> str:
        return "has a text"


def test_an_exception_keeps_its_class_whatever_is_in_it() -> None:
    sent: Any = ray.cloudpickle.loads(ray.cloudpickle.dumps(picklable(ConnectionError(Said()))))
    assert type(sent) is ConnectionError and str(sent) == "connection refused"
    sent = ray.cloudpickle.loads(ray.cloudpickle.dumps(picklable(Argless())))
    assert type(sent).__name__ == "Argless" and str(sent) == "has a text"


def test_paths_of_a_folder_that_was_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    home = home_of(ray, {})
    assert home.folder == "" and home.path("/there/is/one") == "/there/is/one" and go_home(home) == ""


@pytest.mark.parametrize("is_by_file", [False, True])
def test_errors_are_those_of_this_process_whatever_class_they_are_of(is_by_file: bool, tmp_path: Path) -> None:
    items, shown_of = ["two", "text", "fine", "lock", "key"], []
    for on in (None, "ray"):
        inner = Raises()
        found = over_files(tmp_path, [items], on, inner=inner) if is_by_file else outcome(items, {}, inner=inner, on=on)
        errors = sorted(found["errors"], key=lambda error: error["index"])
        kinds = [(type(e["exception"]).__name__, str(e["exception"]), e["exception"].__notes__) for e in errors]
        shown_of.append([json.dumps(errors, default=str), kinds])
    assert shown_of[0] == shown_of[1]


class Imports(Work):
    """Imports a module that stands beside the workflow."""

    def exec(self, params: Any) -> Any:
        super().exec(params)
        return importlib.import_module("found_beside_the_run").ANSWER


def test_paths_and_modules_are_found_from_where_the_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "found_beside_the_run.py").write_text("ANSWER = 'found'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("modules")
    found = outcome(list("ab"), {}, inner=Imports(), ledger="ledger")
    assert [result["response"] for result in found["results"]] == ["found", "found"]
    assert sorted((tmp_path / "ledger").read_text().split()) == ["a", "b"]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What batches tell whoever runs the workflow."""
    lines: list[str] = []
    monkeypatch.setattr(Batch, "tell", lambda self, text: lines.append(text))
    return lines


@pytest.mark.parametrize("is_by_file", [False, True])
def test_a_worker_without_the_folder_of_the_run_says_so_once(
    is_by_file: bool, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = str(tmp_path / "gone")
    monkeypatch.setattr(ray_driver, "home_of", lambda *_: Home(gone, ()))
    for _ in range(2):
        said.clear()
        found = over_files(tmp_path, [["a"]] * 6, "ray") if is_by_file else outcome(list("abcdef"), {})
        assert found["success_count"] == 6
        assert len(said) == 1 and said[0].startswith(f"b: {gone} is not on ") and "relative paths start in /" in said[0]


def test_where_no_worker_begins_it_is_said_what_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the batch goes on waiting: here until it is said, for then others make room."""
    door, lines = tmp_path / "door", []

    @ray.remote(num_cpus=1)  # type: ignore[untyped-decorator]
    def stands_in_the_way() -> None:
        (tmp_path / str(os.getpid())).touch()
        for _ in range(3_000):
            if not door.exists():
                time.sleep(0.01)

    def told(self: Batch, text: str) -> None:
        lines.append(text)
        door.touch()

    others = [stands_in_the_way.remote() for _ in range(2)]
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.02)
    monkeypatch.setattr(Batch, "tell", told)
    monkeypatch.setattr(ray_waiting, "PATIENCE_SECONDS", 1.0)
    found = outcome(list("abc"), {"max_concurrent": 2})
    ray.get(others)
    assert found["success_count"] == 3
    (line,) = lines
    assert line.startswith("b: no worker has begun for 1 s: an item asks for 1 CPU, the cluster at ")
    assert "(2 CPU, 0 GPU in all) has free 0 CPU; `ray status`" in line


def test_items_that_take_long_are_not_waited_for_in_vain(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    outcome(["a"], {"max_concurrent": 1})  # a worker is there
    monkeypatch.setattr(ray_waiting, "PATIENCE_SECONDS", 3.0)
    assert outcome(["a"], {"max_concurrent": 1}, seconds=4)["success_count"] == 1
    assert said == []


def test_what_no_machine_has_is_refused_or_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"id": "b", "type": "work", "params": {"x": "${item}"}, "batch": {"items": ["a"], "parallel": True}}
    made = lower({"ir_version": "0.1.0", "nodes": [node], "edges": []}).load()["b"]

    def ran() -> None:
        with running(Run("w", on="ray", on_options={"b": {"num_cpus": 3}})):
            made(Work())._run({})

    with pytest.raises(NotForRay, match=r"^b: an item asks for 3 CPU, and no machine of the cluster .* has that$"):
        ran()

    def told(self: Batch, text: str) -> None:
        raise InterruptedError(text)

    monkeypatch.setattr(Batch, "tell", told)
    monkeypatch.setattr(ray_waiting, "_is_own", lambda _: False)  # it may grow
    with pytest.raises(InterruptedError, match=r"no machine of the cluster .* has that now: waiting for one that does"):
        ran()


def test_auto_is_refused() -> None:
    with pytest.raises(NotForRay, match="on Ray, write a number"):
        outcome(["a"], {"max_concurrent": "auto"})


def test_a_cluster_is_found_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    address = ray.get_runtime_context().gcs_address
    monkeypatch.delitem(sys.modules, "ray")  # as before anything was connected
    look_for_cluster(address)
    look_for_cluster("auto")
    with pytest.raises(NotForRay, match=r"no Ray cluster answers at 127\.0\.0\.1:1: "):
        look_for_cluster("127.0.0.1:1")


def test_a_process_that_has_a_cluster_takes_no_other_address_for_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no Ray cluster answers at 127\.0\.0\.1:1: "):
        over_files(tmp_path, [["a"]], "ray=127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        is_another = rf"this process is connected to the Ray cluster at \S+, and not to that at {address}"
        with pytest.raises(NotForRay, match=is_another):
            connect(address)
        with socket.create_connection(other.getsockname()) as connection:
            port = other.getsockname()[1]
            _expect_it_at(connection, address, f"127.0.0.1:{port}")
            with pytest.raises(NotForRay, match=is_another):  # a loopback is this machine's, and that is another one
                _expect_it_at(connection, address, f"192.0.2.1:{port}")
    connect(ray.get_runtime_context().gcs_address)


IN_THREADS_OF_THEIR_OWN = """
import asyncio, sys, threading
from test_ray import WorkAsync, outcome
from pflow_lower.runtime import ray_cluster

def run():
    counts.append(outcome(list("abc"), {}, inner=WorkAsync())["success_count"])

counts = []
for _ in range(2):
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    asyncio.run(asyncio.to_thread(run))
print(counts)
"""


def test_a_cluster_of_one_s_own_outlives_the_thread_that_has_started_it(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), STATE_VARIABLE: str(tmp_path)}
    env.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-c", IN_THREADS_OF_THEIR_OWN]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "[3, 3, 3, 3]\n"), done.stderr


class Blocks(WorkAsync):
    """Blocks its event loop."""

    async def exec_async(self, params: Any) -> Any:
        time.sleep(1)  # noqa: ASYNC251  that is the point
        return params["x"]


@pytest.mark.parametrize("is_by_file", [False, True])
def test_what_a_worker_has_to_tell_is_told_where_the_run_is(is_by_file: bool, said: list[str], tmp_path: Path) -> None:
    table = tmp_path / "nodes.toml"
    table.write_text(f'work = {{ class = "{__name__}:Blocks", async = true }}\n')
    keys: Any = {"timeout": 0.1, "max_concurrent": 1}
    if is_by_file:
        found = over_files(tmp_path, [["a"]], "ray", inner=Blocks(), nodes=table, **keys)
    else:
        found = outcome(["a"], keys, inner=Blocks(), nodes=table)
    assert found["success_count"] == 1
    (line,) = said
    assert line.startswith("b: an attempt took 1") and "something blocks the event loop" in line


def test_files_of_items_are_dealt_out_on_the_cluster_that_the_run_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ray_driver, "connect", lambda address: asked.append(address) or ray)
    address = ray.get_runtime_context().gcs_address
    assert over_files(tmp_path, [["a"]], f"ray={address}")["success_count"] == 1
    assert asked == [address]


def test_auto_is_refused_in_pflow_before_the_first_step(tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    flow = tmp_path / "w.pflow.md"
    flow.write_text(AUTO_AFTER_A_STEP)
    home = {**os.environ, "HOME": str(tmp_path), STATE_VARIABLE: str(tmp_path / "state")}
    command = [sys.executable, "-m", "pflow_lower", "run", "--on", "ray", str(flow)]
    shown = subprocess.run(command, capture_output=True, text=True, env=home, cwd=tmp_path, check=False)
    assert shown.returncode != 0 and NO_AUTO in shown.stdout + shown.stderr, shown
    assert not (tmp_path / "paid").exists()


AUTO_AFTER_A_STEP = """\
# Auto

Pays, then says.

## Steps

### paid

Gives the items.

- type: shell

```shell command
touch paid; echo '["a", "b"]'
```

### say

Says each.

- type: shell

```yaml batch
items: ${paid.stdout}
as: x
parallel: true
max_concurrent: auto
```

```shell command
echo "${x}"
```
"""


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


def test_what_a_table_says_of_a_node_holds_on_workers(tmp_path: Path) -> None:
    settings = {"items": ["MODEL"], "parallel": True}
    node = {"id": "b", "type": "asks", "params": {"name": "${item}"}, "batch": settings}
    (tmp_path / "w.json").write_text(json.dumps({"ir_version": "0.1.0", "nodes": [node], "edges": []}))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pflow-lower.on]\n"*" = { num_cpus = 1 }\nb = { runtime_env = { env_vars = { MODEL = "small" } } }\n'
    )
    made = lower(tmp_path / "w.json").load()["b"]
    assert made.ray_options == {"num_cpus": 1, "runtime_env": {"env_vars": {"MODEL": "small"}}}
    shared: dict[str, Any] = {}
    with running(Run("w", on="ray")):
        made(Asks())._run(shared)
    assert shared["b"]["results"][0]["response"] == "small"


class Asks(Node):  # type: ignore[misc]
    """Answers a variable of its environment."""

    def prep(self, shared: Any) -> Any:
        return self.params["name"]

    def exec(self, name: str) -> str | None:
        return os.environ.get(name)

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["response"] = exec_res


def test_a_named_budget_holds_over_all_workers(tmp_path: Path) -> None:
    settings = {"items": list(map(str, range(15))), "parallel": True, "rate": "small", "max_concurrent": 8}
    params = {"x": "${item}", "ledger": "${ledger}", "seconds": 0.02}
    node = {"id": "b", "type": "work", "params": params, "batch": settings}
    workflow = {"ir_version": "0.1.0", "inputs": {"ledger": {"type": "any"}}, "nodes": [node], "edges": []}
    (tmp_path / "w.json").write_text(json.dumps(workflow))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pflow-lower.rates]\nsmall = { rate = "20/s", max_concurrent = 1 }\n'
    )
    shared: dict[str, Any] = {"ledger": str(tmp_path / "ledger")}
    begun = time.monotonic()
    with running(Run("w", on="ray")):
        lower(tmp_path / "w.json").load()["b"](Alone())._run(shared)
    assert shared["b"]["success_count"] == 15
    assert time.monotonic() - begun >= 14 / 20
    assert Path(shared["ledger"]).read_text().split() == ["+", "-"] * 15  # no two at a time


def test_a_named_budget_bounds_several_batches_together(tmp_path: Path) -> None:
    """Two batches at a time, on the cluster and here: of all their items two run at a time."""
    (tmp_path / "pyproject.toml").write_text("[tool.pflow-lower.rates]\nsmall = { max_concurrent = 2 }\n")
    ledger = tmp_path / "ledger"

    def batch(name: str, on: str | None) -> None:
        settings = {"items": list(map(str, range(12))), "parallel": True, "rate": "small", "max_concurrent": 8}
        params = {"x": "${item}", "ledger": str(ledger), "seconds": 0.05}
        node = {"id": "b", "type": "work", "params": params, "batch": settings}
        path = tmp_path / f"{name}.json"  # each thread its own: nobody reads what another is writing
        path.write_text(json.dumps({"ir_version": "0.1.0", "nodes": [node], "edges": []}))
        shared: dict[str, Any] = {}
        with running(Run("w", on=on)):
            lower(path).load()["b"](Alone())._run(shared)
        assert shared["b"]["success_count"] == 12

    batches = {"cluster": "ray", "cluster-too": "ray", "here": None}
    threads = [threading.Thread(target=batch, args=arguments) for arguments in batches.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    under_way = list(itertools.accumulate(1 if sign == "+" else -1 for sign in ledger.read_text().split()))
    assert len(under_way) == 2 * 36 and max(under_way) == 2


class AloneAsync(AsyncNode):  # type: ignore[misc]
    async def prep_async(self, shared: Any) -> Any:
        return self.params

    async def exec_async(self, params: Any) -> Any:
        return Work.exec(Work(), params)


def test_a_task_that_is_cancelled_starts_nothing_more(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    settings = {"items": "${list}", "parallel": True, "max_concurrent": 2}
    params = {"x": "${item}", "ledger": "${ledger}", "seconds": 0.02}
    inputs = {name: {"type": "any"} for name in ("list", "ledger")}
    node = {"id": "b", "type": "work", "params": params, "batch": settings}
    (tmp_path / "nodes.toml").write_text(f'work = {{ class = "{__name__}:AloneAsync", async = true }}\n')
    workflow = {"ir_version": "0.1.0", "inputs": inputs, "nodes": [node], "edges": []}
    made = lower(workflow, nodes=tmp_path / "nodes.toml").load()["b"]
    shared: dict[str, Any] = {"list": list(map(str, range(5_000))), "ledger": str(ledger)}

    async def cancelled() -> None:
        with running(Run("w", on="ray")):
            task = asyncio.ensure_future(made(AloneAsync())._run_async(shared))
            while len(begun(ledger)) < 20:  # noqa: ASYNC110  other processes write there
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancelled())
    time.sleep(1)  # more than what workers need to hear of it
    before = len(begun(ledger))
    time.sleep(0.5)
    assert 20 <= len(begun(ledger)) == before < 5_000
    assert shared["b"]["count"] < 5_000


def test_plan_foresees_how_items_are_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    send = Driver._send
    outcome(list("ab"), {"max_concurrent": 2})  # both workers are there

    def noted(self: Driver, chunk: Any, width: int) -> Any:
        sent.append(len(chunk.left))
        return send(self, chunk, width)

    monkeypatch.setattr(Driver, "_send", noted)
    found = outcome(list(map(str, range(150))), {"max_concurrent": 2}, seconds=0.03)
    foreseen = dealt(Cluster(2), "b", 150, 0.03, 2)
    assert found["success_count"] == sum(sent) == 150
    assert foreseen.workers == 2 and len(sent) == pytest.approx(foreseen.chunks, rel=0.35)
    assert max(sent) <= 0.5 / 0.03 and max(sent) == pytest.approx(0.5 / 0.03, rel=0.35)
    # One of two has an item to do more than the other, at most; what the cluster is not busy is that.
    assert 2.249 <= foreseen.seconds <= 2.249 * 1.1 and foreseen.utilisation > 0.9


class Alone(Node):  # type: ignore[misc]
    """Writes to a ledger when it begins and when it ends."""

    def prep(self, shared: Any) -> Any:
        return self.params

    def exec(self, params: Any) -> None:
        for sign in "+-":
            with open(params["ledger"], "a") as file:
                file.write(f"{sign}\n")
            time.sleep(params["seconds"])


DRIVER = Path(__file__).parent / "helpers" / "ray_driver.py"


def begun(ledger: Path) -> list[str]:
    return ledger.read_text().split() if ledger.exists() else []


def driver(where: str, ledger: Path, items: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, str(DRIVER), where, str(ledger), str(items), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop_midway(process: subprocess.Popen[str], ledger: Path, sign: signal.Signals) -> None:
    while len(begun(ledger)) < 30 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(sign)
    process.communicate(timeout=60)


def test_ctrl_c_starts_nothing_more(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    process = driver(ray.get_runtime_context().gcs_address, ledger, 2_000, 0.02)
    stop_midway(process, ledger, signal.SIGINT)
    time.sleep(1)  # more than what workers need to hear of it
    before = len(begun(ledger))
    time.sleep(0.5)
    assert process.returncode != 0
    assert 30 <= before == len(begun(ledger)) < 2_000


@pytest.mark.parametrize("is_own", [False, True])
def test_sigterm_ends_a_run_as_it_does_without_ray(is_own: bool, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    process = driver("" if is_own else ray.get_runtime_context().gcs_address, ledger, 2_000, 0.02)
    while len(begun(ledger)) < 30 and process.poll() is None:
        time.sleep(0.02)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143 and "SIGTERM" not in err, err


NAPS = """\
# Naps

Takes its time.

## Steps

### nap

Nap.

- type: shell

```yaml batch
items: [0, 60]
as: seconds
parallel: true
```

```shell command
echo ${seconds} >> begun; sleep ${seconds}
```
"""


def test_pflow_ends_as_its_own_handler_of_an_interrupt_says(tmp_path: Path) -> None:
    """Ray raises something else in place of what the handler raises."""
    pytest.importorskip("pflow")
    (tmp_path / "w.pflow.md").write_text(NAPS)
    env = {**os.environ, "HOME": str(tmp_path), STATE_VARIABLE: str(tmp_path / "state")}
    command = [sys.executable, "-m", "pflow_lower", "run", "--on", "ray", "w.pflow.md"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path
    )
    while len(begun(tmp_path / "begun")) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Interrupted by user" in err, err


def test_a_driver_that_is_killed_is_resumed(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    address = ray.get_runtime_context().gcs_address
    stop_midway(driver(address, ledger, 200, 0.05), ledger, signal.SIGKILL)
    while (before := len(begun(ledger))) and not time.sleep(1.5) and len(begun(ledger)) > before:
        pass  # its workers end by themselves, a while after it
    (path,) = (tmp_path / "state" / "journals").glob("*.db")
    with contextlib.closing(sqlite3.connect(path)) as journal:
        (journalled,) = journal.execute("SELECT count(*) FROM answer").fetchone()
    again = driver(address, ledger, 200, 0.05)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert json.loads(out) == [n * 2 for n in range(200)]
    assert journalled and len(begun(ledger)) - before == 200 - journalled  # what is journalled is not run again


def test_a_node_of_the_cluster_that_dies_loses_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    process = driver("nodes", ledger, 200, 0.02)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    (printed,) = (line for line in out.splitlines() if line.startswith("[0, "))  # Ray writes there, too
    assert json.loads(printed) == [n * 2 for n in range(200)]
    assert sum(Counter(begun(ledger)).values()) - 200 <= 4


AS_IT_HAPPENS = ("progress", "trace")
"""What an observation has besides what a run leaves: in which order items ended, and what was noted of each."""


def test_what_pflow_recorded_is_the_same_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch that pflow's conformance cases have, made parallel: on workers what it is on threads."""
    pytest.importorskip("pflow")
    import pflow_lower.pflow
    from pflow_lower.pflow.asked import Asked, ask

    folder = Path(__file__).parent / "conformance"
    monkeypatch.syspath_prepend(str(folder))
    observe = importlib.import_module("observe")
    for variable in ("HOME", "PYTHONDONTWRITEBYTECODE"):  # the harness sets them
        monkeypatch.setenv(variable, "")
    different = {}
    try:
        for file in sorted((folder / "batch").glob("*.json")):
            case = json.loads(file.read_text())
            batches = [node["batch"] for node in case["ir"]["nodes"] if "batch" in node]
            for batch in batches:
                batch["parallel"] = True
            changed = tmp_path / file.name
            changed.write_text(json.dumps(case))
            found = []
            for on in (None, "ray"):
                ask(Asked(on=on))
                found.append(observe.run_case(changed, True)[2])
            here, there = ({k: v for k, v in one.items() if k not in AS_IT_HAPPENS} for one in found)
            if found_different := list(observe.differences(here, there)):
                different[file.stem] = found_different
    finally:
        ask(Asked())
        pflow_lower.pflow.uninstall()
        logging.disable(logging.NOTSET)
    different.pop("raise_one_fail_fast_parallel", None)  # how many had begun when one failed
    assert different == {}


HTTP = """\
# Ask

Ask a server.

## Steps

### ask

Ask for each path.

- type: http
- url: http://127.0.0.1:PORT/${item}

```yaml batch
items: [a, b, bad, c]
parallel: true
error_handling: continue
```

## Outputs

### said

What it said.

- source: ${ask.results}

### errors

What went wrong.

- source: ${ask.errors}
"""


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = 500 if self.path == "/bad" else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(f"answer to {self.path}".encode())

    def log_message(self, *_: Any) -> None:
        pass


def test_pflow_s_http_node_runs_there(tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    flow = tmp_path / "http.pflow.md"
    flow.write_text(HTTP.replace("PORT", str(server.server_address[1])))
    home = {**os.environ, "HOME": str(tmp_path), STATE_VARIABLE: str(tmp_path / "state")}
    results = []
    try:
        for place in ([], ["--on", "ray"]):
            command = [sys.executable, "-m", "pflow_lower", "run", *place, "--output-format", "json", str(flow)]
            shown = subprocess.run(command, capture_output=True, text=True, env=home, check=False)
            assert shown.returncode == 0, shown.stderr + shown.stdout
            results.append(json.loads(shown.stdout)["result"])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    for result in results:
        for found in result["said"]:
            del found["response_time"], found["response_headers"]
    assert results[0] == results[1]
    assert [found["response"] for found in results[0]["said"]] == [f"answer to /{x}" for x in "abc"]


def test_here_on_three_nodes_and_through_the_death_of_one_it_is_the_same_byte_for_byte() -> None:
    pytest.importorskip("pflow")
    script = Path(__file__).parents[1] / "benchmarks" / "ray_anywhere.py"
    # Not what the Ray of this process has set: how programs of its own prove who they are.
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, str(script), "--short"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=own)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "a node is dead" in ended.stdout and "the three are equal, byte for byte" in ended.stdout


def over_files(
    folder: Path,
    words: list[list[str]],
    on: str | None,
    *,
    inner: Any = None,
    nodes: Path | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What a batch writes that reads a file for each list of `words`, and writes as many."""
    settings = {"parallel": True, "max_concurrent": 2, "error_handling": "continue", **more}
    settings |= {"items": {"file": "${folder}/in/*.jsonl"}, "results": {"file": "${folder}/out/*.jsonl"}}
    params = {"x": "${item}", "style": "plain", "ledger": "${folder}/ledger"}
    node = {"id": "b", "type": "work", "params": params, "batch": settings}
    ir = {"ir_version": "0.1.0", "inputs": {"folder": {"type": "string"}}, "nodes": [node], "edges": []}
    made = lower(ir, nodes=nodes)
    for number, lines in enumerate(words):
        path = folder / "in" / f"{number}.jsonl"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("".join(json.dumps(word) + "\n" for word in lines))
    shared: dict[str, Any] = {"folder": str(folder)}
    with running(Run("w", on=on)):
        made.load()["b"](inner or Work())._run(shared)
    found: dict[str, Any] = shared["b"]
    return found


def in_files(folder: Path) -> list[Any]:
    """The results in the files of `folder`, in the order of their items."""
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert sorted(manifest["files"]) == sorted(path.name for path in (folder / "out").glob("*.jsonl"))
    assert not list((folder / "out").glob(".*"))
    rows = [json.loads(line) for name in manifest["files"] for line in (folder / "out" / name).read_text().splitlines()]
    assert manifest["success_count"] == len(rows)
    return sorted(rows, key=lambda row: row["original_index"])


def test_many_files_are_read_and_written_by_workers(tmp_path: Path) -> None:
    words = [["a", "b", "bad"], [], list(map(str, range(40))), ["bad"], ["z"]]
    here, there = over_files(tmp_path / "here", words, None), over_files(tmp_path / "there", words, "ray")
    assert in_files(tmp_path / "here") == in_files(tmp_path / "there")
    folder = str(tmp_path / "there")
    assert shown(there).replace(folder, "") == shown(here).replace(str(tmp_path / "here"), "")
    assert [error["index"] for error in there["errors"]] == [2, 43]
    assert sorted(path.name for path in (tmp_path / "there" / "out").glob("*.jsonl")) == [
        f"0000{n}.jsonl" for n in (0, 2, 4)
    ]
    assert over_files(tmp_path / "there", words, "ray")["success_count"] == 43  # those of the first run are replaced


def test_a_poison_item_of_many_files_harms_no_neighbour(tmp_path: Path) -> None:
    found = over_files(tmp_path, [["a", "b"], ["c", "poison", "d"], ["e"]], "ray")
    assert [row["item"] for row in in_files(tmp_path)] == ["a", "b", "c", "d", "e"]
    (error,) = found["errors"]
    assert error["index"] == 3 and "3 workers died of this item" in error["error"]


def test_the_first_failure_ends_a_batch_over_many_files(tmp_path: Path) -> None:
    words = [["bad"], *(list(map(str, range(200))) for _ in range(30))]
    with pytest.raises(ValueError, match="no bad"):
        over_files(tmp_path, words, "ray", error_handling="fail_fast")
    assert len(begun(tmp_path / "ledger")) < 3_000


def test_no_failure_ends_no_batch_over_many_files(tmp_path: Path) -> None:
    words = [[f"{number} {word}" for word in range(20)] for number in range(8)]
    found = over_files(tmp_path, words, "ray", error_handling="fail_fast")
    assert found["success_count"] == 160
    assert [row["item"] for row in in_files(tmp_path)] == [word for lines in words for word in lines]


def test_too_many_failures_end_a_batch_over_many_files(tmp_path: Path) -> None:
    words = [["bad"] * 3, *([["a", "bad"]] * 10)]
    with pytest.raises(BatchEndedEarly, match="tolerated_failures is 2"):
        over_files(tmp_path, words, "ray", tolerated_failures=2)


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.jsonl").write_text('"a"\n{\n')
    with pytest.raises(StreamError, match=r"1\.jsonl:2: the line is not JSON"):
        over_files(tmp_path, [["a"]], "ray")


class NotJson(Work):
    def exec(self, params: Any) -> Any:
        return {1} if params["x"] == "set" else super().exec(params)


def test_files_have_the_names_there_that_they_have_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said_of = []
    for on in (None, "ray"):
        found = over_files(Path(), [["a", "set"]], on, inner=NotJson())
        lines = [found["errors"][0]["error"], (tmp_path / "out" / "manifest.json").read_text()]
        (tmp_path / "in" / "0.jsonl").write_text('"a"\n{\n')
        with pytest.raises(StreamError) as raised:
            over_files(Path(), [], on)
        said_of.append([*lines, str(raised.value).partition(";")[0]])  # how far it came: of how many, is known there
    assert said_of[0] == said_of[1]
    assert said_of[1][0].startswith("the result cannot be written to out/00000.jsonl: ")
    assert said_of[1][2].startswith("in/0.jsonl:2: the line is not JSON")


class Odd(Exception):
    """Of this module, which workers get by value."""

    retriable = False


class Aborts(Work):
    def exec(self, params: Any) -> Any:
        if params["x"] == "odd":
            raise Odd("ends the batch")
        if params["x"] == "exit":
            raise SystemExit(3)
        return super().exec(params)


@pytest.mark.parametrize(("item", "raised"), [("odd", Odd), ("exit", SystemExit)])
def test_what_ends_a_batch_in_this_process_ends_it_there(item: str, raised: type[BaseException]) -> None:
    for on in ("ray", None):
        with pytest.raises(raised):
            outcome([*"abc", item, *"def"], {}, inner=Aborts(), on=on)


class Slow(Node):  # type: ignore[misc]
    """Says when it ended."""

    def prep(self, shared: Any) -> Any:
        return self.params["x"]

    def exec(self, x: float) -> float:
        time.sleep(x)
        return time.time()

    def post(self, shared: Any, prep_res: Any, exec_res: float) -> None:
        shared["at"] = exec_res


def test_a_finished_item_does_not_wait_for_its_neighbour() -> None:
    """It is here before the chunk ends that it was sent in, since the journal must have it then."""
    heard: list[float] = []
    store = {"list": [0.0, 3.0], "__progress_callback__": lambda *_, **__: heard.append(time.time())}
    settings = {"items": "${list}", "parallel": True, "max_concurrent": 1}
    node = {"id": "b", "type": "slow", "params": {"x": "${item}"}, "batch": settings}
    made = lower({"ir_version": "0.1.0", "inputs": {"list": {"type": "array"}}, "nodes": [node], "edges": []})
    with running(Run("w", on="ray", on_options={"b": {"chunk": 2}})):
        made.load()["b"](Slow())._run(store)
    assert heard[0] < store["b"]["results"][1]["at"]


@pytest.mark.parametrize(
    "name",
    [
        "issue-classifier",
        "long-names",
        "nested-batches",
        "parallel-threads",
        "parallel-async",
        "ray-options",
        "two-batches-in-a-chain",
    ],
)
def test_golden_cases_give_what_they_give_in_this_process(name: str) -> None:
    from test_golden_alive import STORES, run_lowered

    store = json.loads((STORES / f"{name}.json").read_bytes())
    here = run_lowered(name, store, in_a_loop=False)
    with running(Run("w", on="ray", on_options={"embed": {"num_gpus": 0, "runtime_env": {}, "memory": 1}})):
        assert run_lowered(name, store, in_a_loop=False) == here


def louder(generated: type) -> type:
    """The class as an author derives one, who changes what the node has given."""

    class Louder(generated):
        def exec(self, call: Any) -> Any:
            result = super().exec(call)
            result["response"] += "!"
            return result

    return Louder


@pytest.mark.parametrize(("first", "then"), [("ray", None), (None, "ray"), ("ray", "ray"), (None, None)])
def test_an_exec_of_the_author_s_is_applied_once_wherever_a_run_goes_on(
    tmp_path: Path, first: str | None, then: str | None
) -> None:
    """The journal holds what the node has given, wherever the item ran, and `exec` makes of that what it makes."""
    ledger, settings = tmp_path / "ledger", {"resume": True, "error_handling": "fail_fast", "max_concurrent": 1}
    with pytest.raises(ValueError, match="no bad"):
        outcome(["1", "2", "3", "bad"], settings, on=first, derived=louder, ledger=str(ledger))
    found = outcome(["1", "2", "3", "good"], settings, on=then, derived=louder, ledger=str(ledger))
    assert [result["response"] for result in found["results"]] == [f"plain {n} of 4!" for n in (1, 2, 3, "good")]
    assert Counter(ledger.read_text().split())["1"] == 1


def forgiving(generated: type) -> type:
    """The class as an author derives one, who has an answer where the item at index 1 has failed."""

    class Forgiving(generated):
        def exec_fallback(self, call: Any, exc: Exception) -> Any:
            if call.index == 1:
                return {"response": "sorry"}
            raise exc

    return Forgiving


def test_a_fallback_on_a_worker_is_no_answer_for_the_next_run(tmp_path: Path) -> None:
    ledger, settings = tmp_path / "ledger", {"resume": True, "error_handling": "fail_fast", "max_concurrent": 1}
    with pytest.raises(ValueError, match="no bad"):
        outcome(["1", "bad", "bad"], settings, derived=forgiving, ledger=str(ledger))
    found = outcome(["1", "bad", "good"], {**settings, "error_handling": "continue"}, ledger=str(ledger))
    assert [result["response"] for result in found["results"]] == ["plain 1 of 3", "plain good of 3"]
    assert Counter(ledger.read_text().split()) == {"1": 1, "bad": 3, "good": 1}


STARTED = """# Child

## Inputs

### n

N.

- type: number

## Steps

### x

X.

- type: shell

```yaml batch
items: [1, 2]
as: m
error_handling: continue
tolerated_failures: 1
```

```shell command
echo started >> LEDGER
test -e DOOR -o ${m} -lt 2 && echo $((${n} * ${m}))
```

## Outputs

### out

Out.

- source: ${x.results}
"""
STARTING = """# Parent

## Steps

### each

Each.

- type: workflow
- workflow: ./child.pflow.md
- inputs:
    n: ${it}

```yaml batch
items: [10, 20]
as: it
parallel: true
resume: true
```

### last

Last.

- type: shell

```shell command
test -e DOOR
```

## Outputs

### said

Said.

- source: ${each.results}
"""


def test_items_that_start_a_workflow_run_there_and_one_that_left_something_out_runs_again(tmp_path: Path) -> None:
    """Its batch knows keys of ours there, too, and that it left an item out is known here."""
    pytest.importorskip("pflow")
    door, ledger = tmp_path / "door", tmp_path / "ledger"
    for name, text in (("child", STARTED), ("parent", STARTING)):
        (tmp_path / f"{name}.pflow.md").write_text(text.replace("DOOR", str(door)).replace("LEDGER", str(ledger)))
    home = {**os.environ, "HOME": str(tmp_path), STATE_VARIABLE: str(tmp_path / "state")}
    command = [sys.executable, "-m", "pflow_lower", "run", "--on", "ray", "--output-format", "json", "parent.pflow.md"]

    def ran() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, env=home, check=False, cwd=tmp_path)

    failed = ran()
    assert failed.returncode == 1 and len(ledger.read_text().split()) == 4, failed.stderr + failed.stdout
    door.touch()
    ended = ran()
    assert ended.returncode == 0, ended.stderr + ended.stdout
    said = json.loads(ended.stdout)["result"]["said"]
    assert [[found["stdout"] for found in one["out"]] for one in said] == [["10", "20"], ["20", "40"]]


WRITING = """# Child

## Inputs

### name

A name.

- type: string

## Steps

### before

Lets another writer of a file of ours end first.

- type: shell

```shell command
case ${name} in ./*) until [ -e "${name}.written" ]; do sleep 0.02; done ;; esac
```

### x

X.

- type: shell

```yaml batch
items: [1, 2]
as: m
results:
  file: ${name}.jsonl
```

```shell command
echo ${name} >> LEDGER; sleep 0.3; echo ${m}
```

### after

Says that the file is written.

- type: shell

```shell command
touch "${name}.written"
```
"""
WRITERS = """# Parent

## Steps

### each

Each.

- type: workflow
- workflow: ./child.pflow.md
- inputs:
    name: ${it}

```yaml batch
items: NAMES
as: it
parallel: true
max_concurrent: 3
resume: true
error_handling: continue
```

### last

Last.

- type: shell

```shell command
test -e DOOR
```

## Outputs

### errors

Those of the items.

- source: ${each.errors}
"""


class Writers:
    """A workflow whose items start one each, which writes results into a file of the item's name.

    `./a` is the file of `a`, and its item writes there when that of `a` has.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.door, self.ledger = folder, folder / "door", folder / "ledger"
        self.files = [folder / f"{name}.jsonl" for name in "abc"]
        (folder / "child.pflow.md").write_text(WRITING.replace("LEDGER", str(self.ledger)))

    def run(self, *names: str) -> str:
        text = WRITERS.replace("DOOR", str(self.door)).replace("NAMES", json.dumps(names))
        (self.folder / "parent.pflow.md").write_text(text)
        env = {**os.environ, "HOME": str(self.folder), STATE_VARIABLE: str(self.folder / "state")}
        command = [sys.executable, "-m", "pflow_lower", "run", "--on", "ray", "parent.pflow.md"]
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, cwd=self.folder)
        return done.stdout + done.stderr

    def calls(self) -> Counter[str]:
        return Counter(self.ledger.read_text().split())


def test_items_replace_each_other_s_results_on_no_worker(tmp_path: Path) -> None:
    """Each worker knows only of its own items."""
    pytest.importorskip("pflow")
    writers = Writers(tmp_path)
    writers.door.touch()
    assert "would replace those of another item that has started this workflow" in writers.run("a", "b", "./a")


def test_items_of_two_workers_write_one_file_at_no_time_at_once(tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    writers = Writers(tmp_path)
    writers.door.touch()
    found = writers.run("a", "b", "a")  # which of the two, and what it is told, depends on who begins first
    assert "is being written by another batch" in found or "would replace those of another item" in found
    assert "2/3" in found and len(writers.files[0].read_text().splitlines()) == 2


def test_an_item_whose_results_have_gone_runs_again(tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    writers = Writers(tmp_path)
    writers.run("a", "b", "c")
    writers.files[1].unlink()
    writers.door.touch()
    assert "b.jsonl is gone" in writers.run("a", "b", "c")
    assert writers.calls() == Counter(a=2, b=4, c=2)
    assert [len(file.read_text().splitlines()) for file in writers.files] == [2, 2, 2]
