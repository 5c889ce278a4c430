"""The two sides of a comparison, read from files."""

from __future__ import annotations

from pathlib import Path

from ... import pipeline
from ...diagnostics.diagnostic import Diagnostic, LowerError, each_once
from ...ir.workflow import SourceIR
from ...options import Options
from .model import Comparison
from .node_changes import compare
from .tables import Tables


def compare_files(
    old: Path | None, new: Path | None, old_name: str, new_name: str, *, tables: bool = False
) -> Comparison:
    """Compare two files, one of which may be missing; the names are those that are shown for them.

    With `tables`, what tables say of the nodes is compared, too: each file stands where those of its version are.
    """
    before, problems = _read(old, old_name)
    after, more = _read(new, new_name)
    comparison = Comparison(old_name, new_name, before, after, problems=tuple(each_once([*problems, *more])))
    if before is None or after is None or old is None or new is None:
        return comparison
    both = (Tables.of(old.parent), Tables.of(new.parent)) if tables else None
    return comparison._replace(changes=compare(before, after, both))


def _read(file: Path | None, name: str) -> tuple[SourceIR | None, tuple[Diagnostic, ...]]:
    """The workflow in `file`, and what keeps it from being lowered."""
    if file is None:
        return None, ()
    try:
        # A revision's file stands alone; what it starts is compared when that has changed itself.
        return pipeline.run(str(file), Options(code=False, children=False)).source, ()
    except LowerError as error:
        shown = str(file)
        return None, tuple(found._replace(file=name) if found.file == shown else found for found in error.diagnostics)
