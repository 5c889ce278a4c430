"""Stubs in the place of functions of pflow: the first call of one puts all of pflow's own back and starts something."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

_stubs: list[tuple[Any, str, Any, Any]] = []
"""Owner and name of the function, pflow's own, and the stub."""
_lock = threading.RLock()


def install_stub(owner: Any, name: str, start: Callable[[], None]) -> None:
    """Put a stub in the place of the function `name` of `owner`; `start` runs once, before the first call of any.

    Raises: KeyError, if `owner` has no such function.
    """
    raw = vars(owner)[name]
    if any(found[0] is owner for found in _stubs):
        return

    def stub(*arguments: Any, **keywords: Any) -> Any:
        with _lock:
            if _stubs:
                remove_stubs()
                start()
        return getattr(owner, name)(*arguments, **keywords)

    setattr(owner, name, staticmethod(stub) if isinstance(raw, staticmethod) else stub)
    _replace_copies(owner, name, raw, stub)  # pflow may have been imported before
    _stubs.append((owner, name, raw, stub))


def remove_stubs() -> None:
    """Put pflow's own functions back, wherever a stub has been copied to as well."""
    with _lock:
        while _stubs:
            owner, name, raw, stub = _stubs.pop()
            setattr(owner, name, raw)
            _replace_copies(owner, name, stub, raw)


def _replace_copies(owner: Any, name: str, old: Any, new: Any) -> None:
    """Put `new` where modules have copied the function `name` of the module `owner`, which was `old`."""
    for module in list(sys.modules.values()) if isinstance(owner, ModuleType) else ():
        if getattr(module, "__dict__", {}).get(name) is old:
            setattr(module, name, new)
