"""Rules about items inside shell commands, where the shell reads them as its own language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ...emit.evaluation import evaluate
from ...ir.template import Expression, Literal, parse
from ...ir.workflow import SourceNode
from .context import Finding, LintContext, inline_items
from .shell_text import contexts

_HARMLESS = {
    "bare": re.compile(r"[\w@%+=:,./-]+", re.ASCII),
    "double": re.compile(r'[^$`"\\]*'),
    "single": re.compile(r"[^']*"),
}
"""What a shell takes for the text that it is, by what encloses it."""
_RANKS = ("bare", "double", "single")
_SHOWN = {
    "bare": "outside of quotes, so its spaces, ; and $(...) are the shell's to act on",
    "double": "in double quotes, where the shell runs the $(...) and `...` of its text",
}


def unquoted_item(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL512: an item's text is read as shell language."""
    for expression, where in _items_in_command(context, node):
        if where in _SHOWN:
            message = f"${{{expression.raw}}} stands {_SHOWN[where]}"
            yield Finding((*node.path, "params", "command"), message, _help(node, expression), f"${{{expression.raw}}}")


def quoted_item(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL513: single quotes keep an item's text together up to its first apostrophe."""
    for expression, where in _items_in_command(context, node):
        if where == "single":
            message = f"${{{expression.raw}}} stands in single quotes, which an apostrophe in it would end"
            yield Finding((*node.path, "params", "command"), message, _help(node, expression), f"${{{expression.raw}}}")


def _items_in_command(context: LintContext, node: SourceNode) -> Iterator[tuple[Expression, str]]:
    """The references to the item, once each and at their most exposed, that may hold more than harmless text."""
    command = node.params.get("command")
    if node.type != "shell" or node.batch is None or not isinstance(command, str):
        return
    aliases, items = frozenset(node.aliases), inline_items(node)
    # Each is looked at once in each place, however often it is written.
    found = {(expression.raw, where): expression for expression, where in contexts(parse(command)) if where in _RANKS}
    worst: dict[str, tuple[Expression, str]] = {}
    for (raw, where), expression in found.items():
        roots = {reference.root for reference in expression.references()}
        if not roots & aliases or (items is not None and roots <= aliases and _is_harmless(items, expression, where)):
            continue
        known = worst.get(raw)
        if known is None or _RANKS.index(where) < _RANKS.index(known[1]):
            worst[raw] = (expression, where)
    yield from worst.values()


def _is_harmless(items: list[dict[str, Any]], expression: Expression, where: str) -> bool:
    """Whether the text is known for every one of `items`, and means to a shell what it says."""
    literals = [str(operand.value) for operand in expression.operands if isinstance(operand, Literal)]
    whole = f"${{{expression.raw}}}"
    try:
        values = [str(evaluate(whole, {**names, "__index__": index})) for index, names in enumerate(items)]
    except ValueError:
        return False  # it fails anyway
    return all(_HARMLESS[where].fullmatch(text) is not None for text in [*values, *literals])


def _help(node: SourceNode, expression: Expression) -> str:
    name = re.sub(r"\W+", "_", expression.raw.partition("??")[0].strip()).strip("_").upper() or "ITEM"
    value = json.dumps(f"${{{expression.raw}}}", ensure_ascii=False)
    return f'hand it over as a variable: `env` with "{name}": {value}, and "${name}" in the command\nor as `stdin`'
