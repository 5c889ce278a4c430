"""Templates that pflow before 0.16 reads differently from generated code, which keeps to 0.16.

Up to 0.15 there are no escapes, a reference in an index is put in as text before the rest is looked at, and a
malformed expression stays as it is even beside one that has no value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..expressions import DynamicIndex, Template, templates


def read_otherwise(node: Mapping[str, Any]) -> str:
    """Why pflow 0.15 may read the templates of a batch node of an IR otherwise; "" if it does not."""
    params = node.get("params") or {}
    for _, template in (*templates(params), *templates(node["batch"].get("items"))):
        why = _otherwise(template)
        if why:
            return f"it has {why}, which this pflow reads in its own way"
    if node["type"] == "shell" and any(templates(params.get("env"))):
        return "it has templates in env, which this pflow reads in its own way"
    return ""


def _otherwise(template: Template) -> str:
    if template.escaped:
        return "an escaped $${...}"
    if template.issues:
        return "a malformed ${...}"
    for reference in template.references():
        if any(isinstance(step, DynamicIndex) for step in reference.path):
            return "a reference inside an index"
    return ""
