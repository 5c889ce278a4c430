"""The declared inputs of a workflow: what a run has where nobody has given one."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping
from typing import Any

Inputs = Mapping[str, Mapping[str, Any]]
"""The declared inputs of a workflow by name."""


def fill_in(given: MutableMapping[str, Any], inputs: Inputs, how: str) -> None:
    """Give every declared input that is not there its default, and None to one that may be left out.

    `how` says how one is given, with {name} in it. Raises: ValueError, if one that is required is missing; then nothing
    is filled in.
    """
    missing = {name: spec for name, spec in inputs.items() if name not in given}
    for name, spec in missing.items():
        if is_required(spec):
            raise ValueError(
                f"the input {name} is missing: {spec.get('description') or name}; give it as {how.format(name=name)}"
            )
    for name, spec in missing.items():
        given[name] = copy.deepcopy(spec.get("default"))  # a node may change what it is given; the next run has its own


def is_required(spec: Mapping[str, Any]) -> bool:
    """Whether a run has to be given the input."""
    return bool(spec.get("required", True)) and "default" not in spec
