"""The data that the stages hand on: `SourceIR` (as read) and `LoweredIR` (without batches).

    bytes --load--> Document --validate--> SourceIR --lower--> LoweredIR --emit--> {path: text}

All of it is frozen. `SourceIR` is lossless: `document` is what was read, key for key, and every
path in it has a position in the source file. Nothing after `lower` looks at `SourceIR`.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from .diagnostics import Diagnostic, Position
from .expressions import Reference

Workflow = str | os.PathLike[str] | Mapping[str, Any]
"""What can be lowered: the path of a file, "-" for standard input, or the data itself."""

Path = tuple[str | int, ...]
"""A place in a document: ("nodes", 0, "batch", "items")."""


class Positions(Protocol):
    """Finds where a path of the document stands in the source text (computed when first asked)."""

    def find(self, path: Path, text: str | None = None) -> Position | None:
        """The position of the value at `path`, or of its nearest parent that has one.

        With `text`, the position of the first occurrence of `text` inside that value's spelling,
        where it can be found there. None if the source has no positions at all.
        """
        ...

    def find_key(self, path: Path) -> Position | None:
        """The position of the key that names the value at `path`; without a key, as `find`."""
        ...

    def find_inside(self, path: Path, value: str, offset: int) -> Position | None:
        """The position of the character `offset` of the string `value`, which stands at `path`.

        Where the source spells the value in a way that hides it (a file that was read in), as `find`.
        """
        ...

    def extent(self, path: Path) -> tuple[int, int] | None:
        """The first and the last line of the value at `path`, or of its nearest parent that has one.

        The key that names the value belongs to it. None if the source has no positions at all.
        """
        ...


class NoPositions:
    """Positions of a document that came as Python data."""

    def find(self, path: Path, text: str | None = None) -> Position | None:
        """Always None: there is no source text."""
        return None

    def find_key(self, path: Path) -> Position | None:
        """Always None: there is no source text."""
        return None

    def find_inside(self, path: Path, value: str, offset: int) -> Position | None:
        """Always None: there is no source text."""
        return None

    def extent(self, path: Path) -> tuple[int, int] | None:
        """Always None: there is no source text."""
        return None


class Document(NamedTuple):
    """What `load` read: the workflow as plain JSON data, and where each part of it stands."""

    name: str
    """The file's name as the user gave it; "<stdin>" for standard input, "<data>" for a dict."""
    data: Any
    positions: Positions = NoPositions()
    warnings: tuple[Diagnostic, ...] = ()
    """What `load` had to say about a document it could read; `validate` passes it on."""


class ErrorHandling(enum.Enum):
    """What one failed item means for the others."""

    FAIL_FAST = "fail_fast"
    CONTINUE = "continue"


class BatchSpec(NamedTuple):
    """A batch annotation with its defaults filled in; `written` names the keys the author wrote."""

    items: str | list[Any]
    alias: str = "item"
    parallel: bool = False
    max_concurrent: int = 10
    max_retries: int = 1
    retry_wait: float = 0
    error_handling: ErrorHandling = ErrorHandling.FAIL_FAST
    written: frozenset[str] = frozenset()


class SourceNode(NamedTuple):
    """One node as the author wrote it. `data` is the node's own part of the document."""

    id: str
    type: str
    number: int
    """The node's place in the document's `nodes`, so that ("nodes", number) is its path."""
    params: Mapping[str, Any]
    batch: BatchSpec | None
    data: Mapping[str, Any]

    @property
    def path(self) -> Path:
        return ("nodes", self.number)


class SourceIR(NamedTuple):
    """A validated workflow. `to_json()` gives back what was read."""

    document: Document
    nodes: tuple[SourceNode, ...]

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def data(self) -> Mapping[str, Any]:
        data: Mapping[str, Any] = self.document.data
        return data

    @property
    def inputs(self) -> Mapping[str, Any]:
        return self.data.get("inputs") or {}

    @property
    def permissive(self) -> bool:
        return bool(self.data.get("template_resolution_mode") == "permissive")

    @property
    def namespaced(self) -> bool:
        return self.data.get("enable_namespacing", True) is not False

    def position(self, path: Path, text: str | None = None) -> Position | None:
        """Where `path` stands in the source file; see `Positions.find`."""
        return self.document.positions.find(path, text)

    def to_json(self) -> Any:
        return self.document.data


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
