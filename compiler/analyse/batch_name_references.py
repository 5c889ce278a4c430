"""References to the names that are ours: where `${batch_index}`, `${batch_total}` and `${__previous__}` can be read."""

from __future__ import annotations

from ..ir.workflow import SourceNode
from .invariance import BATCH_NAMES, PREVIOUS, Bound
from .reference_findings import ReferenceUse
from .sentences import is_a_number, only_in_batches
from .template_sites import SiteKind


def check_batch_name(use: ReferenceUse, node: SourceNode) -> bool:
    """Whether such a reference can be read where it stands, in `node`; one that cannot is reported."""
    reference = use.reference
    if node.batch is None or use.site.kind is not SiteKind.PARAMETER:
        return use.error("PFL301", only_in_batches(reference))
    if reference.root == PREVIOUS:
        return _previous(use, node)
    if reference.path:
        return use.error("PFL307", is_a_number(reference))
    if node.batch.items_file is not None and BATCH_NAMES[reference.root] is Bound.TOTAL:
        what = f"{reference} is not known: the items are read from a file, one at a time"
        return use.error(
            "PFL301", what, "${batch_index} is known; count them in a step before, if it must be all of them"
        )
    return True


def _previous(use: ReferenceUse, node: SourceNode) -> bool:
    reference = use.reference
    if node.batch is not None and node.batch.parallel:
        what = f"{reference} is the result of the item before, and items of a parallel batch have none"
        return use.error("PFL325", what, "take `parallel` out")
    if use.site.path[2:3] == ("batch",):
        return use.error("PFL325", f"{reference} is not there yet: items get their names before the first one runs")
    if not use.has_fallback:
        what = f"{reference} finds nothing for the first item, so that one fails"
        use.warn("PFL326", what, f'say what it is then: ${{{reference.raw} ?? ""}}')
    return True
