"""Standard error for those who must hold nobody up: it may be a terminal or a pipe that nobody reads."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TextIO


class _Unlocked(io.TextIOBase, TextIO):
    """Writes straight to a file descriptor.

    Whoever waits in a write of `sys.stderr` holds its lock, and Python waits for that when it exits. Who waits in a
    write to the descriptor holds nothing: a daemon thread that does so ends with its process.
    """

    def __init__(self, file: io.TextIOWrapper) -> None:
        self._file = file
        self._fd = file.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has an attribute
        return self._file.encoding

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return self._file.isatty()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        rest = text.encode(self._file.encoding, self._file.errors or "backslashreplace")
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        return len(text)


def unlocked_stderr() -> TextIO:
    """`sys.stderr`, of which nobody holds the lock while they wait in a write.

    It is `sys.stderr` itself where something else stands in for the file (a test, a notebook), and on Windows, whose
    consoles take no bytes. Call it only where `sys.stderr` is not None.
    """
    if sys.platform == "win32" or type(sys.stderr) is not io.TextIOWrapper:
        return sys.stderr
    try:
        return _Unlocked(sys.stderr)
    except OSError:  # it is not a file: a test's
        return sys.stderr


def write_unlocked(text: str) -> None:
    """Write `text` by `unlocked_stderr`, at once."""
    stderr = unlocked_stderr()
    stderr.write(text)
    stderr.flush()


def takes_a_line() -> bool:
    """Whether standard error takes something now, as far as that can be known; a long line may have to wait still."""
    try:
        return bool(select.select([], [sys.stderr], [], 0)[1])
    except (OSError, ValueError, TypeError, AttributeError):  # it is not a file; Windows: not a socket
        return True
