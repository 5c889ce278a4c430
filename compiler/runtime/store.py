"""The shared store as one node of a workflow sees it."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any


class NodeStore(MutableMapping[str, Any]):
    """The shared store as one node sees it: it reads everything and writes under its own id.

    Names of the form `__x__` belong to the engine and are read and written at the root.
    """

    __slots__ = ("_name", "_own", "_root")

    def __init__(self, root: MutableMapping[str, Any], name: str) -> None:
        """See `root` as the node `name`, for which `root[name]` must be there, and stay."""
        self._root = root
        self._name = name
        self._own = root[name]

    # The first three are by far the most frequent, and ask themselves what `_home` asks.

    def __getitem__(self, key: Any) -> Any:
        own = self._root if isinstance(key, str) and key[:2] == "__" == key[-2:] else self._own
        return own[key] if key in own else self._root[key]

    def get(self, key: Any, default: Any = None) -> Any:
        own = self._root if isinstance(key, str) and key[:2] == "__" == key[-2:] else self._own
        return own[key] if key in own else self._root.get(key, default)

    def __setitem__(self, key: Any, value: Any) -> None:
        own = self._root if isinstance(key, str) and key[:2] == "__" == key[-2:] else self._own
        own[key] = value

    def __delitem__(self, key: str) -> None:
        del self._home(key)[key]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and (key in self._root or key in self._home(key))

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (key for key in self._root if key != self._name and key not in self._own)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _home(self, key: Any) -> MutableMapping[str, Any]:
        """Where `key` is written."""
        special = isinstance(key, str) and key[:2] == "__" == key[-2:]
        return self._root if special else self._own
