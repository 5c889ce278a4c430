"""pflow's engine around an item that runs in another process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...runtime import Call, Engine
from ...runtime.engine import deep_copies
from ...runtime.values import index_lists_only
from ..install import install
from .store import PflowStore

index_lists_only()  # here: the process of a worker imports no more of pflow's engine than this

REGISTRY = "__registry__"
"""The parameter in which pflow's compiler hands its registry to a node that starts a workflow."""


class WorkerEngine(Engine):
    """pflow's engine around an item on a worker of a cluster: how its node sees the store, and its parameters.

    What the item gave to trace and display is told where the workflow runs. A parameter without a value is the
    item's error in our words there, since pflow's own resolver stays where the workflow runs.
    """

    view = PflowStore
    keys = ("_pflow_child_workflow_paths",)

    def __init__(
        self, in_order: dict[str, Any], static: dict[str, Any], as_written: bool, registry_path: str | None
    ) -> None:
        self._in_order = in_order
        self._static = {key: value for key, value in static.items() if key != REGISTRY}
        self._as_written = as_written
        self._registry_path = registry_path

    def for_worker(self) -> WorkerEngine:
        """Itself."""
        return self

    def prepare(self, call: Call, inner: Any, store: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        """The parameters as pflow's node gets them: with what its compiler injected, and in its order."""
        store["_pflow_child_workflow_paths"] = {}
        return params if self._as_written else {**self._in_order, **params, **self._static}

    def copy_factory(self, inner: Any) -> Callable[[], Any]:
        """pflow's nodes are copied whole. A workflow that one starts is compiled on the worker, with pflow-lower."""
        if self._registry_path is not None:
            from pflow.registry import Registry

            install()
            self._static[REGISTRY] = Registry(Path(self._registry_path))
        return deep_copies(inner)
