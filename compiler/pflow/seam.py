"""Where the step meets pflow: four functions of pflow that are wrapped, and nothing else.

`compile_workflow`          every batch node of a compiled workflow gets its generated class
`execute_batch`             a batch that has one runs it
`_compute_memo_cache_key`   the key of a cached batch covers the values that it captures
`WorkflowValidator.validate`  does not see the names that pflow-lower adds to the template language

pflow validates the author's own workflow with its own messages; trace, cost, progress, `--dry-run`,
`--only` and resume see the batch node that they always saw.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

_COMPILE = "compile_workflow"
_COMPILE_HOMES = (
    "pflow.runtime.compilation.compiler",
    "pflow.runtime.compilation",
    "pflow.runtime",
    "pflow.runtime.workflow_executor",
)
_EXECUTE = "execute_batch"
_EXECUTE_HOMES = ("pflow.runtime.engine.batch_executor", "pflow.runtime.engine.engine")
_KEY = "_compute_memo_cache_key"
_KEY_HOMES = ("pflow.runtime.engine.instrumentation",)
_VALIDATE = "validate"
_VALIDATE_HOME = ("pflow.core.workflow.validator", "WorkflowValidator")

_replaced: list[tuple[Any, str, Any]] = []


class Unsupported(RuntimeError):
    """This pflow is not one that the step knows."""


def install() -> None:
    """Switch the step on in this process; a second time changes nothing.

    Raises: Unsupported, if pflow is missing or has no such functions; then nothing is changed.
    """
    if _replaced:
        return
    _refuse_other_versions()
    import http.client  # noqa: F401  pflow's first registry scan can shadow the standard library's http

    found: list[tuple[Any, str]] = [
        (module, name)
        for modules, name in ((_COMPILE_HOMES, _COMPILE), (_EXECUTE_HOMES, _EXECUTE), (_KEY_HOMES, _KEY))
        for module in _homes(modules, name)
    ]
    found.append((_validator(), _VALIDATE))
    try:
        from . import attach
    except ImportError as error:
        raise Unsupported(f"{_version()} is not built as expected ({error}); {_SUPPORTED}") from error
    from .startup import stand_down

    stand_down()  # before the originals are read: a stand-in is none
    wrappers: dict[str, Callable[..., Any]] = {
        _COMPILE: attach.compiled_with_classes,
        _EXECUTE: attach.execute,
        _KEY: attach.key_with_captured,
        _VALIDATE: attach.validated,
    }
    for owner, name in found:
        raw, original = vars(owner)[name], getattr(owner, name)
        wrapped = _wrapped(wrappers[name], original)
        _replaced.append((owner, name, raw))
        setattr(owner, name, staticmethod(wrapped) if isinstance(raw, staticmethod) else wrapped)


def uninstall() -> None:
    """Switch the step off again; workflows that are compiled already keep their generated classes."""
    from .startup import stand_down

    stand_down()
    while _replaced:
        owner, name, original = _replaced.pop()
        setattr(owner, name, original)


def is_installed() -> bool:
    """Whether the step is on in this process."""
    return bool(_replaced)


def _wrapped(wrapper: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        return wrapper(original, *arguments, **keywords)

    call.__name__ = original.__name__
    call.__doc__ = original.__doc__
    return call


def _homes(modules: tuple[str, ...], name: str) -> list[ModuleType]:
    """The modules that hold the function `name`; the first one must."""
    try:
        homes = [import_module(module) for module in modules]
    except ImportError as error:
        raise Unsupported(f"{_version()} has no {error.name or modules[0]}; {_SUPPORTED}") from error
    if name not in vars(homes[0]):
        raise Unsupported(f"{_version()} has no {modules[0]}.{name}; {_SUPPORTED}")
    return [home for home in homes if name in vars(home)]


def _validator() -> Any:
    module = _homes(_VALIDATE_HOME[:1], _VALIDATE_HOME[1])[0]
    validator = getattr(module, _VALIDATE_HOME[1])
    if _VALIDATE not in vars(validator):
        raise Unsupported(f"{_version()} has no {'.'.join(_VALIDATE_HOME)}.{_VALIDATE}; {_SUPPORTED}")
    return validator


_SUPPORTED = "pflow-lower's step knows pflow 0.16"


def _refuse_other_versions() -> None:
    """Other versions have functions of the same names that do other things: escapes in 0.15, for one."""
    version = _version()
    if version.startswith("pflow ") and not version.startswith("pflow 0.16"):
        raise Unsupported(f"this is {version}; {_SUPPORTED}")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"pflow {version('pflow-cli')}"
    except PackageNotFoundError:
        return f"this Python ({sys.executable})"
