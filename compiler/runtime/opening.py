"""The start of a batch: its items as `prep` found them, or why they are none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .batch import Batch
from .data_types import Shared
from .missing import Missing
from .overrides import check_settings
from .run import current_run
from .settings import BatchSettings
from .streams import ItemsFile, ResultsFile
from .value_text import described
from .values import Capture, as_items


def open_batch(
    node: BatchSettings, shared: Shared, items: Any, captures: Mapping[str, Capture], results: ResultsFile | None = None
) -> Batch:
    """Start a run over `items`, a list, a JSON array in a string or a file; `captures` are there for every call.

    Raises: ValueError, if `items` or a path were not found in the store, or a setting is wrong; TypeError, if they are
    not a list or not text.
    """
    check_settings(node)
    if results is not None:
        _check_path(node.node_id, "results", results.path, node.results)
    run = current_run()
    if isinstance(items, ItemsFile):
        _check_path(node.node_id, "items", items.path, node.items)
        batch = Batch(node, shared, items, captures, results)
        batch.limit = None if run is None else run.limit
        node.engine.open(batch)
        return batch
    items = as_items(items)
    engine = node.engine
    if isinstance(items, Missing) or items is None:
        raise ValueError(
            engine.items_error(
                f"Node '{node.node_id}': batch items template '{node.items}' resolved to None. "
                "Ensure the referenced node output exists.",
                node.items,
                shared,
            )
        )
    items = engine.as_items(items)
    if not isinstance(items, list):
        raise TypeError(
            engine.items_error(
                f"Node '{node.node_id}': batch items must be an array, got {type(items).__name__}. "
                f"Template '{node.items}' resolved to: {described(items)}{_make_a_list(items)}",
                node.items,
                shared,
            )
        )
    first = items if run is None or run.limit is None else items[: run.limit]
    batch = Batch(node, shared, first, captures, results)
    if len(first) < len(items):
        batch.limited_from = len(items)
        batch.is_limited = True
    engine.open(batch)
    return batch


def _check_path(node_id: str, key: str, path: Any, written: str | None) -> None:
    """Raises: ValueError, if what the path of a file refers to is not there; TypeError, if it is not text."""
    if isinstance(path, Missing):
        missing = path.reference(lambda _: "")
        raise ValueError(f"Node '{node_id}': the file of `{key}` is {written}, and ${{{missing}}} was not found")
    if not isinstance(path, str) or not path:
        found = "empty" if path in ("", None) else f"a {type(path).__name__}"
        raise TypeError(f"Node '{node_id}': the file of `{key}` is {written}, and that must be a path, not {found}")


def _make_a_list(items: Any) -> str:
    """What to do about items that are many, but not a list."""
    if isinstance(items, Iterable) and not isinstance(items, (str, bytes, bytearray, Mapping)):
        return ". Make a list of it: list(...)"
    return ""
