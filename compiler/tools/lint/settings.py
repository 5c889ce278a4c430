"""Rules about annotations that say something which makes no difference."""

from __future__ import annotations

from collections.abc import Iterator

from ...ir.workflow import SourceNode
from ...node_types.pflow_types import REFERENCE, pflow_type
from .context import Finding, LintContext


def bound_without_parallel(_context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL506: `max_concurrent` is read only where items run at the same time."""
    batch = node.batch
    if batch is None or batch.parallel or "max_concurrent" not in batch.written:
        return
    path = (*node.path, "batch", "max_concurrent")
    message = "items run one after the other: without `parallel: true` the bound is never read"
    help = "remove it, or add `parallel: true`"
    yield Finding(path, message, help, key=True, remove=path)


def retries_that_never_happen(_context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL514: retries are set on a type that answers with an error where others raise.

    With a `timeout` they do happen: whatever is given up is repeated.
    """
    known = pflow_type(node.type)
    if known is None:
        return
    fails = f"a {known.call} that fails is not repeated by this: `{node.type}` answers with an error"
    nothing = f"nothing in pflow {REFERENCE} repeats it; remove the setting, or repeat it inside the node"
    batch = node.batch
    if batch is not None and batch.max_retries > 1 and not known.attempts.raises and batch.timeout is None:
        message = f"{fails}, and `batch.max_retries` repeats exceptions only"
        help = (
            f"set `retry.max` on the node instead; without it, the node tries {_times(known.attempts.own)}"
            if known.attempts.heeds_retry
            else nothing
        )
        yield Finding((*node.path, "batch", "max_retries"), message, help, key=True)
    if node.retry is not None and node.retry.max > 1 and not known.attempts.heeds_retry:
        yield Finding((*node.path, "retry", "max"), fails, nothing, key=True)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
