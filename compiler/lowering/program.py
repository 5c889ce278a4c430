"""What a PocketFlow program cannot do, and what cannot stand beside one."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics.diagnostic import Diagnostic, Severity
from ..ir.lowered import MODULE, LoweredIR
from ..ir.workflow import SourceIR, SourceNode

_PROGRAM_IS_OPTIONAL = "leave out --program; the generated classes of the batch nodes do not need it"


def refusals(source: SourceIR, lowered: LoweredIR, runtime: str) -> Iterator[Diagnostic]:
    """Why `lowered` cannot become a program, if it cannot (PFL45x). `runtime` is the module that it would import."""
    found = list(_what_needs_an_engine(source))
    yield from found or _classes_in_our_place(source, lowered, runtime)


def _what_needs_an_engine(source: SourceIR) -> Iterator[Diagnostic]:
    for node in source.nodes:
        for key, wanted, why in (("loop", node.loop, "repeat a step"), ("approval", node.approval, "ask for approval")):
            if wanted:
                message = f"a program cannot {why}: {key} needs an engine"
                yield _refusal("PFL450", source, node, key, message, _PROGRAM_IS_OPTIONAL)
        if node.prompt_cache:
            message = "a program cannot send what prompt_cache names: its calls would lack that text"
            help = "put that text into the prompt, or run the workflow in pflow"
            yield _refusal("PFL450", source, node, "prompt_cache", message, help)


def _classes_in_our_place(source: SourceIR, lowered: LoweredIR, runtime: str) -> Iterator[Diagnostic]:
    """A class of the user's in a module `nodes` cannot be imported beside the generated `nodes.py`."""
    ours = {MODULE, "flow", runtime}
    for node, step in zip(source.nodes, lowered.steps, strict=True):
        module = step.runs[0].partition(".")[0] if step.runs is not None else ""
        if module in ours:
            message = f"the class is in a module `{module}`, and so is what pflow-lower makes: only one can be imported"
            yield _refusal("PFL451", source, node, "type", message, f"rename that module, or {_PROGRAM_IS_OPTIONAL}")


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
