"""The shared store as a node of pflow's sees it."""

from __future__ import annotations

from typing import Any

from pflow.runtime.engine.namespaced_store import NamespacedSharedStore

from ...runtime.store import NodeStore


class PflowStore(NodeStore):
    """A node's view of the store; what it misses there, it is told of in pflow's own words."""

    def __getitem__(self, key: Any) -> Any:
        try:
            return super().__getitem__(key)
        except KeyError:
            return NamespacedSharedStore(self._root, self._name)[key]

    def __delitem__(self, key: str) -> None:
        try:
            super().__delitem__(key)
        except KeyError:
            del NamespacedSharedStore(self._root, self._name)[key]

    def __repr__(self) -> str:
        return repr(NamespacedSharedStore(self._root, self._name))
