"""Stage 2, validate: `Document` -> `SourceIR`.

First the schema (`schema.py`, by jsonschema), then what a schema cannot say (`rules.py`). What
pflow refuses is an error here; what pflow accepts is never more than a warning. All findings
are reported. As in pflow, where a part of the document has the wrong shape, nothing is said about
the rest that would only follow from that.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..diagnostics.diagnostic import Diagnostic, by_position
from ..ir.batch_spec import BatchSpec
from ..ir.document import Document
from ..ir.paths import Path
from ..ir.report import DiagnosticCollector
from ..ir.workflow import SourceIR, SourceNode
from .rules import check_rules
from .schema import workflow_schema

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

# Where a value of the wrong shape leaves the rest of the workflow readable. In a batch, every key is such a place
# but the name of the item, unless it is text that is not a name.
_STILL_READABLE_IN_NODE = frozenset({"purpose", "retry", "approval", "cache", "prewarm"})
_NOTHING: Mapping[int, Collection[str]] = MappingProxyType({})


def validate(document: Document) -> tuple[SourceIR | None, list[Diagnostic]]:
    """Check `document`; return the workflow and every finding, those of `load` included.

    The workflow is None if errors leave too little of it for later stages to look at; with errors
    of lesser kind it is there, so that later stages can add what they find, but must not be lowered.
    """
    report = DiagnosticCollector(document)
    readable = True
    refused: dict[int, set[str]] = {}
    errors = list(_schema().iter_errors(document.data))
    if errors:
        from .schema_errors import explain

        for error in errors:
            explain(error, report)
            readable = readable and _is_harmless(error)
            path: Path = tuple(error.absolute_path)
            if path[:1] == ("nodes",) and path[2:3] == ("batch",) and len(path) > 3 and path[3] not in ("as", "batch"):
                refused.setdefault(int(path[1]), set()).add(str(path[3]))
    ir = source_of(document, refused) if readable else None
    if ir is not None:
        check_rules(ir, report)
    return ir, list(by_position([*document.warnings, *report.found]))


@functools.cache
def _schema() -> Validator:
    from jsonschema import Draft7Validator  # costs more than all the rest of a small workflow

    validator: Validator = Draft7Validator(workflow_schema())
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
            return path[3] != "as" or keyword == "pattern"
        return path[2] in _STILL_READABLE_IN_NODE
    if path[0] in ("inputs", "outputs"):
        return len(path) > 2 or keyword == "required"
    return path[0] in ("ir_version", "template_resolution_mode", "mappings")


def source_of(document: Document, refused: Mapping[int, Collection[str]] = _NOTHING) -> SourceIR:
    """`document`, known to be valid but for `refused`: keys of batch annotations, by the number of their node."""
    return SourceIR(document=document, nodes=tuple(_nodes(document.data, refused)))


def _nodes(data: Mapping[str, Any], refused: Mapping[int, Collection[str]]) -> Iterator[SourceNode]:
    for index, node in enumerate(data["nodes"]):
        yield SourceNode(
            id=node["id"],
            type=node["type"],
            number=index,
            params=node.get("params", {}),
            batch=BatchSpec.of(node["batch"], refused.get(index, ())) if "batch" in node else None,
            data=node,
        )
