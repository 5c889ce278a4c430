"""golden/plan/: what `pflow-lower plan` says of every workflow there, as text and as data."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest

import pflow_lower
from pflow_lower.cli import run

GOLDEN = Path(__file__).parent.parent / "golden"
MADE = {"plan.txt", "plan.json"}
"""The files of a case that the command makes; all others are written by hand."""
CASES = sorted(path.name for path in GOLDEN.glob("plan/*"))
SCHEMA = json.loads(Path(pflow_lower.__file__).with_name("plan.schema.json").read_bytes())


def _sibling(name: str) -> ModuleType:
    """A test module beside this one, for its helpers."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


unified = _sibling("test_golden").unified


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
        assert (exited.value.code, said.err) == (0, "")
        made[file] = said.out.encode()
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(made["plan.json"]))
    expected = {file: (case / file).read_bytes() for file in MADE if (case / file).exists()}
    if pytestconfig.getoption("--update-golden"):
        for file, content in made.items():
            (case / file).write_bytes(content)
    elif made != expected:
        difference = "".join(unified(path, expected.get(path), made.get(path)) for path in sorted(MADE))
        refresh = f"pytest tests/test_golden_plan.py --update-golden -k {name}"
        pytest.fail(f"{difference}\nrefresh with: {refresh}", pytrace=False)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
