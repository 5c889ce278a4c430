"""`LoweredIR`: the workflow without batches, which `emit` turns into text. Emit looks at nothing else."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

from .batch_spec import BatchSpec
from .document import NoPositions, Positions
from .edges import Edge
from .paths import Path
from .tree import Choice, Lookup, Value
from .workflow import Retry

MODULE = "nodes"
"""The module that holds the generated classes."""
RAY_OPTIONS = "RayOptions"
"""The type of the runtime that a class says its `ray_options` in."""


class Shape(enum.Enum):
    """Which generated class a batch becomes."""

    SEQUENTIAL = "sequential"
    """One item after the other."""
    THREADED = "threaded"
    """A synchronous inner node, several items at once: bounded threads."""
    CONCURRENT = "concurrent"
    """An asynchronous inner node, several items at once: bounded tasks of one event loop."""


class ShapeSpec(NamedTuple):
    """What there is to know of a shape: another one is a row of `SHAPES`, a base class and a scheduler."""

    base: str
    """The runtime's class that a generated class is derived from; it knows its scheduler."""
    is_async: bool
    """Whether `exec` is a coroutine, `exec_async`."""


SHAPES: Mapping[Shape, ShapeSpec] = {
    Shape.SEQUENTIAL: ShapeSpec("SequentialBatchNode", is_async=False),
    Shape.THREADED: ShapeSpec("ThreadedBatchNode", is_async=False),
    Shape.CONCURRENT: ShapeSpec("ConcurrentBatchNode", is_async=True),
}


def shape_of(*, parallel: bool, is_async: bool) -> Shape:
    """The shape of a batch whose items run side by side (`parallel`), over an asynchronous inner node or another."""
    if not parallel:
        return Shape.SEQUENTIAL
    return Shape.CONCURRENT if is_async else Shape.THREADED


class Declared(enum.Enum):
    """What a parameter is declared to be, as far as that changes its value."""

    TEXT = "text"
    """Containers become JSON, and must."""
    LENIENT_TEXT = "lenient_text"
    """Containers become JSON where they can."""
    OBJECT = "object"
    """Text that holds a JSON object becomes that object."""
    LIST = "list"
    """Text that holds a JSON array becomes that array."""


class Capture(NamedTuple):
    """A loop-invariant reference: read once, before the loop, under a name of its own."""

    name: str
    lookup: Lookup
    """Where it is read: in the store."""
    path: Path
    """The place in the workflow where it stands first: the text of a parameter."""
    text: str
    offset: int
    """Where in that text the expression begins that needs it."""


class Parameter(NamedTuple):
    """One parameter of a node, and what its node type says of it."""

    key: str
    value: Value
    declared: Declared | None
    parse_json: bool
    """Whether strings inside it are read as JSON where they hold some."""


class Level(NamedTuple):
    """One of several batches inside each other."""

    name: str
    """What its items are called."""
    variable: str
    """The Python variable that holds one."""
    items: Value


class Budget(NamedTuple):
    """What a named rate stands for: a limit that all nodes and processes share which name it."""

    rate: str | None
    max_concurrent: int | None


class LoweredBatch(NamedTuple):
    """A batch node, closure-converted: what varies with the item, and what is captured before."""

    node_id: str
    type: str
    """The inner node's type, as the author wrote it."""
    class_name: str
    shape: Shape
    spec: BatchSpec
    items: Value
    """The items, or the path of the file that they are read from (`spec.items_file`)."""
    results: Value | None
    """The path of the file that the results go to, if there is one."""
    alias: str
    """The Python variable that holds the item."""
    captures: tuple[Capture, ...]
    parameters: tuple[Parameter, ...]
    levels: tuple[Level, ...]
    """The batches inside each other, from the outermost on; none where there is one batch only."""
    retry: Retry | None
    """The attempts that the inner node makes by itself."""
    item_name: Value | None
    """What an item is called, where the annotation says so."""
    permissive: bool
    namespaced: bool
    number: int
    """The node's place in the document's `nodes`."""
    budget: Budget | None = None
    """What the rate of the annotation stands for, if it is a name."""
    ray_options: Mapping[str, Any] | None = None
    """What the items need on Ray, where a table says so."""


class LoweredStep(NamedTuple):
    """A node as a step of the workflow."""

    id: str
    type: str
    number: int
    path: Path
    runs: tuple[str, str] | None
    """The module and the name of the class that runs it (inside a batch: each item), where they are known."""
    is_async: bool
    """Whether that class is one of PocketFlow's asynchronous nodes."""
    retry: Retry | None
    parameters: tuple[Parameter, ...]
    """What the store gives it; none for a batch, which makes the parameters of each item by itself."""
    batch: LoweredBatch | None


class LoweredOutput(NamedTuple):
    """An output of the workflow. `value` is a `Choice` where it keeps its type."""

    name: str
    value: Choice | Value


class LoweredIR(NamedTuple):
    """The workflow without batches. `document` is the expanded IR, ready to be written as JSON."""

    name: str
    document: Mapping[str, Any]
    batches: tuple[LoweredBatch, ...]
    steps: tuple[LoweredStep, ...]
    edges: tuple[Edge, ...]
    """Those that the steps of a run have."""
    start: str
    """The id of the step that runs first."""
    inputs: Mapping[str, Mapping[str, Any]]
    """The inputs by name, as declared."""
    outputs: tuple[LoweredOutput, ...]
    permissive: bool
    added: frozenset[Path] = frozenset()
    """Where `document` says what an engine does with an original type by itself."""
    positions: Positions = NoPositions()
    """Where the places that steps, parameters and captures come from stand in the workflow's file."""
