"""What of a batch annotation pflow knows, and what it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .batch_keys import BATCH_KEYS


def without_ours(batch: Mapping[str, Any]) -> dict[str, Any]:
    """An annotation as pflow's own validator may see it.

    pflow needs `items`: a path stands for those of a file, as the one item of a list, so that what the path refers to
    is looked at.
    """
    ours = ours_in(batch)
    seen = {key: value for key, value in batch.items() if key not in ours}
    return {"items": [batch["items"].get("file", "")], **seen} if "items" in ours else seen


def ours_in(batch: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of an annotation that pflow does not know, or has no such value for."""
    return tuple(row.key for row in BATCH_KEYS if row.key in batch and row.is_ours(batch[row.key]))
