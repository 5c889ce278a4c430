"""`requirements.txt`: what has to be installed where files with a copy of the runtime are to run."""

from __future__ import annotations

from ..files.generated_names import REQUIREMENTS
from ..ir.lowered import LoweredIR
from ..node_types.pflow_types import REFERENCE
from .emit import SourceHeader, header

_POCKETFLOW = "pocketflow>=0.0.3"


def emit_requirements(lowered: LoweredIR, source: SourceHeader, *, program: bool) -> dict[str, str]:
    """The file for the classes of pflow's types (of a `program`) and for the copy of the runtime.

    Classes of other packages are not in it: which distribution they come from is not known.
    """
    modules = {step.runs[0] for step in lowered.steps if step.runs is not None} if program else set()
    needed = [_POCKETFLOW]
    if any(module.partition(".")[0] == "pflow" for module in modules):
        needed.insert(0, f"pflow-cli=={REFERENCE}.*")
    others = sorted({name for module in modules if (name := module.partition(".")[0]) != "pflow"})
    besides = [f"# Besides: what has the modules {', '.join(others)}."] if others else []
    head = [line for line in header(source) if line not in ("# ruff: noqa", "# fmt: off")]
    return {REQUIREMENTS: "\n".join([*head, *besides, *needed, ""])}
