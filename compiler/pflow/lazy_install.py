"""Switching pflow-lower on when pflow is about to compile its first workflow, and not earlier.

pflow's modules can only be wrapped once they are imported, which takes time that `pflow --help` and programs without
pflow must not pay. So an import hook waits for the modules through which every run goes (a few in each version), and
puts a stub in the place of one function of each; the first call of a stub installs pflow-lower.

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
from .messages import say_off
from .stubs import install_stub

STUBBED = {
    "pflow.runtime.compilation.compiler": ("", "compile_workflow"),
    "pflow.core.workflow.validator": ("WorkflowValidator", "validate"),
    "pflow.core.workflow.save_service": ("", "validate_ir"),  # `pflow save` asks the schema alone
    "pflow.runtime.workflow_executor": ("WorkflowExecutor", "prep"),  # a program's step that starts a workflow
    "pflow.runtime.compiler": ("", "compile_ir_to_flow"),  # up to 0.10, like the next
    "pflow.core.workflow_validator": ("WorkflowValidator", "validate"),
}
"""Module -> class in it (or none) and the function whose first call installs pflow-lower."""

_being_found: set[str] = set()


class Finder:
    """An import hook for the modules of `STUBBED`; it has no opinion on any other."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """The module's ordinary spec, with a loader that leaves a stub behind."""
        return spec_with_stub(cls, name, path) if name in STUBBED else None


def install_when_imported() -> None:
    """Install pflow-lower in this process as soon as pflow needs it; nothing is imported before."""
    for name in STUBBED:
        if name in sys.modules:
            _leave_stub(sys.modules[name], name)
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)


def spec_with_stub(hook: Any, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """What the import hooks other than `hook` find for `name`, prepared for a stub."""
    spec: ModuleSpec | None = None
    if name in _being_found:  # another hook of ours is at it
        return None
    _being_found.add(name)
    try:
        spec = _spec(hook, name, path)
    finally:
        _being_found.discard(name)
    if spec is None or spec.loader is None:
        return spec
    loader: Any = spec.loader
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        with contextlib.suppress(Exception):  # a pflow without the function runs as it is
            _leave_stub(module, name)

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


def _leave_stub(module: ModuleType, name: str) -> None:
    owner, function = STUBBED[name]
    if not is_installed():
        install_stub(getattr(module, owner) if owner else module, function, _start)


def _start() -> None:
    try:
        install()
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever is wrong with pflow-lower, pflow must run
        say_off(str(error) or type(error).__name__)
