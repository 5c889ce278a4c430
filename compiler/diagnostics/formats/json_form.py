"""Findings as JSON; findings.schema.json says what is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ..diagnostic import Diagnostic

_HALF = re.compile("[\ud800-\udfff]")


def as_json(found: Sequence[Diagnostic]) -> str:
    """A list with one object per finding, in the order of `found`."""
    return json_text([finding.to_json() for finding in found])


def json_text(data: Any) -> str:
    """`data` as JSON that UTF-8 can hold: halves of surrogate pairs, as in odd file names, are escaped."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
