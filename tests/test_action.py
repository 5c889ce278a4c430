"""The GitHub Action and the pre-commit hooks, run for real in repositories of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / ".github" / "action.sh"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not SCRIPT.exists(), reason="runs away from the repository")]

PLAIN: dict[str, Any] = {
    "nodes": [
        {
            "id": "greet",
            "type": "shell",
            "params": {"command": "cat", "stdin": "Hello ${item}"},
            "batch": {"items": ["Ann"], "parallel": True, "max_concurrent": 5},
        }
    ]
}
GH = """#!/usr/bin/env python3
import json, os, sys
args = sys.argv[1:]
body = [open(arg[6:], encoding="utf-8").read() for arg in args if arg.startswith("body=@")]
with open(os.environ["GH_LOG"], "a", encoding="utf-8") as log:
    log.write(json.dumps({"args": args, "body": body}) + "\\n")
if "--jq" in args:
    print(os.environ.get("KNOWN_COMMENT", ""))
sys.exit(int(os.environ.get("GH_STATUS", "0")))
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    run = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return run.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x", "--no-verify")
    return git(folder, "rev-parse", "HEAD")


def lower(folder: Path) -> None:
    command = [sys.executable, "-m", "pflow_lower", "flow.json", "-o", "made"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


class Action:
    """The action's shell part, in a checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.scratch = folder
        self.folder.mkdir()
        git(self.folder, "init", "-q", "-b", "main")
        self.write(PLAIN)
        lower(self.folder)
        self.base = commit(self.folder)
        tools = folder / "tools"
        tools.mkdir()
        (tools / "gh").write_text(GH)
        (tools / "gh").chmod(0o755)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GITHUB_", "INPUT_"))},
            "PATH": os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "GITHUB_REPOSITORY": "owner/name",
            "GH_LOG": str(folder / "gh.log"),
            "CI": "true",
        }

    def write(self, workflow: dict[str, Any]) -> None:
        (self.folder / "flow.json").write_text(json.dumps(workflow, indent=2))

    def run(self, **inputs: str) -> subprocess.CompletedProcess[str]:
        given = {"INPUT_BASE": self.base, "PULL_REQUEST": "7", **inputs}
        command = ["bash", str(SCRIPT), "run"]
        environment = {**self.environment, **given}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def asked(self) -> list[dict[str, Any]]:
        """What gh was asked to do."""
        log = self.scratch / "gh.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def outputs(self) -> dict[str, str]:
        lines = (self.scratch / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def action(tmp_path: Path) -> Action:
    return Action(tmp_path)


def changed() -> dict[str, Any]:
    """The prompt, the concurrency and the error policy are others."""
    flow: dict[str, Any] = json.loads(json.dumps(PLAIN).replace("Hello", "::error::Good morning @everyone"))
    flow["nodes"][0]["batch"].update(max_concurrent=9, error_handling="continue")
    return flow


def test_all_is_well(action: Action) -> None:
    shown = action.run()
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert action.outputs() == {"up-to-date": "true", "changes": ""}
    assert not any("body=@" in " ".join(one["args"]) for one in action.asked())


def test_a_change_is_checked_explained_and_commented_on(action: Action) -> None:
    action.write(changed())
    commit(action.folder)
    shown = action.run()
    assert shown.returncode == 1  # the generated files were forgotten
    assert action.outputs() == {"up-to-date": "false", "changes": "behaviour,cost,schedule"}
    asked = action.asked()
    assert asked[0]["args"][:3] == ["api", "--paginate", "repos/owner/name/issues/7/comments"]
    (comment,) = asked[1]["body"]
    assert "POST" in asked[1]["args"]
    assert comment.startswith("<!-- pflow-lower diff -->\n### What the workflow changes mean")
    assert "`fail_fast` → `continue`" in comment and "`5` → `9`" in comment
    assert comment == (action.scratch / "summary.md").read_text()
    # What people wrote stands between stop-commands and its token, where the runner reads no commands.
    token = re.search(r"^::stop-commands::(\w{32})$", shown.stdout, re.M)
    assert token and re.search(rf"^::{token[1]}::$", shown.stdout, re.M)
    inside = re.sub(r"(?ms)^::stop-commands::(\w{32})$.*?^::\1::$", "", shown.stdout)
    assert not re.search(r"^\s*::error::Good", inside, re.M)


def test_the_comment_is_kept_up_to_date(action: Action) -> None:
    action.write(changed())
    lower(action.folder)
    commit(action.folder)
    shown = action.run(KNOWN_COMMENT="42")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert action.asked()[1]["args"][2:5] == ["--method", "PATCH", "repos/owner/name/issues/comments/42"]
    action.write(PLAIN)
    lower(action.folder)
    commit(action.folder)
    action.run(KNOWN_COMMENT="42")
    assert "No workflow has changed." in action.asked()[-1]["body"][0]


def test_a_class_of_change_can_fail_it(action: Action) -> None:
    action.write(changed())
    lower(action.folder)
    commit(action.folder)
    assert action.run(INPUT_FAIL_ON="breaking").returncode == 0
    assert action.run(INPUT_FAIL_ON="breaking,cost").returncode == 1


def test_a_pull_request_from_a_fork_gets_a_warning_instead_of_a_comment(action: Action) -> None:
    action.write(changed())
    lower(action.folder)
    commit(action.folder)
    shown = action.run(GH_STATUS="1")
    assert shown.returncode == 0 and "::warning::pflow-lower could not write its comment" in shown.stdout


def test_inputs_are_no_shell(action: Action) -> None:
    owned = action.scratch / "owned"
    hostile = f'$(touch {owned}); `touch {owned}` "; touch {owned} #'
    shown = action.run(INPUT_PATHS=hostile, INPUT_FAIL_ON=hostile, INPUT_BASE=f"--upload-pack=touch {owned}")
    assert shown.returncode != 0
    assert not owned.exists()
    action.run(PULL_REQUEST="7/../../../user", INPUT_PATHS="flow.json\n\nmade")
    assert not owned.exists() and not any("user" in " ".join(one["args"]) for one in action.asked())


def test_a_shallow_checkout_fetches_the_base(action: Action) -> None:
    action.write(changed())
    lower(action.folder)
    commit(action.folder)
    git(action.folder, "config", "uploadpack.allowReachableSHA1InWant", "true")
    shallow = action.scratch / "shallow"
    git(action.scratch, "clone", "-q", "--depth=1", action.folder.as_uri(), str(shallow))
    action.folder = shallow
    shown = action.run()
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert action.outputs()["changes"] == "behaviour,cost,schedule"


def test_every_input_is_described_and_nothing_is_put_into_shell_text() -> None:
    described = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert all(spec["description"] and "default" in spec for spec in described["inputs"].values())
    for step in described["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        if "uses" in step:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"])
    script = SCRIPT.read_text(encoding="utf-8")
    used = {name for step in described["runs"]["steps"] for name in step.get("env", {})}
    assert all(f"${{{name}" in script or f"${name}" in script or name == "GH_TOKEN" for name in used)
    assert os.access(SCRIPT, os.X_OK)


def test_nothing_of_the_checkout_is_imported(action: Action) -> None:
    """Whatever a module in its root is called, and whatever the job has on Python's path."""
    owned = action.scratch / "owned"
    for name in {*sys.stdlib_module_names, "click", "jinja2", "pip", "pflow_lower", "jsonschema", "yaml"}:
        (action.folder / f"{name}.py").write_text(f"open({str(owned)!r}, 'a').write({name!r} + '\\n')\n")
    action.write(changed())
    commit(action.folder)
    shown = action.run(PYTHONPATH=".", GH_TOKEN="secret")
    assert not owned.exists(), owned.read_text()
    assert shown.returncode == 1 and action.outputs()["changes"] == "behaviour,cost,schedule"
    install = ["bash", str(SCRIPT), "install"]
    environment = {**action.environment, "PYTHONPATH": ".", "PIP_NO_INDEX": "1", "PYTHON": sys.executable}
    subprocess.run(install, cwd=action.folder, env=environment, capture_output=True, check=False)
    assert not owned.exists(), owned.read_text()


def test_only_gh_has_the_token(action: Action) -> None:
    """What /proc says of a process is the environment that it was started with, and a workflow can name that file."""
    tools = action.scratch / "tools"
    real = shutil.which("pflow-lower", path=action.environment["PATH"])
    spy = f"""#!/usr/bin/env bash
for process in self "$PPID"; do tr '\\0' '\\n' <"/proc/$process/environ"; done >>"$SPY"
exec {real} "$@"
"""
    (tools / "pflow-lower").write_text(spy)
    (tools / "pflow-lower").chmod(0o755)
    (tools / "gh").write_text(GH.replace('"args": args', '"token": os.environ["GH_TOKEN"], "args": args'))
    action.write(changed())
    commit(action.folder)
    seen = action.scratch / "seen"
    action.run(GH_TOKEN="secret-of-the-job", SPY=str(seen))
    if sys.platform == "linux":
        assert "RUNNER_TEMP=" in seen.read_text()
    assert "secret-of-the-job" not in seen.read_text()
    assert {one["token"] for one in action.asked()} == {"secret-of-the-job"}


# --- pre-commit


def test_the_hooks_run_in_pre_commit(tmp_path: Path) -> None:
    """From a copy of this repository, as pre-commit would install it from its address. Needs a package index."""
    source, scratch = tmp_path / "source", tmp_path / "scratch"
    source.mkdir()
    for name in ("compiler", "templates"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, source)
    git(source, "init", "-q")
    revision = commit(source)
    scratch.mkdir()
    git(scratch, "init", "-q")
    (scratch / "flow.json").write_text(json.dumps(PLAIN))
    lower(scratch)
    hooks = [{"id": "pflow-lower-check"}, {"id": "pflow-lower-update"}]
    config = {"repos": [{"repo": str(source), "rev": revision, "hooks": hooks}]}
    (scratch / ".pre-commit-config.yaml").write_text(json.dumps(config))
    commit(scratch)
    dropped = ("GIT_", "PYTHON", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment["PRE_COMMIT_HOME"] = str(tmp_path / "cache")

    def hook(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pre_commit", "run", name, "--all-files"]
        return subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, check=False)

    shown = hook("pflow-lower-check")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    (scratch / "flow.json").write_text(json.dumps(changed()))
    git(scratch, "add", "-A")
    shown = hook("pflow-lower-check")
    assert shown.returncode == 1 and "made/nodes.py" in shown.stdout and "PFL611" in shown.stdout
    shown = hook("pflow-lower-update")
    assert shown.returncode == 1 and "files were modified by this hook" in shown.stdout
    git(scratch, "add", "-A")
    assert hook("pflow-lower-check").returncode == 0
