"""Items from a file and results into a file, one at a time, so that memory does not grow with their number.

A `.jsonl` has a JSON value a line, a `.csv` a header, then an object a row, all values text; `KINDS` has them all.
Relative paths start at the working directory, as those of pflow's own file nodes do. A path with a star stands for many
files: items are read from all of them, in the order of their names, and results go to `00000`, `00001` and so on in
the star's place, with a `manifest.json` beside them.
"""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from .held_files import HeldFolder
from .item_readers import csv_row_count, csv_rows, json_line_count, json_lines, parquet_row_count, parquet_rows
from .plain_json import first_not_json
from .result_writers import CsvRows, JsonLines, ParquetRows, ResultsWriter
from .stream_files import StreamError, said_of


class FileKind(NamedTuple):
    """How a kind of file is read and written."""

    read: Callable[[Path], Iterator[tuple[Any, int]]]
    """Items, each with the line, or the row, that it begins in."""
    count: Callable[[Path], int]
    """How many items there are, faster than by reading them where that can be."""
    write: Callable[[Path], ResultsWriter]


KINDS: Final[Mapping[str, FileKind]] = {
    ".jsonl": FileKind(json_lines, json_line_count, JsonLines),
    ".csv": FileKind(csv_rows, csv_row_count, CsvRows),
    ".parquet": FileKind(parquet_rows, parquet_row_count, ParquetRows),
}
"""What a file may be called. The compiler has its own list: tests/test_batch_keys.py compares them."""


class ItemsFile:
    """The items in a file, or in many, read when somebody goes through them and never all at once."""

    def __init__(self, path: Any) -> None:
        """`path` is looked at when the batch begins: here, it may be anything that a reference gave."""
        self.path = path

    def __iter__(self) -> Iterator[Any]:
        """Raises: StreamError, now for the file, or later for a line of it."""
        if not is_many(self.path):
            return read_items(Path(self.path).expanduser())
        return itertools.chain.from_iterable(map(read_items, self.files()))

    def files(self) -> list[Path]:
        """The files that the path stands for. Raises: StreamError, if there is none."""
        if not is_many(self.path):
            return [Path(self.path).expanduser()]
        found = sorted(map(Path, glob.glob(os.path.expanduser(self.path), recursive=True)))
        if not found:
            raise StreamError(f"cannot read {self.path}: no file has such a name")
        return found

    def place_of(self, index: int) -> str:
        """Where the item with that index stands, for a message; "" where that cannot be looked up again: a pipe has
        been read, a file may be gone or have become shorter."""
        with contextlib.suppress(StreamError, OSError):
            for path in self.files():
                if not path.is_file():
                    return ""
                for _, line in _kind_of(path).read(path):
                    if not index:
                        return f"{path}:{line}" if path.suffix.lower() != ".parquet" else f"row {line} of {path}"
                    index -= 1
        return ""

    def __repr__(self) -> str:
        return f"ItemsFile({self.path!r})"


