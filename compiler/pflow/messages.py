"""What pflow-lower has to say inside pflow, on stderr: a line each, once in a run."""

from __future__ import annotations

import contextlib
import sys

_said: set[str] = set()


def say(text: str) -> None:
    """Write `text` to stderr, where there is one, unless this run has said it already."""
    _write_once(f"pflow-lower: {text}\n")


def say_off(reason: str) -> None:
    """Say once in a run that pflow runs without pflow-lower, and why."""
    _write_once(f"pflow-lower is off for this run: {reason}\n")


def _write_once(line: str) -> None:
    if line in _said or sys.stderr is None:
        return
    _said.add(line)
    with contextlib.suppress(OSError, ValueError):  # nobody listens any more
        sys.stderr.write(line)


def new_run() -> None:
    """A run begins: what the last one was told may be said again."""
    _said.clear()
