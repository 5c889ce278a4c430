"""How a finding about one reference is reported: at the place where the reference stands."""

from __future__ import annotations

from ..ir.report import DiagnosticCollector
from ..ir.template import Expression, Reference
from .template_sites import TemplateSite


class ReferenceFindings:
    """What is found about references."""

    def __init__(self, report: DiagnosticCollector) -> None:
        self.report = report

    def error(
        self,
        code: str,
        site: TemplateSite,
        expression: Expression,
        reference: Reference,
        message: str,
        help: str = "",
    ) -> bool:
        """Report an error. Returns False, what a check of the reference answers."""
        text = _spelling(expression, reference)
        self.report.error(code, site.path, message, text=text, help=help)
        return False

    def warn(
        self,
        code: str,
        site: TemplateSite,
        expression: Expression,
        reference: Reference,
        message: str,
        help: str = "",
    ) -> None:
        """Report a warning."""
        text = _spelling(expression, reference)
        self.report.warn(code, site.path, message, text=text, help=help)


def _spelling(expression: Expression, reference: Reference) -> str:
    """What to look for in the source: the expression, or the reference inside a dynamic index."""
    inside = all(reference is not operand for operand in expression.operands)
    return f"${{{reference.raw}}}" if inside else f"${{{expression.raw}}}"
