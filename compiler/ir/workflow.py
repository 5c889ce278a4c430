"""`SourceIR`: a workflow as its author wrote it, validated.

    bytes --load--> Document --validate--> SourceIR --analyse, lower--> LoweredIR --emit--> {path: text}

It is frozen, and lossless: `document` is what was read, key for key, and every path in it has a position in the
source file. What is made of a workflow is made of its `LoweredIR` (lowered.py); emit does not see the `SourceIR`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..diagnostics.diagnostic import Position
from .batch_spec import BatchSpec
from .document import Document
from .edges import Edge, edges_of, taken
from .paths import Path

NODE_KEYS = ("type", "purpose", "batch", "loop", "retry", "approval", "cache", "prompt_cache", "prewarm")
"""The keys of a node besides its `id` and its `params`."""


class Retry(NamedTuple):
    """How often a node itself tries; `written` names the keys the author wrote."""

    max: int = 1
    wait: float | None = None
    backoff: str | None = None
    written: tuple[str, ...] = ()


class Loop(NamedTuple):
    """How often a node runs."""

    while_: str | None = None
    until: str | None = None
    max_iterations: int | str | None = None
    carry: Mapping[str, str] = {}

    @property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """The keys that end the loop, as far as they are written, and their templates."""
        found = (("while", self.while_), ("until", self.until))
        return tuple((key, text) for key, text in found if isinstance(text, str))


class Input(NamedTuple):
    """An input of the workflow; `data` is all that is written of it."""

    name: str
    type: str | None
    required: bool
    default: Any
    data: Mapping[str, Any]

    @property
    def has_default(self) -> bool:
        return "default" in self.data


class Output(NamedTuple):
    """An output of the workflow: a template, or a reference without its `${` and `}`."""

    name: str
    source: str

    @property
    def template(self) -> str:
        """The source as a template."""
        return self.source if "${" in self.source else f"${{{self.source}}}"


class Chunk(NamedTuple):
    """A part of the prompt cache: what stands before a value, and the reference to the value ("" for none)."""

    name: str
    var: str
    prose_before: str


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

    @property
    def aliases(self) -> tuple[str, ...]:
        """What its items are called, from the outermost batch on; nothing without a batch."""
        return self.batch.aliases if self.batch is not None else ()

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The parameter `inputs` by key; empty where it is absent, or a reference whose keys only a run knows."""
        found = self.params.get("inputs")
        return found if isinstance(found, dict) else {}

    @property
    def retry(self) -> Retry | None:
        """The node's own attempts, where it says anything of them."""
        found = self.data.get("retry")
        if not isinstance(found, dict) or not found:
            return None
        return Retry(found.get("max", 1), found.get("wait"), found.get("backoff"), tuple(found))

    @property
    def loop(self) -> Loop | None:
        """How the node repeats, if it does."""
        found = self.data.get("loop")
        if not found:
            return None
        return Loop(found.get("while"), found.get("until"), found.get("max_iterations"), found.get("carry") or {})

    @property
    def prompt_cache(self) -> tuple[str, ...]:
        """The parts of the prompt cache that the node's calls begin with."""
        found = self.data.get("prompt_cache") or ()
        return tuple(name for name in found if isinstance(name, str))

    @property
    def approval(self) -> str | None:
        """What is asked for before the node runs, if anything is."""
        return self.data.get("approval") or None

    @property
    def purpose(self) -> str:
        """What the node is for, in its author's words; "" if it does not say."""
        return self.data.get("purpose") or ""

    @property
    def cache(self) -> bool | None:
        """Whether the engine may answer from its memo cache; None leaves it to the node's type."""
        return self.data.get("cache")

    @property
    def prewarm(self) -> bool:
        """Whether one call fills the prompt cache before the others start."""
        return bool(self.data.get("prewarm"))


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
    def declared_inputs(self) -> tuple[Input, ...]:
        """The workflow's inputs, in the order of the document."""
        return tuple(
            Input(name, spec.get("type"), spec.get("required", True) is not False, spec.get("default"), spec)
            for name, spec in self.inputs.items()
        )

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The workflow's outputs that have a source, in the order of the document."""
        found = self.data.get("outputs") or {}
        return tuple(Output(n, o["source"]) for n, o in found.items() if isinstance(o.get("source"), str))

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The edges as they are written, in the order of the document; see `kept` for those that count."""
        return edges_of(self.data)

    @property
    def edges_taken(self) -> tuple[Edge, ...]:
        """The edges that a run may take."""
        return taken(self.edges, {node.id for node in self.nodes if node.batch is not None})

    @property
    def start_node(self) -> str | None:
        """The node that the author says runs first, if one is named."""
        found = self.data.get("start_node")
        return found if isinstance(found, str) and found else None

    @property
    def start(self) -> str:
        """The id of the node that runs first."""
        return self.start_node or self.nodes[0].id

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The parts of the prompt cache."""
        found = (self.data.get("cache") or {}).get("items", ())
        return tuple(Chunk(chunk["name"], chunk["var"], chunk["prose_before"]) for chunk in found)

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
