"""What lint has to say of a workflow that is shown somewhere: on a page, in an editor."""

from __future__ import annotations

import os
from pathlib import Path

from ...diagnostics.diagnostic import Diagnostic, LowerError
from ...ir.workflow import SourceIR
from .suppress import suppressions_for
from .table import lint


def lint_findings(source: SourceIR, workflow: str) -> list[Diagnostic]:
    """What lint finds besides the compiler's own findings, without what the user accepts (pyproject.toml).

    `workflow` is the path, or "-"; what is wrong with the table of suppressions is among the findings.
    """
    found = [one for one in lint(source, ()) if one.diagnostic.code.startswith("PFL5")]
    try:
        table = suppressions_for(folder_of(workflow))
    except LowerError as error:
        return [*error.diagnostics, *(one.diagnostic for one in found)]
    return [one.diagnostic for one in (found if table is None else table.left(workflow, found))]


def folder_of(workflow: str) -> Path:
    """The folder that a workflow's surroundings are looked for in."""
    return Path.cwd() if workflow == "-" else Path(os.path.abspath(workflow)).parent
