"""What it means that tables say something else of a node: what its rate stands for, its class, what it needs on Ray."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...analyse.analyse import budget_of
from ...ir.lowered import Budget
from ...ir.workflow import SourceNode
from ...node_types.run_tables import RunTables, ray_options_of
from ...node_types.user_table import Entry, read_tables
from .model import ABSENT, BEHAVIOUR, BREAKING, SCHEDULE, Change, kinds
from .pair import Pair

COMPARED = ("nodes", "on", "rates")
"""The tables under `[tool.pflow-lower]` that are compared: of the others, nothing shows in what is generated."""


class Tables(NamedTuple):
    """What tables say of the workflows in one folder."""

    types: Mapping[str, Entry]
    budgets: Mapping[str, Budget]
    ray_options: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, folder: Path) -> Tables:
        """Raises: LowerError, for a table that is wrong."""
        run = RunTables.of(folder)
        return cls(read_tables(folder, None), run.budgets, run.ray_options)


def table_changes(pair: Pair, old: Tables, new: Tables) -> Iterator[Change]:
    """The changes of a node whose own words are the same, since tables say something else."""
    if pair.old.type == pair.new.type:
        yield from _of_type(pair, old.types.get(pair.new.type), new.types.get(pair.new.type))
    one, two = pair.old.batch, pair.new.batch
    if one is None or two is None:
        return
    if one.rate == two.rate and (before := budget_of(one, old.budgets)) != (after := budget_of(two, new.budgets)):
        sentence = f"The budget `{two.rate}` stands for another limit: a table says so."
        yield pair.change(kinds(SCHEDULE), "batch.rate", sentence, _limit(before), _limit(after))
    before_needs, after_needs = _needs(pair.old, old), _needs(pair.new, new)
    if before_needs != after_needs:
        sentence = "On Ray, the items need something else: a table says so."
        yield pair.change(kinds(SCHEDULE), "batch", sentence, before_needs or ABSENT, after_needs or {})


def _of_type(pair: Pair, old: Entry | None, new: Entry | None) -> Iterator[Change]:
    before, after = _class(old), _class(new)
    if before != after:
        each = "each item" if pair.is_batch else "the node"
        sentence = f"Another class handles {each}: a table says so of the type `{pair.new.type}`."
        yield pair.change(kinds(BREAKING), "type", sentence, before, after, pair.readers())
    if old is None or new is None:
        return
    if old.is_async != new.is_async:
        sentence = "Whether the class is asynchronous is said otherwise: in a table."
        yield pair.change(kinds(BEHAVIOUR, SCHEDULE), "type", sentence, _async(old), _async(new))
    if old.params != new.params:
        sentence = "Parameters are converted to other types: a table says so."
        yield pair.change(kinds(BEHAVIOUR), "type", sentence, dict(old.params), dict(new.params))


def _class(entry: Entry | None) -> str:
    return "no class in a table" if entry is None else f"{entry.module}:{entry.class_name}"


def _async(entry: Entry) -> str:
    return "async as the class is" if entry.is_async is None else f"async = {str(entry.is_async).lower()}"


def _limit(budget: Budget | None) -> str:
    if budget is None:
        return "no budget"
    most = "" if budget.max_concurrent is None else f"{budget.max_concurrent} at a time"
    return ", ".join(part for part in (budget.rate, most) if part)


def _needs(node: SourceNode, tables: Tables) -> dict[str, Any]:
    is_parallel = node.batch is not None and node.batch.parallel
    return dict(ray_options_of(node.id, tables.ray_options, parallel=is_parallel) or {})
