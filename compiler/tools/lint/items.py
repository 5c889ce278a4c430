"""Rules about where items come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...ir.template import is_dynamic
from ...ir.workflow import SourceNode
from ..shared.items_files import alike, is_there, may_be_made
from .context import Finding, LintContext


def not_there(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL517: the file of items is not there, and no step before can have written it.

    It is looked for where a run from here would look, and beside the workflow, where another may be started.
    """
    path = node.batch.items_file if node.batch is not None else None
    if path is None or is_dynamic(path):
        return
    folders = [Path.cwd(), *([] if context.ir.name.startswith("<") else [Path(context.ir.name).absolute().parent])]
    if any(is_there(path, folder) for folder in folders) or may_be_made(path, [(context.ir, node)]):
        return
    guess = next(filter(None, (alike(path, folder) for folder in folders)), "")
    help = f"did you mean {guess}?" if guess else "a run looks for it from the folder that it is started in"
    message = f"there is no file {path}, and no step before writes one: a run ends before the first item"
    yield Finding((*node.path, "batch", "items", "file"), message, help)
