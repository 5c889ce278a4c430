"""What a change of a batch annotation means, by pflow's contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...ir.batch_keys import BATCH_KEYS
from ...ir.batch_spec import BatchSpec
from .batch_failures import errors_changes, max_retries_changes, resume_changes, timeout_changes, tolerated_changes
from .batch_items import alias_changes, inner_changes, items_changes, key_changes, results_changes
from .batch_pace import (
    max_concurrent_changes,
    parallel_changes,
    rate_changes,
    retry_backoff_changes,
    retry_wait_changes,
)
from .canonical import canonical
from .model import ABSENT, BEHAVIOUR, BREAKING, COSMETIC, COST, Change, kinds
from .pair import Pair


def batch_changes(pair: Pair) -> Iterator[Change]:
    """The changes of the annotation of a node that is a batch in one of the workflows at least."""
    old, new = pair.old.batch, pair.new.batch
    if old is not None and new is not None:
        keys = [row.key for row in BATCH_KEYS]
        for key in [*keys, *sorted((pair.old.data["batch"].keys() | pair.new.data["batch"].keys()).difference(keys))]:
            explain = MEANINGS.get(key)
            yield from explain(pair, old, new) if explain is not None else _other(pair, key)
        yield from _written_out(pair)
    elif new is not None:
        sentence = (
            f"The node runs once per item instead of once. It writes results, count and errors instead of its own "
            f"outputs: what was ${{{pair.new.id}.x}} is ${{{pair.new.id}.results[0].x}} now, and so on."
        )
        yield pair.change(kinds(BREAKING, COST), "batch", sentence, ABSENT, pair.new.data["batch"], pair.readers())
    elif old is not None:
        sentence = (
            f"The node runs once instead of once per item. It writes its own outputs instead of results, count and "
            f"errors: ${{{pair.new.id}.results}} is gone."
        )
        yield pair.change(kinds(BREAKING), "batch", sentence, pair.old.data["batch"], ABSENT, pair.readers())


MEANINGS: Mapping[str, Callable[[Pair, BatchSpec, BatchSpec], Iterator[Change]]] = {
    "items": items_changes,
    "results": results_changes,
    "as": alias_changes,
    "parallel": parallel_changes,
    "max_concurrent": max_concurrent_changes,
    "max_retries": max_retries_changes,
    "retry_wait": retry_wait_changes,
    "error_handling": errors_changes,
    "key": key_changes,
    "rate": rate_changes,
    "timeout": timeout_changes,
    "retry_backoff": retry_backoff_changes,
    "tolerated_failures": tolerated_changes,
    "resume": resume_changes,
    "batch": inner_changes,
}
"""What a change of a key means, for each of them; `_other` answers for a key that nobody has thought about."""


def _other(pair: Pair, key: str) -> Iterator[Change]:
    """A key without a meaning of its own here: a change is a change of behaviour until somebody knows better."""
    one, two = pair.old.data["batch"].get(key, ABSENT), pair.new.data["batch"].get(key, ABSENT)
    without = {row.key: row.default for row in BATCH_KEYS}.get(key, ABSENT)
    before, after = (without if value is ABSENT else value for value in (one, two))
    if canonical(before, pair.old_names) == canonical(after, pair.new_names):
        return
    about = "".join(f" {row.about}" for row in BATCH_KEYS if row.key == key)
    yield pair.change(kinds(BEHAVIOUR), f"batch.{key}", f"`{key}` says something else.{about}", one, two)


def _written_out(pair: Pair) -> Iterator[Change]:
    """Keys that stand in one workflow only and say there what goes without saying."""
    for row in BATCH_KEYS:
        one, two = pair.old.data["batch"].get(row.key, ABSENT), pair.new.data["batch"].get(row.key, ABSENT)
        if (one is ABSENT) == (two is ABSENT):
            continue
        default = row.default
        if (two if one is ABSENT else one) == default:
            sentence = f"{default!r} is what holds without it." if isinstance(default, str) else "This is the default."
            yield pair.change(kinds(COSMETIC), f"batch.{row.key}", sentence, one, two)
