"""Rules about the files that items write: each its own, or all the same one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...ir.template import parse
from ...ir.workflow import SourceNode
from ...node_types.pflow_types import PflowType, pflow_type
from .context import Finding, LintContext, inline_items
from .shell_text import overwritten

_ELSEWHERE = re.compile(r"\b(cd|pushd|exec|mktemp)\b")


_OVERWRITES = "each overwrites what the one before has written"


def same_file(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL502: every item writes the file that the item before has written."""
    items = inline_items(node)
    if node.batch is None or (items is not None and len(items) < 2):
        return
    known = pflow_type(node.type)
    if known is not None and known.writes_file:
        yield from _target(context, node, known)
    elif node.type == "shell":
        yield from _redirect(context, node)


def _target(context: LintContext, node: SourceNode, known: PflowType) -> Iterator[Finding]:
    assert node.batch is not None
    key = known.writes_file
    path = node.params.get(key)
    if not isinstance(path, str) or context.depends(node, key) or node.params.get("append", False) is not False:
        return
    kept = not known.replaces_file and node.params.get("overwrite", False) is False
    if kept:
        message = f"`{key}` is the same for every item: all but the first find the file there and fail"
    else:
        message = f"`{key}` is the same for every item: {_OVERWRITES}"
    help = f"put something of the item into it, ${{{node.aliases[-1]}}} or ${{__index__}}"
    if known.replaces_file:
        help += "; or set `append: true`"
    yield Finding((*node.path, "params", key), message, help)


def _redirect(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """`> file` in a command, where nothing in front of it can have changed the folder."""
    assert node.batch is not None
    command = node.params.get("command")
    if not isinstance(command, str) or _ELSEWHERE.search(command) or context.depends(node, "cwd"):
        return
    for written, path in overwritten(parse(command)):
        if not path.startswith("/dev/"):
            message = f"`> {path}` is the same file for every item: {_OVERWRITES}"
            help = (
                f"put something of the item into the name, ${{__index__}} or ${{{node.aliases[-1]}}}; or append with >>"
            )
            yield Finding((*node.path, "params", "command"), message, help, text=written)
            return
