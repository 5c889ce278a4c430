"""What it means that a batch goes through something else, or calls it something else."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ...ir.batch_spec import BatchSpec
from ...ir.file_patterns import are_many
from ...ir.template import Field
from ...node_types.pflow_types import pflow_type
from .canonical import canonical
from .model import ABSENT, BEHAVIOUR, BREAKING, COSMETIC, COST, Change, kinds
from .pair import Pair, listed, times

_WORKED_THROUGH = "is worked through: it decides what is done and how many calls that takes"


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
        sentence = f"Another file {_WORKED_THROUGH}"
    else:
        found.append(COST)
        sentence = f"Another list {_WORKED_THROUGH}"
    yield pair.change(kinds(*found), "batch.items", f"{sentence}.", old.items, new.items, pair.readers())


def inner_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `batch` says something else, for each of the batches inside each other."""
    before, after = old.levels, new.levels
    both = min(len(before), len(after))
    old_names, new_names = pair.old_names.of_annotation(), pair.new_names.of_annotation()
    for depth in range(1, both):
        one, two, field = before[depth], after[depth], _field(depth)
        if canonical(one.items, old_names) != canonical(two.items, new_names):
            sentence = (
                "Other inner items: how many there are, and what `item` in a result is, may be other than before."
            )
            yield pair.change(kinds(BREAKING, COST), f"{field}.items", sentence, one.items, two.items, pair.readers())
        yield from _renamed_in_results(pair, f"{field}.as", one.alias, two.alias)
    if len(before) == len(after):
        return
    holds = f"whose `item` holds {listed([level.alias for level in after])}"
    if len(after) > len(before):
        inner = "Each item" if both == 1 else f"Each {before[-1].alias}"
        sentence = f"{inner} is gone through in turn: there is a result per inner item, {holds}."
    else:
        whose = "Items are not" if both == 1 else f"No {after[-1].alias} is"
        for_each = "per item of the list" if both == 1 else f"for each, {holds}"
        sentence = f"{whose} gone through in turn any more: there is one result {for_each}."
    one, two = (_written_at(node.data["batch"], both) for node in (pair.old, pair.new))
    yield pair.change(kinds(BREAKING, COST), _field(both), sentence, one, two, pair.readers())


def _field(depth: int) -> str:
    """Where the batch stands that is inside so many others."""
    return ".".join(["batch"] * (depth + 1))


def _written_at(annotation: Any, depth: int) -> Any:
    """The batch that stands so deep inside `annotation`, as it is written; ABSENT where there is none."""
    for _ in range(depth):
        annotation = annotation.get("batch", ABSENT) if isinstance(annotation, Mapping) else ABSENT
    return annotation


def results_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `results` says something else."""
    if canonical(old.results, pair.old_names) == canonical(new.results, pair.new_names):
        return
    found, sentence = BEHAVIOUR, "Results go to another file."
    if old.results is None:
        found = BREAKING
        sentence = (
            f"Results go to a file as they finish, in any order: ${{{pair.new.id}.results}} is gone, "
            f"${{{pair.new.id}.file}} is the path, and `errors` has the first failures only. Each run begins it anew: "
            "one that ends early leaves the results of fewer items."
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


_MEAN_THE_SAME = "Templates that say the new name mean the same"


def alias_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `as` says something else."""
    nested = {old.inner_batch is not None, new.inner_batch is not None}
    if nested == {True}:
        yield from _renamed_in_results(pair, "batch.as", old.alias, new.alias)
    elif old.alias != new.alias:
        # Where only one of them has batches inside it, `item` is another one however it is called: `inner_changes`.
        is_as_before = nested == {False}
        if by_itself := _found_by_itself(pair, old.alias, new.alias):
            found = BREAKING
            rest = ', and in results the item is called "item" as before' if is_as_before else ""
            sentence = f"{_MEAN_THE_SAME}{rest}. But {by_itself}"
        else:
            found = COSMETIC
            rest = '; in results, the item is called "item" as before' if is_as_before else ""
            sentence = f"Only this node's own templates say it{rest}."
        yield pair.change(kinds(found), "batch.as", sentence, old.alias, new.alias)


def _renamed_in_results(pair: Pair, field: str, old: str, new: str) -> Iterator[Change]:
    """What it means that `field` calls an item otherwise, where there are batches inside each other."""
    if old != new:
        by_itself = _found_by_itself(pair, old, new)
        sentence = (
            f"{_MEAN_THE_SAME}, but in results and errors `item` holds it as {new}, no longer as {old}."
            f"{by_itself and f' And {by_itself}'}"
        )
        readers = tuple(reader for reader in pair.readers() if reader.reads("results", "errors", "file"))
        yield pair.change(kinds(BREAKING), field, sentence, old, new, readers)


def _found_by_itself(pair: Pair, old: str, new: str) -> str:
    """Who may see an item's name besides templates; "" for pflow's own classes: they read parameters, nothing else."""
    if pflow_type(pair.new.type) is not None:
        return ""
    return (
        f"a node class that looks into the store by itself finds the item as {new}, no longer as {old}: check that of "
        f"`{pair.new.type}`."
    )


def key_changes(pair: Pair, old: BatchSpec, new: BatchSpec) -> Iterator[Change]:
    """What it means that `key` says something else."""
    before, after = pair.old_names.of_annotation(), pair.new_names.of_annotation()
    if canonical(old.key, before) == canonical(new.key, after):
        return
    places = "in results (`key`), errors, progress and journal"
    readers = tuple(reader for reader in pair.readers() if Field("key") in reader.reference.path)
    found = BEHAVIOUR
    if new.key is None:
        sentence = f"Items have no name any more {places}."
        found = BREAKING if readers else BEHAVIOUR
    else:
        does = "have a name" if old.key is None else "are called something else"
        when = "before the first call" if new.items_file is None else "when that item is read from the file"
        sentence = f"Items {does} {places}. If two have the same key, or one has none, the run ends {when}."
    yield pair.change(kinds(found), "batch.key", sentence, old.key, new.key, readers)
