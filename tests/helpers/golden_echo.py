"""What the stand-in nodes of the golden cases do: the same in pflow (golden_in_pflow.py) and in PocketFlow.

They give their parameters back: as data (`params`) and as text, under the names that real nodes use.
A parameter with "boom" in it fails every time, one with "flaky" the first time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

OUTPUTS = ("response", "stdout", "result", "content", "file_path")
_tried: set[str] = set()


def echo(params: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a node that ran with `params`."""
    params = {key: value for key, value in params.items() if not key.startswith("_")}  # pflow's line numbers
    shown = json.dumps(params, ensure_ascii=False, sort_keys=True)
    if "boom" in shown:
        raise RuntimeError(f"boom: {shown}")
    if "flaky" in shown and shown not in _tried:
        _tried.add(shown)
        raise RuntimeError(f"flaky: {shown}")
    return {"params": params, **{name: params.get(name, f"<{shown}>") for name in OUTPUTS}}


def forget() -> None:
    """Let every flaky call fail once more."""
    _tried.clear()


def comparable(value: Any) -> Any:
    """`value` without clocks, with exceptions as text and failures in the order of the items.

    (pflow lists the failures of a parallel batch in the order in which they happened.)
    """
    if isinstance(value, dict):
        value = {key: comparable(item) for key, item in value.items() if key != "timing"}
        if "errors" in value and "batch_metadata" in value:
            value["errors"].sort(key=lambda error: error["index"])
        return value
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return f"<{type(value).__name__}: {value}>" if isinstance(value, BaseException) else value
