"""What users are told to install can be installed: libraries of pyproject.toml's extras, never pflow-lower itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pflow_lower
from pflow_lower import install_hints

PACKAGE = Path(pflow_lower.__file__).parent
ROOT = Path(__file__).parent.parent
TEXTS = [file for file in sorted(PACKAGE.rglob("*")) if file.suffix in (".py", ".md", ".json", ".jinja", ".js")]


def test_no_text_asks_a_package_index_for_pflow_lower() -> None:
    generated = (ROOT / "golden/ok").rglob("flow.py")
    for file in [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *TEXTS, *generated]:
        assert not re.search(r"pip install[^\n&;|`]*pflow.lower", file.read_text("utf-8")), file.name


def test_the_hints_are_what_the_extras_hold() -> None:
    extras = (ROOT / "pyproject.toml").read_text("utf-8").split("[project.optional-dependencies]")[1]
    listed = dict(re.findall(r"^(pflow|lsp) = (\[.*\])$", extras, re.MULTILINE))
    assert names(install_hints.PFLOW) == names(listed["pflow"])
    assert names(install_hints.MARKDOWN_PLACES) < names(listed["pflow"])
    assert names(install_hints.LANGUAGE_SERVER) == names(listed["lsp"])


def names(text: str) -> set[str]:
    return set(re.findall(r"[a-z][a-z-]+(?=[\"<>=\s]|$)", text.removeprefix("pip install")))


@pytest.mark.parametrize("start", [("run",), ("pflow", "run"), ("pflow",)])
@pytest.mark.parametrize("arguments", [("flow.json",), ("--no-cache", "flow.json", "key=value"), ("FLOW.JSON",)])
def test_a_json_workflow_is_not_run_in_pflow(run, start: tuple[str, ...], arguments: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    status, out, err = run(*start, *arguments)
    assert (status, out) == (2, "")
    name = next(argument for argument in arguments if argument.lower().endswith(".json"))
    assert err == (
        f"pflow-lower: {name}: pflow's command runs .pflow.md workflows only\n"
        "  JSON workflows are for compiling, for programs (pflow-lower WORKFLOW -o DIR --program) "
        "and for pflow as a library\n"
    )
