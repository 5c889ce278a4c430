"""What a batch asks of a cluster, and what is said where no worker begins: Ray by itself waits for ever, in silence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from .ray_place import NotForRay

PATIENCE_SECONDS = 30.0
"""How long a batch waits for its first worker before it says so."""
_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
"""How Ray calls what its options ask for."""


class Waiting:
    """Whether anything has begun of what was handed out, and a word, once, where nothing does."""

    def __init__(self, ray: Any, node_id: str, options: Mapping[str, Any], tell: Callable[[str], None]) -> None:
        self.has_begun = False
        """Whether a worker has been heard of. Until then the driver asks for a sign of life from each."""
        self._ray = ray
        self._node_id = node_id
        self._tell = tell
        self._asked = {name: options[option] for option, name in _NAMES.items() if options.get(option)}
        self._asked.update(options.get("resources") or {})
        self._is_told = False
        self._since = time.monotonic()

    def begin(self) -> None:
        """Something is handed out now. Raises: NotForRay, where what it needs is not there and cannot come to be."""
        self.has_begun = False
        self._since = time.monotonic()
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if any(all(has.get(name, 0) >= amount for name, amount in self._asked.items()) for has in machines):
            return
        says = f"an item asks for {_amounts(self._asked)}, and no machine of {self._cluster()} has that"
        if len(machines) == 1 and _is_own(self._ray):
            raise NotForRay(f"{self._node_id}: {says}")
        # Others may grow, or be told to: machines with a GPU are often there only when they are asked for.
        self._say(f"{says} now: waiting for one that does; `ray status` says more")

    def look(self) -> None:
        """Say what is waited for, if that takes long."""
        if not self.has_begun and not self._is_told and time.monotonic() - self._since > PATIENCE_SECONDS:
            free = {name: self._ray.available_resources().get(name, 0) for name in self._asked}
            self._say(
                f"no worker has begun for {PATIENCE_SECONDS:g} s: an item asks for {_amounts(self._asked)}, "
                f"{self._cluster()} has free {_amounts(free)}; `ray status` says more"
            )

    def _say(self, text: str) -> None:
        if not self._is_told:
            self._is_told = True
            self._tell(f"{self._node_id}: {text}")

    def _cluster(self) -> str:
        has = self._ray.cluster_resources()
        of = {name: has.get(name, 0) for name in dict.fromkeys([*_NAMES.values(), *self._asked]) if name != "memory"}
        of |= {name: has.get(name, 0) for name in self._asked}
        return f"the cluster at {self._ray.get_runtime_context().gcs_address} ({_amounts(of)} in all)"


def _is_own(ray: Any) -> bool:
    """Whether the cluster is one that this process has started, which has no other machine and gets none."""
    node = getattr(getattr(getattr(ray, "_private", None), "worker", None), "_global_node", None)
    return node is not None and bool(node.is_head())


def _amounts(of: Mapping[str, float]) -> str:
    found = [f"{math.floor(amount) if amount >= 1000 else f'{amount:g}'} {name}" for name, amount in of.items()]
    return ", ".join(found) or "nothing"
