"""Whether JSON can hold a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def is_json(value: Any) -> bool:
    """Whether JSON can hold `value`."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def first_not_json(values: Mapping[str, Any]) -> str | None:
    """The name of the first of `values` that JSON cannot hold, if there is one."""
    return next((name for name, value in values.items() if not is_json(value)), None)
