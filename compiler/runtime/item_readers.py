"""The items in a file, one at a time, and how many there are: a reader for each kind of file.

With each item comes the line that it begins in, or the row of a Parquet file.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .stream_files import ROWS, StreamError, pyarrow_parquet, said_of

_LONGEST_CELL = 2**31 - 1
"""Characters; the most that the csv module takes on every platform."""


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON has")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def json_lines(path: Path) -> Iterator[tuple[Any, int]]:
    """A JSON value a line; empty lines are none. Raises: StreamError."""
    with said_of(path, "read"), open(path, encoding="utf-8-sig") as file:
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
            yield item, number


def csv_rows(path: Path) -> Iterator[tuple[Any, int]]:
    """An object a row, all values text. Raises: StreamError."""
    # Python's limit of 131,072 characters is for all of a process; what we write ourselves may have longer cells.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    with said_of(path, "read"), open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)  # or a quote that nothing closes swallows the rows after it
        begun = 1
        try:
            names = next(reader, [])
            if len(set(names)) != len(names):
                raise StreamError(f"{path}:1: two columns have the same name")
            begun = reader.line_num + 1
            for values in reader:
                if values and len(values) != len(names):  # a blank line is not a row
                    more = "more" if len(values) > len(names) else "fewer"
                    raise StreamError(f"{path}:{reader.line_num}: the row has {more} values than the header has names")
                if values:
                    yield dict(zip(names, values, strict=True)), begun
                begun = reader.line_num + 1
        except csv.Error as error:
            raise StreamError(f"{path}:{begun}: the row that begins here is not CSV: {_why(error)}") from None


def _why(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return 'the file ends inside of "quotes"; was it cut off, or is one quote too many?'
    if "expected after" in str(error):
        return 'text comes after the closing quote of a value; a quote inside of "quotes" is doubled'
    return str(error)


def parquet_rows(path: Path) -> Iterator[tuple[Any, int]]:
    """An object a row. Raises: StreamError."""
    parquet = pyarrow_parquet()
    number = 0
    with said_of(path, "read"), open(path, "rb") as file:
        try:
            for group in parquet.ParquetFile(file).iter_batches(ROWS):
                for item in group.to_pylist():
                    number += 1
                    yield item, number
        except _WRONG_PARQUET as error:
            raise _not_parquet(path, error, number) from error


_WRONG_PARQUET = ValueError, ArithmeticError, LookupError, TypeError, NotImplementedError
"""What pyarrow raises, besides OSError: its own exceptions are these, too."""


def _not_parquet(path: Path, error: Exception, rows: int = 0) -> StreamError:
    where = f" after {rows} row{'' if rows == 1 else 's'}" if rows else ""
    return StreamError(f"cannot read {path}{where}: {str(error).rstrip('.')}")


def json_line_count(path: Path) -> int:
    """How many items `json_lines` would give. Raises: StreamError."""
    with said_of(path, "read"), open(path, encoding="utf-8-sig") as file:
        return sum(1 for line in file if line.strip())


def csv_row_count(path: Path) -> int:
    """How many items `csv_rows` would give: a row may have several lines. Raises: StreamError."""
    return sum(1 for _ in csv_rows(path))


def parquet_row_count(path: Path) -> int:
    """How many items `parquet_rows` would give. Raises: StreamError."""
    with said_of(path, "read"):
        try:
            return int(pyarrow_parquet().ParquetFile(path).metadata.num_rows)
        except _WRONG_PARQUET as error:
            raise _not_parquet(path, error) from error
