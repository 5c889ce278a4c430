"""Switching pflow-lower on when pflow is about to compile its first workflow, and not earlier.

pflow's modules can only be wrapped once they are there, and importing them costs time that `pflow --help`
and programs without pflow must not pay. So an import hook waits for the modules through which every
run goes (two in each version), and leaves a stand-in there for one function each; the first call of either
installs pflow-lower.

`enable` (see `enabling.py`) puts the same hook into a Python environment.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .messages import say_off

WATCHED = {
    "pflow.runtime.compilation.compiler": ("", "compile_workflow"),
    "pflow.core.workflow.validator": ("WorkflowValidator", "validate"),
    "pflow.runtime.compiler": ("", "compile_ir_to_flow"),  # up to 0.10, like the next
    "pflow.core.workflow_validator": ("WorkflowValidator", "validate"),
}
"""Module -> class in it (or none) and the function whose first call installs pflow-lower."""

_standing_in: list[tuple[Any, str, Any, Any]] = []
_looking: set[str] = set()
_lock = threading.RLock()


class Finder:
    """An import hook for the modules of `WATCHED`; it has no opinion on any other."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """The module's ordinary spec, with a loader that leaves a stand-in behind."""
        return watched(cls, name, path) if name in WATCHED else None


def watch() -> None:
    """Install pflow-lower in this process as soon as pflow needs it; nothing is imported before."""
    for name, (owner, function) in WATCHED.items():
        if name in sys.modules:
            _stand_in(_owner(sys.modules[name], owner), function)
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)


def watched(hook: Any, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """What the import hooks other than `hook` find for `name`, prepared for a stand-in."""
    spec: ModuleSpec | None = None
    if name in _looking:  # another hook of ours is at it
        return None
    _looking.add(name)
    try:
        spec = _spec(hook, name, path)
    finally:
        _looking.discard(name)
    if spec is None or spec.loader is None:
        return spec
    loader: Any = spec.loader
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        with contextlib.suppress(Exception):  # a pflow without the function runs as it is
            owner, function = WATCHED[name]
            _stand_in(_owner(module, owner), function)

    with contextlib.suppress(AttributeError):  # a loader that allows no such thing loads as it does
        loader.exec_module = exec_module
    return spec


def _spec(hook: Any, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if finder is not hook and find is not None:
            spec: ModuleSpec | None = find(name, path, None)
            if spec is not None:
                return spec
    return None


def stand_down() -> None:
    """Put pflow's own functions back, wherever a stand-in has been copied to as well."""
    with _lock:
        while _standing_in:
            owner, name, raw, stand_in = _standing_in.pop()
            setattr(owner, name, raw)
            _replace_copies(owner, name, stand_in, raw)


def _replace_copies(owner: Any, name: str, old: Any, new: Any) -> None:
    """Put `new` where modules have copied the function `name` of the module `owner`, which was `old`."""
    for module in list(sys.modules.values()) if isinstance(owner, ModuleType) else ():
        if getattr(module, "__dict__", {}).get(name) is old:
            setattr(module, name, new)


def _owner(module: ModuleType, name: str) -> Any:
    return getattr(module, name) if name else module


def _stand_in(owner: Any, name: str) -> None:
    from .install import is_installed

    raw = vars(owner)[name]
    if is_installed() or any(found[0] is owner for found in _standing_in):
        return

    def stand_in(*arguments: Any, **keywords: Any) -> Any:
        _start()
        return getattr(owner, name)(*arguments, **keywords)

    wrapped: Callable[..., Any] | staticmethod[Any, Any] = stand_in
    if isinstance(raw, staticmethod):
        wrapped = staticmethod(stand_in)
    setattr(owner, name, wrapped)
    _replace_copies(owner, name, raw, stand_in)  # pflow may have been imported before
    _standing_in.append((owner, name, raw, stand_in))


def _start() -> None:
    with _lock:
        if not _standing_in:
            return
        stand_down()
        try:
            from .install import install

            install()
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever is wrong with pflow-lower, pflow runs without it
            say_off(str(error) or type(error).__name__)
