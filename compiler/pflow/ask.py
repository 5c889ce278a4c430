"""What pflow's own validator says of a workflow, where pflow is installed: PFL390, in pflow's words.

It is asked about what our own stages let pass, so that everything that pflow refuses is refused here: what is known
only from its registry (node types, what tools take and give), the workflows that a node starts. It reads a copy of
the user's registry, since it refreshes what it reads; nothing of the user's is written, imported or run.
"""

from __future__ import annotations

import contextlib
import copy
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..analyse.invariance import BATCH_NAMES
from ..diagnostics.diagnostic import Diagnostic, Severity
from ..ir.paths import Path as DataPath
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.lookup import NodeTypes
from ..node_types.pflow_types import is_mcp
from .pflow_values import WORKFLOW_FILE
from .versions import Unsupported, installed, supported_here

_PLACE = re.compile(r"nodes\[id=[^\]]+\]\.(params|batch)\.([\w-]+)")
_VALIDATOR = "pflow.core.workflow.validator"
"""Where pflow has the validator that is called in this way."""


def ask_pflow(ir: SourceIR, types: NodeTypes, file: Path | None) -> list[Diagnostic]:
    """The errors that pflow's validator finds in `ir`, which stands in `file`, but for those of the machine.

    Not asked are workflows that pflow cannot run as they stand, since a node has a class in the author's table.
    Without pflow nothing is said.
    """
    if not _is_known_version() or any(types.names_a_class(node.type) for node in ir.nodes):
        return []
    try:
        errors = list(_errors(ir, file))
    except Exception as error:  # noqa: BLE001 - whatever a validator of somebody else's may raise
        message = f"pflow's validator could not be asked: {type(error).__name__}: {error}"
        return [Diagnostic(code="PFL390", severity=Severity.WARNING, message=message, file=ir.name)]
    nodes = {node.id: node for node in ir.nodes}
    return [
        _finding(said, node, ir)
        for said in errors
        if not _depends_on_the_machine(said, node := nodes.get(said.node_id))
    ]


def _depends_on_the_machine(said: Any, node: SourceNode | None) -> bool:
    """Whether something is missing here, not in the workflow: a model's key, a server's tools; or a name is ours."""
    if (said.context or {}).get("category") == "llm_validation":
        return True
    if any(f"{{{name}}}" in said.message for name in BATCH_NAMES):  # in a workflow that a node starts
        return True
    unknown = said.message.startswith("Unknown node type")
    return unknown and (node is None or is_mcp(node.type)) and "'mcp-" in said.message


def _is_known_version() -> bool:
    """Whether this pflow is a supported one whose validator is called in this way."""
    if installed() is None:
        return False
    try:
        wrapped = supported_here().wrapped
    except Unsupported:
        return False
    return any(_VALIDATOR in one.modules for one in wrapped)


def _errors(ir: SourceIR, file: Path | None) -> Iterator[Any]:
    import http.client  # noqa: F401  before pflow: its node scan can hide this module

    from pflow.core.validation_utils import generate_dummy_parameters
    from pflow.core.workflow.validator import WorkflowValidator
    from pflow.registry import Registry

    from ..load.markdown import quiet
    from .batch_names import as_pflow_knows_it

    with tempfile.TemporaryDirectory(prefix="pflow-lower-") as folder, quiet():
        mine = Path(folder) / "registry.json"
        home = Path.home() / ".pflow"
        if (home / "registry.json").is_file():
            shutil.copyfile(home / "registry.json", mine)
        data = copy.deepcopy(as_pflow_knows_it(ir.data))
        given = generate_dummy_parameters(data.get("inputs") or {})
        if file is not None:
            given[WORKFLOW_FILE] = str(file)
        with _as_it_was(home):
            found: Iterable[Any] = WorkflowValidator.validate(data, given, Registry(mine), workflow_file=file)
        yield from (said for said in found if said.severity.value == "error")


@contextlib.contextmanager
def _as_it_was(home: Path) -> Iterator[None]:
    """Take pflow's folder away again if it was not there: looking up a server's tools makes an empty one."""
    missing = not home.exists()
    try:
        yield
    finally:
        if missing:
            with contextlib.suppress(OSError):  # it was not made, or somebody has put something into it
                home.rmdir()


def _finding(said: Any, node: SourceNode | None, ir: SourceIR) -> Diagnostic:
    """One of pflow's diagnostics as ours, at the place that it names as far as it names one."""
    path: DataPath = ()
    if node is not None:
        place = _PLACE.match(str((said.context or {}).get("path", "")))
        path = (*node.path, place[1], place[2]) if place else (*node.path, _key_of(said.message, node))
    return Diagnostic(
        code="PFL390",
        severity=Severity.ERROR,
        message=str(said.message).strip().rstrip("."),
        where=said.node_id or "",
        file=ir.name,
        position=ir.position(path) if path else None,
        help="\n".join(said.suggestions or ()),
    )


def _key_of(message: str, node: SourceNode) -> str:
    return "type" if f"'{node.type}'" in message else "id"
