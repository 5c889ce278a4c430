"""Items from a file and results into a file, one at a time, so that memory does not grow with their number.

`.jsonl` (a JSON value a line), `.csv` (a header, then an object a row, all values text) and, with pyarrow, `.parquet`.
Relative paths start at the working directory, as those of pflow's own file nodes do.

A file of results has whole lines at every moment but that of a write: one that fails or is interrupted is taken back.
Only a process that dies in the middle of a write leaves half a line; each run begins its file anew.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

KINDS = (".jsonl", ".csv", ".parquet")
"""What a file may be called."""

_ROWS = 10_000  # rows of one group of a Parquet file
_PARQUET = "reading and writing .parquet needs pyarrow: pip install pyarrow"


class StreamError(Exception):
    """A file of items or results cannot be read or written; the message says which, where and why."""


class ItemsFile:
    """The items in a file, read when somebody goes through them and never all at once."""

    def __init__(self, path: Any) -> None:
        """`path` is looked at when the batch begins: here, it may be anything that a reference gave."""
        self.path = path

    def __iter__(self) -> Iterator[Any]:
        """Raises: StreamError, now for the file, or later for a line of it."""
        return read_items(Path(self.path).expanduser())

    def __repr__(self) -> str:
        return f"ItemsFile({self.path!r})"


class ResultsFile:
    """Where the results of a batch go. Nothing is written before the batch begins."""

    def __init__(self, path: Any) -> None:
        """`path` is looked at when the batch begins: here, it may be anything that a reference gave."""
        self.path = path

    def begun(self) -> ResultsWriter:
        """A new file there, in place of one of an earlier run. Raises: StreamError."""
        return results_file(Path(self.path).expanduser())

    def __repr__(self) -> str:
        return f"ResultsFile({self.path!r})"


def is_one_file(items: ItemsFile, results: ResultsFile) -> bool:
    """Whether the results would replace the file that the items are read from."""
    one, two = Path(items.path).expanduser(), Path(results.path).expanduser()
    return two.exists() and one.samefile(two)


def read_items(path: Path) -> Iterator[Any]:
    """The items in the file at `path`, read as they are asked for; empty lines of `.jsonl` are none.

    Opened at once, so that a file that is not there is an error before the first item.

    Raises: StreamError, for the file, or later for a line of it.
    """
    read = _of_kind(path, {".jsonl": _json_lines, ".csv": _csv_rows, ".parquet": _parquet_rows})
    rows = read(path)
    with _said_of(path, "read"):
        first = next(rows, None)
    if first is None:
        return iter(())
    return _all(first, rows)


class ResultsWriter(Protocol):
    """Writes results as they finish. Threads may write at the same time."""

    path: Path

    def write(self, result: Mapping[str, Any]) -> None:
        """Append one result. Raises: StreamError; TypeError or ValueError for what JSON cannot hold."""
        ...

    def close(self) -> None:
        """Finish the file. Raises: StreamError."""
        ...


def _all(first: tuple[Any], rows: Iterator[tuple[Any]]) -> Iterator[Any]:
    yield first[0]
    for (item,) in rows:
        yield item


def results_file(path: Path) -> ResultsWriter:
    """A new file at `path`, its folder made where it is missing; one of an earlier run is replaced.

    Raises: StreamError.
    """
    with _said_of(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        made: ResultsWriter = _of_kind(path, {".jsonl": _JsonLines, ".csv": _CsvRows, ".parquet": _ParquetRows})(path)
        return made


def why_not_json(result: Mapping[str, Any]) -> str:
    """Why a file of results cannot hold `result`, and what to do."""
    name, value = next(((name, value) for name, value in result.items() if not is_json(value)), ("result", result))
    return f"`{name}` is a {type(value).__name__} that JSON cannot hold; make it plain data"


def _of_kind(path: Path, kinds: Mapping[str, Callable[[Path], Any]]) -> Callable[[Path], Any]:
    found = kinds.get(path.suffix.lower())
    if found is None:
        raise StreamError(f"{path}: a file of items or results is called {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON has")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def _json_lines(path: Path) -> Iterator[tuple[Any]]:
    with _said_of(path, "read"), open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                item = _DECODER.decode(line)
            except ValueError as error:
                # The decoder counts lines inside of what it is given, and that is one line.
                why = f"{error.msg}, column {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else str(error)
                ends = "" if line.endswith("\n") else "; the line has no end: was the file cut off?"
                raise StreamError(f"{path}:{number}: the line is not JSON ({why}){ends}") from None
            except RecursionError:
                raise StreamError(f"{path}:{number}: the line is nested too deeply to be read") from None
            yield (item,)


def _csv_rows(path: Path) -> Iterator[tuple[Any]]:
    with _said_of(path, "read"), open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            names = reader.fieldnames or []
            if len(set(names)) != len(names):
                raise StreamError(f"{path}:1: two columns have the same name")
            for row in reader:
                if None in row or None in row.values():
                    more = "more" if None in row else "fewer"
                    raise StreamError(f"{path}:{reader.line_num}: the row has {more} values than the header has names")
                yield (row,)
        except csv.Error as error:
            raise StreamError(f"{path}:{reader.line_num}: not CSV: {error}") from None


def _parquet_rows(path: Path) -> Iterator[tuple[Any]]:
    parquet = _pyarrow_parquet()
    with _said_of(path, "read"), open(path, "rb") as file:
        for group in parquet.ParquetFile(file).iter_batches(_ROWS):
            for item in group.to_pylist():
                yield (item,)


class _WholeLines:
    """A file of lines, each written as soon as it is there, and whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115  open as long as the batch runs
        self._size = 0

    def append(self, line: bytes) -> None:
        """Raises: StreamError."""
        rest = memoryview(line)
        try:
            with _said_of(self.path, "write"):
                while rest:
                    rest = rest[self._file.write(rest) :]
        except BaseException:
            with contextlib.suppress(OSError):  # what kept the line from being written is what is said
                self._file.truncate(self._size)
                self._file.seek(self._size)
            raise
        self._size += len(line)

    def close(self) -> None:
        """Raises: StreamError."""
        _finish(self._file, self.path)


