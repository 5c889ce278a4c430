"""What a PocketFlow program cannot do."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics.diagnostic import Diagnostic, Severity
from ..ir.workflow import SourceIR, SourceNode

_PROGRAM_IS_OPTIONAL = "leave out --program; the generated classes of the batch nodes do not need it"


def refusals(source: SourceIR) -> Iterator[Diagnostic]:
    """Why `source` cannot become a program, if it cannot (PFL450)."""
    for node in source.nodes:
        for key, wanted, why in (("loop", node.loop, "repeat a step"), ("approval", node.approval, "ask for approval")):
            if wanted:
                message = f"a program cannot {why}: {key} needs an engine"
                yield _refusal("PFL450", source, node, key, message, _PROGRAM_IS_OPTIONAL)
        if node.prompt_cache:
            message = "a program cannot send what prompt_cache names: its calls would lack that text"
            help = "put that text into the prompt, or run the workflow in pflow"
            yield _refusal("PFL450", source, node, "prompt_cache", message, help)


def _refusal(code: str, source: SourceIR, node: SourceNode, key: str, message: str, help: str) -> Diagnostic:
    return Diagnostic(
        code=code,
        severity=Severity.ERROR,
        message=message,
        where=f"{node.id}.{key}",
        file=source.name,
        position=source.position((*node.path, key)),
        help=help,
    )
