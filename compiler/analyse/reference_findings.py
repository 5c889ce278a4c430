"""How a finding about one reference is reported: at the place where the reference stands."""

from __future__ import annotations

from typing import NamedTuple

from ..ir.report import DiagnosticCollector
from ..ir.template import Expression, Reference
from .template_sites import TemplateSite


class ReferenceUse(NamedTuple):
    """One reference where it stands, and where findings about it are reported."""

    report: DiagnosticCollector
    site: TemplateSite
    expression: Expression
    reference: Reference

    @property
    def has_fallback(self) -> bool:
        """Whether something is read in its place where it finds nothing, or it in the place of something."""
        return len(self.expression.operands) > 1

    def error(self, code: str, message: str, help: str = "") -> bool:
        """Report an error. Returns False, what a check of the reference answers."""
        self.report.error(code, self.site.path, message, text=self._spelling, help=help)
        return False

    def warn(self, code: str, message: str, help: str = "") -> None:
        """Report a warning."""
        self.report.warn(code, self.site.path, message, text=self._spelling, help=help)

    def fails(self, code: str, message: str, help: str = "") -> None:
        """Report that a run finds nothing there: a warning where pflow accepts it, an error in a key that is ours."""
        is_refused = self.site.is_ours and not self.has_fallback
        (self.error if is_refused else self.warn)(code, message, help)

    @property
    def _spelling(self) -> str:
        """What to look for in the source: the expression, or the reference inside a dynamic index."""
        inside = all(self.reference is not operand for operand in self.expression.operands)
        return f"${{{self.reference.raw if inside else self.expression.raw}}}"
