"""pflow-lower in every pflow version that has batches: it works, or it says that it does not and pflow runs as ever.

    pytest -m versions

makes a virtual environment per version with pip, which takes half a minute each and needs an index or a cache.
`.ci/run` runs these tests where PFLOW_LOWER_VERSIONS=1. A plain `pytest` leaves them out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import venv
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import pflow_lower
import pflow_lower.templates

pytestmark = pytest.mark.versions

FLOW = Path(__file__).parent / "pflow_flows" / "versions.pflow.md"
SUPPORTED = "pflow-lower supports pflow 0.8.1, 0.15 and 0.16"
COMMAND = ("--output-format", "json", "./flow.pflow.md")
INSTALL = (
    "import sys, pflow_lower.pflow as step\n"
    "step.install()\n"
    "sys.argv = ['pflow', *sys.argv[1:]]\n"
    "from pflow.cli import cli_main\n"
    "cli_main()"
)

COUNTED = """
import logging, sys
import pflow_lower.pflow as step
from pflow.nodes.llm.llm import LLMNode
from pflow.registry import Registry

def answer(self, shared):
    shared["response"], shared["item"], shared["llm_usage"] = "hi", "mine", {"model": "m", "total_tokens": 5}
    return "default"

LLMNode._run = answer
logging.basicConfig(level="WARNING", format="%(message)s", stream=sys.stdout)
if "lowered" in sys.argv:
    step.install()
import pflow.runtime.compiler as compiler
for spaces in (True, False):
    batch = {"id": "b", "type": "llm", "params": {"prompt": "${item}", "model": "m"}, "batch": {"items": ["x", "y"]}}
    ir = {"ir_version": "0.1.0", "enable_namespacing": spaces, "nodes": [batch], "edges": []}
    shared = {}
    compiler.compile_ir_to_flow(ir, Registry(), initial_params={}).run(shared)
    print([(used["node_id"], used.get("batch_item_index"), used["total_tokens"]) for used in shared["__llm_calls__"]])
"""
"""What the models of a batch cost in 0.8.1, with and without namespaces, and what its log says of an output `item`."""

UNLOWERED = """
import sys
import pflow_lower.pflow as step
step.install()
from pflow.registry import Registry
import pflow.runtime.compiler as compiler
from pflow_lower.lowering import lower as lowering

