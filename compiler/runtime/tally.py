"""What a batch counts as its items finish, and what it keeps of them: no more than it must.

Where the results go to a file, nothing here grows with the number of items: of errors and warnings the first ones
are kept, the others are counted.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

MOST_KEPT = 100
"""How many errors, and how many items with warnings, an outcome lists where the results go to a file."""

_CACHE = 8_000  # kilobytes of names in memory; the others are in a temporary file
_NOT_OUTPUTS = frozenset(("item", "original_index", "key", "error", "exception"))
_NOTHING: tuple[Any, ...] = ("", [], {})


class Timing:
    """How long items took, in seconds."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.shortest = 0.0
        self.longest = 0.0

    def merge(self, other: Timing) -> None:
        """Those of `other` as well."""
        if other.count:
            self.shortest = min(self.shortest, other.shortest) if self.count else other.shortest
            self.longest = max(self.longest, other.longest)
            self.count += other.count
            self.total += other.total

    def add_all(self, seconds: Sequence[float]) -> None:
        """So many more items took so long."""
        if seconds:
            self.shortest = min(self.shortest, *seconds) if self.count else min(seconds)
            self.longest = max(self.longest, *seconds)
            self.count += len(seconds)
            self.total += sum(seconds)

    def add(self, seconds: float) -> None:
        """One more item took `seconds`."""
        if not self.count or seconds < self.shortest:
            self.shortest = seconds
        if seconds > self.longest:
            self.longest = seconds
        self.count += 1
        self.total += seconds


class FirstFew:
    """By index, something about each of the first items that have it, and how many have it in all."""

    def __init__(self, most: int | None) -> None:
        """At most `most` are kept, those with the lowest indexes; None keeps all."""
        self.count = 0
        self.kept: dict[int, Any] = {}
        self._most = most

    def add(self, index: int, what: Any) -> None:
        """The item at `index` has `what`."""
        self.count += 1
        self.kept[index] = what
        if self._most is not None and len(self.kept) > self._most:
            del self.kept[max(self.kept)]

    def merge(self, other: FirstFew) -> None:
        """Those of `other` as well."""
        self.count += other.count - len(other.kept)
        for index, what in other.kept.items():
            self.add(index, what)

    def in_order(self) -> list[Any]:
        """What is kept, in the order of the items."""
        return [self.kept[index] for index in sorted(self.kept)]

    def listed(self, most: int | None = None) -> str:
        """The indexes, as a message lists them: "0, 7 (+3 more)"."""
        shown = sorted(self.kept)[:most]
        more = self.count - len(shown)
        return ", ".join(map(str, shown)) + (f" (+{more} more)" if more else "")


class _OnDisk:
    """A number for each of a set of digests, on disk: there may be millions of them."""

    def __init__(self) -> None:
        # A private temporary file, which SQLite makes when its cache is full and removes by itself.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE}")
        self._db.execute("CREATE TABLE known (digest BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def _add(self, digest: bytes, number: int) -> int | None:
        """The number of `digest`; None if it had none, and has `number` now."""
        if self._db.execute("INSERT OR IGNORE INTO known VALUES (?, ?)", (digest, number)).rowcount:
            return None
        return int(self._db.execute("SELECT number FROM known WHERE digest = ?", (digest,)).fetchone()[0])

    def close(self) -> None:
        """Forget them."""
        self._db.close()

    def __del__(self) -> None:
        self._db.close()  # of a batch whose end nobody tells


class Repeats(_OnDisk):
    """How often each of many digests has been seen."""

    def add(self, digest: bytes) -> int:
        """Count `digest`; how often it was seen before."""
        before = self._add(digest, 1)
        if before is None:
            return 0
        self._db.execute("UPDATE known SET number = number + 1 WHERE digest = ?", (digest,))
        return before


class ItemNames(_OnDisk):
    """The names that items have had."""

    def add(self, name: Any, number: int) -> int | None:
        """Note that item `number` has `name`; the item that had it before, None if none had."""
        digest = hashlib.blake2b(repr(name).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return self._add(digest, number)


def is_empty(result: dict[str, Any]) -> bool:
    """Whether an item's node gave nothing."""
    try:
        for key, value in result.items():
            is_something = value or (value is not None and value not in _NOTHING)  # truth alone is asked twice as fast
            if is_something and key not in _NOT_OUTPUTS and key[:1] != "_":
                return False
    except Exception:  # noqa: BLE001  a value that does not let itself be compared (an array of numpy) is something
        return False
    return True


def kinds_of(warnings: Any) -> list[str]:
    """What kinds of warning an item's store holds: each names its own, or is just a text."""
    if not isinstance(warnings, dict):
        return []
    kinds = []
    for warning in warnings.values():
        try:
            fields = warning.to_dict() if hasattr(warning, "to_dict") else warning
            kind = (fields.get("kind") or fields.get("id")) if isinstance(fields, Mapping) else None
        except Exception:  # noqa: BLE001  a warning may be of any class, and never decides about an item
            kind = None
        kinds.append(kind or "runtime.warning")
    return list(dict.fromkeys(kind for kind in kinds if isinstance(kind, str))) or ["runtime.warning"]
