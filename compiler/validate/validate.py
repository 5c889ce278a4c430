"""Stage 2, validate: `Document` -> `SourceIR`.

First the schema (`schema.json`, by jsonschema), then what a schema cannot say (`rules.py`). What
pflow 0.16 refuses is an error here; what pflow accepts is never more than a warning. All findings
are reported. As in pflow, where a part of the document has the wrong shape, nothing is said about
the rest that would only follow from that.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from ..diagnostics.diagnostic import Diagnostic, by_position
from ..ir.document import Document
from ..ir.paths import Path
from ..ir.report import Report
from ..ir.workflow import BatchSpec, ErrorHandling, SourceIR, SourceNode
from .rules import check_rules

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

# Where a value of the wrong shape leaves the rest of the workflow readable.
_HARMLESS_IN_NODE = frozenset({"purpose", "retry", "approval", "cache", "prewarm"})
_HARMLESS_IN_BATCH = frozenset({"items", "parallel", "max_concurrent", "max_retries", "retry_wait", "error_handling"})


def validate(document: Document) -> tuple[SourceIR | None, list[Diagnostic]]:
    """Check `document`; return the workflow and every finding, those of `load` included.

    The workflow is None if errors leave too little of it for later stages to look at; with errors
    of lesser kind it is there, so that later stages can add what they find, but must not be lowered.
    """
    report = Report(document)
    readable = True
    errors = list(_schema().iter_errors(document.data))
    if errors:
        from .schema_errors import explain

        for error in errors:
            explain(error, report)
            readable = readable and _is_harmless(error)
    ir = source_of(document) if readable else None
    if ir is not None:
        check_rules(ir, report)
    return ir, list(by_position([*document.warnings, *report.found]))


@functools.cache
def _schema() -> Validator:
    from jsonschema import Draft7Validator  # costs more than all the rest of a small workflow

    schema: dict[str, Any] = json.loads(FilePath(__file__).with_name("schema.json").read_text(encoding="utf-8"))
    validator: Validator = Draft7Validator(schema)
    return validator


def _is_harmless(error: ValidationError) -> bool:
    path: Path = tuple(error.absolute_path)
    keyword = str(error.validator)
    if keyword == "additionalProperties":
        return True
    if not path:
        return keyword == "required" and "'nodes'" not in str(error.message)
    if path[0] == "nodes" and len(path) > 2:
        if path[2] == "batch":
            if len(path) == 3:
                return keyword == "required"
            return path[3] in _HARMLESS_IN_BATCH or keyword == "pattern"  # `as`
        return path[2] in _HARMLESS_IN_NODE
    if path[0] in ("inputs", "outputs"):
        return len(path) > 2 or keyword == "required"
    return path[0] in ("ir_version", "template_resolution_mode", "mappings")


def source_of(document: Document) -> SourceIR:
    """`document`, known to be valid, with its batch annotations read."""
    return SourceIR(document=document, nodes=tuple(_nodes(document.data)))


def _nodes(data: Mapping[str, Any]) -> Iterator[SourceNode]:
    for index, node in enumerate(data["nodes"]):
        yield SourceNode(
            id=node["id"],
            type=node["type"],
            number=index,
            params=node.get("params", {}),
            batch=_batch(node["batch"]) if "batch" in node else None,
            data=node,
        )


def _batch(written: Mapping[str, Any]) -> BatchSpec:
    """The annotation with its defaults. What the schema has refused counts as not written."""
    items = written.get("items")
    how = written.get("error_handling")
    return BatchSpec(
        items=items if isinstance(items, (str, list)) else [],
        alias=written.get("as", "item"),
        parallel=written.get("parallel") is True,
        max_concurrent=_whole(written.get("max_concurrent"), 10),
        max_retries=_whole(written.get("max_retries"), 1),
        retry_wait=_number(written.get("retry_wait"), 0),
        error_handling=ErrorHandling.CONTINUE if how == "continue" else ErrorHandling.FAIL_FAST,
        written=frozenset(written),
    )


def _whole(value: object, default: int) -> int:
    return int(_number(value, default))


def _number(value: object, default: int) -> int | float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else default
