"""The versions of pflow that pflow-lower supports, and what it wraps in each.

A version gets into the table when `tests/test_versions.py` has run pflow-lower in it. What is not in the table is
refused, even where pflow has functions of the same names, which do other things there. Up to 0.10 pflow's executor has
another design; from 0.11 to 0.14, its records of failed items, warnings and trace differ from those of generated
classes.
"""

from __future__ import annotations

import functools
import sys
from typing import NamedTuple

from ..node_types.pflow_types import REFERENCE


class Unsupported(RuntimeError):
    """This pflow is not one that pflow-lower supports."""


class Wrapped(NamedTuple):
    """One function of pflow and what wraps it."""

    wrapper: str
    """The name of a function of the version's adapter."""
    name: str
    modules: tuple[str, ...]
    """Where it is found: the first must have it, the others may have copied it."""
    owner: str = ""
    """The class that it belongs to, or none."""


class SupportedPflow(NamedTuple):
    """A series of versions: all that begin with its number."""

    series: str
    adapter: str
    """The module of this package that knows them."""
    wrapped: tuple[Wrapped, ...]


_ENGINE = (
    Wrapped(
        "compiled_with_classes",
        "compile_workflow",
        (
            "pflow.runtime.compilation.compiler",
            "pflow.runtime.compilation",
            "pflow.runtime",
            "pflow.runtime.workflow_executor",
        ),
    ),
    Wrapped("execute", "execute_batch", ("pflow.runtime.engine.batch_executor", "pflow.runtime.engine.engine")),
    Wrapped("key_with_captured", "_compute_memo_cache_key", ("pflow.runtime.engine.instrumentation",)),
    Wrapped("run_of_workflow", "run", ("pflow.runtime.engine.engine",), "WorkflowEngine"),
    Wrapped("validated", "validate", ("pflow.core.workflow.validator",), "WorkflowValidator"),
    Wrapped(
        "known_to_schema",
        "validate_ir",
        (
            "pflow.core.ir_schema",
            "pflow.core",
            "pflow.core.workflow.save_service",
            "pflow.runtime.workflow_executor",
        ),
    ),
)
_DATA_FLOW = Wrapped("data_flow_of_known_names", "validate_data_flow", ("pflow.core.workflow.data_flow",))
"""What the compiler of the reference version asks by itself, after the validator."""
_WRAPPERS = (
    Wrapped(
        "compiled_with_classes",
        "compile_ir_to_flow",
        ("pflow.runtime.compiler", "pflow.runtime", "pflow.runtime.workflow_executor"),
    ),
    Wrapped("validated", "validate", ("pflow.core.workflow_validator",), "WorkflowValidator"),
)
SERIES = (
    SupportedPflow("0.8.1", "engine_0_8.adapter", _WRAPPERS),
    SupportedPflow("0.15", "engine_0_15.adapter", _ENGINE),
    SupportedPflow(REFERENCE, "engine_0_16.adapter", (*_ENGINE, _DATA_FLOW)),
)
SUPPORTED = f"pflow-lower supports pflow {', '.join(known.series for known in SERIES[:-1])} and {SERIES[-1].series}"


@functools.cache
def supported_here() -> SupportedPflow:
    """What the table says of the pflow of this Python.

    Raises: Unsupported, if it is not in the table.
    """
    version = installed()
    if version is None:  # a pflow that was not installed by pip, or none: whoever looks for its functions finds out
        return SERIES[-1]
    for known in SERIES:
        if f"{version}.".startswith(f"{known.series}."):
            return known
    raise Unsupported(f"this is pflow {version}; {SUPPORTED}")


def installed() -> str | None:
    """The version of pflow; None if it is not installed as a distribution."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pflow-cli")
    except PackageNotFoundError:
        return None


def described() -> str:
    """The pflow of this Python in words."""
    version = installed()
    return f"this Python ({sys.executable})" if version is None else f"pflow {version}"
