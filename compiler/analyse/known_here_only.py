"""What of a batch node only pflow-lower knows, and pflow alone refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..ir.batch_keys import batch_key
from ..ir.known_to_pflow import ours_in
from ..ir.paths import Path
from ..ir.template import templates
from ..ir.workflow import SourceIR, SourceNode
from .invariance import BATCH_NAMES, Bindings, Bound


class KnownHereOnly(NamedTuple):
    """A key of a batch, a value of one, or a name."""

    path: Path
    what: str
    """What it is, as the object of a sentence."""
    text: str | None
    """What stands there inside a text; None for a key."""


def known_here_only(node: SourceNode, ir: SourceIR) -> Iterator[KnownHereOnly]:
    """All such things of `node`, of the workflow `ir`."""
    batch = node.data.get("batch")
    if node.batch is None or not isinstance(batch, dict):
        return
    for key in ours_in(batch):
        what = f"the batch key `{key}`" if batch_key(key).ours else f"this value of the batch key `{key}`"
        yield KnownHereOnly((*node.path, "batch", key), what, None)
    bindings = Bindings.of(node, ir.names)
    for key, value in node.params.items():
        for path, template in templates(value):
            for reference in template.references():
                root, bound = reference.root, bindings.bound(reference.root, key)
                if bound is Bound.PART or (root in BATCH_NAMES and bound is BATCH_NAMES[root]):
                    yield KnownHereOnly((*node.path, "params", key, *path), f"${{{root}}}", reference.raw)
