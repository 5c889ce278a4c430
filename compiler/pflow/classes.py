"""From one workflow, as pflow has compiled it, to its generated classes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..analyse.analyse import Facts, batch_facts
from ..emit.emit import SourceHeader, emit
from ..emit.marks import plain_files
from ..emit.verify import verify_files
from ..files.generated_header import DUMP, FOR_A_RUN
from ..ir.batch_spec import BatchSpec
from ..ir.document import Document
from ..ir.lowered import Budget
from ..lowering import lower as lowering
from ..lowering.verify_ir import verify_lowered
from ..node_types.lookup import NodeType, TypeSource
from ..node_types.run_tables import budgets_for, ray_options_for
from ..validate.validate import source_of
from ..write import write as output
from .messages import say

_KEPT = 64  # workflows whose classes are kept: a sub-workflow is compiled anew for every item that runs it


class Wanted(NamedTuple):
    """A batch node as pflow has compiled it."""

    spec: BatchSpec
    types: Mapping[str, str]
    """The declared type of each parameter."""


class _Made(NamedTuple):
    files: dict[str, str]
    classes: dict[str, type]


_made: dict[str, _Made] = {}
_dumped: dict[str, str] = {}


def _budgets(wanted: Mapping[str, Wanted], path: str) -> Mapping[str, Budget]:
    """What the named rates stand for. Raises: LowerError; ValueError, for a name that no table has."""
    names = {batch.spec.rate: node_id for node_id, batch in wanted.items() if batch.spec.names_a_budget}
    if not names:
        return {}
    budgets = budgets_for(Path(path).parent if path else Path.cwd())
    for name, node_id in names.items():
        if name not in budgets:
            known = (
                f"the budgets are {', '.join(sorted(budgets))}" if budgets else "no [tool.pflow-lower.rates] has any"
            )
            raise ValueError(f"{node_id}: no budget is called {name!r}; {known}")
    return budgets


def classes_of(
    ir: Mapping[str, Any], wanted: Mapping[str, Wanted], name: str, path: str, by_hand: Collection[str]
) -> dict[str, type]:
    """The generated class of each node in `wanted`, by node id.

    The workflow `ir` is called `name` and comes from the file `path`; `by_hand` are names that the run gives a
    meaning to, and the workflow does not declare.

    Raises: anything; the caller leaves the workflow to pflow's interpreter then.
    """
    budgets = _budgets(wanted, path)
    needs = ray_options_for(Path(path).parent if path else Path.cwd())
    key = hashlib.sha256(
        repr((ir, wanted, sorted(by_hand), name, budgets, needs)).encode("utf-8", "surrogatepass")
    ).hexdigest()
    made = _made.get(key)
    if made is None:
        if len(_made) >= _KEPT:
            _made.clear()
        made = _made[key] = _make(ir, wanted, by_hand, name, budgets, needs)
    if folder := os.environ.get(DUMP):
        _dump(made.files, Path(folder), name, path or key)
    return made.classes


def _make(
    ir: Mapping[str, Any],
    wanted: Mapping[str, Wanted],
    by_hand: Collection[str],
    name: str,
    budgets: Mapping[str, Budget],
    needs: Mapping[str, Mapping[str, Any]],
) -> _Made:
    inputs = {**(ir.get("inputs") or {}), **{key: {} for key in by_hand}}
    # A reference that finds nothing is asked of pflow itself, in either mode: see `unresolved` of the hosts.
    data = {key: value for key, value in ir.items() if key != "template_resolution_mode"}
    source = source_of(Document(name=name, data={**data, "inputs": inputs} if by_hand else data))
    batches = [
        batch_facts(
            node._replace(batch=wanted[node.id].spec),
            NodeType(
                name=node.type,
                module=None,
                class_name=None,
                is_async=False,  # pflow's nodes are synchronous
                param_types=wanted[node.id].types,
                origin=TypeSource.REGISTRY,
            ),
            budgets,
            needs,
        )
        for node in source.nodes
        if node.id in wanted
    ]
    lowered, _ = lowering.lower(source, Facts(tuple(batches)))
    verify_lowered(lowered)
    files = plain_files(emit(lowered, SourceHeader(source="", command="", made=FOR_A_RUN)))
    verify_files(lowered, files)
    return _Made(files, output.load_classes(lowered, files))


def _dump(files: Mapping[str, str], folder: Path, name: str, source: str) -> None:
    """Write `files` into a folder of the workflow's own below `folder`; that this fails is worth a line only."""
    stem = name.partition(".")[0] or "workflow"
    count = 1
    while _dumped.setdefault(str(folder / _numbered(stem, count)), source) != source:
        count += 1  # another workflow of that name
    try:
        output.write(files, folder / _numbered(stem, count))
    except Exception as error:  # noqa: BLE001  a file that cannot be written must not stop the run
        say(f"{DUMP}: {error}")


def _numbered(stem: str, count: int) -> str:
    return stem if count == 1 else f"{stem}-{count}"
