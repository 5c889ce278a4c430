"""What generated code imports, and what programs that use generated classes may: the rest is the runtime's own.

Needs the standard library and pocketflow only, so that `--standalone` can copy it beside the
generated files.
"""

from .batch import Batch
from .batch_nodes import ConcurrentBatchNode, InnerNode, SequentialBatchNode, ThreadedBatchNode, retrying
from .call import Call
from .data_types import Items, Params, RayOptions, Result, Results, Shared
from .engine import Engine
from .missing import Missing, ParameterError, Unresolved
from .program import AsyncStep, AsyncWorkflow, Step, Workflow, no_class
from .program_run import run_program
from .start import beside, class_path, own_path
from .streams import ItemsFile, ResultsFile
from .values import (
    Capture,
    all_found,
    as_dict,
    as_json_text,
    as_list,
    as_text,
    capture,
    find,
    first,
    found_or,
    if_any_ran,
    items_of,
    joined,
    none_unless_run,
    parsed,
    peek,
    position,
    text,
    with_inputs,
)

__all__ = [
    "AsyncStep",
    "AsyncWorkflow",
    "Batch",
    "Call",
    "Capture",
    "ConcurrentBatchNode",
    "Engine",
    "InnerNode",
    "Items",
    "ItemsFile",
    "Missing",
    "ParameterError",
    "Params",
    "RayOptions",
    "Result",
    "Results",
    "ResultsFile",
    "SequentialBatchNode",
    "Shared",
    "Step",
    "ThreadedBatchNode",
    "Unresolved",
    "Workflow",
    "all_found",
    "as_dict",
    "as_json_text",
    "as_list",
    "as_text",
    "beside",
    "capture",
    "class_path",
    "find",
    "first",
    "found_or",
    "if_any_ran",
    "items_of",
    "joined",
    "no_class",
    "none_unless_run",
    "own_path",
    "parsed",
    "peek",
    "position",
    "retrying",
    "run_program",
    "text",
    "with_inputs",
]
