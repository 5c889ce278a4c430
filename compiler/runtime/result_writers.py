"""Results into a file as they finish: a writer for each kind of file.

Except during a write, a file of results has whole lines only: a write that fails or is interrupted is taken back.
Only a process that dies in the middle of a write leaves half a line. Each run begins its file anew.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from .held_files import begin_file, let_go
from .stream_files import ROWS, StreamError, pyarrow_parquet, said_of


class ResultsWriter(Protocol):
    """Writes results as they finish. Threads may write at the same time."""

    path: Path

    def write(self, result: Mapping[str, Any]) -> None:
        """Append one result. Raises: StreamError; TypeError or ValueError for what JSON cannot hold."""
        ...

    def close(self) -> None:
        """Finish the file. Raises: StreamError."""
        ...


class _WholeLines:
    """A file of lines, each written as soon as it is there, and whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self._file = begin_file(path, buffering=0)
        self._size = 0

    def append(self, line: bytes) -> None:
        """Raises: StreamError."""
        rest = memoryview(line)
        try:
            with said_of(self.path, "write"):
                while rest:
                    rest = rest[self._file.write(rest) :]
        except BaseException:  # an interrupt, too: no half a line stays
            with contextlib.suppress(OSError):  # what kept the line from being written is what is said
                self._file.truncate(self._size)
                self._file.seek(self._size)
            raise
        self._size += len(line)

    def close(self) -> None:
        """Raises: StreamError."""
        _finish(self._file, self.path)


class JsonLines:
    """A JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = _WholeLines(path)

    def write(self, result: Mapping[str, Any]) -> None:
        line = _utf_8(_json(result))
        with self._lines.lock:
            self._lines.append(line + b"\n")

    def close(self) -> None:
        self._lines.close()


class CsvRows:
    """The columns are those of the first result; what later ones have besides is JSON in the column `other`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = _WholeLines(path)
        self._columns: list[str] = []

    def write(self, result: Mapping[str, Any]) -> None:
        with self._lines.lock:
            columns = self._columns or [*(name for name in result if name != "other"), "other"]
            other = {name: value for name, value in result.items() if name not in columns or name == "other"}
            row = [*(_cell(result.get(name)) for name in columns[:-1]), _cell(other) if other else ""]
            self._lines.append(_row(row) if self._columns else _row(columns) + _row(row))
            self._columns = columns

    def close(self) -> None:
        self._lines.close()


class ParquetRows:
    """The columns are those of the first group of rows; values that are not scalars are JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parquet = pyarrow_parquet()
        self._file = begin_file(path)
        self._rows: list[dict[str, Any]] = []
        self._writer: Any = None
        self._lock = threading.Lock()

    def write(self, result: Mapping[str, Any]) -> None:
        row = {name: value if _is_scalar(value) else _cell(value) for name, value in result.items()}
        with self._lock:
            self._rows.append(row)
            if len(self._rows) >= ROWS:
                self._flush()

    def close(self) -> None:
        with self._lock:
            if self._rows:
                self._flush()
            with said_of(self.path, "write"):
                if self._writer is not None:
                    self._writer.close()
        _finish(self._file, self.path)

    def _flush(self) -> None:
        import pyarrow

        rows, self._rows = self._rows, []
        try:
            with said_of(self.path, "write"):
                schema = None if self._writer is None else self._writer.schema
                table = pyarrow.Table.from_pylist(rows, schema=schema)
                if self._writer is None:
                    self._writer = self._parquet.ParquetWriter(self._file, table.schema)
                self._writer.write_table(table)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
            raise StreamError(f"{self.path}: results of several types in one column: {error}; use .jsonl") from error


def _finish(file: Any, path: Path) -> None:
    """Close `file`, its content on the disk."""
    with said_of(path, "write"), file:
        file.flush()
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a pipe or a terminal is on no disk
            os.fsync(file.fileno())
            let_go(file.fileno())


def _json(value: Any, *, ensure_ascii: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, allow_nan=False)


def _utf_8(text: str) -> bytes:
    """`text`, which is JSON, as bytes: half a surrogate pair stays the escape that it came from."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _json(json.loads(text), ensure_ascii=True).encode("ascii")


def _row(cells: list[str]) -> bytes:
    """One line of a CSV file."""
    made = io.StringIO(newline="")
    csv.writer(made, lineterminator="\n").writerow(cells)
    return made.getvalue().encode("utf-8")


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def _cell(value: Any) -> str:
    """One value of a CSV file: text as it is, nothing for null, everything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value)