class _JsonLines:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = _WholeLines(path)

    def write(self, result: Mapping[str, Any]) -> None:
        line = _utf_8(_json(result))
        with self._lines.lock:
            self._lines.append(line + b"\n")

    def close(self) -> None:
        self._lines.close()


class _CsvRows:
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


class _ParquetRows:
    """The columns are those of the first group of rows; values that are not scalars are JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parquet = _pyarrow_parquet()
        self._file = open(path, "wb")  # noqa: SIM115  open as long as the batch runs
        self._rows: list[dict[str, Any]] = []
        self._writer: Any = None
        self._lock = threading.Lock()

    def write(self, result: Mapping[str, Any]) -> None:
        row = {name: value if _is_scalar(value) else _cell(value) for name, value in result.items()}
        with self._lock:
            self._rows.append(row)
            if len(self._rows) >= _ROWS:
                self._flush()

    def close(self) -> None:
        with self._lock:
            if self._rows:
                self._flush()
            with _said_of(self.path, "write"):
                if self._writer is not None:
                    self._writer.close()
        _finish(self._file, self.path)

    def _flush(self) -> None:
        import pyarrow

        rows, self._rows = self._rows, []
        try:
            with _said_of(self.path, "write"):
                schema = None if self._writer is None else self._writer.schema
                table = pyarrow.Table.from_pylist(rows, schema=schema)
                if self._writer is None:
                    self._writer = self._parquet.ParquetWriter(self._file, table.schema)
                self._writer.write_table(table)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
            raise StreamError(f"{self.path}: results of several types in one column: {error}; use .jsonl") from error


def _finish(file: Any, path: Path) -> None:
    """Close `file`, its content on the disk."""
    with _said_of(path, "write"), file:
        file.flush()
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a pipe or a terminal is on no disk
            os.fsync(file.fileno())


def is_json(value: Any) -> bool:
    """Whether JSON can hold `value`."""
    try:
        _json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


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


def _pyarrow_parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise StreamError(_PARQUET) from error
    return parquet


@contextlib.contextmanager
def _said_of(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise StreamError(f"cannot read {path}: it is not UTF-8 (byte {error.start} of a piece)") from error
    except OSError as error:
        raise StreamError(f"cannot {what} {path}: {error.strerror or error}") from error
