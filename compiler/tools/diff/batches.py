"""What a change of a batch annotation means, by pflow's contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ...ir.batch_keys import BATCH_KEYS
from ...ir.batch_spec import BatchSpec, ErrorHandling
from ...ir.workflow import SourceNode
from ...node_types.pflow_types import pflow_type
from .canonical import Names, canonical
from .model import ABSENT, Change, Kind, Reader, kinds

BREAKING, BEHAVIOUR, COST, SCHEDULE, COSMETIC = Kind


class Pair(NamedTuple):
    """One node in both workflows."""

    old: SourceNode
    new: SourceNode
    old_names: Names
    new_names: Names
    old_readers: Mapping[str, tuple[Reader, ...]]
    new_readers: Mapping[str, tuple[Reader, ...]]

    @property
    def is_batch(self) -> bool:
        return self.old.batch is not None or self.new.batch is not None

    def readers(self) -> tuple[Reader, ...]:
        """Who reads what the node writes, in the new workflow."""
        return self.new_readers.get(self.new.id, ())

    def change(
        self,
        found: tuple[Kind, ...],
        field: str,
        sentence: str,
        old: Any,
        new: Any,
        readers: tuple[Reader, ...] = (),
    ) -> Change:
        """A change of `field`, in its place; where nothing names it any more, in that of its parent."""
        steps = tuple(part for part in field.split(".", 1) if part)
        node = self.old if new is ABSENT else self.new
        path = (*node.path, *steps)
        return Change(found, self.new.id, field, sentence, old, new, path, readers, self.is_batch)


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


def _items(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    before, after = canonical(old.items, pair.old_names), canonical(new.items, pair.new_names)
    if isinstance(old.items, str) and isinstance(new.items, str):
        before, after = (
            canonical(items.strip(), names)
            for items, names in ((old.items, pair.old_names), (new.items, pair.new_names))
        )
    if before == after:
        if old.items != new.items:
            yield pair.change(
                kinds(COSMETIC), "batch.items", "The same list, spelled differently.", old.items, new.items
            )
        return
    found, sentence = [BEHAVIOUR], ""
    if isinstance(old.items, list) and isinstance(new.items, list):
        one, two = before[1:], after[1:]
        more = len(two) - len(one)
        if more > 0:
            found.append(COST)
        sentence = f"{_times(len(two), 'item')} instead of {len(one)}" if more else "Other items"
        if sorted(map(repr, one)) == sorted(map(repr, two)):
            found = [BREAKING]
            sentence = "The same items in another order: results come in the order of the items"
        elif one == two[: len(one)]:
            sentence += ", added at the end: the results before them keep their places"
        elif two == one[: len(two)]:
            sentence += ": the last ones are gone, the results before them keep their places"
        elif more:
            found.append(BREAKING)
            sentence += ", and not at the end: results[i] belongs to another item now"
    elif isinstance(old.items, dict) and isinstance(new.items, dict):
        found.append(COST)
        sentence = "Another file is worked through: it decides what is done and how many calls that takes"
    else:
        found.append(COST)
        sentence = "Another list is worked through: it decides what is done and how many calls that takes"
    yield pair.change(kinds(*found), "batch.items", f"{sentence}.", old.items, new.items, pair.readers())


def _results(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    if canonical(old.results, pair.old_names) == canonical(new.results, pair.new_names):
        return
    found, sentence = BEHAVIOUR, "Results go to another file."
    if old.results is None:
        found = BREAKING
        sentence = (
            f"Results go to a file as they finish, in any order: ${{{pair.new.id}.results}} is gone, "
            f"${{{pair.new.id}.file}} is the path, and `errors` has the first failures only."
        )
    elif new.results is None:
        found = BREAKING
        sentence = f"Results are not written to a file any more: ${{{pair.new.id}.file}} is gone."
    yield pair.change(kinds(found), "batch.results", sentence, old.results, new.results, pair.readers())


def _alias(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    if old.alias == new.alias:
        return
    if pflow_type(pair.new.type) is not None:  # pflow's own classes read parameters and nothing else
        found = COSMETIC
        sentence = 'Only this node\'s own templates say it; in results, the item is called "item" as before.'
    else:
        found = BREAKING
        sentence = (
            f'Templates that say the new name mean the same, and in results the item is called "item" as before. '
            f"But a node class that looks into the store by itself finds the item as {new.alias}, no longer as "
            f"{old.alias}: check that of `{pair.new.type}`."
        )
    yield pair.change(kinds(found), "batch.as", sentence, old.alias, new.alias)


def _parallel(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    if old.parallel == new.parallel:
        return
    found = [SCHEDULE]
    if new.parallel:
        sentence = f"Up to {new.max_concurrent} items run at once instead of one after the other."
    else:
        sentence = f"Items run one after the other instead of up to {old.max_concurrent} at once."
    if new.error_handling is ErrorHandling.FAIL_FAST:
        found.append(BEHAVIOUR)
        sentence += (
            " When an item fails, those that have begun are finished first (their calls are made, and count is "
            "not the number of items up to the failure any more)."
            if new.parallel
            else " When an item fails, no later one has begun: count is the number of items up to the failure."
        )
    yield pair.change(kinds(*found), "batch.parallel", sentence, old.parallel, new.parallel, _metadata(pair))


def _max_concurrent(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    if old.max_concurrent == new.max_concurrent or old.parallel != new.parallel:
        return
    one, two = old.max_concurrent, new.max_concurrent
    if new.parallel and (isinstance(one, str) or isinstance(two, str)):
        found, sentence = [SCHEDULE], "How many items run at once is found out by asking now, as the server allows."
        if isinstance(two, int):
            sentence = f"{two} items run at once, whatever the server allows; it is not found out any more."
    elif new.parallel and isinstance(one, int) and isinstance(two, int):
        way = "More" if two > one else "Fewer"
        sentence = f"{way} items run at once; results and their order stay as they are."
        if way == "More":
            sentence += " Mind the provider's rate limit."
        found = [SCHEDULE]
    else:
        found, sentence = [COSMETIC], "Without effect: items run one at a time, as `parallel` is not set."
    yield pair.change(
        kinds(*found), "batch.max_concurrent", sentence, old.max_concurrent, new.max_concurrent, _metadata(pair)
    )


def _metadata(pair: Pair) -> tuple[Reader, ...]:
    """Who reads how the batch ran."""
    return tuple(reader for reader in pair.readers() if reader.reads("batch_metadata"))


def _max_retries(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    if old.max_retries == new.max_retries:
        return
    inner = _attempts(pair.new)
    attempts = _times(new.max_retries, "attempt")
    if new.max_retries > old.max_retries:
        found = [COST, BEHAVIOUR]
        sentence = f"An item that raises an exception gets up to {attempts}, not {old.max_retries}."
    else:
        found = [BEHAVIOUR]
        sentence = f"An item that raises an exception has failed after {attempts}, not after {old.max_retries}."
    if inner > 1:
        sentence += f" With the node's own retry.max of {inner}, that makes up to {inner * new.max_retries} calls."
    yield pair.change(kinds(*found), "batch.max_retries", sentence, old.max_retries, new.max_retries)


def _retry_wait(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    if old.retry_wait == new.retry_wait:
        return
    if new.max_retries == 1 and old.max_retries == 1:
        found, sentence = [COSMETIC], "Without effect: there is one attempt only."
    else:
        found, sentence = [SCHEDULE], f"A failed attempt is followed by the next after {new.retry_wait} s."
    yield pair.change(kinds(*found), "batch.retry_wait", sentence, old.retry_wait, new.retry_wait)


def _errors(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
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


def _key(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    if canonical(old.key, pair.old_names) == canonical(new.key, pair.new_names):
        return
    sentence = "Items are called something else in results, errors and progress."
    if old.key is None or new.key is None:
        does = "have a name" if old.key is None else "have no name any more"
        sentence = f"Items {does} in results (`key`), errors and progress."
    readers = tuple(reader for reader in pair.readers() if reader.reads("key"))
    yield pair.change(kinds(BEHAVIOUR), "batch.key", sentence, old.key, new.key, readers)


def _rate(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    if old.rate == new.rate:
        return
    sentence = f"Calls start at most as often as `{new.rate}` says, evenly spaced."
    if new.rate is None:
        sentence = "Calls start as fast as items are done. Mind the provider's rate limit."
    yield pair.change(kinds(SCHEDULE), "batch.rate", sentence, old.rate, new.rate)


def _timeout(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    if old.timeout == new.timeout:
        return
    sentence = f"An attempt has failed when it has taken {new.timeout} s."
    if new.timeout is None:
        sentence = "An attempt may take as long as it likes."
    found = [BEHAVIOUR, COST] if new.timeout is not None and new.max_retries > 1 else [BEHAVIOUR]
    yield pair.change(kinds(*found), "batch.timeout", sentence, old.timeout, new.timeout)


def _retry_backoff(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    if old.retry_backoff == new.retry_backoff:
        return
    sentence = "The pause between attempts doubles each time, and what a server asks for is waited for."
    if new.retry_backoff == "fixed":
        sentence = f"The pause between attempts is always {new.retry_wait} s."
    yield pair.change(kinds(SCHEDULE), "batch.retry_backoff", sentence, old.retry_backoff, new.retry_backoff)


def _tolerated(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    one, two = old.tolerated_failures, new.tolerated_failures
    if one == two:
        return
    sentence = f"The run ends as soon as more than {two} items have failed; before, {one} were tolerated."
    if one is None:
        sentence = f"The run ends as soon as more than {two} items have failed; before, it went on after any number."
    if two is None:
        sentence = "The batch goes on after any number of failures."
    yield pair.change(kinds(BEHAVIOUR), "batch.tolerated_failures", sentence, one, two)


def _resume(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    if old.resume == new.resume:
        return
    sentence = "After a failure the next run does only the items that are left: what was paid for is kept."
    found = [BEHAVIOUR]
    if not new.resume:
        found.append(COST)
        sentence = "After a failure the next run does every item again."
    yield pair.change(kinds(*found), "batch.resume", sentence, old.resume, new.resume)


def _inner(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    one, two = pair.old.data["batch"].get("batch", ABSENT), pair.new.data["batch"].get("batch", ABSENT)
    if canonical(one, pair.old_names) == canonical(two, pair.new_names):
        return
    sentence = "Other inner items: how many there are, and what `item` in a result is, may be other than before."
    if old.inner is None:
        sentence = "Each item is gone through in turn: there is a result per inner item, whose `item` names both."
    elif new.inner is None:
        sentence = "Items are not gone through in turn any more: there is one result per item of the list."
    yield pair.change(kinds(BREAKING, COST), "batch.batch", sentence, one, two, pair.readers())


MEANINGS: Mapping[str, Callable[[Pair, BatchSpec, BatchSpec], Iterator[Change]]] = {
    "items": _items,
    "results": _results,
    "as": _alias,
    "parallel": _parallel,
    "max_concurrent": _max_concurrent,
    "max_retries": _max_retries,
    "retry_wait": _retry_wait,
    "error_handling": _errors,
    "key": _key,
    "rate": _rate,
    "timeout": _timeout,
    "retry_backoff": _retry_backoff,
    "tolerated_failures": _tolerated,
    "resume": _resume,
    "batch": _inner,
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


def _attempts(node: SourceNode) -> int:
    return node.retry.max if node.retry is not None else 1


def _times(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
