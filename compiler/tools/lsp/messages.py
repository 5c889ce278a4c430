"""Findings and places in the protocol's terms."""

from __future__ import annotations

from lsprotocol import types

from ...diagnostics.diagnostic import Diagnostic, Severity
from .analysis import Analysis
from .text import Place, Text

_SEVERITY = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
}
_UNNECESSARY = {"PFL311"}  # shown faded: it could go


def diagnostic(analysis: Analysis, finding: Diagnostic, place: Place) -> types.Diagnostic:
    """`finding`, shown at `place`."""
    where = f"{finding.where}: " if finding.where else ""
    if finding.file != analysis.name:  # a table of node types, pflow's registry
        at = f":{finding.position.line}:{finding.position.column}" if finding.position else ""
        where = f"{finding.file}{at}: {where}"
    help = f"\n{finding.help}" if finding.help else ""
    return types.Diagnostic(
        range_at(analysis.text, place),
        f"{where}{finding.message}{help}",
        severity=_SEVERITY[finding.severity],
        code=finding.code,
        source="pflow-lower",
        tags=[types.DiagnosticTag.Unnecessary] if finding.code in _UNNECESSARY else None,
    )


def range_at(text: Text, place: Place) -> types.Range:
    """A place as a range of the protocol."""
    return types.Range(types.Position(*text.units(place.start)), types.Position(*text.units(place.end)))


def place_at(text: Text, range: types.Range) -> Place:
    """A range of the protocol as a place."""
    return Place(text.offset(range.start.line, range.start.character), text.offset(range.end.line, range.end.character))
