"""Mending what can be mended without a change of behaviour: a member that nothing reads is taken out of the text.

The file is edited where the member stands, nothing else moves; and the edit counts only if the edited text reads as
the same workflow without that member. Otherwise the finding stays.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...diagnostics.diagnostic import Diagnostic, LowerError
from ...files.atomic_write import replace_files
from ...ir.document import Document
from ...ir.paths import Path as DataPath
from ...load.json_positions import Span, index
from ...load.load import from_bytes, is_markdown
from .table import LintFinding


class Fixed(NamedTuple):
    """What was done: the new content of the file, and the findings that are gone with it."""

    content: bytes
    done: tuple[Diagnostic, ...]


class _Removal(NamedTuple):
    """A member that can be taken out, and the line on which its finding stands; 0, if that is not known."""

    path: DataPath
    line: int


def fix(content: bytes, document: Document, found: Iterable[LintFinding]) -> Fixed:
    """Take every removable member out of the file `document` was read from."""
    removals = {
        _Removal(one.remove, one.diagnostic.position.line if one.diagnostic.position else 0): one.diagnostic
        for one in found
        if one.remove is not None
    }
    content, gone = _without_all(content, document.name, document.data, list(removals))
    return Fixed(content, tuple(removals[one] for one in gone))


def _without_all(
    content: bytes, name: str, data: Any, removals: Sequence[_Removal]
) -> tuple[bytes, Sequence[_Removal]]:
    """The file without the members of `removals`, and which of them are gone; `data` is what it reads as.

    All of them at once, since every text has to be read to be trusted; where that cannot be, in halves.
    """
    if not removals:
        return content, ()
    wanted = _without(data, removals)
    for edited in _edits(content, name, removals):
        try:
            read = from_bytes(edited, name, folder=Path(name).parent)
        except LowerError:
            continue
        if _same(read.data, wanted):
            return edited, removals
    if len(removals) == 1:
        return content, ()
    half = len(removals) // 2
    content, last = _without_all(content, name, data, removals[half:])  # first: what comes before it stays in place
    content, first = _without_all(content, name, _without(data, last), removals[:half])
    return content, [*first, *last]


def write(file: str, content: bytes) -> None:
    """Replace a file as a whole, keeping its permissions. A symbolic link stays one. Raises: OSError."""
    replace_files({Path(os.path.realpath(file)): content})


def _edits(content: bytes, name: str, removals: Sequence[_Removal]) -> Iterator[bytes]:
    """The texts that might be the file without the members; the caller checks."""
    mark = b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b""
    text = content[len(mark) :].decode("utf-8")
    is_json = not is_markdown(text, name)
    for edited in _without_members(text, removals) if is_json else _without_lines(text, removals):
        yield mark + edited.encode()


def _without_members(text: str, removals: Sequence[_Removal]) -> Iterator[str]:
    """A JSON text without some members: with their commas, and up to where the next member starts."""
    root = index(text)[0]
    wanted: dict[DataPath, set[int]] = {}
    for path, _ in removals:
        span = _at(root, path)
        if span is None:
            return
        wanted.setdefault(path[:-1], set()).add(span.start)
    objects = ((_at(root, path), starts) for path, starts in wanted.items())
    yield _cut(text, [cut for parent, starts in objects if parent is not None for cut in _members(parent, starts)])


def _members(parent: Span, starts: Collection[int]) -> Iterator[tuple[int, int]]:
    """From where to where the members of an object whose values begin at `starts` are to be cut out."""
    end: int | None = None  # of the last member that stays
    first: int | None = None  # where those begin that do not, and have come since
    members = sorted(parent.members.values(), key=lambda member: member.start)
    for member in members:
        if member.start in starts:
            first = member.key if first is None else first
            continue
        if first is not None and member.key is not None:
            yield first, member.key
        end, first = member.end, None
    if first is not None:
        yield first if end is None else end, members[-1].end


def _at(span: Span | None, path: DataPath) -> Span | None:
    """The value at `path` below `span`, where it stands in the text."""
    for step in path:
        span = span.child(step) if span is not None else None
    return span


def _without_lines(text: str, removals: Sequence[_Removal]) -> Iterator[str]:
    """Markdown texts without some `key: value`: a line of its own each, or a part of a line in braces.

    Several are cut out where their findings stand; a single one there, or else wherever its key is set.
    """
    found = {key: list(_settings(text, key)) for key in dict.fromkeys(str(one.path[-1]) for one in removals)}
    if len(removals) > 1:
        by_line = {key: dict(reversed(settings)) for key, settings in found.items()}
        cuts = [cut for one in removals if (cut := by_line[str(one.path[-1])].get(one.line)) is not None]
        if len(set(cuts)) == len(removals):
            yield _cut(text, cuts)
        return
    (settings,) = found.values()
    for _, cut in sorted(settings, key=lambda setting: abs(setting[0] - removals[0].line)):
        yield _cut(text, [cut])


def _settings(text: str, key: str) -> Iterator[tuple[int, tuple[int, int]]]:
    """What may be a setting of `key`: its line, and from where to where in the text it stands."""
    line = re.compile(rf"^[ \t]+(?:- )?{key}:[^\n]*\n|^{key}:[^\n]*\n", re.MULTILINE)
    inline = re.compile(rf",[ \t]*{key}:[ \t]*[\w.-]+|(?<=\{{){key}:[ \t]*[\w.-]+,[ \t]*")
    for pattern in (line, inline):
        number, at = 1, 0
        for match in pattern.finditer(text):
            number, at = number + text.count("\n", at, match.start()), match.start()
            yield number, match.span()


def _cut(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """`text` without `spans`."""
    kept, at = [], 0
    for start, end in sorted(spans):
        kept.append(text[at:start])
        at = end
    return "".join([*kept, text[at:]])


def _without(data: Any, removals: Iterable[_Removal]) -> Any:
    """`data` without the members."""
    wanted = copy.deepcopy(data)
    for path, _ in removals:
        inner = wanted
        for step in path[:-1]:
            inner = inner[step]
        inner.pop(path[-1])
    return wanted


def _same(one: Any, other: Any) -> bool:
    """Whether two workflows are the same but for the lines on which their nodes stand."""
    return bool(_unplaced(one) == _unplaced(other))


def _unplaced(data: Any) -> Any:
    if isinstance(data, dict):
        return {
            k: _unplaced(v)
            for k, v in data.items()
            if not (isinstance(k, str) and k.endswith(("_source_line", "_source_lines")))
        }
    if isinstance(data, list):
        return [_unplaced(value) for value in data]
    return data
