"""How many items a batch will have, and what they are, as far as that is known before a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...files import regular_files
from ...ir.batch_spec import BatchSpec, ErrorHandling, InnerBatch
from ...ir.template import Field, parse
from ...ir.workflow import SourceIR, SourceNode
from ...runtime.stream_files import StreamError
from ...runtime.streams import ItemsFile
from ..shared.items_files import is_there, may_be_made
from .amount import NOTHING, Amount, Range
from .known import UNKNOWN, KnownValues


class Items(NamedTuple):
    """The items of a batch: what they are, if known, and how many."""

    values: Sequence[Any] | None
    number: Range
    source: str
    note: str = ""
    problem: str = ""
    """Why a run fails at them, or why they could not be counted, though they are to be there before the run."""


def items_of(
    node: SourceNode,
    path: str,
    known: KnownValues,
    before: Mapping[str, Items],
    ways: Sequence[tuple[SourceIR, SourceNode]],
) -> Items:
    """The items of the batch `node`, whose path is `path`; `before` are those of the batches before it.

    `ways` are the nodes on the way to it, each with its workflow: itself, the one that starts its workflow, and so on.
    """
    assert node.batch is not None
    found = _outer(node, path, known, before, ways)
    return found if node.batch.inner_batch is None else _nested(node.batch, path, known, found)


def _nested(spec: BatchSpec, path: str, known: KnownValues, outer: Items) -> Items:
    """The innermost items of batches inside each other, as one list."""
    leaves: list[dict[str, Any]] | None = None
    if outer.values is not None:
        leaves = [{spec.alias: item} for item in outer.values]
    for level in spec.levels[1:]:
        leaves = _deeper(leaves, level, known) if leaves is not None else None
    if leaves is None:
        return Items(None, _unknown(f"n({path})"), outer.source, outer.note)
    return Items(leaves, Range.of(len(leaves)), outer.source, outer.note)


def _deeper(leaves: list[dict[str, Any]], level: InnerBatch, known: KnownValues) -> list[dict[str, Any]] | None:
    """One leaf for each item that `level` has of each of `leaves`; None if that is not known."""
    made = []
    for leaf in leaves:
        if isinstance(level.items, list):
            items: Any = [known.value(item, leaf, inline=True) for item in level.items]
        else:
            items = known.value(level.items.strip(), leaf)
        if not isinstance(items, list):
            return None
        made += [{**leaf, level.alias: item} for item in items]
    return made


def _outer(
    node: SourceNode,
    path: str,
    known: KnownValues,
    before: Mapping[str, Items],
    ways: Sequence[tuple[SourceIR, SourceNode]],
) -> Items:
    assert node.batch is not None
    ir, written = ways[0][0], node.batch.items
    if isinstance(written, dict):
        return _in_file(node.batch.items_file or "", path, known, ways)
    if isinstance(written, list):
        values = [known.value(item, inline=True) for item in written]
        return Items(values, Range.of(len(values)), "written in the workflow")
    source = written.strip()
    template = parse(source)
    first = template.expressions[0].operands[0] if template.is_whole else None
    root = getattr(first, "root", "")
    counted = _of_batch(ir, root, getattr(first, "path", ()), before[root]) if root in before else None
    if counted is not None and ir.namespaced:
        return Items(None, counted, source)
    value = known.value(source)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if value is UNKNOWN:
        return Items(None, _unknown(f"n({path})"), source)
    if not isinstance(value, list):
        return Items([], NOTHING, source, problem="the items are not a list: the run will fail here")
    note = _AS_IT_IS if root in known.store and root not in ir.inputs else ""
    return Items(value, Range.of(len(value)), source, note)


_AS_IT_IS = "read from the file as it is now"


def _in_file(written: str, path: str, known: KnownValues, ways: Sequence[tuple[SourceIR, SourceNode]]) -> Items:
    """The items of a file: how many, not what they are, since there may be any number of them."""
    where, source = known.value(written), f"the file {written}"
    unknown = Items(None, _unknown(f"n({path})"), source)
    if not isinstance(where, str):
        return unknown
    try:
        number = known.count(ItemsFile(where))
    except (StreamError, ValueError) as error:
        if not is_there(where, known.folder) and may_be_made(where, ways):
            return unknown._replace(note=f"{where} is not there yet: a step before may write it")
        help = f"; {regular_files.HELP}" if isinstance(error.__cause__, regular_files.Refused) else ""
        return unknown._replace(problem=f"{error}{help}")
    return Items(None, Range.of(number), source, _AS_IT_IS)


def _of_batch(ir: SourceIR, root: str, path: Sequence[Any], items: Items) -> Range | None:
    """How many results, or errors, a batch leaves."""
    batch = next(node.batch for node in ir.nodes if node.id == root)
    if batch is None or path not in ((Field("results"),), (Field("errors"),)):
        return None
    tolerant = batch.error_handling is ErrorHandling.CONTINUE
    if path == (Field("errors"),):
        return Range(Amount(), items.number.high) if tolerant else NOTHING
    if not tolerant:
        return items.number  # otherwise the run has ended there
    some = items.number.low.value
    return Range(Amount.of(1 if some else 0), items.number.high)


def _unknown(name: str) -> Range:
    return Range(Amount.unknown(name), Amount.unknown(name))
