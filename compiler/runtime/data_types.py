"""What the data of nodes and batches is called in annotations."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, TypedDict

Shared = MutableMapping[str, Any]
"""PocketFlow's shared store."""

Params = dict[str, Any]
"""The parameters of a node."""

Items = list[Any]
"""The items of a batch."""

Result = dict[str, Any]
"""What one item gave: the inner node's outputs, `item` and `original_index`."""

Results = list["Result | None"]
"""A result per item that was started, in the order of the items; None for a failed one."""


class RayOptions(TypedDict, total=False):
    """What an item needs on Ray: whole or part processors and GPUs, bytes of memory, Ray's own `runtime_env`."""

    num_cpus: float
    num_gpus: float
    memory: float
    runtime_env: dict[str, Any]
