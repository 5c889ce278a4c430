"""Printing findings: one place for every command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

import click

from ..diagnostic import Diagnostic, Severity

FORMATS = ("text", "json", "sarif", "github", "junit")
"""The forms in which findings can be printed."""


def show_findings(found: Iterable[Diagnostic], form: str, *, quiet: bool = False, err: bool = True) -> None:
    """Print `found` in the form `form` (one of `FORMATS`) to stderr, or with `err=False` to stdout.

    With `quiet`, errors only. As text and for GitHub, nothing is printed where nothing was found; every
    other form is a document of its own, also when it is empty.
    """
    shown = [finding for finding in found if not quiet or finding.severity is Severity.ERROR]
    text = _coloured(shown, sys.stderr if err else sys.stdout) if form == "text" else render(shown, form)
    if text:
        click.echo(text, err=err)


def render(found: Sequence[Diagnostic], form: str) -> str:
    """`found` in the form `form`, as it would be written to a file; without a line end at its end."""
    return _form(form)(found)


def in_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal whose user has not asked for plain text (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _form(form: str) -> Callable[[Sequence[Diagnostic]], str]:
    if form == "sarif":
        from .sarif import as_sarif

        return as_sarif
    if form == "github":
        from .github import as_annotations

        return as_annotations
    if form == "junit":
        from .junit import as_junit

        return as_junit
    if form == "json":
        from .json_form import as_json

        return as_json
    return _as_text


def _as_text(found: Sequence[Diagnostic]) -> str:
    return "\n".join(finding.render() for finding in found)


def _coloured(found: Sequence[Diagnostic], stream: TextIO) -> str:
    if not in_colour(stream):
        return _as_text(found)
    shown = []
    for finding in found:
        colour = "red" if finding.severity is Severity.ERROR else "yellow"
        tag = f"{finding.severity.value}[{finding.code}]"
        shown.append(finding.render().replace(tag, click.style(tag, fg=colour, bold=True), 1))
    return "\n".join(shown)
