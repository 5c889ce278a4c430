"""How findings are shown: one place for every command, one form per way of reading them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

import click

from .diagnostics import Diagnostic, Severity


def show_findings(found: Iterable[Diagnostic], form: str, *, quiet: bool = False, err: bool = True) -> None:
    """Print `found` in the form `form` (one of `FORMATS`) to stderr, or with `err=False` to stdout.

    With `quiet`, errors only. As text, nothing is printed where nothing was found; every other form is a
    document of its own, also when it is empty.
    """
    shown = [finding for finding in found if not quiet or finding.severity is Severity.ERROR]
    text = _FORMS[form](shown, sys.stderr if err else sys.stdout)
    if text:
        click.echo(text, err=err)


def in_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal whose user has not asked for plain text (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _as_text(found: Sequence[Diagnostic], stream: TextIO) -> str:
    shown = []
    for finding in found:
        text = finding.render()
        if in_colour(stream):
            colour = "red" if finding.severity is Severity.ERROR else "yellow"
            tag = f"{finding.severity.value}[{finding.code}]"
            text = text.replace(tag, click.style(tag, fg=colour, bold=True), 1)
        shown.append(text)
    return "\n".join(shown)


def _as_json(found: Sequence[Diagnostic], stream: TextIO) -> str:
    return json.dumps([finding.to_json() for finding in found], indent=2, ensure_ascii=False)


_FORMS: dict[str, Callable[[Sequence[Diagnostic], TextIO], str]] = {
    "text": _as_text,
    "json": _as_json,
}

FORMATS = tuple(_FORMS)
"""The forms in which findings can be printed."""
