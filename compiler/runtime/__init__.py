"""Everything that generated code imports, and nothing else.

Needs the standard library and pocketflow only, so that `--standalone` can copy it beside the
generated files.
"""

from .batch import Batch, Call, Result, Results, Shared, open_batch
from .engine import Host
from .inner import run_inner, run_inner_async, with_inputs
from .loops import run_blocking
from .outcome import publish
from .program import Params, Step, no_class, retrying, run_program
from .schedule import in_order, in_tasks, in_threads
from .values import (
    MISSING,
    ParameterError,
    Unresolved,
    array,
    as_dict,
    as_list,
    as_text,
    find,
    first,
    joined,
    json_text,
    keep,
    optional,
    parsed,
    peek,
    position,
    text,
    text_at,
)

__all__ = [
    "MISSING",
    "Batch",
    "Call",
    "Host",
    "ParameterError",
    "Params",
    "Result",
    "Results",
    "Shared",
    "Step",
    "Unresolved",
    "array",
    "as_dict",
    "as_list",
    "as_text",
    "find",
    "first",
    "in_order",
    "in_tasks",
    "in_threads",
    "joined",
    "json_text",
    "keep",
    "no_class",
    "open_batch",
    "optional",
    "parsed",
    "peek",
    "position",
    "publish",
    "retrying",
    "run_blocking",
    "run_inner",
    "run_inner_async",
    "run_program",
    "text",
    "text_at",
    "with_inputs",
]
