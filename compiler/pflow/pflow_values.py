"""What pflow hands over: a workflow, the parameters of the run, and a batch as its compiler has read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..ir.batch_keys import BATCH_KEYS
from ..ir.batch_spec import BatchSpec
from ..ir.known_to_pflow import ours_in
from ..runtime.started_workflow import WORKFLOW_FILE


def as_data(ir_json: Any) -> Any:
    """The workflow as data, if it is text; text that is not JSON as it is."""
    if isinstance(ir_json, str):
        try:
            return json.loads(ir_json)
        except ValueError:  # pflow says so
            return ir_json
    return ir_json


def file_of(given: Mapping[str, Any]) -> tuple[str, str]:
    """The workflow's file and its name, empty where it did not come from one."""
    path = given.get(WORKFLOW_FILE)
    if not isinstance(path, str) or path.startswith("ir-hash:"):
        return "", ""
    return path, Path(path).name


def place_of(node: Mapping[str, Any], name: str) -> str:
    """Where a node of an IR stands in the workflow `name`, as notes on exceptions begin."""
    line = node.get("_source_line")
    return f"{name}:{line}: " if name and line else f"{name}: " if name else ""


_ATTRIBUTES = {"items": "items_template", "as": "item_alias"}
"""Keys that pflow's configuration and nodes spell otherwise."""


def spec_of(batch: Any, annotation: Mapping[str, Any]) -> BatchSpec:
    """A batch as pflow's compiler has read it, and what only pflow-lower reads in its annotation.

    `batch` is a configuration or a node of pflow's, which have the same names.
    """
    known = (row.key for row in BATCH_KEYS if not row.ours)
    values = {key: getattr(batch, _ATTRIBUTES.get(key, key)) for key in known}
    ours = {key: annotation[key] for key in ours_in(annotation)}
    return BatchSpec.of({**values, **ours})._replace(written=frozenset())
