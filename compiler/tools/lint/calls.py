"""Rules about what an item does to its call: nothing, or less than its name promises."""

from __future__ import annotations

from collections.abc import Iterator

from ...ir.item_alias import RENAME_ITEM
from ...ir.paths import Path
from ...ir.template import is_dynamic, roots
from ...ir.workflow import SourceNode
from ...node_types.pflow_types import pflow_type
from .context import Finding, LintContext, inline_items, whole_reference


def identical_calls(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL501: nothing in the parameters depends on the item, so every call is the same.

    Only for types that read nothing but their parameters: a class of the author's may look into the store. Samples
    of a model are meant: who asks for new answers (`cache: false`, and no temperature of 0) gets different ones.
    """
    known = pflow_type(node.type)
    items = inline_items(node)
    if node.batch is None or known is None or (items is not None and len(items) < 2):
        return
    if _is_sampling(node) or any(context.depends(node, key) for key in node.params):
        return
    names = " or ".join(f"${{{alias}}}" for alias in node.aliases)
    help = f"refer to the item, {names}, or drop `batch` and make one {known.call}"
    count = f"{len(items)} times" if items is not None else "once per item"
    message = f"no parameter refers to {names}: {count} the same {known.call}"
    yield Finding((*node.path, "batch"), message, help, key=True)


def _is_sampling(node: SourceNode) -> bool:
    """Whether equal calls are answered anew each time, as the author has asked for."""
    known = pflow_type(node.type)
    anew = known is not None and known.answers == "new" and node.cache is False
    return anew and node.params.get("temperature") != 0


def unused_alias(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL509: the item has a name of its own that nothing reads, though calls differ."""
    batch = node.batch
    if batch is None or pflow_type(node.type) is None or not any(context.depends(node, key) for key in node.params):
        return
    if isinstance(node.params.get("inputs"), str) and is_dynamic(node.params["inputs"]):
        return
    written, path = node.data["batch"], (*node.path, "batch")
    for depth, level in enumerate(batch.levels):
        deeper = [inner.items for inner in batch.levels[depth + 1 :]]
        if "as" in written and level.alias not in roots([dict(node.params), batch.key, deeper]):
            yield _unused(context, node, level.alias, (*path, "as"))
        written, path = written.get("batch"), (*path, "batch")


def _unused(context: LintContext, node: SourceNode, alias: str, path: Path) -> Finding:
    is_only_one = len(node.aliases) == 1
    message = f"nothing reads ${{{alias}}}" + (": the calls differ by their position only" if is_only_one else "")
    taken = "item" in context.ir.inputs or "item" in context.nodes or "item" in roots(dict(node.params))
    return Finding(
        path, message, "remove the name, or refer to it", None, True, path if is_only_one and not taken else None
    )


def hidden_alias(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL510: a key of `inputs` has the item's name and another value, so a parameter reads that instead."""
    for alias in node.aliases:
        if alias not in node.inputs:
            continue
        value = node.inputs[alias]
        reference = whole_reference(value)
        if reference is not None and reference.root == alias and not reference.path:
            continue
        readers = [key for key in node.params if key != "inputs" and alias in roots(node.params[key])]
        if not readers:
            continue
        message = f"`inputs.{alias}` hides the item: in `{readers[0]}`, ${{{alias}}} is that input"
        help = f"rename the input, or {RENAME_ITEM}"
        yield Finding((*node.path, "params", "inputs", alias), message, help, key=True)