class ResultsFile:
    """Where the results of a batch go: a file, or many. Nothing is written before the batch begins."""

    def __init__(self, path: Any) -> None:
        """`path` is looked at when the batch begins: here, it may be anything that a reference gave."""
        self.path = path
        self.files: list[Path] = []
        """Those that the results are in, where they are many."""
        self._folder: HeldFolder | None = None

    def begin(self) -> ResultsWriter:
        """Begin a new file there, in place of those of an earlier run. Raises: StreamError."""
        if not is_many(self.path):
            return results_file(Path(self.path).expanduser())
        self.files = [self.part(0)]  # in the manifest from the start: it is known again after a run that was killed
        self.forget_earlier()
        return results_file(self.part(0))

    def part(self, number: int) -> Path:
        """One of many files."""
        return Path(self.path.replace("*", f"{number:05}")).expanduser()

    def all_files(self) -> list[Path]:
        """Those that are there when the batch is over."""
        return [self.manifest, *self.files] if is_many(self.path) else [Path(self.path).expanduser()]

    @property
    def manifest(self) -> Path:
        """What says how many results are in which of many files."""
        return Path(self.path).expanduser().parent / "manifest.json"

    def forget_earlier(self) -> None:
        """Remove what an earlier run has left, and let no other batch write there until `let_go`.

        Raises: StreamError, if a file is there that is not of such a run, or another batch writes there.
        """
        path = Path(self.path).expanduser()
        if "*" in str(path.parent) or path.name.count("*") != 1:
            raise StreamError(f"{self.path}: many files of results are told apart by one star, in their own name")
        with said_of(path.parent, "write"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = HeldFolder(self.path, path.parent)  # first: what another batch has there is not removed
        with said_of(self.manifest, "read"):
            known = json.loads(self.manifest.read_bytes())["files"] if self.manifest.exists() else []
        for file in glob.glob(glob.escape(str(path)).replace("[*]", "*")):  # no other character is wild
            if os.path.basename(file) not in known:
                raise StreamError(f"{file} is in the way: {self.manifest} does not say that an earlier run left it")
        for name in known:
            (path.parent / os.path.basename(name)).unlink(missing_ok=True)
        self.declare(complete=False)  # nor is it, where nobody comes to say otherwise

    def let_go(self) -> None:
        """Nothing more is written there: another batch may."""
        if self._folder is not None:
            self._folder.close()

    def declare(self, **counts: Any) -> None:
        """Write the manifest: the names of the files, and what is to be said of all of them. Raises: StreamError."""
        with said_of(self.manifest, "write"):
            self.manifest.parent.mkdir(parents=True, exist_ok=True)
            made = json.dumps({"files": [file.name for file in self.files], **counts}, indent=1, default=str)
            self.manifest.write_text(made + "\n", encoding="utf-8")

    def __repr__(self) -> str:
        return f"ResultsFile({self.path!r})"


def is_many(path: Any) -> bool:
    """Whether a path stands for many files: it has a star, and no file has just that name."""
    return isinstance(path, str) and "*" in path and not os.path.exists(path)


def is_one_of(name: str, many: str) -> bool:
    """Whether a file of that name is one of those that results are written to as `many`, a name with a star."""
    before, _, after = many.partition("*")
    return len(name) >= len(before + after) and name.startswith(before) and name.endswith(after)


def is_one_file(items: ItemsFile, results: ResultsFile) -> bool:
    """Whether the results would replace the file that the items are read from, now or when they are read again."""
    # By their real names first: a folder of the path may be missing, and is made before anything is written.
    folder, name = os.path.split(os.path.realpath(os.path.expanduser(results.path)))
    read = [os.path.realpath(file) for file in items.files()]
    if is_many(results.path):
        if is_many(items.path) and _stands_for(items.path, os.path.join(folder, name.replace("*", "00000"))):
            return True
        return any(os.path.dirname(file) == folder and is_one_of(os.path.basename(file), name) for file in read)
    two = os.path.join(folder, name)
    if is_many(items.path) and _stands_for(items.path, two):
        return True
    return two in read or (os.path.exists(two) and any(os.path.samefile(file, two) for file in read))


def _stands_for(many: str, file: str) -> bool:
    """Whether `many`, a pattern, would find a file at the real path `file`, which need not be there yet."""
    pieces = Path(many).expanduser().parts
    plain = list(itertools.takewhile(lambda piece: not any(wild in piece for wild in "*?["), pieces))
    root = Path(os.path.realpath(os.path.join("", *plain)))
    path = Path(file)
    return path.is_relative_to(root) and _fits(pieces[len(plain) :], path.relative_to(root).parts)


def _fits(pieces: Sequence[str], names: Sequence[str]) -> bool:
    """Whether the pieces of a pattern stand for all names of a path: `**` for any number of them, which are not hidden
    from it; every other piece for one."""
    ends = {0}
    for piece in pieces:
        if piece == "**":
            ends = set(range(min(ends, default=len(names) + 1), len(names) + 1))
        else:
            ends = {end + 1 for end in ends if end < len(names) and _is_name(piece, names[end])}
    return len(names) in ends


def _is_name(piece: str, name: str) -> bool:
    is_hidden = name.startswith(".") and not piece.startswith(".")
    return not is_hidden and fnmatch.fnmatchcase(name, piece)


def read_items(path: Path) -> Iterator[Any]:
    """The items in the file at `path`, read as they are asked for; empty lines of `.jsonl` are none.

    Opened at once, so that a file that is not there is an error before the first item.

    Raises: StreamError, for the file, or later for a line of it.
    """
    rows = _kind_of(path).read(path)
    with said_of(path, "read"):
        first = next(rows, None)
    if first is None:
        return iter(())
    return _all(first, rows)


def _all(first: tuple[Any, int], rows: Iterator[tuple[Any, int]]) -> Iterator[Any]:
    yield first[0]
    for item, _ in rows:
        yield item


def results_file(path: Path) -> ResultsWriter:
    """A new file at `path`, its folder made where it is missing; one of an earlier run is replaced.

    Raises: StreamError.
    """
    with said_of(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        return _kind_of(path).write(path)


def number_of_items(path: Path) -> int:
    """How many items there are in a file. Raises: StreamError."""
    return _kind_of(path).count(path)


def why_not_json(result: Mapping[str, Any]) -> str:
    """Why a file of results cannot hold `result`, and what to do."""
    name = first_not_json(result)
    value = result if name is None else result[name]
    return (
        f"`{'result' if name is None else name}` is a {type(value).__name__} that JSON cannot hold; make it plain data"
    )


def _kind_of(path: Path) -> FileKind:
    found = KINDS.get(path.suffix.lower())
    if found is None:
        *first, last = KINDS
        raise StreamError(f"{path}: a file of items or results is called {', '.join(first)} or {last}")
    return found
