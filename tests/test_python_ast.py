"""Python source as a syntax tree, in several threads: workflows that items start are compiled in theirs."""

from __future__ import annotations

import ast
import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import pflow_lower
from pflow_lower.ir.python_ast import parse_python

PACKAGE = Path(pflow_lower.__file__).parent


class Garbage:
    """Lets another thread run when it is collected, in the middle of whatever caused that."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(0.0005)


@pytest.fixture
def collected_often() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(2000)
    yield
    gc.set_threshold(*before)


@pytest.mark.slow
def test_threads_may_parse_at_the_same_time(collected_often: None) -> None:
    """Without the lock, CPython 3.11 says SystemError here within seconds."""
    source = (PACKAGE / "runtime" / "journal.py").read_text("utf-8")
    wrong: list[BaseException] = []

    def work() -> None:
        for _ in range(200):
            for _ in range(3):
                Garbage()
            try:
                assert isinstance(parse_python(source), ast.Module)
            except BaseException as error:  # noqa: BLE001  the test says it
                wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_other_threads_cause_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nodes do in their threads is not ours to lock."""
    real, left = ast.parse, [SystemError("AST constructor recursion depth mismatch")] * 3

    def parse(source: str) -> ast.Module:
        if left:
            raise left.pop()
        return real(source)

    monkeypatch.setattr(ast, "parse", parse)
    assert ast.dump(parse_python("x = 1")) == ast.dump(real("x = 1"))
    with pytest.raises(SyntaxError):
        parse_python("x =")


def test_nobody_parses_without_it() -> None:
    """But for `enable`, a command that compiles nothing."""
    files = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if "ast.parse(" in file.read_text("utf-8")
    }
    assert files == {"ir/python_ast.py", "pflow/enable.py"}
