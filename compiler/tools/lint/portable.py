"""`lint --portable`: what plain pflow, without pflow-lower, would refuse."""

from __future__ import annotations

from collections.abc import Iterator

from ...analyse.invariance import BATCH_NAMES, Bound
from ...ir.batch_keys import batch_key
from ...ir.known_to_pflow import ours_in
from ...ir.template import templates
from ...ir.workflow import SourceNode
from .context import Finding, LintContext

_HELP = "run it by `pflow-lower run`, or where `pflow-lower enable` holds"


def known_here_only(context: LintContext, node: SourceNode) -> Iterator[Finding]:
    """PFL516: keys, values of keys, and names that only pflow-lower knows."""
    batch = node.data.get("batch")
    if node.batch is None or not isinstance(batch, dict):
        return
    for key in ours_in(batch):
        what = f"the batch key `{key}`" if batch_key(key).ours else f"this value of the batch key `{key}`"
        yield Finding((*node.path, "batch", key), f"pflow does not know {what}", _HELP, key=True)
    bindings = context.bindings(node)
    for key, value in node.params.items():
        for path, template in templates(value):
            for reference in template.references():
                root, bound = reference.root, bindings.bound(reference.root, key)
                if bound is Bound.PART or (root in BATCH_NAMES and bound is BATCH_NAMES[root]):
                    yield Finding(
                        (*node.path, "params", key, *path),
                        f"pflow does not know ${{{root}}}",
                        _HELP,
                        text=reference.raw,
                    )
