"""Options and surroundings that all tests share."""

from __future__ import annotations

import http.client  # noqa: F401  before pflow: its first scan for nodes can hide the standard library's http
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.command import Result, Run

from pflow_lower import cli


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what the compiler gives into golden/")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-golden") and os.environ.get("CI"):
        raise pytest.UsageError("--update-golden is for your own machine: in CI nobody would review the difference")


@pytest.fixture(scope="session", autouse=True)
def scratch_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of our own: results must not depend on the user's pflow registry, nor tests change it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("HOME", "USERPROFILE"):
            patch.setenv(variable, str(home))
        yield home


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, called in this process and in an empty folder; what surrounds the tests does not matter."""
    monkeypatch.chdir(tmp_path)
    for name in ("CI", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            cli.run(list(arguments))
        said = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return Result(exited.value.code, said.out, said.err)

    return run
