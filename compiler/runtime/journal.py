"""What items gave, on disk: after a crash, a run does only what is not there.

One SQLite file a workflow, from the first item until the run has ended well. One thread writes, one transaction
for all rows that wait (group commit); nobody waits for it. A row is an answer that was paid for, so it counts as
written only when it is on the disk (WAL with `synchronous=FULL`: with NORMAL a power cut loses the last commits).

One run at a time: SQLite before 3.51.3 can corrupt a WAL that two connections write, and two runs would pay for
one item twice. The lock is SQLite's own, on a file beside the journal, so it ends with the process, SIGKILL included.

At least once: an item that was under way when the process died starts again.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .values import ParameterError

FORMAT = 1
"""The version of the tables below. A journal of another one is refused, never guessed at."""

_APPLICATION = 0x70666C77  # "pflw", in SQLite's header: whose file this is
_GROUP = 512  # rows in one transaction, at most
_DEEPEST = 200  # levels of a value; Python's json gives up later, and not in every version at the same depth
_WAITING = 4 * _GROUP  # rows that may wait for the writer; then items wait for the disk

_TABLES = """
CREATE TABLE run (id INTEGER PRIMARY KEY, workflow TEXT NOT NULL, started REAL NOT NULL, pid INTEGER NOT NULL);
CREATE TABLE answer (
  id INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL, run INTEGER NOT NULL, node TEXT NOT NULL,
  key TEXT, seconds REAL NOT NULL, cost REAL, result TEXT NOT NULL, digest BLOB NOT NULL
);
CREATE INDEX answer_of ON answer (fingerprint, run);
"""


class JournalError(Exception):
    """The journal cannot be used; the message says which file, why, and what to do."""

    retriable = False  # of no item's doing: the batch ends at once


class JournalInUse(JournalError):
    """Another run is writing this journal."""


class Answer(NamedTuple):
    """What an item gave in an earlier run."""

    id: int
    result: dict[str, Any]
    seconds: float


class Row(NamedTuple):
    """One journalled item, as `pflow-lower journal` shows it."""

    node: str
    key: str | None
    seconds: float
    cost: float | None
    result: dict[str, Any]


def fingerprint(node_id: str, node_type: str, params: Mapping[str, Any], besides: Any = None) -> bytes:
    """What an answer depends on, in 16 bytes: the node, its type, the item's resolved parameters, and what an engine
    says that it depends on `besides`.

    Raises: ParameterError, naming the parameter, for a value that is not JSON.
    """
    parts = [node_id, node_type, params] if besides is None else [node_id, node_type, params, besides]
    try:
        text = json.dumps(parts, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise ParameterError(_not_json(node_id, params)) from None
    return hashlib.blake2b(text.encode("ascii"), digest_size=16).digest()


class Journal:
    """The answers of one workflow, in the file at `path`, which is made where it is missing.

    Open one before the first item: opening takes the lock and writes a row, so that a second run, a read-only
    folder or a full disk is an error before anything was paid for.

    Raises: JournalInUse; JournalError.
    """

    def __init__(self, path: Path, workflow: str, *, fresh: bool = False) -> None:
        """`workflow` names the journal for people; `fresh` forgets what an earlier run has left."""
        self.path = path
        with _said_of(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(path)
        try:
            with _said_of(path):
                if fresh:
                    delete(path)
                self._db = _opened(path)
                self._run = _begin_run(self._db, workflow)
                self._reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                self._found = dict(self._db.execute("SELECT node, count(*) FROM answer GROUP BY node").fetchall())
        except BaseException:
            self._lock.close()
            raise
        self._claimed: set[int] = set()  # answers given out, whose rows may not say so yet
        self._marked: collections.deque[int] = collections.deque()  # those of them whose rows do
        self._reading = threading.Lock()
        self._inbox: queue.SimpleQueue[_Command] = queue.SimpleQueue()
        self._room = threading.Semaphore(_WAITING)
        self._failure: JournalError | None = None
        self._writer = threading.Thread(target=self._write, name="pflow-lower-journal", daemon=True)
        self._writer.start()

    @property
    def found(self) -> int:
        """How many answers an earlier run has left here."""
        return sum(self._found.values())

    def found_of(self, node_id: str) -> int:
        """How many of them are the node's."""
        return int(self._found.get(node_id, 0))

    def find(self, asked: bytes) -> Answer | None:
        """The answer to `asked`, if an earlier run has left one; each is given out once a run.

        So equal items stay apart: the second of them gets the second answer, or is run.

        Raises: JournalError, if the journal is corrupt.
        """
        if not self._found:
            return None
        with self._reading, _said_of(self.path):
            while self._marked:  # before the query: one that began earlier still sees them as they were
                self._claimed.discard(self._marked.popleft())
            rows = self._reader.execute(
                "SELECT id, node, key, seconds, cost, result, digest FROM answer WHERE fingerprint = ? AND run <> ? "
                "ORDER BY id",
                (asked, self._run),
            )
            for number, node, key, seconds, cost, text, digest in rows:
                if number in self._claimed:
                    continue
                if _digest(asked, node, key, seconds, cost, text) != digest:
                    raise sqlite3.DatabaseError(f"row {number} is damaged")
                self._claimed.add(number)
                self._put(_Command("UPDATE answer SET run = ? WHERE id = ?", (self._run, number), claimed=number))
                return Answer(number, json.loads(text), seconds)
        return None

    def keep(
        self,
        asked: bytes,
        node_id: str,
        key: str | None,
        result: Mapping[str, Any],
        *,
        seconds: float,
        cost: float | None = None,
    ) -> None:
        """Have the answer to `asked` written soon; see `flush`.

        Raises: JournalError, if an earlier write has failed (a full disk, say); ValueError, if `result` would not
        be the same when it is read again.
        """
        text = as_json(result)
        seconds, cost = float(seconds), None if cost is None else float(cost)  # as they are read again
        row = (asked, self._run, node_id, key, seconds, cost, text)
        digest = _digest(asked, node_id, key, seconds, cost, text)
        self._put(
            _Command(
                "INSERT INTO answer (fingerprint, run, node, key, seconds, cost, result, digest) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, digest),
            )
        )

    def flush(self) -> None:
        """Wait until everything kept so far is on the disk. Raises: JournalError, if it is not."""
        done = threading.Event()
        self._inbox.put(_Command(done=done))
        done.wait()
        if self._failure is not None:
            raise self._failure

    def close(self, *, ended_well: bool, in_part: bool = False) -> int:
        """Write what waits and let go of the file; how many answers are left in it.

        After a run that has ended well there is nothing to go on with, so its answers go; all of them, unless it ran
        the workflow only `in_part`. A journal without answers goes, too.

        Raises: JournalError, if not everything could be written.
        """
        self._inbox.put(_Command(last=True))
        self._writer.join()
        self._reader.close()
        left = 0
        try:
            if self._failure is None:
                with _said_of(self.path):
                    if ended_well:
                        self._db.execute(
                            "DELETE FROM answer" + (" WHERE run = ?" if in_part else ""), (self._run,) * in_part
                        )
                    left = int(self._db.execute("SELECT count(*) FROM answer").fetchone()[0])
            self._db.close()
            if self._failure is None and not left:
                with _said_of(self.path):
                    delete(self.path)
        finally:
            self._db.close()
            self._lock.close()
        if self._failure is not None:
            raise self._failure
        return left

    def _put(self, command: _Command) -> None:
        if self._failure is not None:
            raise self._failure
        self._room.acquire()
        self._inbox.put(command)

    def _write(self) -> None:
        over = False
        while not over:
            group = [self._inbox.get()]
            while len(group) < _GROUP and not self._inbox.empty():
                group.append(self._inbox.get())
            rows = [command for command in group if command.sql]
            if rows and self._failure is None:
                try:
                    with _said_of(self.path):
                        self._db.execute("BEGIN IMMEDIATE")
                        for command in rows:
                            self._db.execute(command.sql, command.values)
                        self._db.execute("COMMIT")
                except Exception as error:  # noqa: BLE001  whatever it is, those who wait must hear of it
                    self._failure = error if isinstance(error, JournalError) else JournalError(f"{self.path}: {error}")
                    with contextlib.suppress(sqlite3.Error):  # the failure itself may have ended the transaction
                        self._db.execute("ROLLBACK")
            for command in group:
                if command.claimed >= 0:
                    self._marked.append(command.claimed)
                if command.sql:
                    self._room.release()
                if command.done is not None:
                    command.done.set()
                over = over or command.last


