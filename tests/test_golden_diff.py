"""golden/diff: what `pflow-lower diff` says of two workflows, byte for byte.

A case is a folder with old.json and new.json (or .pflow.md); diff.txt, diff.json and diff.md are made.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.golden_case import settle
from jsonschema import Draft7Validator

import pflow_lower
from pflow_lower.cli import run

GOLDEN = Path(__file__).parent.parent / "golden" / "diff"
GIVEN = {"old.json", "new.json", "old.pflow.md", "new.pflow.md"}
FORMS = {"diff.txt": "text", "diff.json": "json", "diff.md": "markdown"}
CASES = sorted(path.name for path in GOLDEN.iterdir())
SCHEMA = Path(pflow_lower.__file__).parent / "tools/diff/diff.schema.json"


@pytest.mark.parametrize("name", CASES)
def test_golden(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> None:
    case = GOLDEN / name
    given = sorted(path.name for path in case.iterdir() if path.name in GIVEN)
    assert len(given) == 2
    if given[0].endswith(".md"):
        pytest.importorskip("pflow")
    for file in given:
        shutil.copy(case / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    made = {}
    for file, form in FORMS.items():
        with pytest.raises(SystemExit) as exited:
            run(["diff", given[1], given[0], "--format", form])
        said = capsys.readouterr()
        assert (exited.value.code, said.err) == (0, ""), said.out
        made[file] = said.out.encode()
    settle(case, made, pytestconfig, __file__, GIVEN.__contains__)


@pytest.mark.parametrize("name", CASES)
def test_the_data_is_what_the_schema_says(name: str) -> None:
    schema = json.loads(SCHEMA.read_bytes())
    Draft7Validator.check_schema(schema)
    Draft7Validator(schema).validate(json.loads((GOLDEN / name / "diff.json").read_bytes()))


def test_every_class_of_change_has_a_case() -> None:
    said = "".join((GOLDEN / name / "diff.json").read_text(encoding="utf-8") for name in CASES)
    assert all(f'"class": "{kind}"' in said for kind in ("breaking", "behaviour", "cost", "schedule", "cosmetic"))
