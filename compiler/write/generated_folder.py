"""What stands in a folder of generated files: whose it is, what pflow-lower made there, what is left over."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from ..emit.emit import STANDALONE_RUNTIME
from ..files import regular_files
from ..files.atomic_write import LEFT_OVER
from ..files.generated_header import HEADER_BYTES, Header, header_of, is_expanded, read_header
from ..files.generated_names import LOWERED, PROGRAM
from ..files.generated_names import MAP as MAP
from ..files.generated_names import REQUIREMENTS as REQUIREMENTS
from ..files.text_faults import conflict_in_broken

MODULE = re.compile(r"(flow|nodes(_[0-9a-f]+)?)\.py")
"""The modules that are generated: all of them say, in their header, what they were made from."""
GENERATED = re.compile(rf"({MODULE.pattern}|{re.escape(LOWERED)})({re.escape(MAP)})?|{re.escape(REQUIREMENTS)}")
"""Every name that a file of ours can have in a folder."""
_TYPE = re.compile(r'"type": "nodes(_[0-9a-f]+)?:\w+"')


def belongs_to(folder: Path) -> tuple[Path, Header] | None:
    """The generated module in `folder` that says what it was made from, and what it says; None if there is none."""
    for name in sorted(_modules(folder), key=lambda name: (name == PROGRAM, name)):
        header = header_in(folder / name)
        parsed = None if header is None else read_header(header)
        if parsed is not None:
            return folder / name, parsed
    return None


def header_in(module: Path) -> str | None:
    """The header of a generated module; None if pflow-lower did not make the file, or it cannot be read."""
    try:
        return header_of(regular_files.read_start(module, HEADER_BYTES))
    except OSError:
        return None


def left_over(files: Iterable[str], folder: Path) -> list[Path]:
    """What pflow-lower made in `folder` and `files` has no more, in order.

    Modules of an earlier form of the workflow, a `lowered.json` under another name, source maps (which may outlive
    their module), the runtime of a program that is a program no more, and what a write that was killed left behind.
    """
    wanted = set(files)
    found = [name for name in _names(folder) if _is_left_over(folder, name)]
    runtime = folder / STANDALONE_RUNTIME
    if runtime.is_dir() and not runtime.is_symlink():
        found += [
            f"{STANDALONE_RUNTIME}/{name}"
            for name in _names(runtime)
            if name.endswith(LEFT_OVER) or header_in(runtime / name) is not None
        ]
    return [folder / name for name in sorted(found) if name not in wanted]


def remove(left: Iterable[Path]) -> list[Path]:
    """Remove what `left_over` named, and the folders that are empty then. Returns what was removed.

    Python's own cache of a module goes with it. Raises: OSError.
    """
    removed = []
    folders = set()
    for path in left:
        path.unlink()
        removed.append(path)
        folders.add(path.parent)
    for folder in folders:
        if folder.name == STANDALONE_RUNTIME:
            shutil.rmtree(folder / "__pycache__", ignore_errors=True)
            if not any(folder.iterdir()):
                folder.rmdir()
                removed.append(folder)
    return removed


def is_ours(folder: Path) -> bool:
    """Whether pflow-lower wrote into `folder` before: a lowered.json has no place for a mark of its own."""
    names = _names(folder)
    return (
        STANDALONE_RUNTIME in names
        or (LOWERED in names and is_expanded_ir(folder / LOWERED))
        or any(name.endswith(".py") and header_in(folder / name) is not None for name in names)
    )


def is_expanded_ir(file: Path) -> bool:
    """Whether a `lowered.json` is what pflow-lower writes, whole, emptied, or in two versions after a merge."""
    try:
        text = regular_files.read(file).decode("utf-8", "replace")
    except OSError:
        return False
    if not text.strip() or _TYPE.search(text) or ('"nodes"' in text and conflict_in_broken(text) is not None):
        return True
    try:
        return is_expanded(json.loads(text))
    except (ValueError, RecursionError, AttributeError):
        return False


def is_map(file: Path) -> bool:
    """Whether a file is a source map of ours."""
    return source_in_map(file) is not None


def source_in_map(file: Path) -> str | None:
    """The workflow that a source map of ours names, relative to its folder; "" without one. None: it is not a map."""
    if not file.name.endswith(MAP) or not GENERATED.fullmatch(file.name):
        return None
    try:
        data = json.loads(regular_files.read(file))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("file") != file.name.removesuffix(MAP):
        return None
    source = data.get("source")
    return source if isinstance(source, str) and "\0" not in source else ""


def _is_left_over(folder: Path, name: str) -> bool:
    if (folder / name).is_dir() and not (folder / name).is_symlink():
        return False  # the only folder that is written is that of the runtime
    if name.endswith(".py") or name == REQUIREMENTS:
        return header_in(folder / name) is not None
    if name.endswith(LEFT_OVER):
        return True
    if name.endswith(".json") and GENERATED.fullmatch(name) is None and _names_our_classes(folder / name):
        return True
    module = name.removesuffix(MAP)
    return module != name and (GENERATED.fullmatch(module) is not None or header_in(folder / module) is not None)


def _names_our_classes(file: Path) -> bool:
    """Whether a file is a `lowered.json` under another name: nodes of it are of generated classes, around another."""
    try:
        text = regular_files.read(file).decode("utf-8", "replace")
        data = json.loads(text) if _TYPE.search(text) else None
    except (OSError, ValueError, RecursionError):
        return False
    nodes = data.get("nodes") if isinstance(data, dict) and is_expanded(data) else None
    params = [node.get("params") for node in nodes or () if _TYPE.search(f'"type": "{node.get("type")}"')]
    return any(isinstance(given, dict) and isinstance(given.get("inner"), str) for given in params)


def _modules(folder: Path) -> list[str]:
    return [name for name in _names(folder) if MODULE.fullmatch(name)]


def _names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []
