"""A workflow -> everything the page shows of it, also where it cannot be lowered."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ...diagnostics.diagnostic import Diagnostic, LowerError, Severity, by_position, printable
from ...files import regular_files
from ...ir.document import Document
from ...load.load import MAX_BYTES
from ...options import Options
from ...pipeline import Compiled, run

_NO_PROGRAM = frozenset({"PFL450"})
"""The codes that say why there is no `flow.py`; everything else can still be made."""


class Explored(NamedTuple):
    """A workflow as it was found."""

    name: str
    text: str
    """The workflow's own text; "" if it is not text at all."""
    document: Document | None
    """What was read, if that much went well."""
    compiled: Compiled | None
    """What it became, if it could be lowered."""
    findings: tuple[Diagnostic, ...]
    withheld: tuple[Diagnostic, ...] = ()
    """Why there is no `flow.py`, if there is none and the rest could be made."""


def explore(workflow: str, nodes_file: Path | None = None, *, stdin: BinaryIO | None = None) -> Explored:
    """Read and compile the file `workflow`, "-" for `stdin`. What is wrong with it is among the findings.

    `text` is empty, and there is nothing to show but findings, where the file cannot be read or is not text.
    """
    content = _content(workflow, stdin)
    seen: list[Document] = []

    def watch(stage: str, result: Any) -> None:
        if stage == "load":
            seen.append(result)

    def lowered(*, program: bool) -> Compiled:
        options = Options(nodes_file=nodes_file, program=program, maps=False, ask_pflow=True)
        return run(workflow, options, stdin=io.BytesIO(content), on_stage=watch)

    compiled: Compiled | None = None
    withheld: Iterable[Diagnostic] = ()
    try:
        try:
            compiled = lowered(program=True)
        except LowerError as error:
            withheld = [found for found in error.diagnostics if found.severity is Severity.ERROR]
            if not all(found.code in _NO_PROGRAM for found in withheld):
                raise
            compiled = lowered(program=False)
        findings: Iterable[Diagnostic] = compiled.diagnostics
    except LowerError as error:
        findings, withheld = error.diagnostics, ()
    return Explored(
        name="standard input" if workflow == "-" else printable(os.path.basename(workflow)),
        text=_text(content),
        document=seen[0] if seen else None,
        compiled=compiled,
        findings=by_position(findings),
        withheld=by_position(withheld),
    )


def _content(workflow: str, stdin: BinaryIO | None) -> bytes:
    if workflow == "-":
        assert stdin is not None
        return stdin.read()
    try:
        return regular_files.read_named(workflow, MAX_BYTES + 1)
    except (OSError, ValueError):
        return b""  # `load` says why


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""
