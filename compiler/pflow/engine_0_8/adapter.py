"""pflow-lower in pflow 0.8.1, whose nodes run inside wrappers: instrumentation, batch, namespace, template, node.

A lowered batch runs inside instrumentation, namespace and template; the batch wrapper is gone. Its generated
class takes the place of the innermost node, and what it gives is what the reference version gives: `results` holds
successes only, `errors` is a list, a fail-fast batch leaves what it has done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from pflow.pocketflow import Node
from pflow.runtime.batch_node import PflowBatchNode
from pflow.runtime.compiler import CompilationError
from pflow.runtime.namespaced_wrapper import NamespacedNodeWrapper
from pflow.runtime.node_wrapper import TemplateAwareNodeWrapper

from ...runtime.signals import ending_on_sigterm
from ..batch_names import as_shown_to_validator, declared_names, names_by_hand
from ..malformed import why_malformed
from ..messages import new_run, say, say_interpreted
from ..only_lowered import first_of, refusal, text_with_place, wrong_with_ours
from ..pflow_values import as_data, file_of, place_of, spec_of
from .engine import WrappedEngine

Original = Callable[..., Any]


def compiled_with_classes(original: Original, ir_json: Any, *arguments: Any, **keywords: Any) -> Any:
    """`compile_ir_to_flow`, and then: every batch that can be lowered runs its generated class.

    Raises: whatever `compile_ir_to_flow` does; CompilationError, if a node says what only lowered nodes know, and
    cannot be lowered.
    """
    try:
        ir = as_data(ir_json)
    except ValueError:
        return original(ir_json, *arguments, **keywords)  # pflow says best what is wrong with it
    given = dict(keywords.get("initial_params", arguments[1] if len(arguments) > 1 else None) or {})
    if found := wrong_with_ours(ir, given):
        raise first_of(found, ir, CompilationError)
    flow = original(as_shown_to_validator(ir, given), *arguments, **keywords)
    malformed: dict[str, str] = {}
    try:
        malformed |= {node["id"]: why for node in ir["nodes"] if "batch" in node and (why := why_malformed(node))}
        batches = [wrapped for wrapped in _nodes(flow) if isinstance(wrapped.inner_node, PflowBatchNode)]
        batches = [wrapped for wrapped in batches if wrapped.node_id not in malformed]
        if batches:
            _attach(ir, batches, given)
    except Exception as error:  # noqa: BLE001  pflow-lower must never break a run that pflow could do
        why = str(error) or type(error).__name__
        _refuse_ours(ir, given, why)
        say_interpreted(file_of(given)[1], why)
    for node_id, why in malformed.items():
        _refuse_ours(ir, given, why, (node_id,))
        say(f"{node_id} runs interpreted: {why}")
    return flow


def validated(original: Original, workflow_ir: Any, *arguments: Any, **keywords: Any) -> Any:
    """`WorkflowValidator.validate`, to which our names in a batch look like pflow's own; and what it cannot see."""
    new_run()
    given = keywords.get("extracted_params", arguments[0] if arguments else None) or {}
    errors, warnings = original(as_shown_to_validator(workflow_ir, given), *arguments, **keywords)
    return [*errors, *(text_with_place(one, workflow_ir) for one in wrong_with_ours(workflow_ir, given))], warnings


class LoweredBatch(Node):  # type: ignore[misc]  # pflow is not typed for us
    """The innermost node of a chain of pflow's wrappers: it runs the generated class around the author's node."""

    def __init__(self, generated: type, chain: _Chain, place: str) -> None:
        """`chain` is what pflow compiled; `place` is where the node stands in its workflow."""
        super().__init__()
        self.inner_node = chain.node  # the name by which pflow's wrappers look for the author's node
        self.generated = generated
        self.chain = chain
        self.place = place

    def _run(self, shared: Any) -> str:
        """Run the batch in `shared`, the store as this node sees it.

        Raises: whatever the generated class does; its outcome is in the store nevertheless.
        """
        node_id = self.chain.batch.node_id
        host = WrappedEngine(self.chain, shared, self.place)
        node = self.chain.node
        generated: Any = self.generated(node)
        generated.engine = host
        seen: dict[str, Any] = {**self.chain.inputs, **dict(shared)}
        before, params = seen.get(node_id), node.params
        try:
            with ending_on_sigterm():
                return str(generated._run(seen))
        finally:
            node.params = params  # pflow compares them to know whether a node has changed
            outcome = seen.get(node_id)
            if outcome is not None and outcome is not before:
                for key, value in outcome.items() if self.chain.namespaced else [(node_id, outcome)]:
                    shared[key] = value


