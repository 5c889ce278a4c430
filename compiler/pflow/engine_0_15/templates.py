"""Templates that pflow before the reference version reads differently from generated code.

Up to pflow 0.15 there are no escapes, a reference in an index is replaced by its text before the rest is read, and a
malformed expression stays as it is even beside one that has no value. A batch with any of these is left to the
interpreter. These versions also look at the resulting text to tell whether every reference had a value, and a value may
itself hold something that looks like a reference: the parameters of such an item are left to pflow's own resolver.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...ir.template import DynamicIndex, Template, templates
from ...node_types.pflow_types import pflow_type
from ...runtime import Call
from ..engine_0_16.engine import PflowEngine


class OlderEngine(PflowEngine):
    """pflow 0.15 around one run of one batch node."""

    def prepare(self, call: Call, inner: Any, store: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        """As in later versions, unless a value looks like a template.

        Raises: ValueError, if pflow takes it for one that has no value, in strict mode.
        """
        if _has_opening([params[key] for key in self.templates]):
            params = self.resolve_with_pflow(call, store)
        return super().prepare(call, inner, store, params)


def why_different(node: Mapping[str, Any]) -> str:
    """Why pflow 0.15 may read the templates of a batch node of an IR in its own way; "" if it does not."""
    found = _differences(node)
    return f"it has {found}, which this pflow reads in its own way" if found else ""


def _differences(node: Mapping[str, Any]) -> str:
    params = node.get("params") or {}
    for _, template in (*templates(params), *templates(node["batch"].get("items"))):
        why = _difference(template)
        if why:
            return why
    known = pflow_type(node["type"])
    for key in sorted(known.text_containers) if known is not None else ():
        if any(templates(params.get(key))):
            return f"templates in {key}"
    return ""


def _difference(template: Template) -> str:
    if template.escaped:
        return "an escaped $${...}"
    if template.issues:
        return "a malformed ${...}"
    for reference in template.references():
        if any(isinstance(step, DynamicIndex) for step in reference.path):
            return "a reference inside an index"
    return ""


def _has_opening(value: Any) -> bool:
    """Whether there is a `${` in a string anywhere inside `value`, which may hold itself."""
    todo, seen = [value], set()
    while todo:
        at = todo.pop()
        if isinstance(at, str):
            if "${" in at:
                return True
        elif isinstance(at, (dict, list)) and id(at) not in seen:
            seen.add(id(at))
            todo += at.values() if isinstance(at, dict) else at
    return False