class _Command(NamedTuple):
    """What the writer is asked to do."""

    sql: str = ""
    values: tuple[Any, ...] = ()
    claimed: int = -1
    done: threading.Event | None = None
    last: bool = False


def read_rows(path: Path) -> Iterator[Row]:
    """The answers in the journal at `path`, in the order of their writing, while a run may be writing it.

    Raises: JournalError, if there is none or it cannot be read.
    """
    with _said_of(path):
        if not path.is_file():
            raise JournalError(f"{path}: there is no journal")
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
            _check_format(db)
            query = "SELECT fingerprint, node, key, seconds, cost, result, digest FROM answer ORDER BY id"
            for asked, node, key, seconds, cost, text, digest in db.execute(query):
                if _digest(asked, node, key, seconds, cost, text) != digest:
                    raise sqlite3.DatabaseError(f"an answer of {node} is damaged")
                yield Row(node, key, seconds, cost, json.loads(text))


def delete(path: Path) -> None:
    """Remove the journal at `path`, whatever is in it; the caller holds its lock. Raises: OSError."""
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def lock(path: Path) -> sqlite3.Connection:
    """The lock of the journal at `path`, held until the connection is closed or the process ends.

    Raises: JournalInUse; JournalError.
    """
    with _said_of(path):
        return _locked(path)


