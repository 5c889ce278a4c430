"""What a batch node says that only lowered nodes know: pflow never sees it, so what is wrong with it is said here.

And where pflow's own executor runs such a node, the workflow is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ..diagnostics.diagnostic import Diagnostic, Severity
from .batch_names import our_keys, used_names


def wrong_keys(error: Callable[..., Exception], ir: Mapping[str, Any], name: str) -> Exception | None:
    """The error about keys of ours in `ir`, the workflow `name`, that `lower` refuses; None if all are right.

    `error` is the version's CompilationError. Without keys of ours nothing is looked at.
    """
    keys = {node["id"]: ours for node in ir["nodes"] if (ours := our_keys(node))}
    if not keys:
        return None
    from ..analyse.references import check_references
    from ..ir.document import Document
    from ..validate.validate import validate

    source, found = validate(Document(name=name, data=dict(ir)))
    if source is not None:  # of references, a run may know more than the workflow declares
        found = [*found, *(other for other in check_references(source) if other.code == "PFL219")]
    for diagnostic in found:
        node_id = next((node_id for node_id in keys if _is_about(diagnostic, node_id, keys[node_id])), None)
        if node_id is not None:
            return error(
                f"[{diagnostic.code}] {diagnostic.where}: {diagnostic.message}",
                phase="lowering",
                node_id=node_id,
                suggestion=diagnostic.help or None,
            )
    return None


def _is_about(diagnostic: Diagnostic, node_id: str, keys: Collection[str]) -> bool:
    if diagnostic.severity is not Severity.ERROR:
        return False
    places = [f"{node_id}.batch.{key}" for key in keys]
    return any(diagnostic.where == place or diagnostic.where.startswith((f"{place}.", f"{place}[")) for place in places)


def refusal(
    error: Callable[..., Exception],
    node: Mapping[str, Any],
    declared: Collection[str],
    why: Callable[[], str],
    *,
    options: Sequence[str] = (),
) -> Exception | None:
    """The error about `node`, which runs interpreted; None if that leaves nothing out that it says.

    `error` is the version's CompilationError, `declared` are the names of the workflow, `why` says why the node was
    not lowered, `options` are those of the command that only lowered nodes honour.
    """
    if keys := our_keys(node):
        what = f"the batch key `{keys[0]}`"
        suggestion = f"Take `{keys[0]}` out of the batch, or change what keeps the node from being lowered."
    elif options:
        what = options[0]
        suggestion = f"Leave {options[0]} away, or change what keeps the node from being lowered."
    elif names := used_names(node, declared):
        what = f"${{{names[0]}}}"
        suggestion = "Use ${__index__}, or have the node before the batch put the number into each item."
    else:
        return None
    return error(
        f"{what} is known in lowered batch nodes only, and '{node['id']}' runs interpreted: {why()}",
        phase="lowering",
        node_id=node["id"],
        node_type=node["type"],
        suggestion=suggestion,
    )
