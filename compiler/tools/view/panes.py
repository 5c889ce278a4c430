"""A text, the workflow's or a generated one -> the lines of its pane, with what stands below them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ...diagnostics.diagnostic import Diagnostic, by_position, printable
from ...ir.document import Document
from ...ir.paths import Path
from .colour import lines
from .links import Links, Region
from .shorten import Kept, generated, shortened, written

_LANGUAGES = {".py": "python", ".json": "json", ".md": "markdown"}
_CHUNK = 50
"""Lines that a browser lays out together, or leaves out while they are out of sight."""

_PROLOGUE = re.compile(r"^(?:@|class |def |async def )", re.MULTILINE)
"""Where the code of a module starts, after its header and imports."""
_FOLDED = 4
"""From how many lines on header and imports are folded."""
_WRAPS = 40
"""From this length on a line may be too long for a pane."""


class Note(NamedTuple):
    """A finding as it is shown."""

    number: int
    kind: str
    code: str
    where: str
    message: str
    help: str
    line: int


class Line(NamedTuple):
    """One line of a pane, with what stands below it."""

    number: int
    code: str
    """HTML already."""
    deep: str
    """The class for a line that may be wrapped: how deep it is indented."""
    links: str
    target: str
    facts: Sequence[tuple[str, str]]
    notes: Sequence[Note]
    left_out: int = 0
    """How many lines stand here that the page does not show; 0 for an ordinary line."""


class Pane(NamedTuple):
    """One text: the workflow, or a generated file."""

    number: int
    name: str
    folded: Sequence[Line]
    """Header and imports, which are seen when they are asked for."""
    chunks: Sequence[Sequence[Line]]
    first: int
    """The first line that leads anywhere: where the keyboard comes in."""
    loose: Sequence[Note]
    """Findings about no line in particular."""


def notes_of(found: Iterable[Diagnostic]) -> list[Note]:
    """Findings as they are shown, in the order of their places."""
    return [
        Note(
            number,
            finding.severity.value,
            finding.code,
            printable(finding.where),
            printable(finding.message),
            "\n".join(printable(line) for line in finding.help.splitlines()),
            place.line if (place := finding.via or finding.position) else 0,
        )
        for number, finding in enumerate(by_position(found))
    ]


def kept_of(number: int, text: str, document: Document | None, values: Sequence[Path], links: Links) -> Kept:
    """What is shown of a pane's text: `values` of the workflow are long, and so is what became of them."""
    if document is None or not values:
        return shortened(text, ())
    if not number:
        return shortened(text, written(document, values))
    inside = {value[:length] for value in values for length in range(3, len(value) + 1)}
    regions = [r for link in links.links if link.path in inside for r in link.regions if r.pane == number]
    return shortened(text, generated(text, [(region.first, region.last) for region in regions]))


def pane_of(
    number: int,
    name: str,
    kept: Sequence[Kept],
    links: Links,
    notes: Iterable[Note],
    facts: Mapping[int, Sequence[tuple[str, str]]],
) -> Pane:
    """The pane `number`: the lines that are `kept`, with what they are linked to, `notes` and `facts` by their line."""
    text, numbers, gaps = kept[number]
    code = lines(text, _LANGUAGES.get("." + name.rpartition(".")[2]) or _guess(text)) if text else []
    if len(code) > 1 and not code[-1] and numbers[len(code) - 1 :]:
        code.pop()
    written = text.split("\n")
    below: dict[int, list[Note]] = {}
    for note in notes:
        below.setdefault(kept[number].shown(min(note.line, numbers[len(code) - 1] if code else 0)), []).append(note)
    done = [
        _line(at, html, _deep(wide), kept, links.lines[number].get(at, ()), links.target(number, at))._replace(
            facts=facts.get(at, ()), notes=below.get(at, ())
        )
        for at, html, wide in zip(numbers, code, written, strict=False)
    ]
    done += [
        _line(
            gap.first, "", "", kept, links.lines[number].get(gap.first, ()), links.target(number, gap.first)
        )._replace(left_out=gap.last - gap.first + 1, notes=below.get(gap.first, ()))
        for gap in gaps
    ]
    done.sort(key=lambda line: line.number)
    head = _head(text) if name.endswith(".py") else 0
    rest = done[head:]
    chunks = [rest[at : at + _CHUNK] for at in range(0, len(rest), _CHUNK)]
    first = min((line.number for line in rest if line.target), default=0)
    return Pane(number, name, done[:head], chunks, first, below.get(0, ()))


def _line(
    number: int, html: str, deep: str, kept: Sequence[Kept], linked: Sequence[int], target: Region | None
) -> Line:
    leads = f"#p{target.pane}-{kept[target.pane].shown(target.first)}" if target else ""
    return Line(number, html, deep, " ".join(map(str, linked)), leads, (), ())


def _head(text: str) -> int:
    """How many lines at the start of a module are header and imports; 0 if they are few, or nothing follows."""
    start = _PROLOGUE.search(text)
    count = text.count("\n", 0, start.start()) if start else 0
    return count if count >= _FOLDED else 0


def _deep(line: str) -> str:
    if len(line) < _WRAPS:
        return ""
    return f" i{min((len(line) - len(line.lstrip(' '))) // 2 * 2, 16)}"


def _guess(text: str) -> str:
    return "json" if text.lstrip()[:1] in ("{", "[") else "markdown"
