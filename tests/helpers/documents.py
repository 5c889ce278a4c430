"""Runs what a Markdown document shows, in a scratch folder, from top to bottom.

What stands after a fence says what its block is:

    console           commands after `$ `, each with what it prints on stdout and stderr below it; a command under which
                      nothing stands may print anything. `...` stands for any text, or alone for any lines
    console exit N    the same, where the last command ends with the status N; all others end with 0
    sh                commands that all end with 0, whatever they print
    LANGUAGE FILE     a file (its name has a dot), written before what follows runs
    LANGUAGE in FILE  lines that stand in FILE as they stand here, when all has run
    python            a program that runs, and prints nothing

All other blocks are left alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from pflow_lower.diagnostics.explanations import Example, fenced


class Ran(NamedTuple):
    """A command of a document: what it printed, what the document says that it prints, and its status."""

    command: str
    printed: str
    told: str
    status: int
    expected_status: int

    def complaint(self) -> str:
        """What is wrong about it, in words; "" if nothing is."""
        if self.status != self.expected_status:
            return (
                f"$ {self.command}\nended with {self.status}, not {self.expected_status}, and printed\n{self.printed}"
            )
        if self.told and not re.fullmatch(pattern(self.told), f"{self.printed.rstrip()}\n"):
            return f"$ {self.command}\nprinted\n{self.printed}\nand not\n{self.told}"
        if "explain" in self.command and re.search(r"^ *[0-9]+ \| *$", self.printed, re.MULTILINE):
            return f"$ {self.command}\nexplains an empty line\n{self.printed}"
        return ""


def pattern(told: str) -> str:
    """What the text of a document may be, as a regular expression for whole lines."""
    return "".join(
        "(?:[^\n]*\n)*" if line.strip() == "..." else re.escape(line).replace(r"\.\.\.", "[^\n]*") + "\n"
        for line in told.split("\n")
    )


def complaints(markdown: str, folder: Path, environment: dict[str, str]) -> list[str]:
    """What of a document is not so, having done in `folder` what it says."""
    said = []
    for block in sorted(fenced(markdown), key=_is_compared_last):
        kind, _, rest = block.kind.partition(" ")
        if kind == "console":
            said += [ran.complaint() for ran in session(block, folder, environment)]
        elif kind == "sh":
            printed, status = shell(f"set -euo pipefail\n{block.text}", folder, environment)
            said.append(Ran(block.text, printed, "", status, 0).complaint())
        elif rest.startswith("in "):
            file = folder / rest.removeprefix("in ")
            if not file.is_file() or block.text not in file.read_text("utf-8"):
                said.append(f"{file.name} does not hold\n{block.text}")
        elif "." in rest and " " not in rest:
            file = folder / rest
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.kind == "python":
            run = [sys.executable, "-c", block.text]
            ended = subprocess.run(run, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            if ended.returncode or ended.stdout or ended.stderr:
                said.append(f"{block.text}\ngave {ended.stdout}{ended.stderr}")
    return [complaint for complaint in said if complaint]


def _is_compared_last(block: Example) -> bool:
    return " in " in block.kind


def session(block: Example, folder: Path, environment: dict[str, str]) -> list[Ran]:
    """The commands of a `console` block, run."""
    expected = int(block.kind.split()[-1]) if block.kind.startswith("console exit ") else 0
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not parts[0], f"text before the first command: {parts[0]}"
    ran = []
    for n, part in enumerate(parts[1:], 1):
        command, _, told = part.partition("\n")
        while command.endswith("\\"):
            more, _, told = told.partition("\n")
            command = f"{command}\n{more}"
        printed, status = shell(command, folder, environment)
        ran.append(Ran(command, printed, told.rstrip(), status, expected if n == len(parts) - 1 else 0))
    return ran


def shell(command: str, folder: Path, environment: dict[str, str]) -> tuple[str, int]:
    """What a command printed, and its status."""
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return ended.stdout, ended.returncode


def surroundings(provider: str) -> dict[str, str]:
    """The environment for commands of a document: this Python's programs first, the model's provider at `provider`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PFLOW_", "XDG_"))}
    git = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "somebody")
    git |= dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "somebody@example.org")
    return {
        **inherited,
        **git,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "OPENAI_API_KEY": "none is needed",
        **dict.fromkeys(("OPENAI_API_BASE", "OPENAI_BASE_URL"), f"{provider}/v1"),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
    }
