"""`lint --portable`: what plain pflow, without pflow-lower, would refuse."""

from __future__ import annotations

from collections.abc import Iterator

from ...analyse.known_here_only import known_here_only as found_in
from ...ir.workflow import SourceNode
from .context import Finding, LintContext

_HELP = "run it by `pflow-lower run`, or where `pflow-lower enable` holds"


def known_here_only(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL516: keys, values of keys, and names that only pflow-lower knows."""
    for path, what, text in found_in(node, context.ir):
        yield Finding(path, f"pflow does not know {what}", _HELP, text=text, key=text is None)
