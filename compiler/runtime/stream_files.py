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


@contextlib.contextmanager
def said_of(path: Path, what: str) -> Iterator[None]:
    """Say `what` ("read", "write") could not be done to the file at `path`. Raises: StreamError."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise StreamError(f"cannot read {path}: it is not UTF-8 (byte {error.start} of a piece)") from error
    except OSError as error:
        raise StreamError(f"cannot {what} {path}: {error.strerror or error}") from error
