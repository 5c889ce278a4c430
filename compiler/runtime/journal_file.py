"""The file of a journal: its form, its lock, and what is in it for those who only look.

A journal is written by `Journal` alone; everything here may be done while a run writes one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

FORMAT = 4
"""The version of the tables below. A journal of another one is refused, never guessed at."""

_APPLICATION = b"pflw"  # where SQLite's header says whose file this is
_OR_ELSEWHERE = "or name another place ([tool.pflow-lower.journal] dir, or PFLOW_LOWER_JOURNAL)"
_SQLITE = b"SQLite format 3\0"
_APPLICATION_AT = 68
_PATIENCE = 0.2  # seconds that a lock is waited for, which somebody who only looks may hold for a moment

# `run` is the one that has made an answer, and whose inputs say when it may go; `claimed` the last one it was given to.
# After a run that has ended well, the next one of the same inputs is given nothing older.
_TABLES = """
CREATE TABLE run (
  id INTEGER PRIMARY KEY, workflow TEXT NOT NULL, started REAL NOT NULL, pid INTEGER NOT NULL, inputs BLOB,
  ended_well INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE answer (
  id INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL, run INTEGER NOT NULL, claimed INTEGER, node TEXT NOT NULL,
  key TEXT, seconds REAL NOT NULL, cost REAL, result TEXT NOT NULL, digest BLOB NOT NULL
);
"""


WARNED = "__warned__"
"""Beside the outputs in `result`: the kinds of warning that the item's node gave."""

WRITTEN = "__written__"
"""Likewise: the files of results that batches below the item have written, each a `WrittenBelow`."""


class JournalError(Exception):
    """The journal cannot be used; the message says which file, why, and what to do."""

    retriable = False  # of no item's doing: the batch ends at once


class JournalInUse(JournalError):
    """Another run is writing this journal."""


class JournalDamaged(JournalError):
    """What stands there is no journal that this version can read: a run that comes again meets the same."""


class NotOurs(JournalError):
    """Where the journal would be, somebody else's database stands."""


class Row(NamedTuple):
    """One journalled item, as `pflow-lower journal` shows it."""

    node: str
    key: str | None
    seconds: float
    cost: float | None
    result: dict[str, Any]


class Described(NamedTuple):
    """What a journal is, to those who only look."""

    path: Path
    workflow: str
    started: float
    """When its last run began, in seconds since the epoch."""
    size: int
    """In bytes."""
    nodes: Mapping[str, int]
    """How many finished items of each node it holds."""
    is_in_use: bool


def describe(path: Path, *, to_its_end: bool = False) -> Described:
    """What the journal at `path` is, which is read `to_its_end` for those who have to know that all of it can be.

    Raises: JournalError, if there is none or it cannot be read.
    """
    with problems_of(path, to="read"), _reader(path) as db:
        if to_its_end:
            check_pages(db)
        workflow, started = db.execute("SELECT workflow, started FROM run ORDER BY id DESC LIMIT 1").fetchone() or (
            "",
            0,
        )
        nodes = dict(db.execute("SELECT node, count(*) FROM answer GROUP BY node ORDER BY min(id)").fetchall())
    return Described(path, workflow, started, _size(path), nodes, is_in_use(path))


def is_in_use(path: Path) -> bool:
    """Whether a run is writing the journal at `path`."""
    lock = _lock_of(path)
    if not lock.is_file():
        return False
    with contextlib.closing(sqlite3.connect(f"{lock.absolute().as_uri()}?mode=ro", uri=True, timeout=0)) as db:
        try:  # it may be gone by now, too
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            return "locked" in str(error)
    return False


def _size(path: Path) -> int:
    files = (path.with_name(path.name + end) for end in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


@contextlib.contextmanager
def _reader(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise JournalError(f"{path}: there is no journal")
    _refuse_others(path)
    with contextlib.closing(_looked_at(path)) as db:
        check_format(db)
        yield db


def _looked_at(path: Path) -> sqlite3.Connection:
    """The journal at `path`, to be read, and not made where there is none. Raises: sqlite3.Error."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


LOCK = ".lock"
"""What the name of a journal's lock has more than that of the journal."""


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{LOCK}")


def _refuse_others(path: Path) -> None:
    """Raises: NotOurs, if the file at `path` is a database that pflow-lower has not made. What is none, or empty, is
    taken for a journal that was damaged. The header is read here, not by SQLite, which would tidy up what it opens.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        header = file.read(_APPLICATION_AT + len(_APPLICATION))
    if header.startswith(_SQLITE) and header[_APPLICATION_AT:] != _APPLICATION:
        raise NotOurs(
            f"cannot use the journal {path}: it is not a journal of pflow-lower but another database, which is left as "
            f"it is; move it, {_OR_ELSEWHERE}"
        )


def read_rows(path: Path) -> Iterator[Row]:
    """The answers in the journal at `path`, in the order of their writing, while a run may be writing it.

    Raises: JournalError, if there is none or it cannot be read.
    """
    with problems_of(path, to="read"), _reader(path) as db:
        query = "SELECT fingerprint, node, key, seconds, cost, result, digest FROM answer ORDER BY id"
        for asked, node, key, seconds, cost, text, checksum in db.execute(query):
            if digest(asked, node, key, seconds, cost, text) != checksum:
                raise sqlite3.DatabaseError(f"an answer of {node} is damaged")
            result = json.loads(text)
            for beside in (WARNED, WRITTEN):
                result.pop(beside, None)
            yield Row(node, key, seconds, cost, result)


def delete(path: Path) -> None:
    """Remove the journal at `path`, whatever is in it; the caller holds its lock. Raises: OSError."""
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def forget(path: Path) -> bool:
    """Remove the journal at `path` and its lock; False if there is no journal.

    Raises: JournalInUse; NotOurs; JournalError.
    """
    is_there = path.exists()
    if is_there or _lock_of(path).exists():
        with problems_of(path), contextlib.closing(acquire_lock(path)):
            delete(path)
            delete_lock(path)
    return is_there


def delete_lock(path: Path) -> None:
    """Remove the lock of the journal at `path`, which is gone; the caller holds it, and does nothing after this."""
    with contextlib.suppress(OSError):  # Windows removes no open file; an empty one that is left does no harm
        _lock_of(path).unlink()


def acquire_lock(path: Path) -> sqlite3.Connection:
    """Lock the journal at `path`, until the connection is closed or the process ends.

    Raises: JournalInUse; NotOurs; sqlite3.Error and OSError, for which whoever calls it has `problems_of`.
    """
    _refuse_others(path)
    while True:
        before = _identity(_lock_of(path))
        held = sqlite3.connect(_lock_of(path), timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            held.execute("PRAGMA journal_mode = MEMORY")  # nothing is ever written, so no file for undoing it
            held.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            held.close()
            if "locked" not in str(error):
                if _identity(_lock_of(path)) != before:
                    continue  # it was removed while SQLite looked at it
                raise
            raise JournalInUse(
                f"another run{_process(path)} is using the journal {path}; wait for it or stop it"
            ) from None
        # Whoever held it may have removed the file meanwhile: then this one locks nothing that others would see.
        # A file that was not there before is made by connecting, and known in the next round.
        if before is not None and _identity(_lock_of(path)) == before:
            return held
        held.close()


def _identity(file: Path) -> tuple[int, int] | None:
    """What tells a file from one that has taken its place; None where there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _process(path: Path) -> str:
    """Which process is writing, for the message: " (process 123)", or nothing where that cannot be read."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_looked_at(path)) as db:
        (pid,) = db.execute("SELECT pid FROM run ORDER BY id DESC LIMIT 1").fetchone() or (0,)
        return f" (process {pid})" if pid else ""
    return ""


def open_journal(path: Path) -> sqlite3.Connection:
    """Open the journal at `path` for writing; it is made where there is none. Raises: sqlite3.Error; OSError."""
    if not path.exists():
        _make(path)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    check_format(db)
    db.execute("PRAGMA synchronous = FULL")
    return db


def _make(path: Path) -> None:
    """An empty journal at `path`: as a whole or not at all, whenever the process is killed."""
    made = path.with_name(f"{path.name}.new")
    for stale in (path, made):  # the WAL of an earlier one would be taken for that of this one
        delete(stale)
    with contextlib.closing(sqlite3.connect(made, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")  # nothing is in it yet, so that once for all is enough
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        for statement in _TABLES.strip().split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {int.from_bytes(_APPLICATION, 'big')}")
        db.execute(f"PRAGMA user_version = {FORMAT}")
        db.execute("COMMIT")
    with made.open("rb+") as file:
        os.fsync(file.fileno())
    made.replace(path)  # on the disk with the first row: SQLite then waits for the folder, too


def check_format(db: sqlite3.Connection) -> None:
    """Raises: sqlite3.DatabaseError, if it is a journal of another version, or none that can be read."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if not db.execute("PRAGMA page_count").fetchone()[0]:
        raise sqlite3.DatabaseError("it is empty, so whatever was in it is lost")
    if version != FORMAT:
        raise sqlite3.DatabaseError(f"it is of format {version}, and this pflow-lower writes format {FORMAT}")


def check_pages(db: sqlite3.Connection) -> None:
    """Raises: sqlite3.DatabaseError, if pages are damaged or missing, in which answers may have stood."""
    found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise sqlite3.DatabaseError(" ".join(found.split()))


def digest(*row: Any) -> bytes:
    """Eight bytes that tell a row from one that the disk has damaged."""
    return hashlib.blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=8).digest()


@contextlib.contextmanager
def problems_of(path: Path, *, to: Literal["read", "write"] = "write") -> Iterator[None]:
    """Whatever keeps a journal from being used becomes a JournalError that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        help = f"; make room {_OR_ELSEWHERE}" if to == "write" else ""
        raise JournalError(f"cannot {to} the journal {path}: {error}{help}") from error
    except sqlite3.DatabaseError as error:
        clear = shlex.join(["pflow-lower", "journal", "clear", str(path)])
        raise JournalDamaged(
            f"cannot use the journal {path}: {error}; `{clear}` removes it, `--fresh` starts anew"
        ) from error
    except OSError as error:
        raise JournalError(f"cannot {to} the journal {path}: {error.strerror or error}") from error
