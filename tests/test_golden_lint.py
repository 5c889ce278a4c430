"""golden/lint/: what `pflow-lower lint` says of every workflow there, and what --fix makes of it.

A case whose name ends in `-not` nearly breaks the rule of the case beside it, and does not: nothing is found there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.golden_case import settle

from pflow_lower.cli import run
from pflow_lower.tools.lint.table import RULES

GOLDEN = Path(__file__).parent.parent / "golden"
GIVEN = {"workflow.json", "workflow.pflow.md", "command.json", "pyproject.toml"}
CASES = sorted(path.name for path in GOLDEN.glob("lint/*"))


@pytest.mark.parametrize("name", CASES)
def test_golden_lint(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> None:
    case = GOLDEN / "lint" / name
    if (case / "workflow.pflow.md").exists():
        pytest.importorskip("pflow")
    made = make(case, tmp_path, monkeypatch, capsys)
    settle(case, made, pytestconfig, __file__, GIVEN.__contains__)


def make(
    case: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, bytes]:
    """What the command says of the case, run in a copy of its folder, and the workflow if it was changed."""
    for name in GIVEN:
        if (case / name).is_file():
            shutil.copy(case / name, folder)
    monkeypatch.chdir(folder)
    workflow = Path("workflow.json" if Path("workflow.json").exists() else "workflow.pflow.md")
    before = workflow.read_bytes()
    flags = json.loads(Path("command.json").read_bytes())["flags"] if Path("command.json").exists() else []
    with pytest.raises(SystemExit) as exited:
        run(["lint", str(workflow), *flags])
    said = capsys.readouterr()
    nothing = case.name.endswith("-not") or not said.out
    assert exited.value.code == (0 if nothing else 2 if "error[" in said.out else 1), said.out
    made = {"findings.txt": said.out, "stderr.txt": said.err}
    if workflow.read_bytes() != before:
        made[f"fixed{''.join(workflow.suffixes)}"] = workflow.read_bytes().decode()
    assert {path.name for path in folder.iterdir()} <= GIVEN
    return {name: text.encode() for name, text in made.items() if text}


def test_every_rule_has_a_case_and_one_that_nearly_is() -> None:
    found: dict[str, set[str]] = {}
    for name in CASES:
        file = GOLDEN / "lint" / name / "findings.txt"
        text = file.read_text("utf-8") if file.exists() else ""
        found[name] = {rule.code for rule in RULES if f"[{rule.code}]" in text}
    for rule in RULES:
        own = [name for name, codes in found.items() if codes == {rule.code} and f"{name}-not" in found]
        assert own, f"{rule.code} has no case of its own with a -not beside it"


def test_what_fix_can_mend_is_a_fix_case() -> None:
    done = "".join(path.read_text("utf-8") for path in GOLDEN.glob("lint/fix-*/stderr.txt"))
    assert {rule.code for rule in RULES if rule.fixable} == {
        rule.code for rule in RULES if f"fixed[{rule.code}]" in done
    }
