"""Lower: closure conversion of batch nodes.

Before, a node that the engine has to run once per item::

    {"id": "classify", "type": "llm",
     "params": {"prompt": "In ${config.style} style: ${issue.title}"},
     "batch": {"items": "${list.issues}", "as": "issue"}}

What depends on the item (`issue.title`) becomes Python inside the loop of a generated class. What does
not (`config.style`, the items) is captured once, and is a parameter of the node, where an engine sees
what the node depends on::

    {"id": "classify", "type": "nodes:ClassifyBatch",
     "params": {"inner": "llm", "items": "${list.issues ?? null}", "config_style": "${config.style ?? null}"}}

A captured reference that finds nothing is an error only once an item needs it, as in pflow; hence the
`?? null`. The generated class looks the value up itself and can tell null from missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..analyse.analyse import BatchFacts, Facts
from ..analyse.code_annotations import optional_inputs
from ..analyse.invariance import Bindings, Bound
from ..diagnostics.diagnostic import Diagnostic, Severity
from ..ir.lowered import Capture, LoweredBatch, LoweredIR, Parameter, Shape
from ..ir.template import Literal, Reference, Template, parse, templates
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.lookup import NodeType
from ..node_types.pflow_types import is_cached, pflow_type
from .names import class_name, digest_of, free, variable

ROOMY = 250
"""About how many classes a module holds before they are spread over several."""

_INTERPRETED = ("prompt_cache", "prewarm")  # what only pflow's own batch executor can honour
_OF_THE_CALL = {Bound.INDEX: "call.index", Bound.TOTAL: "call.total"}


def lower(ir: SourceIR, facts: Facts) -> tuple[LoweredIR, list[Diagnostic]]:
    """The expanded form of `ir`. Nodes without a batch stay exactly as they are."""
    modules = module_names([batch.node.id for batch in facts.batches])
    ids = {node.id for node in ir.nodes}
    names = ir.names
    batches = tuple(_lower_batch(ir, batch, modules[batch.node.id], names) for batch in facts.batches)
    nodes = [dict(node.data) for node in ir.nodes]
    for lowered in batches:
        nodes[lowered.number] = _expanded(ir, lowered, ids)
    document = {**ir.data, "nodes": nodes}
    found = [finding for batch in facts.batches for finding in _not_carried_over(ir, batch.node)]
    return LoweredIR(name=ir.name, document=document if batches else ir.data, batches=batches), found


def module_names(ids: list[str]) -> dict[str, str]:
    """The module of each class, by node id: all in `nodes`, or spread by a digest of the id.

    Compiling a module takes more than twice as long for twice as many classes. A node moves to another
    module only when the number of modules doubles.
    """
    modules = 1
    while len(ids) > 2 * ROOMY * modules:
        modules *= 2
    if modules == 1:
        return dict.fromkeys(ids, "nodes")
    digits = len(f"{modules - 1:x}")
    return {node_id: f"nodes_{int(digest_of(node_id), 16) % modules:0{digits}x}" for node_id in ids}


def _lower_batch(ir: SourceIR, facts: BatchFacts, module: str, names: frozenset[str]) -> LoweredBatch:
    node, spec = facts.node, facts.node.batch
    assert spec is not None  # analyse lists batch nodes only
    parameters = tuple(parameter_of(node, facts.type, key, value) for key, value in node.params.items())
    bindings = Bindings.of(node, names)
    captures = []
    taken = {"inner", "items"}
    optional = next((parameter.optional for parameter in parameters if parameter.key == "inputs"), frozenset[str]())
    for found in bindings.hoisted(optional):
        name = variable(found.reference.raw, taken)
        taken.add(name)
        captures.append(Capture(name, found.reference, (*node.path, "params", *found.path), found.offset))
    return LoweredBatch(
        node_id=node.id,
        type=node.type,
        module=module,
        class_name=class_name(node.id),
        shape=facts.shape,
        spec=spec,
        alias=free(spec.alias.strip()),  # pflow lets a newline stand at its end
        captures=tuple(captures),
        parameters=parameters,
        item_names={name: _OF_THE_CALL[b] for name, b in bindings.names.items() if b in _OF_THE_CALL},
        permissive=ir.permissive,
        namespaced=ir.namespaced,
        number=node.number,
    )


def parameter_of(node: SourceNode, node_type: NodeType, key: str, value: Any) -> Parameter:
    """One parameter of `node` with what its node type says of it."""
    known = pflow_type(node.type)
    optional = optional_inputs(node) if key == "inputs" and node.type == "code" else frozenset()
    return Parameter(
        key=key,
        value=value,
        declared=node_type.param_types.get(key),
        parse_json=known is None or key not in known.text_containers,
        optional=optional,
    )


def _expanded(ir: SourceIR, lowered: LoweredBatch, ids: set[str]) -> dict[str, Any]:
    """The node as it stands in the expanded IR: the generated type, and what it depends on as parameters.

    Only what an engine without batches knows is such a parameter: inputs, and outputs of nodes. The class
    reads the rest by itself: whether a node has run at all, names that another batch gives its items.
    """
    node = ir.nodes[lowered.number]
    params: dict[str, Any] = {"inner": node.type.replace("${", "$${")}  # a name, never a template

    def is_known(reference: Reference) -> bool:
        return all(r.root in ir.inputs or (bool(r.path) and r.root in ids) for r in reference.references())

    whole = _whole_reference(lowered.spec.items)
    if whole is not None and all(map(is_known, whole.references())):
        params["items"] = _without_failing(whole)
    else:
        for name, reference in _item_references(lowered):
            if is_known(reference):
                params[name] = f"${{{reference.raw} ?? null}}"
    for capture in lowered.captures:
        if is_known(capture.reference):
            params[capture.name] = f"${{{capture.reference.raw} ?? null}}"
    # An input that a name of the node hides is read by nobody now, and an engine refuses unused inputs.
    hidden = {lowered.spec.alias, *shadowing_inputs(lowered.parameters)} & set(ir.inputs)
    for root in sorted((hidden & _roots([lowered.spec.items, dict(node.params)])) - _roots(params)):
        params[variable(root, params)] = f"${{{root} ?? null}}"
    changed = {"type": f"{lowered.module}:{lowered.class_name}", "params": params}
    expanded: dict[str, Any] = {}
    for key, value in node.data.items():
        if key != "batch":
            expanded[key] = changed.get(key, value)
        if key == "type" and "params" not in node.data:
            expanded["params"] = params
    if is_cached(node.type):
        expanded.setdefault("cache", True)
    return expanded


def _roots(value: Any) -> set[str]:
    """The first names of all references inside `value`."""
    return {reference.root for _, template in templates(value) for reference in template.references()}


def _whole_reference(items: str | list[Any]) -> Template | None:
    """The template of `items`, if it is one reference."""
    template = parse(items.strip()) if isinstance(items, str) else None
    return template if template is not None and template.is_whole else None


def _without_failing(template: Template) -> str:
    """A whole reference as a parameter that never fails by itself."""
    expression = template.expressions[0]
    sure = any(isinstance(operand, Literal) for operand in expression.operands)
    return f"${{{expression.raw}}}" if sure else f"${{{expression.raw} ?? null}}"


def _item_references(lowered: LoweredBatch) -> Iterator[tuple[str, Reference]]:
    """What the templates in the items refer to, one parameter each, beside what is captured anyway."""
    captured = {capture.reference.raw for capture in lowered.captures}
    taken = {"inner", "items", *(capture.name for capture in lowered.captures)}
    references = (ref for _, template in templates(lowered.spec.items) for ref in template.references())
    for reference in {reference.raw: reference for reference in references}.values():
        if reference.raw not in captured:
            name = variable(reference.raw, taken)
            taken.add(name)
            yield name, reference


def _not_carried_over(ir: SourceIR, node: SourceNode) -> Iterator[Diagnostic]:
    """Warn of what makes no difference to results but is lost: the provider's prompt cache."""
    for key in _INTERPRETED:
        if node.data.get(key):
            yield Diagnostic(
                code="PFL401",
                severity=Severity.WARNING,
                message=f"{key} is not carried over: the calls of the generated class do not share a prompt cache",
                where=f"{node.id}.{key}",
                file=ir.name,
                position=ir.position((*node.path, key)),
                help="the results are the same, the tokens may cost more; inside pflow this node stays interpreted",
            )


def shape_base(shape: Shape) -> str:
    """The PocketFlow class that a shape is built on."""
    return "AsyncParallelBatchNode" if shape is Shape.IN_TASKS else "BatchNode"


def shadowing_inputs(parameters: tuple[Parameter, ...]) -> Mapping[str, Any]:
    """The keys of the `inputs` parameter, which the other parameters see before everything else."""
    inputs = next((parameter.value for parameter in parameters if parameter.key == "inputs"), None)
    return inputs if isinstance(inputs, dict) else {}
