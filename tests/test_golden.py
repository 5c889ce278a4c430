"""golden/: what the command makes of every workflow there, byte for byte.

A case is a folder, named for the behaviour it shows; golden/README.md says what is in it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.golden_case import settle

from pflow_lower import pipeline
from pflow_lower.cli import run
from pflow_lower.ir.printer import printed
from pflow_lower.options import Options

GOLDEN = Path(__file__).parent.parent / "golden"
GIVEN = {"workflow.json", "workflow.pflow.md", "command.json", "nodes.toml", "pyproject.toml"}
"""The files of a case that are written by hand."""
CHILD = ".pflow.md"
"""How the files of workflows are called that a case's workflow starts; they are written by hand, too."""
LOWERED_IR = "lowered-ir.txt"
"""In a case that has it: the lowered workflow as the compiler's last stage but one hands it on."""
GROUPS = ("ok", "bad")
ELSEWHERE = ("diff", "lint", "plan")
"""Groups of cases that have a test file of their own, tests/test_golden_<group>.py."""
CASES = [path.relative_to(GOLDEN).as_posix() for group in GROUPS for path in sorted(GOLDEN.glob(f"{group}/*"))]


@pytest.mark.parametrize("name", CASES)
def test_golden(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> None:
    case = GOLDEN / name
    if any(case.glob(f"*{CHILD}")):
        pytest.importorskip("pflow")
    made = make(case, tmp_path, monkeypatch, capsys)
    if (case / LOWERED_IR).exists():
        made |= {LOWERED_IR: lowered_ir(tmp_path).encode()}
    settle(case, made, pytestconfig, __file__, is_given)


def is_given(name: str) -> bool:
    """Whether a file of a case is written by hand."""
    return name in GIVEN or name.endswith(CHILD)


def lowered_ir(folder: Path) -> str:
    """What the stage `lower` gives for the case, as `--print-after lower` shows it."""
    workflow = next(name for name in ("workflow.json", "workflow.pflow.md") if (folder / name).exists())
    flags = json.loads((folder / "command.json").read_bytes())["flags"] if (folder / "command.json").exists() else []
    nodes = Path("nodes.toml") if (folder / "nodes.toml").exists() else None
    seen: dict[str, Any] = {}
    options = Options(program="--program" in flags, nodes_file=nodes)
    pipeline.run(workflow, options, on_stage=seen.__setitem__)
    return printed(seen["lower"])


def make(
    case: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, bytes]:
    """What the command writes for the case, run in a copy of its folder: files, and what it has to say."""
    for path in case.iterdir():
        if is_given(path.name):
            shutil.copy(path, folder)
    monkeypatch.chdir(folder)
    workflow = "workflow.json" if Path("workflow.json").exists() else "workflow.pflow.md"
    flags = json.loads(Path("command.json").read_bytes())["flags"] if Path("command.json").exists() else []
    with pytest.raises(SystemExit) as exited:
        run([workflow, "-o", ".", *flags])
    said = capsys.readouterr()
    assert said.out == ""
    assert exited.value.code == (0 if case.parent.name == "ok" else 2), said.err
    made = {path.name: path.read_bytes() for path in folder.iterdir() if not is_given(path.name)}
    findings = "".join(line for line in said.err.splitlines(keepends=True) if not line.startswith("wrote "))
    return made | ({"stderr.txt": findings.encode()} if findings else {})


def test_nothing_else_is_in_golden() -> None:
    for path in GOLDEN.rglob("*"):
        parts = path.relative_to(GOLDEN).parts
        if len(parts) == 1:
            assert parts[0] in ("README.md", *GROUPS, *ELSEWHERE), path
        elif len(parts) == 2:
            assert path.is_dir(), f"{path} belongs to no case"
            assert (
                parts[0] in ELSEWHERE
                or len(GIVEN & {"workflow.json", "workflow.pflow.md"} & {f.name for f in path.iterdir()}) == 1
            ), path
