"""What a PocketFlow program cannot do: asked for with `--program`, it is refused where it would need an engine."""

from __future__ import annotations

from ..ir.report import DiagnosticCollector
from ..ir.workflow import SourceIR

_PROGRAM_IS_OPTIONAL = "leave out --program; the generated classes of the batch nodes do not need it"


def check_program(ir: SourceIR, report: DiagnosticCollector) -> None:
    """Report why `ir` cannot become a program, if it cannot."""
    for node in ir.nodes:
        for key, wanted, why in (("loop", node.loop, "repeat a step"), ("approval", node.approval, "ask for approval")):
            if wanted:
                message = f"a program cannot {why}: {key} needs an engine"
                report.error("PFL450", (*node.path, key), message, help=_PROGRAM_IS_OPTIONAL)
        if node.prompt_cache:
            message = "a program cannot send what prompt_cache names: its calls would lack that text"
            help = "put that text into the prompt, or run the workflow in pflow"
            report.error("PFL450", (*node.path, "prompt_cache"), message, help=help)
