"""Items from a file and results into a file, one at a time, so that memory does not grow with their number.

`.jsonl` (a JSON value a line), `.csv` (a header, then an object a row, all values text) and, with pyarrow, `.parquet`.
Relative paths start at the working directory, as those of pflow's own file nodes do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .item_readers import csv_rows, json_lines, parquet_rows
from .plain_json import first_not_json
from .result_writers import CsvRows, JsonLines, ParquetRows, ResultsWriter
from .stream_files import StreamError, said_of

KINDS = (".jsonl", ".csv", ".parquet")
"""What a file may be called."""


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
    read = _of_kind(path, {".jsonl": json_lines, ".csv": csv_rows, ".parquet": parquet_rows})
    rows = read(path)
    with said_of(path, "read"):
        first = next(rows, None)
    if first is None:
        return iter(())
    return _all(first, rows)


def _all(first: tuple[Any], rows: Iterator[tuple[Any]]) -> Iterator[Any]:
    yield first[0]
    for (item,) in rows:
        yield item


def results_file(path: Path) -> ResultsWriter:
    """A new file at `path`, its folder made where it is missing; one of an earlier run is replaced.

    Raises: StreamError.
    """
    with said_of(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        made: ResultsWriter = _of_kind(path, {".jsonl": JsonLines, ".csv": CsvRows, ".parquet": ParquetRows})(path)
        return made


def why_not_json(result: Mapping[str, Any]) -> str:
    """Why a file of results cannot hold `result`, and what to do."""
    name = first_not_json(result)
    value = result if name is None else result[name]
    return (
        f"`{'result' if name is None else name}` is a {type(value).__name__} that JSON cannot hold; make it plain data"
    )


def _of_kind(path: Path, kinds: Mapping[str, Callable[[Path], Any]]) -> Callable[[Path], Any]:
    found = kinds.get(path.suffix.lower())
    if found is None:
        raise StreamError(f"{path}: a file of items or results is called {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    return found
