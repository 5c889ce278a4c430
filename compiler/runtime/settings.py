"""The settings of a batch annotation, as attributes of a generated class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .data_types import RayOptions
from .engine import POCKETFLOW, Engine

if TYPE_CHECKING:
    from .call import Call


class BatchSettings:
    """What a batch annotation can say, and what holds where it says nothing."""

    node_id: str = ""
    """The node's id: its outcome is written to `shared[node_id]`."""
    alias: str = "item"
    """What the annotation calls an item (`as`)."""
    aliases: Sequence[str] = ()
    """Where batches stand inside each other: what the item of each is called; `items` are objects of them."""
    items: str = ""
    """The reference that the items come from, or the path of their file, for messages; "" if they are written out."""
    results: str | None = None
    """The path of the file that the results go to, as the annotation says it; `prep` says where that is."""
    max_concurrent: int | str = 10
    max_retries: int = 1
    retry_wait: float = 0
    error_handling: str = "fail_fast"
    rate: str | None = None
    """How often calls start, "60/min", or the name of a budget that all processes share."""
    shared_rate: str | None = None
    """The rate of that budget."""
    shared_max_concurrent: int | None = None
    """How many calls under that budget run at once."""
    timeout: float | None = None
    retry_backoff: str = "fixed"
    tolerated_failures: int | str | None = None
    resume: bool = False
    key: str | None = None
    """The template of an item's name, for messages; `name_item` computes it."""
    own_attempts: int | None = None
    """How often the inner node tries by itself (the node's `retry`); None leaves it to its class, as do the next."""
    own_wait: float | None = None
    own_backoff: str | None = None
    ray_options: RayOptions = RayOptions()
    """What each item needs on Ray."""
    namespaced: bool = True
    """Whether nodes see each other's outputs under their ids only."""
    parallel: bool = False
    engine: Engine = POCKETFLOW
    """What runs the batch around it."""
    inner: Any

    @property
    def wait(self) -> float:
        """PocketFlow's name for `retry_wait`."""
        return self.retry_wait

    @wait.setter
    def wait(self, seconds: float) -> None:
        self.retry_wait = seconds

    def name_item(self, call: Call) -> str:
        """What `key` calls the item of `call`. Generated classes with a `key` say how."""
        raise NotImplementedError


def tolerated_of(declared: int | str | None, items: int | None) -> int | None:
    """How many of so many items may fail: a number, or a share as in "10%"; None as long as that is not known."""
    if isinstance(declared, str):
        share = int(declared.removesuffix("%"))
        return 0 if not share else None if items is None else items * share // 100
    return declared


def names_items(node: BatchSettings) -> bool:
    """Whether `node` says what its items are called."""
    return getattr(node.name_item, "__func__", None) is not BatchSettings.name_item


def generated_class(cls: type) -> type:
    """The generated class that `cls` is, or is derived from."""
    said = (base for base in reversed(cls.__mro__) if "node_id" in vars(base) and base is not BatchSettings)
    return next(said, cls)


def file_of(cls: type) -> str:
    """The file of the generated class that `cls` is, or is derived from."""
    code = getattr(vars(generated_class(cls)).get("prep"), "__code__", None)
    return code.co_filename if code is not None else ""
