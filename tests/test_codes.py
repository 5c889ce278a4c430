"""The codes of diagnostics: one table, and nobody reports what is not in it."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from pathlib import Path

import pytest

import pflow_lower
from pflow_lower.analyse.sentences import names_nothing
from pflow_lower.diagnostics.codes import CODES
from pflow_lower.diagnostics.diagnostic import Diagnostic, Severity

PACKAGE = Path(pflow_lower.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))


def test_a_code_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'PFL999' is not a code"):
        Diagnostic("PFL999", Severity.ERROR, "wrong")
    finding = Diagnostic("PFL301", Severity.ERROR, "wrong")
    assert finding.title == CODES["PFL301"]
    assert pickle.loads(pickle.dumps(finding)) == copy.copy(finding) == finding
    assert finding._replace(message="x").message == "x"


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_every_code_in_the_source_is_known(file: Path) -> None:
    for part in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and re.fullmatch(r"PFL\d+", part.value):
            whole = len(part.value) == 6
            assert part.value in CODES or (not whole and any(code.startswith(part.value) for code in CODES))


def test_every_code_is_reported_somewhere() -> None:
    texts = [file.read_text("utf-8") for file in SOURCES if file.name != "codes.py"]
    silent = [code for code in CODES if not any(f'"{code}"' in text for text in texts)]
    assert silent == []


def test_a_sentence_that_several_checks_say_stands_once() -> None:
    said = names_nothing("")
    assert [file.name for file in SOURCES if said in file.read_text("utf-8")] == ["sentences.py"]
