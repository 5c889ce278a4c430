"""Collects the findings of a stage: fills in file, position and address."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Collection, Iterable
from typing import Any

from ..diagnostics.diagnostic import Diagnostic, Position, Severity
from .document import Document
from .paths import Path, address, where

MAX_CANDIDATES = 2_000
"""Beyond so many names none is suggested: the search compares with every one of them."""

MAX_SUGGESTIONS = 200
"""Suggestions per stage: after so many misspellings the next one helps nobody, but takes its time."""


class DiagnosticCollector:
    """The findings about one document. `found` holds them in the order of their making."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.found: list[Diagnostic] = []
        self._suggestions = 0

    def error(
        self, code: str, path: Path, message: str, *, text: str | None = None, key: bool = False, help: str = ""
    ) -> None:
        """Report an error at `path`: at its key with `key`, at `text` inside its value with `text`."""
        self._add(Severity.ERROR, code, path, message, text, key, help)

    def warn(
        self, code: str, path: Path, message: str, *, text: str | None = None, key: bool = False, help: str = ""
    ) -> None:
        """Report a warning, located like an error."""
        self._add(Severity.WARNING, code, path, message, text, key, help)

    def warn_inside(self, code: str, path: Path, offset: int, message: str, *, help: str = "") -> None:
        """Report a warning at the character `offset` of the text at `path`, also where a file holds that text."""
        value = self._value(path)
        position, via = self.document.positions.find(path), None
        file = self.document.name
        if isinstance(value, str):
            position = self.document.positions.find_inside(path, value, [offset])[offset]
            if (inside := self._in_file(path, offset)) is not None:
                (file, position), via = inside, self.document.positions.find(path)
        self._found(Severity.WARNING, code, path, message, help, file, position, via)

    def nearest(self, name: object, *known: Collection[object]) -> str | None:
        """The known name that `name` most likely stands for, or None."""
        many = sum(map(len, known)) > MAX_CANDIDATES or (isinstance(name, str) and len(name) > 200)
        if many or self._suggestions >= MAX_SUGGESTIONS:
            return None
        self._suggestions += 1
        return nearest(name, (candidate for names in known for candidate in names))

    def _add(
        self, severity: Severity, code: str, path: Path, message: str, text: str | None, key: bool, help: str
    ) -> None:
        positions = self.document.positions
        position = positions.find_key(path) if key else positions.find(path, text)
        file, via = self.document.name, None
        if text is not None and not key:
            value = self._value(path)
            offset = value.find(text) if isinstance(value, str) else -1
            if (inside := self._in_file(path, offset)) is not None:
                (file, position), via = inside, positions.find(path)
        self._found(severity, code, path, message, help, file, position, via)

    def _found(
        self,
        severity: Severity,
        code: str,
        path: Path,
        message: str,
        help: str,
        file: str,
        position: Position | None,
        via: Position | None,
    ) -> None:
        self.found.append(
            Diagnostic(
                code=code,
                severity=severity,
                message=message,
                where=where(self.document.data, path),
                file=file,
                position=position,
                help=help,
                via=via,
            )
        )

    def _value(self, path: Path) -> Any:
        """What stands at `path`; None if nothing does."""
        value: Any = self.document.data
        try:
            for step in path:
                value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
        return value

    def _in_file(self, path: Path, offset: int) -> tuple[str, Position] | None:
        """The place of the character `offset` in the file that stands for the text at `path`.

        None if the workflow holds the text, or there is no such character.
        """
        if path[:1] != ("nodes",) or len(path) < 4:
            return None
        value, files = self._value(path), self._value((*path[:2], "_source_files"))
        at = str(path[3]) if path[2] == "params" and len(path) == 4 else address(path[2:])
        reference = files.get(at) if isinstance(files, dict) else None
        if not isinstance(value, str) or not isinstance(reference, str) or offset < 0:
            return None
        line = value.count("\n", 0, offset) + 1
        column = offset - (value.rfind("\n", 0, offset) + 1) + 1
        folder = posixpath.dirname(self.document.name.replace(os.sep, "/"))
        return posixpath.normpath(posixpath.join(folder, reference)), Position(line, column)


def nearest(name: object, known: Iterable[object], *, alike: float = 0.6) -> str | None:
    """The known name closest to `name`: the same but for case, `_` and `-`, or spelled `alike` (1: the same).

    What is no text, as a key of YAML may be (`on`, `5`), is like nothing.
    """
    import difflib  # only when something is wrong

    if not isinstance(name, str):
        return None
    candidates = sorted({one for one in known if isinstance(one, str)} - {name})
    folded = _folded(name)
    same = [candidate for candidate in candidates if _folded(candidate) == folded]
    return next(iter(same or difflib.get_close_matches(name, candidates, n=1, cutoff=alike)), None)


def quoted(names: Iterable[object]) -> str:
    """Names as a list to read: "a", "b" or "c"; of more than twelve the others are counted."""
    shown = [json.dumps(name, ensure_ascii=False) for name in names]
    if len(shown) > 12:
        shown = [*shown[:12], f"{len(shown) - 12} more"]
    return " or ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def shown(value: Any, limit: int = 40) -> str:
    """A value in a message: its kind if it is long, else as JSON."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[: limit - 4]}...{text[-1] if text[-1] == chr(34) else ''}"


def kind(value: object) -> str:
    """What sort of JSON value this is, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, (int, float)):
        return "a number"
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else type(value).__name__


def _folded(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")
