"""Batches against a server as APIs are: it limits, stalls, resets and fails (tests/helpers/flaky_server.py)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from helpers.flaky_server import FlakyServer, most_in_a_window
from pocketflow import Node

from pflow_lower import lower
from pflow_lower.runtime.pace import Pace
from pflow_lower.runtime.run import STATE_VARIABLE, Run, dollars, running


class Ask(Node):  # type: ignore[misc]
    """Asks the server for one item; its errors are urllib's."""

    def prep(self, shared: Any) -> str:
        return str(self.params["url"])

    def exec(self, url: str) -> Any:
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.loads(answer.read())["label"]
        except urllib.error.HTTPError as error:
            error.close()  # what it holds would be complained of, since errors are kept
            raise

    def post(self, shared: Any, prep_res: str, exec_res: str) -> None:
        shared["response"] = exec_res


def batch_of(batch: dict[str, Any]) -> type:
    node = {"id": "ask", "type": "ask", "params": {"url": "${url}/items/${n}"}}
    node["batch"] = {"items": "${numbers}", "as": "n", "error_handling": "continue", "parallel": True, **batch}
    inputs = {"url": {"type": "string"}, "numbers": {"type": "array"}}
    made = lower({"ir_version": "0.1.0", "inputs": inputs, "nodes": [node], "edges": []})
    return made.load()["ask"]


def outcome(server: FlakyServer, items: int, batch: dict[str, Any]) -> dict[str, Any]:
    shared: dict[str, Any] = {"url": server.url, "numbers": list(range(items))}
    batch_of(batch)(Ask())._run(shared)  # type: ignore[call-arg]
    found: dict[str, Any] = shared["ask"]
    return found


def assert_complete(found: dict[str, Any], items: int) -> None:
    assert found["errors"] == []
    assert [result["response"] for result in found["results"]] == [f"label {n}" for n in range(items)]


@pytest.mark.parametrize("retry_after", ["seconds", "date", "none"])
@pytest.mark.slow
def test_auto_finishes_every_item_whatever_the_server_says_about_waiting(retry_after: Any) -> None:
    with FlakyServer(per_second=60, retry_after=retry_after, seconds=0.02) as server:
        found = outcome(server, 300, {"max_concurrent": "auto", "max_retries": 5, "retry_wait": 0.1})
    assert_complete(found, 300)
    assert sum(server.asked.values()) < 300 * 2  # it finds out how much is too much


def test_a_declared_rate_is_never_told_to_slow_down() -> None:
    with FlakyServer(per_second=120) as server:
        found = outcome(server, 60, {"rate": "60/s", "max_concurrent": 20})
    assert_complete(found, 60)
    assert server.answered == {200: 60}


def test_stalls_resets_and_errors_cost_attempts_and_nothing_else() -> None:
    with FlakyServer(stalls=0.05, resets=0.1, errors=0.1, stall_seconds=20) as server:
        settings = {"max_concurrent": 20, "max_retries": 8, "retry_wait": 0.01, "timeout": 1}
        found = outcome(server, 120, {**settings, "retry_backoff": "exponential"})
        assert_complete(found, 120)
        assert max(server.asked.values()) <= 8
        assert server.most_under_way <= 20 + 20  # those that are abandoned are bounded


def test_grants_never_exceed_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    granted: list[float] = []
    reserve = Pace.reserve

    def recorded(self: Pace) -> float:
        before = time.monotonic()
        left = reserve(self)
        granted.append(before + left)
        return left

    monkeypatch.setattr(Pace, "reserve", recorded)
    with FlakyServer(errors=0.2) as server:
        found = outcome(server, 80, {"rate": "100/s", "max_concurrent": 16, "max_retries": 10})
    assert_complete(found, 80)
    assert most_in_a_window(granted, 0.25) <= 25 + 2


PRICE = 0.01
"""What an answer of the server costs, in dollars."""
AT_A_KILL = 40
"""How many calls may be lost by a kill: ten are under way, and some answers wait for the disk."""
ASKING = f"""
from test_flaky_server import Ask

class Costly(Ask):
    def post(self, shared, prep_res, exec_res):
        shared.update(response=exec_res, llm_usage={{"cost_usd": {PRICE}}})
"""


