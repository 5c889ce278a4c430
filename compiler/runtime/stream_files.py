"""What reading items and writing results have in common: how it fails, and pyarrow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROWS = 10_000
"""Rows of one group of a Parquet file."""

_PARQUET = "reading and writing .parquet needs pyarrow: pip install pyarrow"


class StreamError(Exception):
    """A file of items or results cannot be read or written; the message says which, where and why."""


def pyarrow_parquet() -> Any:
    """The module that reads and writes Parquet. Raises: StreamError, where it is not installed."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise StreamError(_PARQUET) from error
    return parquet


def _said_of_bad_text(path: Path) -> str:
    """Where the first bytes stand that are not UTF-8: the error itself tells of one piece of the file only."""
    with contextlib.suppress(OSError):  # it may be gone by now
        if path.is_file():  # a pipe cannot be read again
            with open(path, "rb") as file:
                for number, line in enumerate(file, 1):
                    if why := _why_not_text(line):
                        return f"{path}:{number}: the line is not UTF-8 ({why})"
    return f"cannot read {path}: it is not UTF-8"


def _why_not_text(line: bytes) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"{error.reason}, byte {error.start + 1}"
    return ""


@contextlib.contextmanager
def said_of(path: Path, what: str) -> Iterator[None]:
    """Say `what` ("read", "write") could not be done to the file at `path`. Raises: StreamError."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise StreamError(_said_of_bad_text(path)) from error
    except OSError as error:
        raise StreamError(f"cannot {what} {path}: {error.strerror or error}") from error
