"""What pflow's own validator says of a workflow, where pflow is installed: PFL390, in pflow's words.

It is asked about what our own stages let pass, so that everything that pflow refuses is refused here: what is known
only from its registry (node types, what tools take and give), the workflows that a node starts. It reads a copy of
the user's registry, since it refreshes what it reads; nothing of the user's is written, imported or run.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import re
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..analyse.child_calls import files_started
from ..diagnostics.diagnostic import Diagnostic, Severity
from ..ir.paths import Path as DataPath
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.lookup import NodeTypes
from ..node_types.pflow_types import is_mcp
from ..runtime.started_workflow import WORKFLOW_FILE
from .batch_names import as_shown_to_validator, as_written
from .stubs import function_of, without_stub
from .versions import Unsupported, installed, supported_here

_PLACE = re.compile(r"nodes\[id=[^\]]+\]\.(params|batch)\.([\w-]+)")
_STARTED = re.compile(r"In step '([^']*)' sub-workflow: ")
"""How pflow begins what it says of a workflow that a node starts; once more for each deeper one."""
_CHILDREN = re.compile(rf"\A(?:{_STARTED.pattern})+")
_VALIDATOR = "pflow.core.workflow.validator"
"""Where pflow has the validator that is called in this way."""
_asking = threading.Lock()
"""Held while pflow's validator has another `validate`: two threads must not take away each other's."""


def ask_pflow(ir: SourceIR, types: NodeTypes, file: Path | None) -> list[Diagnostic]:
    """The errors that pflow's validator finds in `ir`, which stands in `file`, but for those of the machine.

    Without a file, nothing is said of the workflows that it starts: they stand beside it.
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
        _finding(said, nodes.get(_node_of(said)), ir)
        for said in errors
        if not (_depends_on_the_machine(said, nodes) or (file is None and _names_a_file(said, nodes)))
    ]


def _node_of(said: Any) -> str:
    """The node that pflow speaks of; of a workflow that nodes start, the one of ours that leads there.

    `node_id` is then one of the child's nodes, and one of ours may be called the same.
    """
    started = _STARTED.match(said.message)
    return started[1] if started else said.node_id or ""


def _depends_on_the_machine(said: Any, nodes: Mapping[str, SourceNode]) -> bool:
    """Whether something is missing here, not in the workflow: a model's key, a server's tools."""
    if (said.context or {}).get("category") == "llm_validation":
        return True
    own = _CHILDREN.sub("", said.message)
    node = nodes.get(said.node_id) if own == said.message else None
    return own.startswith("Unknown node type") and (node is None or is_mcp(node.type)) and "'mcp-" in own


def _names_a_file(said: Any, nodes: Mapping[str, SourceNode]) -> bool:
    """Whether pflow speaks of a workflow that a node starts by the name of its file."""
    node = nodes.get(_node_of(said))
    return node is not None and any(repr(call.name) in said.message for call in files_started(node))


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
    from pflow.core.validation_utils import generate_dummy_parameters
    from pflow.core.workflow.validator import WorkflowValidator
    from pflow.registry import Registry

    from ..load.markdown import quiet

    with tempfile.TemporaryDirectory(prefix="pflow-lower-") as folder, quiet():
        mine = Path(folder) / "registry.json"
        home = Path.home() / ".pflow"
        if (home / "registry.json").is_file():
            shutil.copyfile(home / "registry.json", mine)
        data = copy.deepcopy(ir.data)
        given = generate_dummy_parameters(data.get("inputs") or {})
        if file is not None:
            given[WORKFLOW_FILE] = str(file)
        registry = Registry(mine)
        registry.load = functools.cache(
            registry.load
        )  # it is asked for each node, and would look at all files of pflow's
        with _as_it_was(home), _shown_what_it_knows(WorkflowValidator):
            found: Iterable[Any] = WorkflowValidator.validate(data, given, registry, workflow_file=file)
        yield from (said for said in found if said.severity.value == "error")


@contextlib.contextmanager
def _shown_what_it_knows(validator: Any) -> Iterator[None]:
    """Show `validator` every workflow without our keys and names, those that nodes start, too, however deep.

    It reads their files itself and then calls its own `validate` with each, as it does in a run, where `install`
    has put the adapter's in that place.
    """

    def validate(ir: Any, extracted_params: Any = None, *arguments: Any, **keywords: Any) -> Any:
        return original(as_shown_to_validator(ir, extracted_params or {}), extracted_params, *arguments, **keywords)

    with _asking:
        raw = vars(validator)["validate"]
        original = function_of(without_stub(raw))
        validator.validate = staticmethod(validate)
        try:
            yield
        finally:
            validator.validate = raw


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
    if node is not None and _STARTED.match(said.message):
        path = (*node.path, "params", "workflow")
    elif node is not None:
        place = _PLACE.match(str((said.context or {}).get("path", "")))
        path = (*node.path, place[1], place[2]) if place else (*node.path, _key_of(said.message, node))
    return Diagnostic(
        code="PFL390",
        severity=Severity.ERROR,
        message=as_written(ir.data, said.node_id or "", str(said.message)).strip().rstrip("."),
        where=_node_of(said),
        file=ir.name,
        position=ir.position(path) if path else None,
        help="\n".join(said.suggestions or ()),
    )


def _key_of(message: str, node: SourceNode) -> str:
    return "type" if f"'{node.type}'" in message else "id"
