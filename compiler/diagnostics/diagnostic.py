"""What the compiler has to say: one finding is one `Diagnostic`, never an exception of its own.

Stages return or collect diagnostics; `LowerError` carries them all when a workflow cannot be lowered.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

from .codes import CODES


class Severity(enum.Enum):
    """How bad a finding is: errors stop the pipeline after the stage that found them."""

    ERROR = "error"
    WARNING = "warning"


class Position(NamedTuple):
    """A place in a source file: line and column, both counted from 1."""

    line: int
    column: int


class _Diagnostic(NamedTuple):
    code: str
    severity: Severity
    message: str
    where: str = ""
    file: str = ""
    position: Position | None = None
    help: str = ""
    via: Position | None = None


class Diagnostic(_Diagnostic):
    """One finding.

    `where` addresses the thing by node id (`classify.batch.items`), or is "" for the whole file.
    `file` is the source's name as the user gave it. `help` says what to do, one line or several.
    `via` is where the workflow names `file`, for a place in a file that it reads in: a prompt in a file of its own.
    Raises: ValueError, for a code that `CODES` does not have.
    """

    __slots__ = ()

    def __new__(
        cls,
        code: str,
        severity: Severity,
        message: str,
        where: str = "",
        file: str = "",
        position: Position | None = None,
        help: str = "",
        via: Position | None = None,
    ) -> Diagnostic:
        if code not in CODES:
            raise ValueError(f"{code!r} is not a code of diagnostics/codes.py")
        return super().__new__(cls, code, severity, message, where, file, position, help, via)

    @property
    def title(self) -> str:
        """What the code says in a few words."""
        return CODES[self.code]

    def render(self) -> str:
        """The finding as text: location first, then what is wrong, then a way out."""
        location = self.file or "<workflow>"
        if self.position is not None:
            location += f":{self.position.line}:{self.position.column}"
        where = f" {self.where}:" if self.where else ""
        head = f"{location}: {self.severity.value}[{self.code}]{where} {self.message}"
        return "\n".join(for_log(line) for line in [head, *(f"  {line}" for line in self.help.splitlines())])

    def to_json(self) -> dict[str, object]:
        """The finding as plain data, for `--format json`."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "message": self.message,
            "where": self.where,
            "file": self.file,
            "line": self.position.line if self.position else None,
            "column": self.position.column if self.position else None,
            "help": self.help,
        }


def each_once(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The findings without those that were said already, be it under another code: two readers of one file.

    Of an error and a warning that say the same the error is left.
    """
    found: dict[tuple[object, ...], Diagnostic] = {}
    for finding in findings:
        same = (finding.message, finding.where, finding.file, finding.position)
        if found.setdefault(same, finding).severity is not Severity.ERROR and finding.severity is Severity.ERROR:
            found[same] = finding
    return list(found.values())


def printable(text: str) -> str:
    """`text` on one line, control characters as escapes: ids and keys are the author's, not ours."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def for_log(line: str) -> str:
    """`line` as it may stand in the log of a CI system: printable, and never taken for a command to its runner."""
    line = printable(line)
    if line.lstrip().startswith("::"):
        line = line.replace("::", "\\x3a:", 1)
    return line.replace("##[", "#\\x23[")


def is_utf_8(name: str) -> bool:
    """Whether a file's name can be written into a text: Python keeps other bytes as halves of surrogate pairs."""
    return not any("\ud800" <= char <= "\udfff" for char in name)


def by_position(found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """`found` without repetitions, sorted by place in the source; what has no place comes first."""
    start = Position(0, 0)
    return tuple(sorted(dict.fromkeys(found), key=lambda d: (d.position or start, d.code, d.where)))


class LowerError(Exception):
    """The workflow cannot be lowered. `diagnostics` holds every finding, warnings included."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = by_position(diagnostics)
        super().__init__("\n".join(d.render() for d in self.diagnostics))


def refusal(
    code: str, file: str, message: str, position: Position | None = None, *, where: str = "", help: str = ""
) -> LowerError:
    """A LowerError that holds one error."""
    finding = Diagnostic(
        code=code, severity=Severity.ERROR, message=message, where=where, file=file, position=position, help=help
    )
    return LowerError([finding])
