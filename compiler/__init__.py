"""pflow-lower: compiles batch-annotated workflow nodes into readable Python.

    import pflow_lower

    lowered = pflow_lower.lower("workflow.json")
    print(lowered.files["nodes.py"])
    Classify = lowered.load()["classify"]

Names are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Lowered, lower
    from .diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity
    from .emit.evaluation import UnresolvedError, evaluate

__version__ = "0.1.0"

_HOMES = {
    "Diagnostic": "diagnostics.diagnostic",
    "LowerError": "diagnostics.diagnostic",
    "Lowered": "api",
    "Position": "diagnostics.diagnostic",
    "Severity": "diagnostics.diagnostic",
    "UnresolvedError": "emit.evaluation",
    "evaluate": "emit.evaluation",
    "lower": "api",
}

__all__ = [
    "Diagnostic",
    "LowerError",
    "Lowered",
    "Position",
    "Severity",
    "UnresolvedError",
    "__version__",
    "evaluate",
    "lower",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
