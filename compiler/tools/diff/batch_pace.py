"""What it means that items run at another pace."""

from __future__ import annotations

from collections.abc import Iterator

from ...ir.batch_spec import BatchSpec, ErrorHandling, at_once
from .model import BEHAVIOUR, COSMETIC, SCHEDULE, Change, Kind, Reader, kinds
from .pair import Pair


def parallel_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `parallel` says something else."""
    if old.parallel == new.parallel:
        return
    changed, waits = _waits(old, new)
    found = [SCHEDULE, *changed]
    if new.parallel:
        most = "As many items as the server allows" if _asks_for_room(new) else f"Up to {new.max_concurrent} items"
        sentence = f"{most} run at once instead of one after the other.{waits}"
    else:
        sentence = f"Items run one after the other instead of {at_once(old.max_concurrent)}.{waits}"
    if new.error_handling is ErrorHandling.FAIL_FAST:
        found.append(BEHAVIOUR)
        sentence += (
            " When an item fails, those that have begun are finished first (their calls are made, and count is "
            "not the number of items up to the failure any more)."
            if new.parallel
            else " When an item fails, no later one has begun: count is the number of items up to the failure."
        )
    yield pair.change(kinds(*found), "batch.parallel", sentence, old.parallel, new.parallel, _metadata(pair))


def max_concurrent_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `max_concurrent` says something else."""
    if old.max_concurrent == new.max_concurrent or old.parallel != new.parallel:
        return
    one, two = old.max_concurrent, new.max_concurrent
    if new.parallel and (isinstance(one, str) or isinstance(two, str)):
        found, sentence = [SCHEDULE], "How many items run at once is found out by asking now, as the server allows."
        if isinstance(two, int):
            sentence = f"{two} items run at once, whatever the server allows; it is not found out any more."
        changed, waits = _waits(old, new)
        found, sentence = [*found, *changed], f"{sentence}{waits}"
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


def retry_wait_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `retry_wait` says something else."""
    if old.retry_wait == new.retry_wait:
        return
    if new.max_retries == 1 and old.max_retries == 1:
        found, sentence = [COSMETIC], "Without effect: there is one attempt only."
    else:
        found, sentence = [SCHEDULE], f"A failed attempt is followed by the next after {new.retry_wait} s."
    yield pair.change(kinds(*found), "batch.retry_wait", sentence, old.retry_wait, new.retry_wait)


def rate_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `rate` says something else."""
    if old.rate == new.rate:
        return
    if new.rate is None:
        sentence = "Calls start as fast as items are done. Mind the provider's rate limit."
    elif new.names_a_budget:
        sentence = f"Calls start as the budget `{new.rate}` allows, which all nodes and processes that name it share."
    else:
        sentence = f"Calls start at most as often as `{new.rate}` says, evenly spaced."
    found, waits = _waits(old, new)
    yield pair.change(kinds(SCHEDULE, *found), "batch.rate", f"{sentence}{waits}", old.rate, new.rate)


def retry_backoff_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `retry_backoff` says something else."""
    if old.retry_backoff == new.retry_backoff:
        return
    found, waits = _waits(old, new)
    sentence = f"The pause between attempts is always {new.retry_wait} s."
    if new.retry_backoff == "exponential":
        sentence = (
            f"The pause between attempts is anything up to a bound, which doubles each time from {new.retry_wait} s to "
            "a minute."
        )
    if new.max_retries == 1 and old.max_retries == 1:
        sentence = "There is one attempt only, and no pause to grow."
        found = found or (COSMETIC,)
    else:
        found = (SCHEDULE, *found)
    yield pair.change(kinds(*found), "batch.retry_backoff", f"{sentence}{waits}", old.retry_backoff, new.retry_backoff)


def _waits(old: BatchSpec, new: BatchSpec) -> tuple[tuple[Kind, ...], str]:
    """What is other where a server refuses a call for now: each of three keys has a batch wait for it."""
    before, after = (
        spec.rate is not None or _asks_for_room(spec) or spec.retry_backoff == "exponential" for spec in (old, new)
    )
    if before == after:
        return (), ""
    so = "waited for, which uses up no attempt" if after else "not waited for any more: the attempt has failed"
    return (BEHAVIOUR,), f" A server that answers 429 or 503 is {so}."


def _asks_for_room(spec: BatchSpec) -> bool:
    """Whether the batch finds out how many items may run at once."""
    return spec.parallel and isinstance(spec.max_concurrent, str)


def _metadata(pair: Pair) -> tuple[Reader, ...]:
    """Who reads how the batch ran."""
    return tuple(reader for reader in pair.readers() if reader.reads("batch_metadata"))
