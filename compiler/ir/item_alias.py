"""What an item may be called (`as`)."""

from __future__ import annotations

import re

from .batch_keys import NAME, default

RENAME_ITEM = 'give the item another name with "as"'
"""What to do where something else has its name."""


def is_name(alias: str) -> bool:
    """Whether `as` may be `alias`."""
    return NAME.search(alias) is not None


def name_like(alias: str) -> str:
    """The name for an item that is nearest to `alias`: my_item for my-item."""
    name = re.sub(r"[^a-zA-Z0-9_]", "_", alias.strip()) or str(default("as"))
    return f"_{name}" if name[0].isdigit() else name
