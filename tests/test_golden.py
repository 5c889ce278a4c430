"""golden/: what the command makes of every workflow there, byte for byte.

A case is a folder, named for the behaviour it shows; golden/README.md says what is in it.
"""

from __future__ import annotations

import difflib
import json
import shutil
from pathlib import Path

import pytest

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
    found = {path.relative_to(case).as_posix(): path.read_bytes() for path in case.rglob("*") if path.is_file()}
    expected = {path: content for path, content in found.items() if path not in GIVEN}
    if pytestconfig.getoption("--update-golden"):
        for path in expected.keys() - made.keys():
            (case / path).unlink()
        for path, content in made.items():
            (case / path).write_bytes(content)
    elif made != expected:
        difference = "".join(unified(path, expected.get(path), made.get(path)) for path in sorted(made | expected))
        pytest.fail(f"{difference}\nrefresh with: pytest tests/test_golden.py --update-golden -k {name}", pytrace=False)


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


def unified(path: str, expected: bytes | None, made: bytes | None) -> str:
    """The difference between what stands in golden/ and what was made; None is no file at all."""
    if expected == made:
        return ""
    old, new = ((content or b"").decode("utf-8", "replace").splitlines(keepends=True) for content in (expected, made))
    names = path if expected is not None else "(no file)", path if made is not None else "(no file)"
    lines = difflib.unified_diff(old, new, f"golden: {names[0]}", f"made: {names[1]}")
    return "".join(lines) or f"{path}: the bytes differ, the text does not\n"


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
