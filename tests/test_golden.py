"""golden/: what the command makes of every workflow there, byte for byte.

A case is a folder, named for the behaviour it shows; golden/README.md says what is in it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.golden_case import settle

from pflow_lower.cli import run

GOLDEN = Path(__file__).parent.parent / "golden"
GIVEN = {"workflow.json", "workflow.pflow.md", "command.json", "nodes.toml"}
"""The files of a case that are written by hand."""
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
    if (case / "workflow.pflow.md").exists():
        pytest.importorskip("pflow")
    made = make(case, tmp_path, monkeypatch, capsys)
    settle(case, made, pytestconfig, __file__, GIVEN.__contains__)


def make(
    case: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, bytes]:
    """What the command writes for the case, run in a copy of its folder: files, and what it has to say."""
    for name in GIVEN:
        if (case / name).is_file():
            shutil.copy(case / name, folder)
    monkeypatch.chdir(folder)
    workflow = "workflow.json" if Path("workflow.json").exists() else "workflow.pflow.md"
    flags = json.loads(Path("command.json").read_bytes())["flags"] if Path("command.json").exists() else []
    with pytest.raises(SystemExit) as exited:
        run([workflow, "-o", ".", *flags])
    said = capsys.readouterr()
    assert said.out == ""
    assert exited.value.code == (0 if case.parent.name == "ok" else 2), said.err
    made = {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in GIVEN}
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
