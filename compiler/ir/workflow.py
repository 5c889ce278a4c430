"""The data that the stages hand on: `SourceIR` (as read) and `LoweredIR` (without batches).

    bytes --load--> Document --validate--> SourceIR --lower--> LoweredIR --emit--> {path: text}

All of it is frozen. `SourceIR` is lossless: `document` is what was read, key for key, and every
path in it has a position in the source file. Nothing after `lower` looks at `SourceIR`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from ..diagnostics.diagnostic import Position
from .batch_keys import BATCH_KEYS, default
from .document import Document
from .paths import Path


class ErrorHandling(enum.Enum):
    """What one failed item means for the others."""

    FAIL_FAST = "fail_fast"
    CONTINUE = "continue"


class BatchSpec(NamedTuple):
    """A batch annotation with its defaults filled in, a field per row of `BATCH_KEYS`; `written` names the keys
    the author wrote."""

    items: str | list[Any]
    alias: str = default("as")
    parallel: bool = default("parallel")
    max_concurrent: int = default("max_concurrent")
    max_retries: int = default("max_retries")
    retry_wait: float = default("retry_wait")
    error_handling: ErrorHandling = ErrorHandling(default("error_handling"))
    written: frozenset[str] = frozenset()

    @classmethod
    def of(cls, written: Mapping[str, Any], refused: Collection[str] = ()) -> BatchSpec:
        """The annotation that is `written`, by key. Keys that the schema has `refused` count as not written."""
        fields: dict[str, Any] = {"items": []}
        for row in BATCH_KEYS:
            if row.key in written and row.key not in refused and row.field in cls._fields:
                fields[row.field] = _READ.get(row.key, row.read)(written[row.key])
        return cls(**fields, written=frozenset(written))


_READ: Mapping[str, Callable[[Any], Any]] = {"error_handling": ErrorHandling}
"""How a value is read, where it is not data alone."""


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
    def names(self) -> frozenset[str]:
        """The names that the workflow declares: of its nodes and of its inputs."""
        return frozenset((*(node.id for node in self.nodes), *self.inputs))

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
