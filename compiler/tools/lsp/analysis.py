"""The compiler's stages over a buffer: what they have to say of it, and what is known of its parts."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ... import pipeline
from ...diagnostics.diagnostic import Diagnostic, LowerError, by_position
from ...ir.document import Document
from ...ir.lowered import LoweredIR
from ...ir.workflow import SourceIR
from ...load import load
from ...load.load import is_markdown
from ...options import Options
from ..lint.findings import lint_findings
from .occurrences import Names, Occurrence
from .ranges import place_of
from .text import Place, Text, clean
from .text_places import Places

MAX_FINDINGS = 500
"""How many findings an editor is sent for one buffer."""


class Analysis:
    """What is known of one text. Everything but the findings is worked out when it is asked for.

    `name` is the file's path, or "-" for a buffer that has none: then nothing it refers to can be read. Raises
    nothing: what is wrong with the text is in `findings`.
    """

    def __init__(self, text: str, name: str, encoding: str = "utf-16") -> None:
        self.given = text
        """The text as the editor has it; that of `text` is the same in every place, but fit to be read."""
        self.text = Text(clean(text), encoding)
        self.name = name
        self.document: Document | None = None
        self.source: SourceIR | None = None
        self.lowered: LoweredIR | None = None
        self._folder = None if name == "-" else Path(name).parent
        self.findings: tuple[Diagnostic, ...]
        self.files: dict[str, str] = {}
        self._run(code=False)

    def _run(self, *, code: bool) -> None:
        try:
            document = load.from_text(self.text.text, self.name, folder=self._folder)
            compiled = pipeline.run(document, Options(code=code), on_stage=self._watch)
        except LowerError as error:
            self.findings = error.diagnostics
        else:
            findings = lint_findings(compiled.source, self.name)
            self.findings, self.files = by_position([*compiled.diagnostics, *findings]), dict(compiled.files)

    def _watch(self, stage: str, result: Any) -> None:
        if stage == "load":
            self.document = result
        elif stage == "validate":
            self.source = result
        elif stage == "lower":
            self.lowered = result

    def generate(self) -> dict[str, str]:
        """The generated files; empty if the workflow has errors."""
        if self.lowered is not None:
            self._run(code=True)
        return self.files

    @functools.cached_property
    def located(self) -> list[tuple[Diagnostic, Place]]:
        """The findings with the places that they are about."""
        whole = {occurrence.whole.start: occurrence.whole.end for occurrence in self.occurrences}
        markdown = is_markdown(self.text.text, self.name)
        return [
            (finding, place_of(finding, self.text, self.name, whole, markdown=markdown))
            for finding in self.findings[:MAX_FINDINGS]
        ]

    @functools.cached_property
    def places(self) -> Places | None:
        """Where the parts of the workflow stand; None if it could not be read."""
        return Places(self.document, self.text) if self.document is not None else None

    @functools.cached_property
    def names(self) -> Names | None:
        """What its names stand for; None if it could not be read as a workflow."""
        if self.source is None or self.places is None:
            return None
        return Names(self.source, self.places)

    @functools.cached_property
    def occurrences(self) -> list[Occurrence]:
        """Every name and reference in its place, in the order of the text."""
        found = self.names.all() if self.names is not None else ()
        return sorted(found, key=lambda occurrence: (occurrence.place, occurrence.root))