lowering.lower = None
node = {"id": "b", "type": "shell", "params": {"command": "true"}, "batch": {"items": ["x"], "timeout": 5}}
compiler.compile_ir_to_flow({"ir_version": "0.1.0", "nodes": [node], "edges": []}, Registry(), initial_params={})
"""
"""A batch with a key of ours that cannot be lowered, in 0.8.1."""


class Version(NamedTuple):
    requirements: tuple[str, ...]
    works: bool


VERSIONS = {
    "0.8.1": Version(("pflow-cli==0.8.1", "mcp<2"), works=True),
    "0.11": Version(("pflow-cli==0.11.*",), works=False),
    "0.12": Version(("pflow-cli==0.12.*",), works=False),
    "0.13": Version(("pflow-cli==0.13.*",), works=False),
    "0.14": Version(("pflow-cli==0.14.*",), works=False),
    "0.15": Version(("pflow-cli==0.15.*",), works=True),
    "0.16": Version(("pflow-cli==0.16.*",), works=True),
}


class Ran(NamedTuple):
    status: int
    result: dict[str, Any]
    said: list[str]
    """What pflow-lower said on stderr."""
    lowered: bool


class Place:
    """A virtual environment with one version of pflow, and pflow-lower copied beside it."""

    def __init__(self, folder: Path, requirements: tuple[str, ...]) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        shutil.copy(FLOW, folder / "flow.pflow.md")
        venv.create(folder / "venv", with_pip=True, symlinks=os.name != "nt")
        self.scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        ours = [line for line in requires("pflow-lower") or () if "extra ==" not in line]
        pip = [*self.python("-m", "pip", "install", "--quiet", "--disable-pip-version-check"), *ours, *requirements]
        done = subprocess.run(pip, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        site = self.run(*self.python("-c", "import sysconfig; print(sysconfig.get_path('purelib'))")).stdout.strip()
        self.file = Path(site, "pflow_lower.pth")
        ignored = shutil.ignore_patterns("__pycache__")
        for package, name in ((pflow_lower, "pflow_lower"), (pflow_lower.templates, "pflow_lower/templates")):
            source = Path(str(package.__file__)).parent
            shutil.copytree(source, Path(site, name), ignore=ignored, dirs_exist_ok=True)
        version = "from importlib.metadata import version; print(version('pflow-cli'))"
        self.version = self.run(*self.python("-c", version)).stdout.strip()

    def python(self, *arguments: str) -> list[str]:
        return [str(self.scripts / "python"), *arguments]

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PFLOW_LOWER", "PYTHON"))}
        env |= {"HOME": str(self.home), "USERPROFILE": str(self.home), "PYTHONUTF8": "1"} | environment
        return subprocess.run(command, capture_output=True, encoding="utf-8", env=env, cwd=self.folder, check=False)

    def lower(self, *arguments: str) -> tuple[int, str, str]:
        """Run one of our own commands: its status, stdout and stderr."""
        done = self.run(*self.python("-m", "pflow_lower", *arguments))
        return done.returncode, done.stdout, done.stderr

    def workflow(self, *command: str) -> Ran:
        """Run the workflow by `command`."""
        dump = self.folder / "dump"
        for left in (dump, self.home):  # a cache would make a second run another one
            shutil.rmtree(left, ignore_errors=True)
        self.home.mkdir()
        done = self.run(*command, *COMMAND, PFLOW_LOWER_DUMP=str(dump))
        said = [line for line in done.stderr.splitlines() if line.startswith("pflow-lower")]
        assert done.stdout.startswith("{"), done.stderr
        return Ran(done.returncode, json.loads(done.stdout)["result"], said, dump.exists())

    def plain(self) -> Ran:
        """Run the workflow in pflow, by its own script."""
        return self.workflow(str(self.scripts / "pflow"))


@pytest.fixture(scope="module", params=VERSIONS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, bool]]:
    version = VERSIONS[request.param]
    folder = tmp_path_factory.mktemp("version")
    yield Place(folder, version.requirements), version.works
    shutil.rmtree(folder)


def test_version(place: tuple[Place, bool]) -> None:
    """All ways in, for a workflow with batches in order, in parallel and past failures."""
    here, works = place
    (check_works if works else check_refuses)(here)


def check_works(here: Place) -> None:
    interpreted = here.plain()
    assert not interpreted.lowered

    lowered = here.workflow(*here.python("-m", "pflow_lower", "pflow"))
    assert (lowered.lowered, lowered.said) == (True, [])
    check_results(lowered.result)
    if here.version == "0.8.1":
        plain, ours = (here.run(*here.python("-c", COUNTED, how)) for how in ("interpreted", "lowered"))
        assert plain.stdout.count("overwriting") == 2, plain.stderr
        assert plain.stdout.count("('b', 0, 5), ('b', 1, 5)") == 2
        words = [re.sub(".*overwriting.*", "a warning", ran.stdout) for ran in (plain, ours)]  # in our own words
        assert words[0] == words[1], ours.stderr
        assert "the batch key `timeout` is known in lowered" in here.run(*here.python("-c", UNLOWERED)).stderr
    else:  # results of 0.8.1 itself are of another shape
        assert (lowered.status, comparable(lowered)) == (interpreted.status, comparable(interpreted))
    installed = here.workflow(*here.python("-c", INSTALL))
    assert (installed.lowered, installed.said, comparable(installed)) == (True, [], comparable(lowered))

    assert here.lower("enable") == (0, f"wrote {here.file}\n", "")
    assert here.lower("status") == (0, f"on, by {here.file}\npflow {here.version} is supported by pflow-lower\n", "")
    enabled = here.plain()
    assert (enabled.lowered, enabled.said, comparable(enabled)) == (True, [], comparable(lowered))
    assert here.lower("disable") == (0, f"removed {here.file}\n", "")
    assert not here.plain().lowered


def check_refuses(here: Place) -> None:
    interpreted = here.plain()
    refusal = f"this is pflow {here.version}; {SUPPORTED}"

    ran = here.workflow(*here.python("-m", "pflow_lower", "pflow"))
    assert ran.said == [f"pflow-lower is off for this run: {refusal}"]
    assert (ran.status, ran.lowered, comparable(ran)) == (interpreted.status, False, comparable(interpreted))

    assert here.lower("enable") == (2, "", f"pflow-lower: {refusal}\n")
    assert here.lower("status") == (0, f"off: there is no {here.file}\n{refusal}\n", "")
    installed = here.run(*here.python("-c", INSTALL))
    assert installed.stderr.endswith(f"pflow_lower.pflow.versions.Unsupported: {refusal}\n")


def check_results(result: dict[str, Any]) -> None:
    """What pflow 0.16 gives."""
    greeted = ["0: a hearty hello, Ada", "1: a hearty hello, Grace", "2: a hearty hello, Zoe"]
    assert [greeting["stdout"] for greeting in result["greetings"]] == greeted
    assert [greeting["item"]["name"] for greeting in result["greetings"]] == ["Ada", "Grace", "Zoe"]
    letters = [[*name, "hearty"] for name in ("Ada", "Grace", "Zoe")]
    assert [spelled["result"] for spelled in result["spelled"]] == letters
    # `results` holds successes only, and says where each comes from.
    assert [(aged["result"], aged["original_index"]) for aged in result["aged"]] == [(185, 0), (88, 2)]
    assert result["counted"] == 3
    assert [(error["index"], error["item"]["name"]) for error in result["unaged"]] == [(1, "Grace")]
    assert "invalid literal for int()" in result["unaged"][0]["error"]
    assert result["unaged"][0]["item_summary"]["summary"] == "name='Grace'; born='none'"


def comparable(ran: Ran) -> str:
    """The results without what tells one run from another: where an exception object lay in memory."""
    return re.sub(r"0x[0-9a-f]+", "0x", json.dumps(ran.result, sort_keys=True))
