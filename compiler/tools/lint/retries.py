"""Rules about repeating: too often, or what must not be done twice."""

from __future__ import annotations

from collections.abc import Iterator

from ...ir.paths import Path
from ...ir.workflow import SourceNode
from ...node_types.pflow_types import is_mcp, mcp_tool, pflow_type
from ..shared.node_facts import retry_budget_of
from .context import Finding, LintContext

_DOING = frozenset(
    "add append book buy cancel charge close comment commit create deploy forward insert invite merge move notify open "
    "order pay post publish push record refund reply schedule send share submit transfer trigger upload write".split()
)
"""First words of a tool's name that say it leaves something behind each time."""


def multiplied(_context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL507: the batch repeats a node that already repeats itself."""
    if node.batch is None or node.batch.max_retries < 2:
        return
    budget = retry_budget_of(node)
    if budget.batch < 2 or budget.own < 2:
        return
    what = budget.known.call if budget.known else "call"
    written = node.retry is not None and "max" in node.retry.written
    own = "`retry.max`" if written else f"what `{node.type}` tries by itself"
    may = "makes" if budget.known else "can make"
    message = (
        f"the two budgets multiply: `batch.max_retries` {budget.batch} times {own}, {budget.own}, "
        f"{may} up to {budget.worst} {what}s for an item"
    )
    path: Path = (*node.path, "batch", "max_retries")
    help = "keep one of them: remove `batch.max_retries`"
    if budget.known or written:
        help += ", or set `retry.max` to 1"
    yield Finding(path, message, help, key=True)


def repeated_effect(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL505: what failed may have been done all the same, and is done again.

    PUT, DELETE, and files that are written as a whole are left out: doing them twice is doing them once
    (RFC 9110, 9.2.2). So are shell commands and workflows, which are repeated only after a `timeout`: then what has
    begun goes on, or is cut off somewhere.
    """
    budget = retry_budget_of(node)
    is_given_up = node.batch is not None and node.batch.timeout is not None and budget.batch > 1
    effect = _at_or_below(context, node, "it was given up") if is_given_up else _effect(node)
    if not effect or budget.worst < 2:
        return
    if node.batch is not None and node.batch.max_retries > 1 and budget.batch > 1:
        path: Path = (*node.path, "batch", "max_retries")
    elif node.retry is not None and node.retry.max > 1:
        path = (*node.path, "retry", "max")
    else:
        return  # the type's own habit, which its author did not ask for
    message = f"{effect}: up to {budget.worst} times" + ("" if is_given_up else ", also where only the answer was lost")
    once = ["`retry.max` 1"] * (budget.known is None or budget.known.attempts.heeds_retry)
    once += ["no `batch.max_retries`"] * (budget.batch > 1)
    help = f"make the receiver recognise a repetition (an idempotency key), or try once: {' and '.join(once)}"
    yield Finding(path, message, help, key=True)


def resumed_effect(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL515: an item that was under way when a run died starts again, and may have been done."""
    if node.batch is None or not node.batch.resume:
        return
    if effect := _at_or_below(context, node, "the run ended"):
        help = "make a second time harmless (an idempotency key, a check before), or leave `resume` out"
        message = f"{effect}, and `resume` starts what was under way again"
        yield Finding((*node.path, "batch", "resume"), message, help, key=True)


def _at_or_below(context: LintContext, node: SourceNode, end: str) -> str:
    """What a call whose end nobody saw may have left behind, also in the workflows that the node starts."""
    below = [(inner, name, said) for name, inner in context.started_by(node) if (said := _unseen(inner, end))]
    if not below:
        return _unseen(node, end)
    inner, name, said = below[0]
    return f"in {name}, at `{inner.id}`" + (f" and {len(below) - 1} more" if below[1:] else "") + f", {said}"


def _unseen(node: SourceNode, end: str) -> str:
    """What a call may have left behind before its `end`, though nobody knows that it has."""
    known = pflow_type(node.type)
    if known is None or not known.left_behind:
        return _effect(node)
    if node.type == "copy-file" and node.params.get("overwrite") is True:
        return ""
    return f"{known.left_behind} before {end}"


def _effect(node: SourceNode) -> str:
    """What a call of the node may have left behind although it failed; "" if nothing is known."""
    params = node.params
    if is_mcp(node.type):
        return _effect_of_tool(mcp_tool(node.type) or params.get("tool"))
    if node.type == "http":
        method = params.get("method")
        spelled = str(method).upper() if isinstance(method, str) and "${" not in method else ""
        if not method and params.get("body") and "body" in params:
            spelled = "POST"  # what pflow sends where there is a body and no method
        return f"a {spelled} request may have been carried out before it failed" if spelled in ("POST", "PATCH") else ""
    if node.type == "write-file" and params.get("append") is True:
        return "part of the text may have been appended before it failed"
    return ""


def _effect_of_tool(tool: object) -> str:
    words = str(tool).replace("_", "-").lower().split("-")
    doing = bool(_DOING & set(words[:2])) and words[0] not in ("get", "list", "search", "read", "find", "fetch")
    return f"the tool `{tool}` may have done its work before it failed" if doing else ""
