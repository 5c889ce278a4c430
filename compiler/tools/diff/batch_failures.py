"""What it means that a batch takes failures otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from ...ir.batch_spec import ONLY_WHAT_IS_LEFT, BatchSpec, ErrorHandling
from ...ir.workflow import SourceNode
from .model import BEHAVIOUR, BREAKING, COST, Change, kinds
from .pair import Pair, times


def max_retries_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `max_retries` says something else."""
    if old.max_retries == new.max_retries:
        return
    inner = _attempts(pair.new)
    attempts = times(new.max_retries, "attempt")
    if new.max_retries > old.max_retries:
        found = [COST, BEHAVIOUR]
        sentence = f"An item that raises an exception gets up to {attempts}, not {old.max_retries}."
    else:
        found = [BEHAVIOUR]
        sentence = f"An item that raises an exception has failed after {attempts}, not after {old.max_retries}."
    if inner > 1:
        sentence += f" With the node's own retry.max of {inner}, that makes up to {inner * new.max_retries} calls."
    yield pair.change(kinds(*found), "batch.max_retries", sentence, old.max_retries, new.max_retries)


def errors_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `error_handling` says something else."""
    if old.error_handling is new.error_handling:
        return
    everyone = pair.readers()
    indexed = [reader for reader in everyone if reader.by_index]
    if new.error_handling is ErrorHandling.CONTINUE:
        found = [BEHAVIOUR, COST]
        sentence = (
            "A failed item no longer ends the run: the others are still called, its record is in errors, and results "
            "holds the successes only, so that results[i] need not be item i. Only if all items fail, the run ends."
        )
        if indexed or any(reader.by_index for reader in pair.old_readers.get(pair.old.id, ())):
            found.append(BREAKING)
            sentence += " Whoever picks single results by index gets those of other items."
    else:
        found = [BEHAVIOUR]
        sentence = (
            "The first failed item ends the run: later items are not called, and nobody sees the results of the "
            "others. Nodes that read errors find an empty list."
        )
    values = old.error_handling.value, new.error_handling.value
    yield pair.change(kinds(*found), "batch.error_handling", sentence, *values, everyone)


def timeout_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `timeout` says something else."""
    if old.timeout == new.timeout:
        return
    sentence = (
        f"An attempt has failed when it has taken {new.timeout} s. A blocking one is left to itself: what it is doing "
        "goes on, and its late answer is dropped."
    )
    if new.timeout is None:
        sentence = "An attempt may take as long as it likes."
    found = [BEHAVIOUR, COST] if new.timeout is not None and new.max_retries > 1 else [BEHAVIOUR]
    yield pair.change(kinds(*found), "batch.timeout", sentence, old.timeout, new.timeout)


def tolerated_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `tolerated_failures` says something else."""
    one, two = old.tolerated_failures, new.tolerated_failures
    if one == two:
        return
    before = "it went on after any number" if one is None else f"after more than {_number(one)}"
    sentence = f"The run ends as soon as the failures are more than {_number(two)}; before, {before}."
    if two is None:
        sentence = "The batch goes on after any number of failures; only if all items fail, the run ends."
    yield pair.change(kinds(BEHAVIOUR), "batch.tolerated_failures", sentence, one, two)


def _number(tolerated: int | str | None) -> str:
    """So many items, or such a share of them."""
    return f"{tolerated} of the items" if isinstance(tolerated, str) else str(tolerated)


def resume_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `resume` says something else."""
    if old.resume == new.resume:
        return
    sentence = (
        f"After a failure {ONLY_WHAT_IS_LEFT}: what was paid for is kept. What was under way "
        "when a run was ended starts again, whether it had done its work or not."
    )
    found = [BEHAVIOUR]
    if not new.resume:
        found.append(COST)
        sentence = "After a failure the next run does every item again."
    yield pair.change(kinds(*found), "batch.resume", sentence, old.resume, new.resume)


def _attempts(node: SourceNode) -> int:
    return node.retry.max if node.retry is not None else 1
