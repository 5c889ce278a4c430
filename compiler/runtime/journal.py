"""What items gave, on disk: after a crash, a run does only what is not there.

Each workflow has one SQLite file, from the first item until the run has ended well. One thread writes, in one
transaction for all rows that wait (group commit); nobody waits for it. A row is an answer that was paid for, so it
counts as written only when it is on the disk (WAL with `synchronous=FULL`: with NORMAL a power cut loses the last
commits).

One run at a time: SQLite before 3.51.3 can corrupt a WAL that two connections write, and two runs would pay for
one item twice. The lock is SQLite's own, on a file beside the journal, so it ends with the process, SIGKILL included.

At least once: an item that was under way when the process died starts again.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .fingerprints import as_json
from .journal_file import (
    JournalError,
    acquire_lock,
    check_pages,
    delete,
    delete_lock,
    digest,
    open_journal,
    problems_of,
)
from .latch import Latch, Semaphore

_WAITING = 2048  # rows that may wait for the writer, who takes all of them at once; then items wait for the disk
_AT_ONCE = 64  # rows in one statement: for each, the writer gives the interpreter away and has to get it back


_OF_THESE_INPUTS = "run IN (SELECT id FROM run WHERE inputs IS ?)"  # IS: those that are not known are alike

_Row = tuple[bytes, int, str, "str | None", float, "float | None", str, bytes]
_ROW = ("fingerprint", "run", "node", "key", "seconds", "cost", "result", "digest")


class Answer(NamedTuple):
    """What an item gave in an earlier run."""

    id: int
    result: dict[str, Any]
    seconds: float


def forget_answers(path: Path, inputs: bytes | None) -> None:
    """Forget what runs of the same inputs have left in the journal at `path`; all of it, if it cannot be read.

    Raises: JournalInUse; NotOurs; JournalError.
    """
    if path.exists():
        with problems_of(path), contextlib.closing(acquire_lock(path)):
            _forget(path, inputs)
            if not path.exists():
                delete_lock(path)


def _forget(path: Path, inputs: bytes | None) -> None:
    """`forget_answers`, for whoever holds the lock. Raises: sqlite3.OperationalError; OSError."""
    left = 0
    if path.exists():
        try:
            with contextlib.closing(open_journal(path)) as db:
                check_pages(db)
                db.execute(f"DELETE FROM answer WHERE {_OF_THESE_INPUTS}", (inputs,))
                left = int(db.execute("SELECT count(*) FROM answer").fetchone()[0])
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # damaged, or of another version: nothing in it can be used
            left = 0
    if not left:
        delete(path)


class Journal:
    """The answers of one workflow, in the file at `path`, which is made where it is missing.

    Open one before the first item: opening takes the lock and writes a row, so that a second run, a read-only
    folder or a full disk is an error before anything was paid for.

    Raises: JournalInUse; JournalError.
    """

    def __init__(self, path: Path, workflow: str, *, fresh: bool = False, inputs: bytes | None = None) -> None:
        """`workflow` names the journal for people; `fresh` forgets what earlier runs of the same inputs have
        left, and uses nothing of others; `inputs` is the `digest_of_inputs` of the run."""
        self.path = path
        with problems_of(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = acquire_lock(path)
        try:
            with problems_of(path):
                if fresh:
                    _forget(path, inputs)
                self._db = open_journal(path)
                self._run = _begin_run(self._db, workflow, inputs)
                self._inputs = inputs
                self._reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                self._since = self._last_that_ended_well()
                query = "SELECT node, count(*) FROM answer WHERE run > ? GROUP BY node"
                self._found = {} if fresh else dict(self._db.execute(query, (self._since,)).fetchall())
                self._is_shared = self._count(f"NOT {_OF_THESE_INPUTS}") > 0  # with runs of other inputs
                self._last = int(self._db.execute("SELECT coalesce(max(id), 0) FROM answer").fetchone()[0])
                if self._found:
                    check_pages(self._db)
                    # Only now: it would make every row dearer for those whose run just ends well.
                    self._db.execute("CREATE INDEX IF NOT EXISTS answer_to ON answer (fingerprint)")
        except BaseException:  # whatever it is, the lock is let go of
            self._lock.close()
            raise
        self._given: dict[bytes, int] = {}  # the last answer given out, where its row may not say so yet
        self._marked: collections.deque[_Claim] = collections.deque()  # those of them whose rows do
        self._reading = threading.Lock()
        self._inbox: queue.SimpleQueue[_Row | _Claim | Latch | None] = queue.SimpleQueue()
        self._room = Semaphore(_WAITING)
        self._failure: JournalError | None = None
        self._is_over = False  # whether nothing of it is needed any more
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
        with self._reading, problems_of(self.path):
            while self._marked:  # before the query: one that began earlier still sees them as they were
                claim = self._marked.popleft()
                if self._given.get(claim.asked) == claim.number:
                    del self._given[claim.asked]
            after = self._given.get(asked, 0)
            is_repeated = after > 0
            rows = self._reader.execute(
                "SELECT id, coalesce(claimed, run), node, key, seconds, cost, result, digest FROM answer "
                "WHERE fingerprint = ? AND id > ? AND id <= ? AND run > ? ORDER BY id",
                (asked, after, self._last, self._since),
            )
            for number, run, node, key, seconds, cost, text, checksum in rows:
                if run == self._run:
                    is_repeated = True
                    continue
                if digest(asked, node, key, seconds, cost, text) != checksum:
                    raise sqlite3.DatabaseError(f"row {number} is damaged")
                self._given[asked] = number
                self._put(_Claim(asked, number, is_repeated))
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
        self.keep_text(asked, node_id, key, as_json(result), seconds=seconds, cost=cost)

    def keep_text(
        self, asked: bytes, node_id: str, key: str | None, text: str, *, seconds: float, cost: float | None = None
    ) -> None:
        """`keep`, of what `as_json` has made of the result. Raises: JournalError."""
        if key is not None:  # the database holds UTF-8, and half a surrogate pair is none
            key = key.encode("utf-8", "backslashreplace").decode("utf-8")
        seconds, cost = float(seconds), None if cost is None else float(cost)  # as they are read again
        self._put(
            (asked, self._run, node_id, key, seconds, cost, text, digest(asked, node_id, key, seconds, cost, text))
        )

    def flush(self) -> None:
        """Wait until everything kept so far is on the disk. Raises: JournalError, if it is not."""
        done = Latch()
        self._inbox.put(done)
        done.wait()
        if self._failure is not None:
            raise self._failure

    def close(self, *, ended_well: bool) -> int:
        """Write what waits and let go of the file; how many answers are left in it for a run of the same inputs.

        After a run that has ended well there is nothing to go on with, so its answers go, and those that earlier runs
        of the same inputs have left. What runs of other inputs have left, given out here or not, stays until one of
        theirs has ended well: they have not. A journal without answers goes, too.

        Raises: JournalError, if not everything could be written.
        """
        self._is_over = ended_well and not self._is_shared
        self._inbox.put(None)
        self._writer.join()
        self._reader.close()
        left = ours = 0
        try:
            if self._failure is None:
                with problems_of(self.path):
                    if not (self._is_over and self._try_delete()):
                        if ended_well:
                            self._db.execute(f"DELETE FROM answer WHERE {_OF_THESE_INPUTS}", (self._inputs,))
                            self._db.execute("UPDATE run SET ended_well = 1 WHERE id = ?", (self._run,))
                        left = int(self._db.execute("SELECT count(*) FROM answer").fetchone()[0])
                        ours = self._count(f"{_OF_THESE_INPUTS} OR claimed = {self._run}")
                    self._db.close()
                    if not left:
                        delete(self.path)
                        delete_lock(self.path)
        finally:
            self._db.close()
            self._lock.close()
        if self._failure is not None:
            raise self._failure
        return ours

    def _count(self, which: str) -> int:
        """How many answers there are of which this holds, with a place for the run's inputs in it."""
        return int(self._db.execute(f"SELECT count(*) FROM answer WHERE {which}", (self._inputs,)).fetchone()[0])

    def _last_that_ended_well(self) -> int:
        """The number of the last run of the same inputs that has ended well: after it, this one starts afresh."""
        query = "SELECT coalesce(max(id), 0) FROM run WHERE ended_well AND inputs IS ?"
        return int(self._db.execute(query, (self._inputs,)).fetchone()[0])

    def _try_delete(self) -> bool:
        """Remove it while it is open, or SQLite would tidy it up first; False where that cannot be done (Windows)."""
        try:
            delete(self.path)
        except PermissionError:
            return False
        return True

    def _put(self, row: _Row | _Claim) -> None:
        if self._failure is not None:
            raise self._failure
        self._room.acquire()
        self._inbox.put(row)

    def _write(self) -> None:
        is_last = False
        while not is_last:
            rows: list[_Row] = []
            claims: list[_Claim] = []
            asking: list[Latch] = []
            waiting = True
            while waiting:
                taken = self._inbox.get()
                if taken is None:
                    is_last = True
                elif isinstance(taken, _Claim):
                    claims.append(taken)
                elif isinstance(taken, Latch):
                    asking.append(taken)
                else:
                    rows.append(taken)
                waiting = not self._inbox.empty()
            if (rows or claims) and self._failure is None and not self._is_over:
                try:
                    with problems_of(self.path):
                        self._commit(rows, [claim.number for claim in claims])
                except Exception as error:  # noqa: BLE001  whatever it is, those who wait must hear of it
                    self._failure = error if isinstance(error, JournalError) else JournalError(f"{self.path}: {error}")
                    with contextlib.suppress(sqlite3.Error):  # the failure itself may have ended the transaction
                        self._db.execute("ROLLBACK")
            self._marked.extend(claim for claim in claims if not claim.is_repeated)
            self._room.release(len(rows) + len(claims))
            for event in asking:
                event.set()

    def _commit(self, rows: list[_Row], claimed: list[int]) -> None:
        """Write a group: one transaction, one wait for the disk."""
        self._db.execute("BEGIN IMMEDIATE")
        for at in range(0, len(rows), _AT_ONCE):
            some = rows[at : at + _AT_ONCE]
            self._db.execute(_insert(len(some)), [value for row in some for value in row])
        for at in range(0, len(claimed), _AT_ONCE):
            numbers = claimed[at : at + _AT_ONCE]
            self._db.execute(_claim(len(numbers)), [self._run, *numbers])
        self._db.execute("COMMIT")


class _Claim(NamedTuple):
    """An answer of an earlier run that is given out in this one, and so is one of this run."""

    asked: bytes
    number: int
    is_repeated: bool
    """Whether it is not the first one of those who asked the same: then it stays known which was the last."""


@functools.cache
def _insert(rows: int) -> str:
    values = f"({', '.join('?' * len(_ROW))})"
    return f"INSERT INTO answer ({', '.join(_ROW)}) VALUES {', '.join([values] * rows)}"


@functools.cache
def _claim(answers: int) -> str:
    return f"UPDATE answer SET claimed = ? WHERE id IN ({', '.join('?' * answers)})"


def _begin_run(db: sqlite3.Connection, workflow: str, inputs: bytes | None) -> int:
    added = db.execute(
        "INSERT INTO run (workflow, started, pid, inputs) VALUES (?, ?, ?, ?)",
        (workflow, time.time(), os.getpid(), inputs),
    )
    return int(added.lastrowid or 0)
