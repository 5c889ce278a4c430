"""The declared inputs of a workflow: the value of one that is given as a text, and of one that is not given."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

Inputs = Mapping[str, Mapping[str, Any]]
"""The declared inputs of a workflow by name."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def fill_in(given: MutableMapping[str, Any], inputs: Inputs, how: str) -> None:
    """Give every declared input that is not there its default, and None to one that may be left out.

    `how` says how one is given, with {name} in it. Raises: ValueError, if one that is required is missing; then nothing
    is filled in.
    """
    missing = {name: spec for name, spec in inputs.items() if name not in given}
    for name, spec in missing.items():
        if is_required(spec):
            about = _first_paragraph(str(spec.get("description") or "")) or name
            raise ValueError(f"the input {name} is missing: {about}; give it as {how.format(name=name)}")
    for name, spec in missing.items():
        given[name] = default_of(name, spec)


def _first_paragraph(text: str) -> str:
    """What `text` says first, on one line and without its full stop; authors break lines where they like."""
    paragraph = re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0]
    return " ".join(paragraph.split()).removesuffix(".")


def is_required(spec: Mapping[str, Any]) -> bool:
    """Whether a run has to be given the input."""
    return bool(spec.get("required", True)) and "default" not in spec


def default_of(name: str, spec: Mapping[str, Any]) -> Any:
    """The value of the input `name` in a run that gives none; each run has its own, which a node may change.

    As pflow does: a default of another type than the input's is read as one if it is text, and written as text if that
    is the type. What cannot be converted stays as it is.
    """
    default, declared = copy.deepcopy(spec.get("default")), spec.get("type")
    if isinstance(default, str) and declared not in ("string", "any", None):
        with contextlib.suppress(ValueError):
            return typed(name, default, declared)
    if declared == "string" and not isinstance(default, str | None):
        return json.dumps(default) if isinstance(default, dict | list) else str(default)
    return default


def typed(name: str, text: str, declared: str | None) -> Any:
    """The value that `text` is for the input `name` of a `declared` type; without one, what it looks like.

    As pflow's command takes it: `any` may be a number, true, false, an array or an object; all else is text.

    Raises: ValueError, if it is not of that type.
    """
    if text == "" and declared not in (None, "string", "any"):
        raise ValueError(f"the input {name} needs a value of type {declared}: {name}=...")
    try:
        if declared == "integer":
            return int(text)
        if declared == "number":
            return float(text)
        if declared == "boolean":
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
        if declared in ("array", "object"):
            value = json.loads(text)
            if not isinstance(value, list if declared == "array" else dict):
                raise ValueError(text)
            return value
    except (ValueError, KeyError, RecursionError):
        raise ValueError(f"the input {name} must be of type {declared}, not {text[:200]!r}") from None
    return text if declared == "string" else _looks_like(text)


def _looks_like(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if not (_NUMBER.fullmatch(text) or text.startswith(("[", "{"))):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
