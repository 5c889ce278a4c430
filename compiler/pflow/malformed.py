"""Which batches stay with pflow because of a malformed `${...}`: only pflow's engine knows what becomes of one.

pflow's validator refuses such text. Its engine meets it where the validator does not look: in a sub-workflow that
is chosen at run time, in a workflow that a program compiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ir.template import templates


def why_malformed(node: Mapping[str, Any]) -> str:
    """Why the batch node stays with pflow's own executor; "" if it need not."""
    for part in ("params", "batch"):
        for _, template in templates(node.get(part)):
            if template.issues:
                return f"{template.issues[0].raw[:80]!r} is malformed, which pflow's engine is to say"
    return ""
