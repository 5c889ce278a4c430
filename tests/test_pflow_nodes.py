"""Batches of every kind of node that pflow has, through pflow's command line, with and without pflow-lower.

Providers are loopback servers and a stand-in for the Codex command line: nothing leaves the machine.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pflow")

from helpers.pflow_sessions import FLOWS, Commands, compare, session
from helpers.provider import serving

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork makes this fast")]

SERVICES = Path(__file__).parent / "pflow_services"
SERVER = {"tools": {"command": sys.executable, "args": [str(SERVICES / "mcp_tools.py")]}}


def both(flow: str, *inputs: str) -> list[tuple[int, list[str]]]:
    """A workflow's run as it is read by people and by programs, and its report."""
    return [
        (0, [f"nodes/{flow}.pflow.md", *inputs]),
        (0, [f"nodes/{flow}.pflow.md", *inputs, "--report", "--output-format", "json"]),
        (0, ["report"]),
    ]


SESSIONS: dict[str, Commands] = {
    "http": both("http", "base={base}"),
    "llm": [
        (0, ["nodes/llm.pflow.md", "--dry-run"]),
        *both("llm"),
        (0, ["nodes/llm.pflow.md", "--only", "shape", "--no-cache"]),
        (0, ["nodes/llm.pflow.md", "--dry-run", "--output-format", "json"]),
        (0, ["analyze-cache", "nodes/llm.pflow.md"]),
    ],
    "mcp": [(0, ["mcp", "add", json.dumps(SERVER)]), (0, ["mcp", "sync", "tools"]), *both("mcp")],
    "agent": both("agent"),
    "files": both("files", "dir={tmp}/files"),
    "sub-workflows": [
        (0, ["nodes/deep1.pflow.md", "--validate-only"]),
        *both("deep1"),
        (0, ["nodes/deep1.pflow.md", "--only", "top"]),
        (0, ["nodes/deep1.pflow.md", "--dry-run"]),
    ],
}


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with serving() as address:
        yield address


def environment(provider: str) -> dict[str, str]:
    path = os.pathsep.join([str(SERVICES), str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {
        "PATH": path,
        "OPENAI_API_KEY": "none is needed",
        **dict.fromkeys(("OPENAI_API_BASE", "OPENAI_BASE_URL"), f"{provider}/v1"),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
    }


@pytest.mark.parametrize("name", SESSIONS)
def test_every_kind_of_node(name: str, tmp_path: Path, provider: str) -> None:
    commands = [
        (status, [argument.replace("{base}", provider) for argument in command]) for status, command in SESSIONS[name]
    ]
    compare(commands, tmp_path, models=name in ("llm", "agent", "sub-workflows"), **environment(provider))


def test_the_cost_of_every_item_is_there(tmp_path: Path, provider: str) -> None:
    """What the comparison above compares is not nothing."""
    commands = [(0, ["nodes/llm.pflow.md", "--output-format", "json"])]
    [printed], files = session(commands, "lowered", tmp_path, environment(provider))
    assert printed[0] == 0
    trace = "\n".join(next(lines for name, lines in files.items() if "workflow-trace" in name))
    assert trace.count('"llm_call": {') >= 3 + 3 + 3 + 1  # items that were answered, and a node without a batch
    assert trace.count('"cost_usd": ') >= 10


def test_the_flows_are_all_run() -> None:
    run = {argument for commands in SESSIONS.values() for _, command in commands for argument in command}
    top = {path.name for path in (FLOWS / "nodes").glob("*.pflow.md")} - {"deep2.pflow.md", "deep3.pflow.md"}
    assert {f"nodes/{name}" for name in top} <= run
