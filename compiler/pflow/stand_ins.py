"""The functions of pflow that have a stand-in until the step is installed, and pflow's own, to be put back."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

lock = threading.RLock()
"""Held while stand-ins are taken away and the step is installed in their place."""

_standing_in: list[tuple[Any, str, Any, Any]] = []


def put(owner: Any, name: str, stand_in: Callable[..., Any]) -> None:
    """Let `stand_in` be the function `name` of `owner`, a module or a class, also where modules have copied it."""
    raw = vars(owner)[name]
    setattr(owner, name, staticmethod(stand_in) if isinstance(raw, staticmethod) else stand_in)
    _replace_copies(owner, name, raw, stand_in)  # pflow may have been imported before
    _standing_in.append((owner, name, raw, stand_in))


def is_put(owner: Any) -> bool:
    """Whether a function of `owner` has a stand-in."""
    return any(found[0] is owner for found in _standing_in)


def any_is_put() -> bool:
    """Whether there is a stand-in anywhere."""
    return bool(_standing_in)


def stand_down() -> None:
    """Put pflow's own functions back, wherever a stand-in has been copied to as well."""
    with lock:
        while _standing_in:
            owner, name, raw, stand_in = _standing_in.pop()
            setattr(owner, name, raw)
            _replace_copies(owner, name, stand_in, raw)


def _replace_copies(owner: Any, name: str, old: Any, new: Any) -> None:
    """Put `new` where modules have copied the function `name` of the module `owner`, which was `old`."""
    for module in list(sys.modules.values()) if isinstance(owner, ModuleType) else ():
        if getattr(module, "__dict__", {}).get(name) is old:
            setattr(module, name, new)
