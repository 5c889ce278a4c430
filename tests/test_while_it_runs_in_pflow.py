"""Inside pflow, as processes: pflow's own display on a terminal and ours in a pipe, never both; Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pflow")
pty = pytest.importorskip("pty")
PATIENCE = 120

START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
from pflow_lower.runtime import progress
progress.FIRST_LINE = 0.05
from pflow_lower.__main__ import main as main
sys.argv = ["pflow-lower", *sys.argv[1:]]
main()
"""
FLOW = """\
# Say

Says things.

## Steps

### say

Says one.

- type: shell
- batch:
    items: [0, 1, 2, 3, 4, 5, 6, 7]
MORE

```shell command
if test ${item} -ge 6; then touch begun-${item}; while ! test -e go; do sleep 0.02; done; fi; echo ${item}
```
"""
PARALLEL = "    parallel: true\n    max_concurrent: 4\n"


class Started:
    """`pflow-lower run` over eight items, of which the last two wait until they are told to go on."""

    def __init__(self, folder: Path, more: str = "", *arguments: str, terminal: bool = False) -> None:
        self.folder = folder
        (folder / "say.pflow.md").write_text(FLOW.replace("MORE\n", more))
        self.err, theirs = pty.openpty() if terminal else os.pipe()
        env = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}  # pflow looks at it
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, "run", *arguments, "say.pflow.md"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env={**env, "HOME": str(folder), "USERPROFILE": str(folder), "TERM": "xterm"},
        )
        os.close(theirs)
        self._watchdog = threading.Timer(PATIENCE, self.process.kill)
        self._watchdog.start()
        self.said = ""

    def read(self) -> Iterator[str]:
        """All that it has said so far, again and again until it ends."""
        while True:
            try:
                read = os.read(self.err, 65536)
            except OSError:  # a terminal whose other end is closed
                read = b""
            if not read:
                return
            self.said += read.decode("utf-8", "replace").replace("\r\n", "\n")
            yield self.said

    def wait_for(self, text: str) -> None:
        """Until it has said so."""
        assert text in self.said or any(text in said for said in self.read()), self.said

    def go_on(self) -> None:
        """Let the last items end."""
        (self.folder / "go").touch()

    def rest(self) -> tuple[int, str]:
        """The exit status, and all that it said."""
        for _ in self.read():
            pass
        self.process.wait()
        self._watchdog.cancel()
        os.close(self.err)
        return self.process.returncode, self.said


@pytest.mark.slow
def test_a_line_now_and_then_in_a_pipe(tmp_path: Path) -> None:
    program = Started(tmp_path)
    program.wait_for("say: 6/8 (75 %), ")
    program.go_on()
    status, said = program.rest()
    assert status == 0, said
    lines = said.splitlines()
    assert "  say..." in lines, "pflow's own line is ended before ours begins"
    assert any(line.startswith("say: 8/8 (100 %), in ") for line in lines)
    assert any(line.startswith("  say... 8/8 ") for line in lines)


@pytest.mark.slow
def test_on_a_terminal_pflow_s_own_display_stands_alone(tmp_path: Path) -> None:
    program = Started(tmp_path, terminal=True)
    program.wait_for("say... 6/8")
    program.go_on()
    status, said = program.rest()
    assert status == 0, said
    assert "say: " not in said


@pytest.mark.slow
def test_quiet(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    status, said = Started(tmp_path, "", "--quiet").rest()
    assert status == 0
    assert "say" not in said.replace("say.pflow.md", "").replace("-say-", "").replace("'say'", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_says_what_is_waited_for_and_how_far_it_came(tmp_path: Path, number: int) -> None:
    program = Started(tmp_path, PARALLEL)
    program.wait_for("say: 6/8 (75 %), ")
    program.process.send_signal(number)
    program.wait_for("pflow-lower: say: waiting for 2 calls under way; press Ctrl-C again to leave them\n")
    program.go_on()
    status, said = program.rest()
    assert status == 130, said
    assert "say: interrupted when 8 of 8 items were done" in said
