"""References to the names that are ours: where `${batch_index}`, `${batch_total}` and `${__previous__}` can be read."""

from __future__ import annotations

from ..ir.template import Expression, Reference
from ..ir.workflow import SourceNode
from .invariance import BATCH_NAMES, PREVIOUS, Bound
from .reference_findings import ReferenceFindings
from .template_sites import SiteKind, TemplateSite


def check_batch_name(
    findings: ReferenceFindings, site: TemplateSite, node: SourceNode, expression: Expression, reference: Reference
) -> bool:
    """Whether such a reference can be read where it stands; one that cannot is reported."""
    root = reference.root
    if node.batch is None or site.kind is not SiteKind.PARAMETER:
        what = f"{reference} only exists in the params of a batch node"
        return findings.error("PFL301", site, expression, reference, what)
    if root == PREVIOUS:
        return _previous(findings, site, node, expression, reference)
    if reference.path:
        return findings.error("PFL307", site, expression, reference, f"{reference} is a number, it has no fields")
    if node.batch.items_file is not None and BATCH_NAMES[root] is Bound.TOTAL:
        what = f"{reference} is not known: the items are read from a file, one at a time"
        help = "${batch_index} is known; count them in a step before, if it must be all of them"
        return findings.error("PFL301", site, expression, reference, what, help)
    return True


def _previous(
    findings: ReferenceFindings, site: TemplateSite, node: SourceNode, expression: Expression, reference: Reference
) -> bool:
    if node.batch is not None and node.batch.parallel:
        what = f"{reference} is the result of the item before, and items of a parallel batch have none"
        return findings.error("PFL325", site, expression, reference, what, "take `parallel` out")
    if site.path[2:3] == ("batch",):
        what = f"{reference} is not there yet: items get their names before the first one runs"
        return findings.error("PFL325", site, expression, reference, what)
    if len(expression.operands) == 1:
        what = f"{reference} finds nothing for the first item, so that one fails"
        help = f'say what it is then: ${{{reference.raw} ?? ""}}'
        findings.warn("PFL326", site, expression, reference, what, help)
    return True
