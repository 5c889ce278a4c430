"""A batch inside pflow 0.8.1: what it tells the wrappers around it and the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pflow.runtime import batch_node
from pflow.runtime.error_context import get_upstream_stderr

from ...runtime import Batch, Call, Engine, ParameterError, Result, Shared
from ...runtime.engine import deep_copies
from ...runtime.inner import item_store, run_inner
from ...runtime.values import index_lists_only
from ..messages import OUTPUT_REPLACED

_CALLS, _WARNINGS, _TEMPLATES = "__llm_calls__", "__warnings__", "__template_errors__"

index_lists_only()


class WrappedEngine(Engine):
    """pflow 0.8.1 around one run of one batch node."""

    def __init__(self, chain: Any, shared: Any, place: str) -> None:
        """`chain` is what pflow compiled for the node, `shared` the store as the node sees it."""
        self.chain = chain
        self.shared = shared
        self.file = place
        template = chain.template
        self.static = template.static_params if template is not None else chain.node.params

    def open(self, batch: Batch) -> None:
        """What every item's store has in common with the run's."""
        for key, empty in ((_CALLS, []), (_TEMPLATES, {})):
            batch.shared[key] = self.shared.setdefault(key, empty)

    def place(self, batch: Batch) -> str:
        """The workflow's file and the line of the node's heading, where pflow says so."""
        return self.file

    def as_items(self, found: Any) -> Any:
        """A list only, as pflow has it."""
        return found

    def items_error(self, message: str, source: str, shared: Shared) -> str:
        """With what the node that the items come from said on stderr."""
        return message + (get_upstream_stderr(source, dict(shared)) or "") if source else message

    def error_text(self, record: dict[str, Any]) -> str:
        """As pflow has it, be it empty."""
        return str(record["error"])

    def copy_factory(self, inner: Any) -> Callable[[], Any]:
        """As pflow's executor copies the node for every item."""
        return deep_copies(inner)

    def inner_of_run(self, inner: Any) -> Any:
        """The node itself, as in pflow."""
        return inner

    def prepare(self, call: Call, inner: Any, store: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        """The parameters as pflow's node gets them: with what its compiler injected."""
        return {**params, **self.static}

    def replacing(self, call: Call, written: Any) -> None:
        """A warning in pflow's log, where its executor has one, too; its command line shows it."""
        batch_node.logger.warning(OUTPUT_REPLACED, extra={"node_id": call.batch.node_id, "existing_item": written})

    def unresolved(self, node: Any, call: Call, error: ParameterError) -> Result:
        """Let pflow itself say what parameters without a value come to: its own error or, where the workflow
        is permissive, a run with its own text for them.

        Raises: ValueError, in strict mode.
        """
        if call.entered == call.attempt or self.chain.template is None:
            raise error  # it comes from inside the node, which had its parameters
        item_store(call)
        return run_inner(self.chain.around(node.inner), call, self.chain.template.template_params)

    def finished(self, call: Call, record: dict[str, Any] | None) -> None:
        """Note what an item's model cost, as pflow's executor does: one caller at a time."""
        usage = None if call.result is None else call.result.get("llm_usage") or self._usage_beside(call)
        if usage and isinstance(usage, dict):
            node_id = call.batch.node_id
            self.shared[_CALLS].append({**usage, "node_id": node_id, "batch_item_index": call.index})

    def _usage_beside(self, call: Call) -> Any:
        """What the node wrote beside its outputs: without namespaces, it writes to the top of the item's store."""
        usage = (call.store or {}).get("llm_usage")
        return None if usage is self.shared.get("llm_usage") else usage

    def warn(self, batch: Batch, warnings: list[str]) -> None:
        """As a text for the node, which makes the run DEGRADED."""
        if warnings:
            said = self.shared.setdefault(_WARNINGS, {})
            said[batch.node_id] = f"Batch '{batch.node_id}': " + "; ".join(warnings)
