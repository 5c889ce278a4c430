"""The names of items, where the annotation has a `key`: no two may have the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .call import Call

if TYPE_CHECKING:
    from .batch import Batch


def check_names(batch: Batch, items: list[Any]) -> None:
    """Raises: ValueError, if two items have the same name."""
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        name = batch.name_of(Call(batch, index, item))
        if name in seen:
            raise ValueError(one_name(batch, seen[name], index, name))
        seen[name] = index


def one_name(batch: Batch, first: int, second: int, name: str) -> str:
    """What is said of two items, by their indexes, that have the same name: it stands under `key` in results."""
    both = f"the items [{first}] and [{second}]{batch.places_of(first, second)} have the same key, {name!r}"
    return f"{batch.node_id}: {both}: `key` must tell all items apart"
