"""The generated class of a node, as text and as a file that an editor can open."""

from __future__ import annotations

import ast
import stat
import tempfile
from pathlib import Path
from typing import NamedTuple

from ...files.atomic_write import replace_files
from ...ir.lowered import MODULE, LoweredBatch
from ...ir.python_ast import parse_python
from ...lowering.names import digest_of
from .analysis import Analysis


class Generated(NamedTuple):
    """A generated class: its text, the module that holds it, and its first and last line there, from 1."""

    batch: LoweredBatch
    code: str
    module: str
    first: int
    last: int


def generated_class(analysis: Analysis, node_id: str) -> Generated | None:
    """The class of the batch node `node_id`; None if there is none, or the workflow has errors."""
    files = analysis.generate()
    batches = analysis.lowered.batches if analysis.lowered is not None else ()
    batch = next((batch for batch in batches if batch.node_id == node_id), None)
    if batch is None or f"{MODULE}.py" not in files:
        return None
    module = files[f"{MODULE}.py"]
    tree = parse_python(module)
    found = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == batch.class_name)
    first, last = found.lineno, found.end_lineno or found.lineno
    code = "".join(module.splitlines(keepends=True)[first - 1 : last])
    return Generated(batch, code, module, first, last)


class Shelf:
    """A temporary folder for files to look at; gone when the server ends."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pflow-lower-")

    def put(self, key: str, name: str, text: str) -> Path:
        """The file `name`, read-only, with `text` in it; the same path again for the same `key`."""
        target = Path(self._folder.name) / digest_of(key) / name
        if target.exists():
            target.chmod(stat.S_IRUSR | stat.S_IWUSR)  # Windows replaces no read-only file
        replace_files({target: text.encode("utf-8")}, mode=stat.S_IRUSR)
        return target

    def clear(self) -> None:
        """Remove everything."""
        for file in Path(self._folder.name).rglob("*.py"):
            file.chmod(stat.S_IRUSR | stat.S_IWUSR)
        self._folder.cleanup()