def forget(path: Path) -> bool:
    """Remove the journal at `path`; False if there is none. Raises: JournalInUse; JournalError."""
    if not path.exists():
        return False
    with _said_of(path), contextlib.closing(_locked(path)):
        delete(path)
    return True


def _locked(path: Path) -> sqlite3.Connection:
    held = sqlite3.connect(
        path.with_name(f"{path.name}.lock"), timeout=0, isolation_level=None, check_same_thread=False
    )
    try:
        held.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        held.close()
        if "locked" not in str(error):
            raise
        raise JournalInUse(f"another run{_process(path)} is using the journal {path}; wait for it or stop it") from None
    return held


def _process(path: Path) -> str:
    """Which process is writing, for the message: " (process 123)", or nothing where that cannot be read."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as db:
        (pid,) = db.execute("SELECT pid FROM run ORDER BY id DESC LIMIT 1").fetchone() or (0,)
        return f" (process {pid})" if pid else ""
    return ""


def _opened(path: Path) -> sqlite3.Connection:
    is_new = not path.exists() or path.stat().st_size == 0
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    if not is_new:
        _check_format(db)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if is_new:
        db.execute("BEGIN IMMEDIATE")
        for statement in _TABLES.strip().split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {FORMAT}")
        db.execute("COMMIT")
    return db


def _check_format(db: sqlite3.Connection) -> None:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        raise sqlite3.DatabaseError("it is not a journal of pflow-lower")
    if version != FORMAT:
        raise sqlite3.DatabaseError(f"it is of format {version}, and this pflow-lower writes format {FORMAT}")


def _begin_run(db: sqlite3.Connection, workflow: str) -> int:
    added = db.execute(
        "INSERT INTO run (workflow, started, pid) VALUES (?, ?, ?)", (workflow, time.time(), os.getpid())
    )
    return int(added.lastrowid or 0)


def _digest(*row: Any) -> bytes:
    """Eight bytes that tell a row from one that the disk has damaged."""
    return hashlib.blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=8).digest()


@contextlib.contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Whatever keeps a journal from being used becomes a JournalError that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise JournalError(
            f"cannot write the journal {path}: {error}; make room or name another place "
            "([tool.pflow-lower.journal] dir, or PFLOW_LOWER_JOURNAL)"
        ) from error
    except sqlite3.DatabaseError as error:
        raise JournalError(
            f"cannot use the journal {path}: {error}; `pflow-lower journal clear` removes it, `--fresh` starts anew"
        ) from error
    except OSError as error:
        raise JournalError(f"cannot write the journal {path}: {error.strerror or error}") from error


def as_json(value: Any) -> str:
    """`value` as JSON text. Raises: ValueError, if that is not the same when it is read again."""
    if not _is_plain(value):
        raise ValueError("it is not the same when it is read again")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Half a pair of surrogates is no text that a file could hold; escaped it is.
    return text if text.isascii() or _is_text(text) else json.dumps(value, allow_nan=False, separators=(",", ":"))


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether JSON gives back what it was given: a tuple becomes a list there, a key 1 becomes "1"."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return True
    if kind is float:
        return True  # json itself refuses those that are not numbers
    if depth > _DEEPEST:
        return False
    if kind is dict:
        return all(type(key) is str and _is_plain(inner, depth + 1) for key, inner in value.items())
    return kind is list and all(_is_plain(inner, depth + 1) for inner in value)


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _not_json(node_id: str, params: Mapping[str, Any]) -> str:
    name = next((name for name, value in params.items() if not _is_json(value)), None)
    what = "a parameter" if name is None else f"the parameter `{name}` is a {type(params[name]).__name__}"
    return (
        f"{node_id}: {what} that JSON cannot hold, so the item cannot be journalled; "
        "make it plain data, or take `resume` away"
    )


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
