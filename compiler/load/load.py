"""Stage 1, load: bytes (or a dict) -> `Document`.

What comes out is plain JSON data that every later stage can walk, print and encode without a second
thought: string keys (Markdown may have others, with a warning), finite numbers, text that UTF-8 can
hold, at most `MAX_DEPTH` levels. Whatever is not like that is refused here, with its place.

Only the standard library is imported for a `.json` file.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ..diagnostics.diagnostic import Diagnostic, LowerError, is_utf_8, refusal
from ..files import regular_files
from ..files.generated_header import HEADER_BYTES, header_of, is_expanded, read_header
from ..files.generated_names import CLASSES, LOWERED
from ..files.text_faults import not_utf_8
from ..ir.document import ONE_NODE, STDIN, Document, NoPositions
from ..ir.report import kind
from . import conflicts
from .file_references import read_files
from .json_errors import SURROGATE, deep_json, numbers, repeated_keys, surrogates, syntax_error
from .json_positions import JsonPositions
from .normalise import normalised, not_json_error, of_yaml_only
from .plain_data import NotJson, to_plain_json, too_deep

MAX_BYTES = regular_files.MOST
_JSON_START = re.compile(r"\s*(\{|\[\s*[\[\]{\"0-9])")


def load(source: str | os.PathLike[str] | Mapping[str, Any], *, stdin: BinaryIO | None = None) -> Document:
    """Read a workflow: a path, "-" for standard input, or the data itself.

    A `.json` file is JSON, a `.md` file is pflow's Markdown; for standard input and any other name
    the content decides. What pflow adds before it compiles is added here too: a missing
    `ir_version`, and `parameters` for `params`. Raises LowerError with PFL1xx findings.
    """
    if isinstance(source, Mapping):
        return from_data(source)
    name = os.fspath(source)
    if name == "-":
        return from_bytes(_read(stdin or sys.stdin.buffer, STDIN), STDIN)
    if not is_utf_8(name):
        help = "rename it; everything that is made of a workflow says where it came from"
        raise refusal("PFL101", name, "the name of the file is not UTF-8 (in this locale)", help=help)
    try:
        content = regular_files.read_named(name, MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise _too_large(name, f"{os.stat(name).st_size:,} bytes")
    except IsADirectoryError as error:
        help = "name the workflow in it; `lint` and `check` take folders"
        raise refusal("PFL101", name, f"cannot read the file: {regular_files.reason(error)}", help=help) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise refusal("PFL101", name, f"cannot read the file: {regular_files.reason(error)}") from error
    return from_bytes(content, name, folder=Path(name).parent)


def from_bytes(content: bytes, name: str, *, folder: Path | None = None) -> Document:
    """Read a workflow from its bytes. `folder` is where the `./files` stand that it refers to.

    Raises LowerError with PFL1xx findings.
    """
    if len(content) > MAX_BYTES:
        raise _too_large(name, f"{len(content):,} bytes")
    return from_text(_decode(content, name), name, folder=folder)


def from_text(text: str, name: str, *, folder: Path | None = None) -> Document:
    """Read a workflow from its text, as it stands in an editor; see `from_bytes`.

    Raises LowerError with PFL1xx findings.
    """
    if not text.strip():
        raise refusal("PFL104", name, f"the file is empty; {ONE_NODE}")
    if (refused := generated_module(text, name)) is not None:
        raise refused
    if not is_markdown(text, name):
        return from_json(text, name, folder=folder)
    from .markdown import from_markdown

    return from_markdown(text, name, folder)


def from_json(text: str, name: str, *, folder: Path | None = None) -> Document:
    """Read a workflow from JSON text. Raises LowerError with every PFL1xx finding."""
    seen: set[str] = set()

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data = dict(pairs)
        if len(data) != len(pairs):
            seen.add("PFL106")
        return data

    def constant(_spelling: str) -> float:
        seen.add("PFL107")
        return 0.0

    def real(spelling: str) -> float:
        value = float(spelling)
        return value if math.isfinite(value) else constant(spelling)

    positions = JsonPositions(text)
    try:
        data = json.loads(text, object_pairs_hook=members, parse_constant=constant, parse_float=real)
    except json.JSONDecodeError as error:
        raise syntax_error(error, text, name, positions) from error
    except RecursionError as error:
        raise deep_json(text, name, positions) from error
    except ValueError as error:  # an integer with more digits than Python reads
        raise LowerError(numbers(text, name, positions)) from error
    if too_deep(data):
        raise deep_json(text, name, positions)
    if isinstance(data, dict) and {"version", "file", "source", "lines"} <= data.keys() and "nodes" not in data:
        raise _generated(name, f"this is the source map of {data['file']}, which was generated", str(data["source"]))
    found: list[Diagnostic] = []
    if "PFL106" in seen:
        found += repeated_keys(text, data, name, positions)
    if "PFL107" in seen:
        found += numbers(text, name, positions)
    if SURROGATE.search(text):
        found += surrogates(text, name, positions)
    if found:
        raise LowerError(found)
    data = normalised(_object(data, name, positions))
    if Path(name).name == LOWERED and is_expanded(data):
        raise _generated(name, "this is the expanded IR of a workflow, which was generated", _source_beside(name))
    read_files(data, name, folder, positions)
    warnings = () if folder is None else tuple(conflicts.in_files(data, folder))
    return Document(name=name, data=data, positions=positions, warnings=warnings)


def from_data(data: Mapping[str, Any]) -> Document:
    """Take a workflow that is already Python data; it is copied, never kept or changed.

    Raises LowerError with a PFL1xx finding for the first thing that JSON cannot hold.
    """
    name = "<data>"
    try:
        plain = to_plain_json(data)
    except NotJson as unfit:
        raise not_json_error(unfit, data, name, None) from unfit
    nowhere = NoPositions()
    found = tuple(of_yaml_only(plain, name, nowhere.find, nowhere.find_key))
    copy = normalised(_object(plain.data, name))
    read_files(copy, name, None, nowhere)
    return Document(name=name, data=copy, warnings=found, is_plain=not plain.replaced)


def _read(file: BinaryIO, name: str) -> bytes:
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        try:
            size = f"{os.fstat(file.fileno()).st_size:,} bytes"
        except (OSError, ValueError, AttributeError):  # not a real file
            size = ""
        raise _too_large(name, size if size != "0 bytes" else "")
    return content


def _decode(content: bytes, name: str) -> str:
    """The text of the file: UTF-8, with or without a byte order mark."""
    fault = not_utf_8(content)
    if b"\0" in content and (fault is None or fault.position is not None):  # in UTF-16 every other byte is one
        at = content.index(b"\0")
        raise refusal("PFL103", name, f"the file is not text: byte {at} is NUL", help="a workflow is UTF-8 text")
    if fault is not None:
        raise refusal("PFL103", name, fault.message, fault.position, help=fault.help)
    return content.decode("utf-8-sig")


def is_markdown(text: str, name: str) -> bool:
    """Whether the workflow `text` is Markdown: its name says so, or it does not start as JSON data does."""
    return name.endswith(".md") or not (name.endswith(".json") or _JSON_START.match(text))


def _object(data: Any, name: str, positions: JsonPositions | None = None) -> dict[str, Any]:
    if isinstance(data, dict):
        return data
    position = positions.find(()) if positions else None
    raise refusal("PFL110", name, f"a workflow is an object {{...}}, this is {kind(data)}", position)


def generated_module(text: str | bytes, name: str) -> LowerError | None:
    """The finding about a module that pflow-lower has written, given as a workflow; None for any other text."""
    header = header_of(text)
    return None if header is None else _generated(name, "this module was generated", _source_of(header))


def _generated(name: str, message: str, source: str) -> LowerError:
    """The finding about a file that pflow-lower has written. `source` is relative to its folder; "" is not known."""
    message = f"{message} from {source}" if source else message
    workflow = os.path.normpath(os.path.join(os.path.dirname(name), source)) if source else "the workflow"
    return refusal("PFL118", name, message, help=f"take {workflow} instead")


def _source_of(header: str) -> str:
    parsed = read_header(header)
    return "" if parsed is None else parsed.source


def _source_beside(name: str) -> str:
    """The source of the classes that belong to a `lowered.json`; "" if they are not beside it."""
    try:
        header = header_of(regular_files.read_start(Path(name).with_name(CLASSES), HEADER_BYTES))
    except (OSError, ValueError):
        return ""
    return "" if header is None else _source_of(header)


def _too_large(name: str, size: str) -> LowerError:
    found = f"it has {size}" if size else "it has more"
    return refusal("PFL102", name, f"the file is too large: {found}, the limit is {MAX_BYTES:,} bytes (32 MiB)")
