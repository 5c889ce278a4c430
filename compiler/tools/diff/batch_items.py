"""What it means that a batch goes through something else, or calls it something else."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import NamedTuple

from ...ir.batch_spec import BatchSpec
from ...ir.file_patterns import are_many
from ...node_types.pflow_types import pflow_type
from .canonical import canonical
from .model import ABSENT, BEHAVIOUR, BREAKING, COSMETIC, COST, Change, kinds
from .pair import Pair, times


def items_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `items` says something else."""
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
        sentence = f"{times(len(two), 'item')} instead of {len(one)}" if more else "Other items"
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


def inner_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `batch` says something else."""
    one, two = pair.old.data["batch"].get("batch", ABSENT), pair.new.data["batch"].get("batch", ABSENT)
    if canonical(one, pair.old_names) == canonical(two, pair.new_names):
        return
    sentence = "Other inner items: how many there are, and what `item` in a result is, may be other than before."
    if old.inner_batch is None:
        sentence = "Each item is gone through in turn: there is a result per inner item, whose `item` names both."
    elif new.inner_batch is None:
        sentence = "Items are not gone through in turn any more: there is one result per item of the list."
    yield pair.change(kinds(BREAKING, COST), "batch.batch", sentence, one, two, pair.readers())


def results_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `results` says something else."""
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
    elif reshaped := _reshaped(pair, old, new):
        found, sentence = BREAKING, reshaped
    yield pair.change(kinds(found), "batch.results", sentence, old.results, new.results, pair.readers())


def _reshaped(pair: Pair, old: BatchSpec, new: BatchSpec) -> str:
    """What is other for those who open the files of results, besides their names; "" if nothing is known to be."""
    before, after = _files_of(old), _files_of(new)
    if before is None or after is None or before == after:
        return ""
    said = []
    if before.are_many != after.are_many:
        said.append(
            f"Results go to many files, and a manifest beside them: ${{{pair.new.id}.file}} is the path with the star."
            if after.are_many
            else "Results go to one file instead of many: there is no manifest beside it."
        )
    if before.suffix != after.suffix:
        said.append(f"Results are written as {after.suffix}, not as {before.suffix}: who opens the file must change.")
    return " ".join(said)


class _Files(NamedTuple):
    """The files that results go to."""

    suffix: str
    are_many: bool


def _files_of(spec: BatchSpec) -> _Files | None:
    """What the results of a batch go to; None where a reference decides."""
    path = spec.results_file
    if path is None or path.endswith("}"):
        return None
    return _Files(posixpath.splitext(path)[1].lower(), are_many(path))


def alias_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `as` says something else."""
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


def key_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `key` says something else."""
    if canonical(old.key, pair.old_names) == canonical(new.key, pair.new_names):
        return
    sentence = "Items are called something else in results, errors and progress."
    if old.key is None or new.key is None:
        does = "have a name" if old.key is None else "have no name any more"
        sentence = f"Items {does} in results (`key`), errors and progress."
    readers = tuple(reader for reader in pair.readers() if reader.reads("key"))
    yield pair.change(kinds(BEHAVIOUR), "batch.key", sentence, old.key, new.key, readers)
