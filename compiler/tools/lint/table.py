"""The rules, and what becomes of their findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...diagnostics.diagnostic import Diagnostic, by_position
from ...ir.paths import Path
from ...ir.report import DiagnosticCollector
from ...ir.workflow import SourceIR
from ..shared.suppression_table import is_linted
from . import calls, items, outputs, portable, retries, settings, shell, values
from .context import LintContext, Rule

RULES = (
    Rule("PFL501", calls.identical_calls),
    Rule("PFL502", outputs.same_file),
    Rule("PFL503", values.shared_value),
    Rule("PFL504", values.changed_input),
    Rule("PFL505", retries.repeated_effect),
    Rule("PFL506", settings.bound_without_parallel, fixable=True),
    Rule("PFL507", retries.multiplied),
    Rule("PFL508", values.index_into_continue),
    Rule("PFL509", calls.unused_alias, fixable=True),
    Rule("PFL510", calls.hidden_alias),
    Rule("PFL511", values.literal_item),
    Rule("PFL512", shell.unquoted_item),
    Rule("PFL513", shell.quoted_item),
    Rule("PFL514", settings.retries_that_never_happen),
    Rule("PFL515", retries.resumed_effect),
    Rule("PFL516", portable.known_here_only),
    Rule("PFL517", items.not_there),
)
"""Every rule, by code."""

PORTABLE = "PFL516"
"""Found only where it is asked for by its code: most workflows with such keys are not meant for plain pflow."""


class LintFinding(NamedTuple):
    """A finding: what is said, the node it is about, and what could be removed."""

    diagnostic: Diagnostic
    node: str
    remove: Path | None = None


class Choice(NamedTuple):
    """Which codes are wanted; prefixes of codes, where the longer one counts."""

    select: tuple[str, ...] = ("PFL",)
    ignore: tuple[str, ...] = ()

    def wants(self, code: str) -> bool:
        """Whether findings of `code` are shown."""
        chosen = max((len(prefix) for prefix in self.select if code.startswith(prefix)), default=0)
        refused = max((len(prefix) for prefix in self.ignore if code.startswith(prefix)), default=0)
        if code == PORTABLE and not any(len(prefix) == len(code) for prefix in self.select if code.startswith(prefix)):
            return False
        return chosen > refused


def lint(ir: SourceIR, diagnostics: Iterable[Diagnostic], choice: Choice = Choice()) -> list[LintFinding]:  # noqa: B008
    """Every wanted finding about the workflow `ir`, by position. `diagnostics` are those of the stages."""
    context = LintContext.of(ir)
    found = {
        finding: LintFinding(finding, _node_of(finding, context)) for finding in diagnostics if is_linted(finding.code)
    }
    for rule in RULES:
        if choice.wants(rule.code):
            for one in _run(rule, context):
                found.setdefault(one.diagnostic, one)
    return [found[finding] for finding in by_position(found) if choice.wants(finding.code)]


def _run(rule: Rule, context: LintContext) -> Iterator[LintFinding]:
    for node in context.ir.nodes:
        for finding in rule.check(context, node):
            report = DiagnosticCollector(context.ir.document)
            report.warn(rule.code, finding.path, finding.message, text=finding.text, key=finding.key, help=finding.help)
            yield LintFinding(report.found[0], node.id, finding.remove)


def _node_of(finding: Diagnostic, context: LintContext) -> str:
    """The node that a finding of a stage is about; its address begins with the id, which may hold dots."""
    fits = [
        name for name in context.nodes if finding.where == name or finding.where.startswith((f"{name}.", f"{name}["))
    ]
    return max(fits, key=len, default="")
