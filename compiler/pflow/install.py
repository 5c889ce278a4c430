"""Where pflow-lower meets pflow: a few functions of pflow that are wrapped, and nothing else.

compile     every batch node of a compiled workflow gets its generated class
execute     a batch that has one runs it
run         a run of a workflow, sub-workflows included, has one journal, budget and limit
memo key    the key of a cached batch covers the values that it captures
validate    does not see the names and keys that pflow-lower adds
schema      does not see those keys either, where pflow asks it alone

Which functions these are in which version stands in `versions.py`. pflow validates the author's own workflow
with its own messages; trace, cost, progress, `--dry-run`, `--only` and resume see the batch node that they
always saw.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from .stubs import function_of, remove_stubs, without_stub
from .versions import SUPPORTED, Unsupported, Wrapped, described, supported_here

_replaced: list[tuple[Any, str, Any]] = []


class _PatchTarget(NamedTuple):
    owner: Any
    name: str
    wrapper: str


def install() -> None:
    """Switch pflow-lower on in this process; a second time changes nothing.

    Raises: Unsupported, if pflow is missing or not a version that pflow-lower supports; then nothing is changed.
    """
    if _replaced:
        return
    known = supported_here()

    found = [place for wrapped in known.wrapped for place in _patch_targets(wrapped)]
    try:
        adapter = import_module(f".{known.adapter}", __package__)
    except ImportError as error:
        raise Unsupported(f"{described()} is not built as expected ({error}); {SUPPORTED}") from error
    for owner, name, wrapper in found:  # at once, over the stubs: another thread must never find pflow's own there
        raw = without_stub(vars(owner)[name])
        wrapped = _wrapped(getattr(adapter, wrapper), function_of(raw))
        _replaced.append((owner, name, raw))
        setattr(owner, name, staticmethod(wrapped) if isinstance(raw, staticmethod) else wrapped)
    remove_stubs()


def uninstall() -> None:
    """Switch pflow-lower off again; workflows that are compiled already keep their generated classes."""
    remove_stubs()
    while _replaced:
        owner, name, original = _replaced.pop()
        setattr(owner, name, original)


def is_installed() -> bool:
    """Whether pflow-lower is on in this process."""
    return bool(_replaced)


def _wrapped(wrapper: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        return wrapper(original, *arguments, **keywords)

    call.__name__ = original.__name__
    call.__doc__ = original.__doc__
    return call


def _patch_targets(wrapped: Wrapped) -> list[_PatchTarget]:
    """Where pflow holds the function; the first place must."""
    first = wrapped.modules[0]
    try:
        owners: list[Any] = [import_module(first)]
    except ImportError as error:
        raise Unsupported(f"{described()} has no {error.name or first}; {SUPPORTED}") from error
    # One that is not imported yet will copy what it finds in the first by then.
    owners += [module for name in wrapped.modules[1:] if (module := sys.modules.get(name)) is not None]
    if wrapped.owner:
        owners = [getattr(owner, wrapped.owner, None) for owner in owners]
    if wrapped.name not in getattr(owners[0], "__dict__", {}):
        path = ".".join(part for part in (first, wrapped.owner, wrapped.name) if part)
        raise Unsupported(f"{described()} has no {path}; {SUPPORTED}")
    return [_PatchTarget(owner, wrapped.name, wrapped.wrapper) for owner in owners if wrapped.name in vars(owner)]
