"""Where generated texts go: into a folder on disk, or into classes in memory."""

from __future__ import annotations

import functools
import linecache
import types
from collections.abc import Mapping
from pathlib import Path

from ..diagnostics.diagnostic import LowerError, refusal
from ..emit.marks import plain
from ..files import regular_files
from ..files.atomic_write import replace_files
from ..files.generated_header import header_of, read_header
from ..files.generated_names import CLASSES, MAP
from ..ir.lowered import MODULE, LoweredIR
from ..lowering.names import digest_of
from .in_the_way import in_the_way


def write(
    files: Mapping[str, str], folder: Path, *, source: Path | None = None, is_declared: bool = False
) -> list[Path]:
    """Write `files` into `folder`: all of them or, if something is in the way, none.

    A file that is there already is replaced only if pflow-lower made it, and not for another workflow than that of
    `files`: see `in_the_way`. Returns the paths written; a file that has the right content already is left alone, and
    not among them.

    A folder that leads out of its repository through a link is written to with `--allow-outside` only.

    Raises: LowerError (PFL601 a file of the user's is in the way, PFL602 cannot write, PFL603 the folder is another
    workflow's).
    """
    try:
        changed = {path: text for path, text in files.items() if not _holds(folder / path, text)}
        if found := in_the_way(files, folder, changed, source=source, is_declared=is_declared):
            raise LowerError([obstacle.finding for obstacle in found])
        folder.mkdir(parents=True, exist_ok=True)
        for path in changed:
            if (folder / path).is_dir() and not (folder / path).is_symlink():
                (folder / path).rmdir()
        replace_files({folder / path: text.encode("utf-8") for path, text in changed.items()})
    except OSError as error:
        raise refusal("PFL602", str(folder), f"cannot write here: {regular_files.reason(error)}") from error
    return [folder / path for path in changed]


def load_classes(lowered: LoweredIR, marked: Mapping[str, str]) -> dict[str, type]:
    """The generated classes by node id, from a module that exists in memory only; `marked` are the generated files.

    Tracebacks, and `inspect.getsource` of a method, show the generated lines.
    """
    text = plain(marked[CLASSES])
    # The digest keeps apart what two workflows of the same name were lowered to.
    file = f"<pflow-lower {lowered.name} {CLASSES} {digest_of(text)}>"
    module = load_module(text, file, MODULE)
    linecache.cache[f"{file}{MAP}"] = (functools.partial(_map_of, lowered, marked[CLASSES]),)
    return {batch.node_id: getattr(module, batch.class_name) for batch in lowered.batches}


def _map_of(lowered: LoweredIR, marked: str) -> str:
    """The source map of a module in memory, made when somebody asks; "" if the workflow has no file."""
    from ..emit.source_map import map_text, maps_of

    text = plain(marked)
    header = read_header(header_of(text) or "")
    if header is None:
        return ""
    return map_text(CLASSES, text, header.source, maps_of(lowered, {CLASSES: marked})[CLASSES])


def load_module(text: str, file: str, name: str) -> types.ModuleType:
    """`text` run as a module that knows its source under the made-up file name `file`."""
    remember(text, file)
    module = types.ModuleType(name)
    module.__file__ = file
    exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102  what `emit` made and `verify` checked
    return module


def remember(text: str, file: str) -> None:
    """Have `linecache`, and so tracebacks, find `text` under the made-up file name `file`."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)


def _holds(path: Path, text: str) -> bool:
    """Whether a file is `text`, byte for byte: other line ends are another file."""
    wanted = text.encode()
    try:
        return not path.is_symlink() and regular_files.read(path, most=len(wanted)) == wanted
    except OSError:
        return False
