"""Malformed templates: a `${` that opens no expression, wherever a template can stand."""

from __future__ import annotations

from ..ir.report import DiagnosticCollector
from .sentences import LIST_INDEX, shells_variable
from .template_sites import SiteKind, TemplateSite

OPERATORS = frozenset("><=!+*/%")
"""What stands in a `${...}` that is meant to compute something."""


def check_syntax(site: TemplateSite, report: DiagnosticCollector) -> bool:
    """Report every malformed piece of a template. Returns whether there is one."""
    template = site.template
    if site.kind is SiteKind.PROSE and template.expressions and not template.issues:
        message = "the text of a cache chunk cannot contain references"
        help = "a reference in the prompt cache is a chunk of its own"
        report.error("PFL302", site.path, message, text=f"${{{template.expressions[0].raw}}}", help=help)
        return True
    for issue in template.issues:
        shown = issue.raw if len(issue.raw) <= 60 else issue.raw[:57] + "..."
        help = _help(issue.raw)
        if issue.raw.endswith("}") and (shell := shells_variable(site, issue.raw[2:-1])):
            help = f"{help}\n{shell}"
        report.error("PFL302", site.path, f"{shown} is not a reference", text=issue.raw, help=help)
    for expression in template.expressions:
        if expression.raw.isdigit() and (shell := shells_variable(site, expression.raw)):
            message = f"${{{expression.raw}}} is the number {expression.raw}, not an argument of the command"
            report.warn("PFL344", site.path, message, text=f"${{{expression.raw}}}", help=shell)
    return bool(template.issues)


def _help(raw: str) -> str:
    literal = "for the text itself write $${"
    if not raw.endswith("}"):
        return f"it is never closed with }}; {literal}"
    inner = raw[2:-1]
    if not inner.strip():
        return f"name a value: ${{node.output}}; {literal}"
    if "${" in inner and "[${" not in inner:
        return "close the first ${ before the next one opens"
    if inner != inner.strip():
        return f"without spaces: ${{{inner.strip()}}}"
    name, colon, default = inner.partition(":")
    if colon and default[:1] in ("-", "="):
        return f'a fallback is written ${{{name} ?? "{default[1:]}"}}; {literal}'
    if "??" in inner:
        return (
            'each side of ?? is a reference or JSON: a number, a "string" in double quotes, true, false, null, [], {}'
        )
    if any(step.isdigit() for step in inner.split(".")[1:]):
        return LIST_INDEX
    if "][" in inner:
        return "one index at a time: put the inner list under a name"
    if "[-" in inner or "[*" in inner or "['" in inner or '["' in inner:
        return "an index is a number, 0 or more, or a reference: items[${__index__}]"
    if OPERATORS & set(inner):
        return "a reference is a path, nothing is computed in it: use a node for that"
    return f"a reference is a path such as ${{node.field.items[0]}}; {literal}"