class Program:
    """A generated program that asks the server for items, and its one command."""

    def __init__(
        self, folder: Path, server: FlakyServer, batch: dict[str, Any], *options: str, items: int = 500
    ) -> None:
        node: dict[str, Any] = {"id": "ask", "type": "asking:Costly", "params": {"url": "${url}/items/${n}"}}
        node["batch"] = {"items": "${numbers}", "as": "n", "error_handling": "continue", "parallel": True, **batch}
        inputs = {"url": {"type": "string"}, "numbers": {"type": "array"}}
        outputs = {"labels": {"type": "array", "source": "${ask.results}"}}
        workflow = {"ir_version": "0.1.0", "inputs": inputs, "nodes": [node], "edges": [], "outputs": outputs}
        (folder / "flow.json").write_text(json.dumps(workflow))
        for name, text in lower(folder / "flow.json", program=True).files.items():
            (folder / name).write_text(text)
        (folder / "asking.py").write_text(ASKING)
        numbers = json.dumps(list(range(items)))
        self._command = [sys.executable, str(folder / "flow.py"), *options, f"url={server.url}", f"numbers={numbers}"]
        path = os.pathsep.join([str(folder), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        self._environment = {**os.environ, "PYTHONPATH": path, STATE_VARIABLE: str(folder / "state")}

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self._environment
        )


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes")
def test_killed_three_times_and_resumed_it_ends_complete_below_its_rate_and_its_budget(tmp_path: Path) -> None:
    settings = {"rate": "200/s", "max_concurrent": 10, "max_retries": 8, "retry_wait": 0.05, "timeout": 5}
    settings |= {"retry_backoff": "exponential", "tolerated_failures": 0}
    most = 140  # of 500, in each run
    with FlakyServer(per_second=220, resets=0.03, errors=0.05, seconds=0.01) as server:
        program = Program(tmp_path, server, settings, "--resume", "--budget", f"{most * PRICE:.2f}")
        for _ in range(3):
            asked = sum(server.asked.values())
            killed = program.start()
            while sum(server.asked.values()) < asked + 90:
                assert killed.poll() is None
                time.sleep(0.01)
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
        ended: list[int] = []
        while 0 not in ended and len(ended) < 6:
            before, paid = dict(server.asked), server.answered[200]
            failed = server.answered[500] + server.answered[0]
            running = program.start()
            out, err = running.communicate()
            ended.append(running.returncode)
            assert server.answered[200] - paid <= most + 10  # those under way come on top
            if running.returncode:
                assert f"ended early: the budget of {dollars(most * PRICE)} is reached" in err
            # Asked again is only what was under way at a kill, or has failed.
            again = [path for path, times in before.items() if server.asked[path] > times]
            assert len(again) <= AT_A_KILL + failed
    assert ended[-1] == 0 and 1 in ended, err
    assert [result["response"] for result in json.loads(out)["labels"]] == [f"label {n}" for n in range(500)]
    assert server.answered[200] <= 500 + 3 * AT_A_KILL  # nothing else is paid for twice
    assert most_in_a_window(server.granted, 1.0) <= 200 * 1.05 + 10 + 2
    assert not list(tmp_path.rglob("*.db"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes")
def test_four_programs_keep_to_one_named_rate_though_one_of_them_is_killed(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.pflow-lower.rates]\nask = { rate = "100/s", max_concurrent = 8 }\n')
    settings = {"rate": "ask", "max_concurrent": 5, "max_retries": 3, "retry_wait": 0.05}
    with FlakyServer(per_second=130, seconds=0.02) as server:
        program = Program(tmp_path, server, settings, items=120)
        running = [program.start() for _ in range(4)]
        while sum(server.asked.values()) < 60:
            assert running[0].poll() is None
            time.sleep(0.01)
        running[0].send_signal(signal.SIGKILL)
        ended = [process.communicate() for process in running]
        assert running[0].wait() == -signal.SIGKILL
    for out, err in ended[1:]:
        assert [result["response"] for result in json.loads(out)["labels"]] == [f"label {n}" for n in range(120)], err
    assert set(server.answered) == {200}  # never told to slow down
    assert most_in_a_window(server.granted, 1.0) <= 100 + 8 + 2
    assert server.most_under_way <= 8 + 5  # those of the killed one may still be under way


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes")
def test_a_shared_budget_holds_over_processes() -> None:
    """The pacing itself is tested in test_pace.py; here two batches of one process name one budget."""
    with FlakyServer() as server, running(Run("w")):
        made = batch_of({"rate": "60/s"})
        made.rate, made.shared_rate, made.shared_max_concurrent = "both", "400/s", 3  # type: ignore[attr-defined]
        shared: dict[str, Any] = {"url": server.url, "numbers": list(range(60))}
        made(Ask())._run(shared)  # type: ignore[call-arg]
        assert_complete(shared["ask"], 60)
        assert server.most_under_way <= 3
