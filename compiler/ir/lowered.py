"""`LoweredIR`: the workflow without batches, which `emit` turns into text."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

from .paths import Path
from .template import Reference
from .workflow import BatchSpec


class Shape(enum.Enum):
    """Which generated class a batch becomes."""

    IN_ORDER = "in_order"
    """One item after the other: a `BatchNode`."""
    IN_THREADS = "in_threads"
    """A synchronous inner node, several items at once: a `BatchNode` over bounded threads."""
    IN_TASKS = "in_tasks"
    """An asynchronous inner node, several items at once: a bounded `AsyncParallelBatchNode`."""


class Capture(NamedTuple):
    """A loop-invariant reference: read once, before the loop, under a name of its own."""

    name: str
    reference: Reference
    path: Path
    """The place in the workflow where it stands first: the text of a parameter."""
    offset: int
    """Where in that text the expression begins that needs it."""


class Parameter(NamedTuple):
    """One parameter of the inner node: as written, and what its node type says of it."""

    key: str
    value: Any
    declared: str | None
    parse_json: bool
    """Whether strings inside it are read as JSON where they hold some."""
    optional: frozenset[str] = frozenset()
    """For `inputs`: the keys that are None where the nodes they come from did not run."""


class LoweredBatch(NamedTuple):
    """A batch node, closure-converted: what varies with the item, and what is captured before."""

    node_id: str
    type: str
    """The inner node's type, as the author wrote it."""
    module: str
    class_name: str
    shape: Shape
    spec: BatchSpec
    alias: str
    """The Python variable that holds the item."""
    captures: tuple[Capture, ...]
    parameters: tuple[Parameter, ...]
    item_names: Mapping[str, str]
    """The names that stand for the call itself (`__index__`, ...), and their Python."""
    permissive: bool
    namespaced: bool
    number: int
    """The node's place in the document's `nodes`."""


class LoweredIR(NamedTuple):
    """The workflow without batches. `document` is the expanded IR, ready to be written as JSON."""

    name: str
    document: Mapping[str, Any]
    batches: tuple[LoweredBatch, ...]
