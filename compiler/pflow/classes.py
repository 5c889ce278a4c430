"""From one workflow, as pflow has compiled it, to its generated classes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pflow.runtime.engine.types import BatchConfig, NodeConfig

from .. import lowering, output
from ..analyse import BatchFacts, Facts
from ..emit import Origin, emit
from ..ir import BatchSpec, Document, ErrorHandling, LoweredIR, Shape
from ..node_types import NodeType
from ..node_types import Origin as TypeOrigin
from ..validate import source_of
from ..verify import verify_files, verify_lowered
from .messages import say

DUMP = "PFLOW_LOWER_DUMP"
"""The environment variable that names a folder for the generated files."""

_KEPT = 64  # workflows whose classes are kept: a sub-workflow is compiled anew for every item that runs it


class _Made(NamedTuple):
    files: dict[str, str]
    classes: dict[str, type]


_made: dict[str, _Made] = {}
_dumped: dict[str, str] = {}


def classes_of(
    ir: Mapping[str, Any], wanted: Mapping[str, NodeConfig], name: str, path: str, by_hand: Collection[str]
) -> dict[str, type]:
    """The generated class of each node in `wanted`, by node id.

    The workflow `ir` is called `name` and comes from the file `path`; `by_hand` are names that the run gives a
    meaning to, and the workflow does not declare.

    Raises: anything; the caller leaves the workflow to pflow's interpreter then.
    """
    specs = {node_id: _spec(config.batch_config) for node_id, config in wanted.items()}
    types = {node_id: _types(config) for node_id, config in wanted.items()}
    key = hashlib.sha256(repr((ir, specs, types, sorted(by_hand), name)).encode("utf-8", "surrogatepass")).hexdigest()
    made = _made.get(key)
    if made is None:
        if len(_made) >= _KEPT:
            _made.clear()
        made = _made[key] = _make(ir, specs, types, by_hand, name)
    if folder := os.environ.get(DUMP):
        _dump(made.files, Path(folder), name, path or key)
    return made.classes


def _make(
    ir: Mapping[str, Any],
    specs: Mapping[str, BatchSpec],
    types: Mapping[str, Mapping[str, str]],
    by_hand: Collection[str],
    name: str,
) -> _Made:
    inputs = {**(ir.get("inputs") or {}), **{key: {} for key in by_hand}}
    source = source_of(Document(name=name, data={**ir, "inputs": inputs} if by_hand else ir))
    batches = [
        BatchFacts(
            node=node._replace(batch=specs[node.id]),
            type=NodeType(
                name=node.type,
                module=None,
                class_name=None,
                is_async=False,
                param_types=types[node.id],
                origin=TypeOrigin.REGISTRY,
            ),
            shape=Shape.IN_THREADS if specs[node.id].parallel else Shape.IN_ORDER,
        )
        for node in source.nodes
        if node.id in specs
    ]
    lowered, _ = lowering.lower(source, Facts(tuple(batches)))
    lowered = _strict(lowered)
    verify_lowered(lowered)
    files = emit(lowered, Origin(source="", command=""))
    verify_files(lowered, files)
    return _Made(files, output.load_classes(lowered, files))


def _spec(config: BatchConfig) -> BatchSpec:
    """The batch as pflow's compiler read it."""
    return BatchSpec(
        items=config.items_template,
        alias=config.item_alias,
        parallel=config.parallel,
        max_concurrent=config.max_concurrent,
        max_retries=config.max_retries,
        retry_wait=config.retry_wait,
        error_handling=ErrorHandling(config.error_handling),
    )


def _types(config: NodeConfig) -> Mapping[str, str]:
    return config.template_config.expected_types if config.template_config is not None else {}


def _strict(lowered: LoweredIR) -> LoweredIR:
    """A reference that finds nothing is asked of pflow itself, in either mode: see `PflowHost.unresolved`."""
    return lowered._replace(batches=tuple(batch._replace(permissive=False) for batch in lowered.batches))


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
