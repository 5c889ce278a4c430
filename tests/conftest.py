"""Options and surroundings that all tests share."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.command import Result, Run

from pflow_lower import before_pflow, cli  # noqa: F401
from pflow_lower.load.markdown import quiet


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what the compiler gives into golden/")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-golden") and os.environ.get("CI"):
        raise pytest.UsageError("--update-golden is for your own machine: in CI nobody would review the difference")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A background job (`nohup pytest &`) ignores SIGINT, and so would every program that it starts: tests that
        # interrupt one would wait in vain. A handler of our own ignores it as well, and is not inherited.
        signal.signal(signal.SIGINT, lambda *_: None)


LEFT_OUT = {"ray": "on Ray", "slow": "slow", "versions": "in other versions of pflow"}
"""Marks of tests that a run without `-m` leaves out, unless it names them as file::test, and what they are."""
_counts = pytest.StashKey[dict[str, int]]()


@pytest.hookimpl(trylast=True)  # after -k: what that has taken away was not asked for
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.markexpr or any("::" in argument for argument in config.args):
        return
    marks = {item: next((mark for mark in LEFT_OUT if item.get_closest_marker(mark)), "") for item in items}
    left_out = [item for item in items if marks[item]]
    config.stash[_counts] = {mark: sum(found == mark for found in marks.values()) for mark in LEFT_OUT}
    items[:] = [item for item in items if not marks[item]]
    config.hook.pytest_deselected(items=left_out)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # of pytest-xdist: its workers collect, the controller reports
        session.config.workeroutput["left_out"] = session.config.stash.get(_counts, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[_counts] = getattr(node, "workeroutput", {}).get("left_out", {})


@pytest.hookimpl(wrapper=True, tryfirst=True)  # below the summaries, above the closing line
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    yield
    found = [
        f"{count} {LEFT_OUT[mark]} (pytest -m {mark})" for mark, count in config.stash.get(_counts, {}).items() if count
    ]
    if found:
        terminalreporter.write_line(f"left out: {', '.join(found)}")


@pytest.fixture(scope="session", autouse=True)
def own_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of our own, and no CI or Git around: what the user has decides no test, nor do tests change it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("HOME", "USERPROFILE"):
            patch.setenv(variable, str(home))
        for variable in ("CI", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):  # of whoever runs the tests
            patch.delenv(variable, raising=False)
        yield home


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, called in this process and in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            cli.run(list(arguments))
        said = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return Result(exited.value.code, said.out, said.err)

    return run


@pytest.fixture(scope="module")
def quiet_pflow() -> Iterator[None]:
    """Nothing of what pflow logs: for modules whose nodes fail on purpose."""
    with quiet():
        yield
