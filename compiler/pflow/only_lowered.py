"""What a batch node says that only lowered nodes know: where pflow's own executor runs it, the workflow is refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from .batch_names import our_keys, used_names


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
