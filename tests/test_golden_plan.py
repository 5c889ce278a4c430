"""golden/plan/: what `pflow-lower plan` says of every workflow there, as text and as data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from helpers.golden_case import settle

import pflow_lower
from pflow_lower.cli import run

GOLDEN = Path(__file__).parent.parent / "golden"
MADE = {"plan.txt", "plan.json", "stderr.txt"}
"""The files of a case that the command makes; all others are written by hand."""
CASES = sorted(path.name for path in GOLDEN.glob("plan/*"))
SCHEMA = json.loads((Path(pflow_lower.__file__).parent / "tools/plan/plan.schema.json").read_bytes())


@pytest.mark.parametrize("name", CASES)
def test_golden_plan(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> None:
    case = GOLDEN / "plan" / name
    for path in case.iterdir():
        if path.name not in MADE:
            shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    flags = json.loads(Path("command.json").read_bytes())["flags"] if Path("command.json").exists() else []
    made = {}
    for form, file in (("text", "plan.txt"), ("json", "plan.json")):
        with pytest.raises(SystemExit) as exited:
            run(["plan", "workflow.json", *flags, "--format", form])
        said = capsys.readouterr()
        assert exited.value.code == 0
        made[file] = said.out.encode()
        made |= {"stderr.txt": said.err.encode()} if said.err else {}
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(made["plan.json"]))
    settle(case, made, pytestconfig, __file__, lambda path: path not in MADE)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
