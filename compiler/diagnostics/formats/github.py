"""Findings as commands of a GitHub workflow: each line of the log becomes an annotation of the file.

The log is read line by line and knows no other escapes than these: what an author wrote can neither end a
command nor start another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..diagnostic import Diagnostic, printable
from .file_paths import path_of, root

_IN_TEXT = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTY = {**_IN_TEXT, **str.maketrans({":": "%3A", ",": "%2C"})}


def as_annotations(found: Sequence[Diagnostic]) -> str:
    """One line per finding: `::error file=...,line=...,col=...,title=...::message`."""
    base, here = root(), Path.cwd()
    return "\n".join(_annotation(finding, base, here) for finding in found)


def _annotation(finding: Diagnostic, base: Path, here: Path) -> str:
    path = path_of(finding, base, here)
    properties = {} if path is None else {"file": path.as_posix()}
    if path is not None and finding.position is not None:
        properties |= {"line": str(finding.position.line), "col": str(finding.position.column)}
    properties["title"] = f"{finding.code} {finding.title}"
    where = f"{finding.where}: " if finding.where else ""
    text = "\n".join(map(printable, [where + finding.message, *finding.help.splitlines()]))
    listed = ",".join(f"{name}={printable(value).translate(_IN_PROPERTY)}" for name, value in properties.items())
    return f"::{finding.severity.value} {listed}::{text.translate(_IN_TEXT)}"
