"""Commands that only look import nothing of the folder they are called in, whatever a module there is called."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = {"click", "jinja2", "jsonschema", "markupsafe", "pygments", "pathspec", "rich", "pflow", "pocketflow", "yaml"}
NAMES = {*sys.stdlib_module_names, *TOOLS, "pflow_lower", "pygls", "lsprotocol", "mine", "nodes", "flow"}
LATER = {*TOOLS, "pickle", "json", "difflib", "tomllib", "subprocess", "tempfile", "ast", "mine", "nodes", "flow"}
"""What is imported after `python -m` has found the package; before that, Python itself looks into the folder."""
WORKFLOW = {
    "nodes": [
        {"id": "a", "type": "mine:Node", "params": {"x": "${item}"}, "batch": {"items": [1], "parallel": True}},
        {"id": "b", "type": "llm", "params": {"prompt": "${item}"}, "batch": {"items": [1]}},
    ]
}
COMMANDS = {
    "lower": ["wf.json", "--emit", "both"],
    "lower -o": ["wf.json", "-o", "out", "--program", "--standalone"],
    "check": ["check"],
    "lint": ["lint", "."],
    "plan": ["plan", "wf.json"],
    "diff": ["diff", "wf.json", "other.json"],
    "diff --git": ["diff", "--git", "HEAD"],
    "view": ["view", "wf.json", "--no-open", "--out", "page.html"],
    "explain": ["explain", "made/nodes.py:12"],
    "graph": ["wf.json", "--emit", "graph"],
    "schema": ["schema"],
    "status": ["status"],
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a module of every name in its root; each of them leaves a trace where it is imported."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "wf.json").write_text(json.dumps(WORKFLOW))
    (folder / "other.json").write_text(json.dumps(WORKFLOW).replace("[1]", "[1, 2]"))
    subprocess.run([script(), "wf.json", "-o", "made", "-q"], cwd=folder, check=True)
    for name in NAMES:
        (folder / f"{name}.py").write_text(
            f"open({str(folder / 'owned')!r}, 'a').write({name!r} + ' ')\nclass Node: ...\n"
        )
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q", "."], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


def script() -> str:
    return str(Path(sys.executable).with_name("pflow-lower"))


def imported(folder: Path) -> str:
    owned = folder / "owned"
    text = owned.read_text() if owned.exists() else ""
    owned.unlink(missing_ok=True)
    return text


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="asks git")
@pytest.mark.parametrize("command", COMMANDS)
def test_by_the_script(checkout: Path, command: str) -> None:
    run = subprocess.run(
        [script(), *COMMANDS[command]], cwd=checkout, capture_output=True, text=True, check=False, timeout=100
    )
    assert not imported(checkout)
    assert run.returncode in (0, 1), run.stderr


@pytest.mark.skipif(shutil.which("git") is None, reason="asks git")
@pytest.mark.parametrize("command", ["lower", "check", "lint", "plan", "view"])
def test_by_the_module(checkout: Path, command: str) -> None:
    hidden = [checkout / f"{name}.py" for name in NAMES - LATER]
    try:
        for file in hidden:
            file.rename(file.with_suffix(".txt"))
        run = subprocess.run(
            [sys.executable, "-m", "pflow_lower", *COMMANDS[command]],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    finally:
        for file in hidden:
            file.with_suffix(".txt").rename(file)
    assert not imported(checkout)
    assert run.returncode in (0, 1), run.stderr


@pytest.mark.slow
def test_many_folders_in_several_processes(checkout: Path) -> None:
    for number in range(210):
        (checkout / "flows").mkdir(exist_ok=True)
        (checkout / "flows" / f"wf_{number}.json").write_text(json.dumps(WORKFLOW))
    table = checkout / "pflow-lower.toml"
    table.write_text("[[lowerings]]\nworkflows = 'flows/*.json'\nout = 'many/{name}'\n")
    run = subprocess.run([script(), "check", "-q"], cwd=checkout, capture_output=True, text=True, check=False)
    table.unlink()
    shutil.rmtree(checkout / "flows")
    assert not imported(checkout)
    assert run.returncode == 2 and "many/wf_209/nodes.py" in run.stdout


@pytest.mark.slow
def test_the_language_server(checkout: Path) -> None:
    pytest.importorskip("pygls")

    def message(**content: object) -> bytes:
        body = json.dumps({"jsonrpc": "2.0", **content}).encode()
        return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)

    uri = (checkout / "wf.json").as_uri()
    opened = {"uri": uri, "languageId": "json", "version": 1, "text": json.dumps(WORKFLOW)}
    sent = [
        message(id=1, method="initialize", params={"processId": None, "rootUri": None, "capabilities": {}}),
        message(method="initialized", params={}),
        message(method="textDocument/didOpen", params={"textDocument": opened}),
        message(id=2, method="shutdown"),
        message(method="exit"),
    ]
    run = subprocess.run(
        [script(), "lsp"], cwd=checkout, input=b"".join(sent), capture_output=True, check=False, timeout=100
    )
    assert not imported(checkout)
    assert b'"id": 2' in run.stdout or b'"id":2' in run.stdout, run.stderr
