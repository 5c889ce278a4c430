"""A batch annotation as the stages hand it on."""

from __future__ import annotations

import enum
import posixpath
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from .batch_keys import BATCH_KEYS, default

ONLY_WHAT_IS_LEFT = "the next run does only the items that are left"
"""What `resume` is for."""


class ErrorHandling(enum.Enum):
    """What one failed item means for the others."""

    FAIL_FAST = "fail_fast"
    CONTINUE = "continue"

    @property
    def in_words(self) -> str:
        """What the batch does then, in a few words."""
        return "goes on after failures" if self is ErrorHandling.CONTINUE else "stops at the first failure"


class InnerBatch(NamedTuple):
    """A batch inside a batch: what it goes through for each item around it."""

    items: str | list[Any]
    alias: str = default("as")
    inner_batch: InnerBatch | None = None

    @classmethod
    def of(cls, written: Any) -> InnerBatch | None:
        """The inner batch that is `written`, as far as it can be read: what is wrong with it is said elsewhere."""
        if not isinstance(written, Mapping):
            return None
        items, alias = written.get("items"), written.get("as")
        return cls(
            items if isinstance(items, str | list) else [],
            alias if isinstance(alias, str) else default("as"),
            cls.of(written.get("batch")),
        )


class BatchSpec(NamedTuple):
    """A batch annotation with its defaults filled in, a field per row of `BATCH_KEYS`; `written` names the keys
    the author wrote."""

    items: str | list[Any] | dict[str, str]
    """A reference, a list, or the file that they are read from."""
    results: dict[str, str] | None = default("results")
    alias: str = default("as")
    parallel: bool = default("parallel")
    max_concurrent: int | str = default("max_concurrent")
    max_retries: int = default("max_retries")
    retry_wait: float = default("retry_wait")
    error_handling: ErrorHandling = ErrorHandling(default("error_handling"))
    key: str | None = default("key")
    rate: str | None = default("rate")
    timeout: float | None = default("timeout")
    retry_backoff: str = default("retry_backoff")
    tolerated_failures: int | str | None = default("tolerated_failures")
    resume: bool = default("resume")
    inner_batch: InnerBatch | None = default("batch")
    written: frozenset[str] = frozenset()

    @property
    def levels(self) -> tuple[InnerBatch, ...]:
        """This batch and those inside it, from the outermost on; each as if it were an inner one."""
        listed = self.items if isinstance(self.items, str | list) else []
        found = [InnerBatch(listed, self.alias, self.inner_batch)]
        while (inner := found[-1].inner_batch) is not None:
            found.append(inner)
        return tuple(found)

    @property
    def names_a_budget(self) -> bool:
        """Whether `rate` is a name, not a rate."""
        return self.rate is not None and "/" not in self.rate

    @property
    def items_file(self) -> str | None:
        """The path of the file that the items are read from, as it is written."""
        return self.items.get("file", "") if isinstance(self.items, dict) else None

    @property
    def results_file(self) -> str | None:
        """The path of the file that the results go to, as it is written."""
        return self.results.get("file", "") if isinstance(self.results, dict) else None

    @property
    def has_files(self) -> bool:
        """Whether items are read from a file, or results written to one."""
        return self.items_file is not None or self.results_file is not None

    def named(self, item: Any) -> dict[str, Any]:
        """The names that stand for `item` in the parameters of its call, and what they stand for."""
        return {self.alias: item} if self.inner_batch is None or not isinstance(item, dict) else dict(item)

    @property
    def aliases(self) -> tuple[str, ...]:
        """What items are called, from the outermost batch on."""
        return tuple(level.alias for level in self.levels)

    @classmethod
    def of(cls, written: Mapping[str, Any], refused: Collection[str] = ()) -> BatchSpec:
        """The annotation that is `written`, by key. Keys that the schema has `refused` count as not written."""
        fields: dict[str, Any] = {"items": []}
        for row in BATCH_KEYS:
            if row.key in written and row.key not in refused and row.field in cls._fields:
                fields[row.field] = _READ.get(row.key, row.read)(written[row.key])
        return cls(**fields, written=frozenset(written))


def at_once(max_concurrent: int | str) -> str:
    """How many items of a parallel batch run at once, in a few words."""
    return "as many at once as the server allows" if max_concurrent == "auto" else f"up to {max_concurrent} at once"


def one_spelling(path: str) -> str:
    """The path of a file as all its spellings, `./out.jsonl` too; as it is where a reference decides."""
    return path if "${" in path else posixpath.normpath(path)


_READ: Mapping[str, Callable[[Any], Any]] = {"error_handling": ErrorHandling, "batch": InnerBatch.of}
"""How a value is read, where it is not data alone."""
