"""Mending what can be mended without a change of behaviour: a member that nothing reads is taken out of the text.

The file is edited where the member stands, nothing else moves; and the edit counts only if the edited text reads as
the same workflow without that member. Otherwise the finding stays.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ...atomic_write import replace_files
from ...diagnostics.diagnostic import Diagnostic, LowerError
from ...ir.document import Document
from ...ir.paths import Path as DataPath
from ...load.json_positions import Span, index
from ...load.load import from_bytes
from .table import LintFinding


class Fixed(NamedTuple):
    """What was done: the new content of the file, and the findings that are gone with it."""

    content: bytes
    done: tuple[Diagnostic, ...]


def fix(content: bytes, document: Document, found: Iterable[LintFinding]) -> Fixed:
    """Take every removable member out of the file `document` was read from."""
    done = []
    name = document.name
    data = document.data
    for one in found:
        if one.remove is None:
            continue
        wanted = _without(data, one.remove)
        for edited in _edits(content, name, data, one.remove):
            try:
                read = from_bytes(edited, name, folder=Path(name).parent)
            except LowerError:
                continue
            if _same(read.data, wanted):
                content, data = edited, read.data
                done.append(one.diagnostic)
                break
    return Fixed(content, tuple(done))


def write(file: str, content: bytes) -> None:
    """Replace a file as a whole, keeping its permissions. A symbolic link stays one. Raises: OSError."""
    replace_files({Path(os.path.realpath(file)): content})


def _edits(content: bytes, name: str, data: Any, path: DataPath) -> Iterable[bytes]:
    """The texts that might be the file without the member; the caller checks."""
    mark = b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b""
    text = content[len(mark) :].decode("utf-8")
    if name.endswith(".json") or text.lstrip().startswith("{"):
        edited = _without_member(text, path)
        return [mark + edited.encode()] if edited is not None else []
    return [mark + edited.encode() for edited in _without_line(text, str(path[-1]))]


def _without_member(text: str, path: DataPath) -> str | None:
    """A JSON text without one member: with its comma, and up to where the next member starts."""
    span: Span | None = index(text)[0]
    parent = span
    for step in path:
        parent, span = span, span.child(step) if span is not None else None
    if span is None or parent is None or span.key is None:
        return None
    members = sorted(parent.members.values(), key=lambda member: member.start)
    at = members.index(span)
    if at + 1 < len(members):
        return text[: span.key] + text[members[at + 1].key :]
    if at:
        return text[: members[at - 1].end] + text[span.end :]
    return None


def _without_line(text: str, key: str) -> Iterable[str]:
    """Markdown texts without one `key: value`: a line of its own, or a part of a line in braces."""
    line = re.compile(rf"^[ \t]+(?:- )?{key}:[^\n]*\n|^{key}:[^\n]*\n", re.MULTILINE)
    inline = re.compile(rf",[ \t]*{key}:[ \t]*[\w.-]+|(?<=\{{){key}:[ \t]*[\w.-]+,[ \t]*")
    for pattern in (line, inline):
        for match in pattern.finditer(text):
            yield text[: match.start()] + text[match.end() :]


def _without(data: Any, path: DataPath) -> Any:
    wanted = copy.deepcopy(data)
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
