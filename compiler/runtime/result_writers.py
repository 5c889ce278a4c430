"""Results into a file as they finish: a writer for each kind of file.

Except during a write, a file of results has whole lines only: a write that fails or is interrupted is taken back.
Only a process that dies in the middle of a write leaves half a line. Each run begins its file anew.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import stat
import threading
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from .held_files import begin_file, let_go
from .stream_files import ROWS, pyarrow_parquet, said_of

OTHER = "other"
"""The column of what a file with columns has no place for: nothing of a result is lost, or changed, to fit."""


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
        line = _json_bytes(result)
        with self._lines.lock:
            self._lines.append(line + b"\n")

    def close(self) -> None:
        self._lines.close()


class CsvRows:
    """The columns are those of the first result; what does not fit into them is JSON in the column `other`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = _WholeLines(path)
        self._columns: list[str] = []

    def write(self, result: Mapping[str, Any]) -> None:
        with self._lines.lock:
            columns = self._columns or [name for name in result if name != OTHER and _is_text(name)]
            cells, other = {}, {}
            for name, value in result.items():
                cell = _cell(value)
                if name in columns and _is_text(cell):
                    cells[name] = cell
                else:
                    other[name] = value
            row = [*(cells.get(name, "") for name in columns), _json_text(other) if other else ""]
            self._lines.append(_row(row) if self._columns else _row([*columns, OTHER]) + _row(row))
            self._columns = columns

    def close(self) -> None:
        self._lines.close()


class ParquetRows:
    """The columns and their types are those of the first group of rows; what does not fit into them is JSON in the
    column `other`. In a column, values that are not scalars are JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parquet = pyarrow_parquet()
        self._file = begin_file(path)
        self._rows: list[dict[str, Any]] = []
        self._kinds: dict[str, _Kind] = {}
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
            if self._rows or self._writer is None:  # a file without rows can be read, too
                self._flush()
            with said_of(self.path, "write"):
                self._writer.close()
        _finish(self._file, self.path)

    def _flush(self) -> None:
        import pyarrow

        rows, self._rows = self._rows, []
        if self._writer is None:
            self._kinds = _kinds_of_columns(rows)
            types = {_Kind.BOOL: pyarrow.bool_(), _Kind.INT: pyarrow.int64(), _Kind.FLOAT: pyarrow.float64()}
            columns = [(name, types.get(kind, pyarrow.string())) for name, kind in self._kinds.items()]
            schema = pyarrow.schema([*columns, (OTHER, pyarrow.string())])
        else:
            schema = self._writer.schema
        table = pyarrow.Table.from_pylist([self._fitted(row) for row in rows], schema=schema)
        with said_of(self.path, "write"):
            if self._writer is None:
                self._writer = self._parquet.ParquetWriter(self._file, schema)
            self._writer.write_table(table)

    def _fitted(self, row: dict[str, Any]) -> dict[str, Any]:
        cells: dict[str, Any] = {}
        other = {}
        for name, value in row.items():
            kind = _kind_of(value)
            column = self._kinds.get(name)
            if column is not None and kind in (column, _Kind.NULL):
                cells[name] = value
            elif column is _Kind.FLOAT and _is_exact(value):
                cells[name] = float(value)
            else:  # a number that JSON does not have stands there by its name
                other[name] = value if kind is not _Kind.FLOAT or math.isfinite(value) else str(value)
        return {**cells, OTHER: _json_text(other) if other else None}


class _Kind(Enum):
    """What a column of a Parquet file holds, as far as results need it."""

    NULL = "null"
    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    NONE_OF_THESE = "none of these"


def _kind_of(value: Any) -> _Kind:
    """The kind of column that holds a scalar as it is: an integer may have too many bits, a text half a surrogate."""
    if value is None:
        return _Kind.NULL
    if isinstance(value, bool):
        return _Kind.BOOL
    if isinstance(value, int):
        return _Kind.INT if -(2**63) <= value < 2**63 else _Kind.NONE_OF_THESE
    if isinstance(value, float):
        return _Kind.FLOAT
    return _Kind.TEXT if _is_text(value) else _Kind.NONE_OF_THESE


def _is_exact(value: Any) -> bool:
    """Whether a column of floats holds the integer `value` without changing it."""
    return _kind_of(value) is _Kind.INT and int(float(value)) == value


def _kinds_of_columns(rows: list[dict[str, Any]]) -> dict[str, _Kind]:
    """The columns that `rows` ask for: each of the kind of its first value, floats where there are integers besides. A
    column in which nothing stands is one of texts."""
    kinds: dict[str, _Kind] = {}
    for row in rows:
        for name, value in row.items():
            if name == OTHER or not _is_text(name):
                continue
            kind, known = _kind_of(value), kinds.setdefault(name, _Kind.NULL)
            if kind is _Kind.NONE_OF_THESE:
                continue
            if known is _Kind.NULL or (known is _Kind.INT and kind is _Kind.FLOAT):
                kinds[name] = kind
    return {name: _Kind.TEXT if kind is _Kind.NULL else kind for name, kind in kinds.items()}


def _finish(file: Any, path: Path) -> None:
    """Close `file`, its content on the disk."""
    with said_of(path, "write"), file:
        file.flush()
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a pipe or a terminal is on no disk
            os.fsync(file.fileno())
            let_go(file.fileno())


def _json(value: Any, *, ensure_ascii: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, allow_nan=False)


def _json_bytes(value: Any) -> bytes:
    """`value` as JSON: half a surrogate pair, which UTF-8 cannot hold, stays the escape that it came from."""
    try:
        return _json(value).encode("utf-8")
    except UnicodeEncodeError:
        return _json(value, ensure_ascii=True).encode("ascii")


def _json_text(value: Any) -> str:
    return _json_bytes(value).decode("utf-8")


def _is_text(text: str) -> bool:
    """Whether UTF-8 can hold `text`."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


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
    return value if isinstance(value, str) else _json_text(value)
