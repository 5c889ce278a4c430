"""The prompt cache: `prompt_cache` and `prewarm` of nodes, and the chunks of the workflow."""

from __future__ import annotations

import re
from collections.abc import Collection

from ..ir.report import DiagnosticCollector, quoted
from ..ir.template import Reference, parse
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.pflow_types import asks_a_model
from .sentences import names_nothing


def check_cache(ir: SourceIR, report: DiagnosticCollector, known: Collection[str], aliases: Collection[str]) -> None:
    """Report what pflow refuses about prompt caching. `known` are the names that a chunk may read."""
    names = {chunk.name: None for chunk in ir.chunks}
    for node in ir.nodes:
        misused = [key for key in ("prompt_cache", "prewarm") if key in node.data]
        if not asks_a_model(node.type):
            for key in misused:
                message = f"only an llm node has `{key}`, this is {_article(node.type)}"
                report.error("PFL217", (*node.path, key), message, key=True, help="remove it")
        elif node.prompt_cache:
            _listed(node, names, report)
    for index, chunk in enumerate(ir.chunks):
        problem, help = _unfillable(chunk.var, known, aliases, report)
        if problem:
            report.error("PFL313", ("cache", "items", index, "var"), problem, help=help)


def _listed(node: SourceNode, names: dict[str, None], report: DiagnosticCollector) -> None:
    wanted = list(node.prompt_cache)
    path = (*node.path, "prompt_cache")
    fine = True
    seen: set[str] = set()
    for index, name in enumerate(wanted):
        if name in seen:
            report.error("PFL217", (*path, index), f'"{name}" stands here twice', help="remove one of them")
            fine = False
        elif name not in names:
            guess = report.nearest(name, names)
            help = f'did you mean "{guess}"?' if guess else f"there are: {quoted(names)}" if names else ""
            report.error("PFL217", (*path, index), f'no cache chunk is named "{name}"', help=help)
            fine = False
        seen.add(name)
    right = [name for name in names if name in seen]
    if fine and right != wanted:
        report.error(
            "PFL217", path, "the chunks must stand in the order of the cache", help=f"in this order: {', '.join(right)}"
        )
    if all(name in names for name in wanted):
        _sent_twice(node, wanted, report)


def _sent_twice(node: SourceNode, wanted: list[str], report: DiagnosticCollector) -> None:
    prompt = node.params.get("prompt")
    paths = {_steps(name): name for name in wanted}
    for expression in parse(prompt).expressions if isinstance(prompt, str) else ():
        for operand in expression.operands:
            if isinstance(operand, Reference) and operand.root not in node.aliases and _steps(operand.raw) in paths:
                report.error(
                    "PFL217",
                    (*node.path, "params", "prompt"),
                    f"${{{operand.raw}}} is cached and in the prompt: it would be sent twice",
                    text=f"${{{expression.raw}}}",
                    help="remove it here, or from `prompt_cache`",
                )


def _steps(path: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\[[^\[]*|[^.\[]+", path))


def _unfillable(
    var: str, known: Collection[str], aliases: Collection[str], report: DiagnosticCollector
) -> tuple[str, str]:
    template = parse("${" + var + "}")
    if template.issues:
        return "", ""
    whole = template.expressions[0] if template.expressions and template.expressions[0].raw == var else None
    if whole is not None and len(whole.operands) > 1:
        return "a cache chunk cannot have a fallback (??)", "compute it in a node before"
    operand = whole.operands[0] if whole is not None else None
    roots = [ref.root for ref in operand.references()] if isinstance(operand, Reference) else [var]
    for root in roots:
        if root in aliases:
            return f"${{{var}}} differs from item to item, so it cannot be cached", "put it in the node's prompt"
    for root in roots:
        if root not in known:
            guess = report.nearest(root, known)
            return names_nothing(f"${{{var}}}"), f"did you mean ${{{guess}}}?" if guess else ""
    return "", ""


def _article(type_name: str) -> str:
    return f"{'an' if type_name[:1] in 'aeiou' else 'a'} {type_name} node"
