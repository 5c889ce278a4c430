"""pflow's engine around an item that runs in another process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...runtime import Call, Engine
from ...runtime.engine import deep_copies
from ...runtime.values import index_lists_only
from .store import PflowStore

index_lists_only()  # here: the process of a worker imports no more of pflow's engine than this


class WorkerEngine(Engine):
    """pflow's engine around an item on a worker of a cluster: how its node sees the store, and its parameters.

    What the item gave to trace and display is told where the workflow runs. A parameter without a value is the
    item's error in our words there, since pflow's own resolver stays where the workflow runs.
    """

    view = PflowStore
    keys = ("_pflow_child_workflow_paths",)

    def __init__(self, in_order: dict[str, Any], static: dict[str, Any], as_written: bool) -> None:
        self._in_order = in_order
        self._static = static
        self._as_written = as_written

    def for_worker(self) -> WorkerEngine:
        """Itself."""
        return self

    def prepare(self, call: Call, inner: Any, store: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        """The parameters as pflow's node gets them: with what its compiler injected, and in its order."""
        store["_pflow_child_workflow_paths"] = {}
        return params if self._as_written else {**self._in_order, **params, **self._static}

    def copy_factory(self, inner: Any) -> Callable[[], Any]:
        """pflow's nodes are copied whole."""
        return deep_copies(inner)
