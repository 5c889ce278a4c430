"""Switching the step on when pflow is about to compile its first workflow, and not earlier.

pflow's modules can only be wrapped once they are there, and importing them costs time that `pflow --help`
and programs without pflow must not pay. So an import hook waits for the modules through which every
run goes (two in each version), and leaves a stand-in there for one function each; the first call of either
installs the step.

`enable` (see `enable.py`) puts the same hook into a Python environment.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .install import install, is_installed
from .messages import say
from .stand_ins import any_is_put, is_put, lock, put, stand_down

WATCHED = {
    "pflow.runtime.compilation.compiler": ("", "compile_workflow"),
    "pflow.core.workflow.validator": ("WorkflowValidator", "validate"),
    "pflow.runtime.compiler": ("", "compile_ir_to_flow"),  # up to 0.10, like the next
    "pflow.core.workflow_validator": ("WorkflowValidator", "validate"),
}
"""Module -> class in it (or none) and the function whose first call installs the step."""

_looking: set[str] = set()


class Finder:
    """An import hook for the modules of `WATCHED`; it has no opinion on any other."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """The module's ordinary spec, with a loader that leaves a stand-in behind."""
        return watched(cls, name, path) if name in WATCHED else None


def watch() -> None:
    """Install the step in this process as soon as pflow needs it; nothing is imported before."""
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


def _owner(module: ModuleType, name: str) -> Any:
    return getattr(module, name) if name else module


def _stand_in(owner: Any, name: str) -> None:
    if is_installed() or is_put(owner):
        return

    def stand_in(*arguments: Any, **keywords: Any) -> Any:
        _start()
        return getattr(owner, name)(*arguments, **keywords)

    put(owner, name, stand_in)


def _start() -> None:
    with lock:
        if not any_is_put():
            return
        stand_down()
        try:
            install()
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever is wrong with the step, pflow runs without it
            say(f"pflow runs without the step: {error or type(error).__name__}")
