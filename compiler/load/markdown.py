"""Stage 1 for `.pflow.md`: pflow's own parser reads it, this module says where things stand.

pflow (an optional dependency) is imported here and nowhere else in loading, inside the function.
`./files` that params or items refer to are read in, as pflow does before it compiles; each node's
`_source_files` then says which. Standard input has no folder, so such a reference is an error there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import install_hints
from ..diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity, refusal
from ..files import regular_files
from ..files.text_faults import Fault, conflict_in_broken, not_utf_8
from ..ir.document import NOT_STDIN, Document
from ..ir.paths import address
from ..node_types.pflow_types import FILE_DATA
from . import conflicts
from .file_references import fault_in_file
from .json_positions import LineIndex, Repeated
from .markdown_positions import MarkdownPositions
from .markdown_structure import composed
from .normalise import normalised, not_json_error, of_yaml_only, repeated_key
from .plain_data import NotJson, to_plain_json


def from_markdown(text: str, name: str, folder: Path | None) -> Document:
    """Read a workflow from pflow's Markdown. Raises LowerError with PFL1xx findings."""
    from .. import before_pflow  # noqa: F401  late, as pflow: JSON needs neither

    try:
        from pflow.core.markdown_parser import parse_markdown
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "pflow":
            raise
        message = "a Markdown workflow is read by pflow, which is not installed"
        raise refusal("PFL112", name, message, help=install_hints.PFLOW) from error
    if find_spec("markdown_it") is None:  # imported only where somebody asks for a position
        message = "the places in a Markdown workflow are found by markdown-it-py, which is not installed"
        raise refusal("PFL112", name, message, help=install_hints.MARKDOWN_PLACES)
    with quiet():
        try:
            parsed = parse_markdown(text)
        except RecursionError as error:
            raise refusal("PFL109", name, "nested too deeply") from error
        except Exception as error:  # whatever a parser of somebody else's may raise
            raise _parse_error(error, text, name) from error
        positions = MarkdownPositions(text, parsed.ir)
        _read_files(parsed.ir, name, folder, positions)
    try:
        plain = to_plain_json(parsed.ir)
    except NotJson as unfit:
        raise not_json_error(unfit, parsed.ir, name, positions.find(unfit.path)) from unfit
    data = plain.data
    positions = MarkdownPositions(text, data)
    found = [*of_yaml_only(plain, name, positions.find, positions.find_key)]
    found += [_remark(remark, name) for remark in parsed.warnings]
    found += [_twice(one, positions.at, name) for one in positions.repeated()]
    remarked = " ".join(str(remark.message) for remark in parsed.warnings)
    found += [
        Diagnostic("PFL119", Severity.WARNING, one.message, one.where, name, positions.at(one.offset), one.help)
        for one in positions.doubtful()
        if one.where or one.message.split("`")[1] not in remarked  # pflow knows some misspellings itself
    ]
    found += conflicts.in_text(text, name, positions.at)
    if folder is not None:
        found += _twice_in_files(data, folder)
        found += conflicts.in_files(data, folder)
    return Document(
        name=name,
        data=normalised(data),
        positions=positions,
        warnings=tuple(found),
        is_markdown=True,
        is_plain=not plain.replaced,
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep pflow's log lines off stderr: what matters comes back as findings."""
    logger = logging.getLogger("pflow")
    before = logger.disabled, logger.level, logger.propagate
    logger.propagate = False
    silent = logging.NullHandler()
    logger.addHandler(silent)
    try:
        yield
    finally:
        logger.removeHandler(silent)
        logger.disabled, logger.level, logger.propagate = before


def _read_files(ir: dict[str, Any], name: str, folder: Path | None, positions: MarkdownPositions) -> None:
    """Put the content of `./files` in their place, with pflow's own rules. Changes `ir`."""
    from pflow.core.file_resolver import has_file_references, resolve_file_references

    if folder is None:
        references = has_file_references(ir)
        if references:
            message = f"{references[0]} stands beside a workflow file, but the workflow came from standard input"
            raise refusal("PFL115", name, message, positions.search(references[0]), help=NOT_STDIN)
        return
    base = _Bounded(folder)
    try:
        resolve_file_references(ir, base)
    except regular_files.Refused as error:
        outside = os.path.relpath(error.filename, folder)
        place = next((place for ref in (f"./{outside}", outside) if (place := positions.search(ref))), None)
        message = f"the file {outside} is not read: {error.strerror}"
        raise refusal("PFL115", name, message, place, help=regular_files.HELP) from error
    except RecursionError as error:
        raise refusal("PFL109", name, "a file that the workflow refers to is nested too deeply") from error
    except Exception as error:  # a missing file, text that is not UTF-8, YAML of many kinds
        if base.asked and not (folder / base.asked).is_file():
            raise refusal("PFL115", name, f"{base.asked}: no such file", positions.search(base.asked)) from error
        if base.asked and (found := _in_file(error, folder / base.asked, folder)) is not None:
            raise LowerError([found._replace(via=positions.search(base.asked))]) from error
        first = (str(error).splitlines() or [type(error).__name__])[0]
        what = f"the file {base.asked}" if base.asked else "a file that the workflow refers to"
        place = positions.search(base.asked) if base.asked else None
        raise refusal("PFL115", name, f"{what} cannot be read: {first}", place) from error


def _in_file(error: Exception, file: Path, folder: Path) -> Diagnostic | None:
    """What is wrong inside of the `file` that a workflow in `folder` refers to, at its place there; None: who knows."""
    from yaml import MarkedYAMLError  # pflow's parser, which raised, has it

    try:
        content = regular_files.read_beside(file, folder)
    except OSError:  # it is gone by now
        return None
    fault = not_utf_8(content)
    if fault is None and isinstance(error, MarkedYAMLError):
        text = content.decode("utf-8")
        place = _in_yaml(error.problem_mark, text.splitlines(), 0)
        fault = conflict_in_broken(text) or Fault(f"YAML: {error.problem}", "", place)
    return None if fault is None else fault_in_file(fault, file)


def _twice(repeated: Repeated, at: Callable[[int], Position], name: str) -> Diagnostic:
    """A key that stands twice: no more than a warning, since pflow accepts it."""
    return repeated_key(repeated, at, name, address(repeated.path[:-1]), Severity.WARNING, "YAML readers, pflow too,")


def _twice_in_files(data: Mapping[str, Any], folder: Path) -> Iterator[Diagnostic]:
    """The same of the files of data that nodes refer to, at their places there."""
    for node in data.get("nodes", ()):
        for place, reference in node.get("_source_files", {}).items():
            key = place.rpartition(".")[2]
            if key != "batch" and key not in FILE_DATA:
                continue
            text = regular_files.read_beside(folder / reference, folder).decode("utf-8")
            repeated: list[Repeated] = []
            composed(text, 0, repeated)
            at = LineIndex(text).position
            yield from (_twice(one, at, os.path.normpath(folder / reference)) for one in repeated)


class _Bounded(type(Path())):  # type: ignore[misc]  # the class of this system's paths
    """A folder from which pflow takes only what `regular_files` reads: it asks for every file by `folder / name`.

    `asked` is the last of them: where reading ends with an error, the one that it is about.
    """

    asked: str = ""

    def __truediv__(self, name: Any) -> Path:
        self.asked = os.fspath(name)
        file: Path = Path(self) / name
        with contextlib.suppress(FileNotFoundError):
            regular_files.read_beside(file, Path(self))
        return file


def _parse_error(error: Exception, text: str, name: str) -> LowerError:
    from yaml import MarkedYAMLError  # pflow's parser, which raised, has it

    line = getattr(error, "line", None)
    message = str(getattr(error, "raw_message", None) or error or type(error).__name__)
    head, *rest = message.strip().splitlines() or [""]
    help = "\n".join([*rest, str(getattr(error, "suggestion", None) or "")]).strip("\n")
    lines = text.splitlines()
    position = None if isinstance(line, int) else _named_in(head, lines)
    if isinstance(line, int):
        shown = lines[line - 1] if 0 < line <= len(lines) else ""
        position = Position(max(line, 1), len(shown) - len(shown.lstrip()) + 1)
        cause = error.__cause__
        if isinstance(cause, MarkedYAMLError) and cause.problem and message.endswith(str(cause)):
            head, help = message.removesuffix(str(cause)) + cause.problem, ""
            position = _in_yaml(cause.problem_mark, lines, line) or position
    at = None if position is None else sum(map(len, text.splitlines(keepends=True)[: position.line - 1]))
    # A code block may well hold one marker alone, which is then not what is wrong.
    if fault := conflict_in_broken(text, at, is_lone_elsewhere=False):
        return refusal("PFL111", name, fault.message, fault.position, help=fault.help)
    return refusal("PFL111", name, head.rstrip("."), position, help=help)


def _named_in(message: str, lines: list[str]) -> Position | None:
    """Where that stands which a message without a line has in quotes: in a heading, or else first as a word."""
    for name in re.findall(r"'([^']+)'", message):
        word = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
        found = [(row, match.start()) for row, line in enumerate(lines, 1) if (match := word.search(line))]
        found.sort(key=lambda place: not lines[place[0] - 1].startswith("#"))
        if found:
            return Position(found[0][0], found[0][1] + 1)
    return None


def _in_yaml(mark: Any, lines: list[str], first: int) -> Position | None:
    """Where `mark` of PyYAML is in the file, which counts from the start of its block: that of line `first`, or below.

    The line itself is looked for, because pflow names a fence, or a heading; where it masks a template, there is none.
    """
    rows = str(getattr(mark, "buffer", None) or "").rstrip("\0").splitlines()
    row = rows[mark.line] if rows and mark.line < len(rows) else ""
    if not row.strip():
        return None
    for at in range(first, len(lines)):
        if lines[at].strip() == row.strip():
            return Position(at + 1, lines[at].index(row.strip()) + mark.column - row.index(row.strip()) + 1)
    return None


def _remark(remark: Any, name: str) -> Diagnostic:
    """A warning of pflow's parser, passed on."""
    line = (remark.context or {}).get("line")
    return Diagnostic(
        code="PFL116",
        severity=Severity.WARNING,
        message=str(remark.message).rstrip("."),
        where=remark.node_id or "",
        file=name,
        position=Position(line, 1) if isinstance(line, int) and line > 0 else None,
        help="\n".join(remark.suggestions or ()),
    )
