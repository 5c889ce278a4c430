"""Standard output that takes nothing more: a closed pipe, a full disk."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

from .exit_status import DONE, FAILED


def let_go() -> None:
    """Stop writing to what takes nothing more (a pipe that nobody reads, a full disk).

    Or Python complains when it flushes at its end.
    """
    _let_go(sys.stdout)
    _let_go(sys.stderr)


def cannot_write(error: OSError) -> int:
    """The exit status after `error` in writing what was asked for; says so, if it can be said."""
    let_go()
    if isinstance(error, BrokenPipeError):  # whoever reads the output has enough of it
        return DONE
    with contextlib.suppress(OSError):
        print(f"error: cannot write the output: {error.strerror or error}", file=sys.stderr, flush=True)
    let_go()
    return FAILED


def _let_go(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
