"""What the step has to say, on stderr: a line each, once in a run."""

from __future__ import annotations

import contextlib
import sys

_said: set[str] = set()


def say(text: str) -> None:
    """Write `text` to stderr, where there is one, unless this run has said it already."""
    if text in _said or sys.stderr is None:
        return
    _said.add(text)
    with contextlib.suppress(OSError, ValueError):  # nobody listens any more
        sys.stderr.write(f"pflow-lower: {text}\n")


def new_run() -> None:
    """A run begins: what the last one was told may be said again."""
    _said.clear()
