"""Stubs for functions of pflow: the first call of any puts all of pflow's own functions back, and then calls a hook."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple


class _Stub(NamedTuple):
    owner: Any
    name: str
    own: Any
    """What pflow has there."""
    placed: Any
    """What stands there in its place."""


_stubs: list[_Stub] = []
_lock = threading.RLock()
_is_starting = False


def install_stub(owner: Any, name: str, start: Callable[[], None]) -> None:
    """Put a stub in the place of the function `name` of `owner`; `start` runs once, before the first call of any.

    Until it has run, no other thread gets past a stub.

    Raises: KeyError, if `owner` has no such function.
    """
    own = vars(owner)[name]
    if any(found.owner is owner for found in _stubs):
        return

    def stub(*arguments: Any, **keywords: Any) -> Any:
        with _lock:
            if _stubs and not _is_starting:
                _start(start)
        # While it starts, which calls this, too, or where somebody has put a stub back: pflow's own.
        found = own if vars(owner)[name] is placed else vars(owner)[name]
        return function_of(found)(*arguments, **keywords)

    placed = staticmethod(stub) if isinstance(own, staticmethod) else stub
    setattr(owner, name, placed)
    _replace_copies(owner, name, own, stub)  # pflow may have been imported before
    _stubs.append(_Stub(owner, name, own, placed))


def _start(start: Callable[[], None]) -> None:
    global _is_starting
    _is_starting = True
    try:
        start()
    finally:
        _is_starting = False
        remove_stubs()


def without_stub(found: Any) -> Any:
    """What pflow has where `found` stands, which may be a stub."""
    return next((stub.own for stub in _stubs if stub.placed is found), found)


def function_of(found: Any) -> Any:
    """The function behind what a class or a module has: a static method is not one itself."""
    return getattr(found, "__func__", found)


def remove_stubs() -> None:
    """Put pflow's own functions back, where a stub still stands or has been copied to."""
    with _lock:
        while _stubs:
            owner, name, own, placed = _stubs.pop()
            if vars(owner).get(name) is placed:
                setattr(owner, name, own)
            _replace_copies(owner, name, placed, own)


def _replace_copies(owner: Any, name: str, old: Any, new: Any) -> None:
    """Put `new` where modules have copied the function `name` of the module `owner`, which was `old`."""
    for module in list(sys.modules.values()) if isinstance(owner, ModuleType) else ():
        if getattr(module, "__dict__", {}).get(name) is old:
            setattr(module, name, new)
