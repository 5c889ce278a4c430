"""A compiled workflow of pflow 0.15 and its generated classes: as in the present version, but for its templates."""

from __future__ import annotations

from typing import Any

from pflow.runtime.engine.types import CompiledWorkflow

from ..engine_0_16.adapter import (
    Original,
    TemplateDialect,
    compile_for,
    execute,
    key_with_captured,
    known_to_schema,
    run_of_workflow,
    validated,
)
from .templates import OlderEngine, why_different

__all__ = [
    "compiled_with_classes",
    "execute",
    "key_with_captured",
    "known_to_schema",
    "run_of_workflow",
    "validated",
]

DIALECT = TemplateDialect(OlderEngine, why_different)


def compiled_with_classes(original: Original, ir_json: Any, *arguments: Any, **keywords: Any) -> CompiledWorkflow:
    """`compile_workflow`, and then: every batch that can be lowered gets its generated class. See `compile_for`."""
    return compile_for(DIALECT, original, ir_json, *arguments, **keywords)