class _Chain(NamedTuple):
    """What pflow 0.8.1 wraps around the author's node of a batch."""

    batch: Any
    namespaced: bool
    template: Any
    """The wrapper that resolves templates; None where the parameters have none."""
    node: Any
    inputs: dict[str, Any]
    """The workflow's inputs, defaults included."""

    @property
    def types(self) -> dict[str, str]:
        """The declared type of each parameter."""
        return dict(self.template._expected_types) if self.template is not None else {}

    def around(self, node: Any) -> Any:
        """pflow's wrapper that resolves templates, around another node."""
        template = self.template
        return TemplateAwareNodeWrapper(
            node,
            self.batch.node_id,
            template.initial_params,
            template.template_resolution_mode,
            template.interface_metadata,
        )


def _chain_of(batch: Any, given: Mapping[str, Any]) -> _Chain:
    node, template = batch.inner_node, None
    namespaced = isinstance(node, NamespacedNodeWrapper)
    if namespaced:
        node = node._inner_node
    if isinstance(node, TemplateAwareNodeWrapper):
        template, node = node, node.inner_node
    inputs = given if template is None else template.initial_params
    return _Chain(batch, namespaced, template, node, {key: inputs[key] for key in inputs if key[:2] != "__"})


def _attach(ir: Mapping[str, Any], wrapped: list[Any], given: Mapping[str, Any]) -> None:
    """Let every batch inside `wrapped`, pflow's instrumented nodes, run its generated class.

    Raises: anything; then none does.
    """
    from ..classes import Wanted, classes_of

    path, name = file_of(given)
    chains = {outer.node_id: _chain_of(outer.inner_node, given) for outer in wrapped}
    annotations = {node["id"]: node["batch"] for node in ir["nodes"] if "batch" in node}
    wanted = {
        node_id: Wanted(spec_of(chain.batch, annotations[node_id]), chain.types) for node_id, chain in chains.items()
    }
    generated = classes_of(ir, wanted, name or "workflow", path, names_by_hand(ir, given))
    places = {node["id"]: place_of(node, name) for node in ir["nodes"]}
    lowered = {
        node_id: _rewrapped(LoweredBatch(generated[node_id], chain, places[node_id]), chain)
        for node_id, chain in chains.items()
    }
    for outer in wrapped:
        outer.inner_node = lowered[outer.node_id]


def _rewrapped(node: LoweredBatch, chain: _Chain) -> Any:
    """`node` in the wrappers that a node without a batch has; the templates are compiled into its class."""
    inner: Any = node if chain.template is None else chain.around(node)
    return NamespacedNodeWrapper(inner, chain.batch.node_id) if chain.namespaced else inner


def _nodes(flow: Any) -> Iterator[Any]:
    """Every node that the flow can reach."""
    todo, seen = [flow.start_node], set()
    while todo:
        node = todo.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        todo += node.successors.values()
        yield node


def _refuse_ours(ir: Mapping[str, Any], given: Mapping[str, Any], why: str, only: Collection[str] = ()) -> None:
    """Raises: CompilationError, if a node (one of `only`, if given) says what only lowered nodes know."""
    declared = declared_names(ir, names_by_hand(ir, given))
    for node in ir["nodes"]:
        if not only or node["id"] in only:
            error = refusal(CompilationError, node, declared, lambda: why)
            if error is not None:
                raise error
