"""What pflow-lower has to say inside pflow, on stderr: a line each, once in a run."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable

OUTPUT_REPLACED = "an output called 'item' gives way to the item: overwriting it in the results"
"""What is logged where pflow's executor has a warning of its own about this."""

_said: set[str] = set()


def say(text: str) -> None:
    """Write `text` to stderr, where there is one, unless this run has said it already."""
    _write_once(f"pflow-lower: {text}\n")


def say_interpreted(file: str, why: str) -> None:
    """Say that nothing of a workflow is lowered, and why; `file` is "" where it has none."""
    say(f"{file or 'the workflow'} runs interpreted, since it could not be lowered: {why}")


def say_off(reason: str) -> None:
    """Say once in a run that pflow runs without pflow-lower, and why."""
    _write_once(f"pflow-lower is off for this run: {reason}\n")


def _write_once(line: str) -> None:
    if line in _said or sys.stderr is None:
        return
    _said.add(line)
    write_line(line.removesuffix("\n"))


def write_line(text: str, write: Callable[[str], object] | None = None) -> None:
    """Write a line to stderr, where there is one: on a line of its own, whatever pflow's display has begun there.

    `write` writes to stderr in a way of its own. This module needs nothing of the runtime, which may be what is broken.
    """
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):  # nobody listens any more
        _end_pflow_line()
        (write or _write)(f"{text}\n")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _end_pflow_line() -> None:
    """Have pflow's display end the line `  say...` that it goes on with when the node is done.

    It does so before each log record, in a filter of the handlers that write to stderr.
    """
    record = logging.makeLogRecord({})
    for handler in logging.getLogger().handlers:
        if getattr(handler, "stream", None) is sys.stderr:
            for found in handler.filters:
                if isinstance(found, logging.Filter) and type(found).__module__.startswith("pflow."):
                    found.filter(record)


def new_run() -> None:
    """A run begins: what the last one was told may be said again."""
    _said.clear()
