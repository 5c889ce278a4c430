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

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from ..analyse.analyse import BatchFacts, Facts
from ..analyse.code_annotations import optional_inputs
from ..analyse.invariance import ITEM_NAME, Bindings
from ..diagnostics.diagnostic import Diagnostic
from ..ir import tree
from ..ir.batch_spec import BatchSpec
from ..ir.edges import kept
from ..ir.lowered import MODULE, Capture, Level, LoweredBatch, LoweredIR, LoweredOutput, LoweredStep, Parameter
from ..ir.report import DiagnosticCollector
from ..ir.template import roots
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.declared_type import meaning_of
from ..node_types.lookup import NodeType
from ..node_types.pflow_types import is_cached, pflow_type
from .bind import Bind, bound, in_call, in_prep, in_store, none_unless_run
from .names import class_name, unused_name, variable

_LINES = ("_source_line", "_source_lines")
"""Keys that say in which line of a Markdown file something stands."""
_PROSE = "purpose"
"""What Markdown says of a node for people. A sentence that is written better changes nothing that is generated."""

_NOT_CARRIED_OVER = {
    "prompt_cache": (
        "prompt_cache is not carried over: the text that it names is missing from the calls of the generated class",
        "put that text into the prompt",
    ),
    "prewarm": (
        "prewarm is not carried over: the calls of the generated class do not share a prompt cache",
        "the results are the same, the tokens may cost more",
    ),
}
"""What only pflow's own batch executor can honour: what is lost, and what to do."""


def lower(ir: SourceIR, facts: Facts) -> tuple[LoweredIR, list[Diagnostic]]:
    """The expanded form of `ir`. Nodes without a batch stay exactly as they are."""
    ids = {node.id for node in ir.nodes}
    names = ir.names
    batches = tuple(_lower_batch(ir, batch, names) for batch in facts.batches)
    nodes = [dict(node.data) for node in ir.nodes]
    for lowered in batches:
        nodes[lowered.number] = _expanded(ir, lowered, ids)
    document = {**ir.data, "nodes": nodes} if batches else ir.data
    report = DiagnosticCollector(ir.document)
    for batch in facts.batches:
        _warn_of_caches(batch.node, report)
    by_number = {batch.number: batch for batch in batches}
    made = LoweredIR(
        name=ir.name,
        document=_without_lines(document),
        batches=batches,
        steps=tuple(_step(node, facts.types.get(node.type), by_number.get(node.number)) for node in ir.nodes),
        edges=kept(ir.edges),
        start=ir.start,
        inputs=ir.inputs,
        outputs=tuple(_outputs(ir)),
        permissive=ir.permissive,
        added=frozenset((*ir.nodes[b.number].path, key) for b in batches for key in _added(ir.nodes[b.number])),
        positions=ir.document.positions,
    )
    return made, report.found


def _without_lines(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """`document` without the lines of its Markdown file, which pflow's parser notes beside what it reads."""
    found = dict(document)
    found["nodes"] = [_unmarked(node) for node in document["nodes"]]
    if isinstance(outputs := document.get("outputs"), dict):
        found["outputs"] = {name: _unmarked(output) for name, output in outputs.items()}
    if isinstance(cache := document.get("cache"), dict):
        items = cache.get("items")
        found["cache"] = _unmarked({**cache, **({"items": [*map(_unmarked, items)]} if items else {})})
    return _unmarked(found)


def _unmarked(value: Mapping[str, Any]) -> dict[str, Any]:
    left_out = {*_LINES, _PROSE} if _LINES[0] in value else set(_LINES)
    return {key: part for key, part in value.items() if key not in left_out}


def _step(node: SourceNode, node_type: NodeType | None, batch: LoweredBatch | None) -> LoweredStep:
    runs = None
    if node_type is not None and node_type.module is not None and node_type.class_name is not None:
        runs = node_type.module, node_type.class_name
    types = node_type.param_types if node_type is not None else {}
    parameters = () if batch is not None else _parameters(node, types, lambda key: in_store)
    return LoweredStep(
        id=node.id,
        type=node.type,
        number=node.number,
        path=node.path,
        runs=runs,
        is_async=node_type is not None and node_type.is_async,
        retry=node.retry,
        parameters=parameters,
        batch=batch,
    )


def _outputs(ir: SourceIR) -> Iterator[LoweredOutput]:
    for output in ir.outputs:
        value = bound(output.template, in_store)
        whole = value.whole if isinstance(value, tree.Template) else None
        yield LoweredOutput(output.name, value if whole is None else whole)


def _lower_batch(ir: SourceIR, facts: BatchFacts, names: frozenset[str]) -> LoweredBatch:
    node, spec = facts.node, facts.node.batch
    assert spec is not None  # analyse lists batch nodes only
    bindings = Bindings.of(node, names)
    captures = []
    taken = {"inner", "items"}
    for found in bindings.hoisted(_optional(node)):
        name = variable(found.reference.raw, taken)
        taken.add(name)
        path = (*node.path, *found.path)
        captures.append(Capture(name, in_store(found.reference), path, found.text, found.offset))
    captured = {capture.lookup.written: capture.name for capture in captures}
    parameters = _parameters(node, facts.type.param_types, lambda key: in_call(bindings, key, captured))
    item_name = None if spec.key is None else bound(spec.key, in_call(bindings, ITEM_NAME, captured))
    return LoweredBatch(
        node_id=node.id,
        type=node.type,
        class_name=class_name(node.id),
        shape=facts.shape,
        spec=spec,
        items=bound(_source(spec.items), in_store),
        results=None if spec.results_file is None else bound(spec.results_file, in_store),
        alias=_item_variable(spec.alias),
        captures=tuple(captures),
        parameters=parameters,
        levels=_levels(spec),
        retry=node.retry,
        item_name=item_name,
        permissive=ir.permissive,
        namespaced=ir.namespaced,
        number=node.number,
        budget=facts.budget,
        ray_options=facts.ray_options,
    )


def _source(items: Any) -> Any:
    """What says where the items are: a reference, a list, or the path of a file."""
    found = items.get("file", "") if isinstance(items, dict) else items
    return found.strip() if isinstance(items, str) else found


def _item_variable(alias: str, taken: Collection[str] = ()) -> str:
    """The Python variable for an item; pflow lets a newline stand at the end of its name."""
    return unused_name(alias.strip(), taken)


def _levels(spec: BatchSpec) -> tuple[Level, ...]:
    if spec.inner_batch is None:
        return ()
    made: list[Level] = []
    for level in spec.levels:
        source = level.items.strip() if isinstance(level.items, str) else level.items
        items = bound(source, in_prep([outer.name for outer in made]))
        name = _item_variable(level.alias, [outer.variable for outer in made])
        made.append(Level(level.alias, name, items))
    return tuple(made)


def _parameters(node: SourceNode, types: Mapping[str, str], bind_of: Callable[[str], Bind]) -> tuple[Parameter, ...]:
    """The parameters of `node` with what its type says of them; `bind_of` says how each one reads names."""
    made = []
    known = pflow_type(node.type)
    for key, value in node.params.items():
        bind = bind_of(key)
        parsed = bound(value, bind)
        if key == "inputs":
            parsed = none_unless_run(parsed, _optional(node), bind)
        parse_json = known is None or key not in known.text_containers
        made.append(Parameter(key, parsed, meaning_of(types.get(key)), parse_json))
    return tuple(made)


def _optional(node: SourceNode) -> frozenset[str]:
    """The keys of `inputs` that are None where the nodes they come from did not run."""
    return optional_inputs(node) if node.type == "code" else frozenset()


def _expanded(ir: SourceIR, lowered: LoweredBatch, ids: set[str]) -> dict[str, Any]:
    """The node as it stands in the expanded IR: the generated type, and what it depends on as parameters.

    Only what an engine without batches knows is such a parameter: inputs, and outputs of nodes. The class
    reads the rest by itself: whether a node has run at all, names that another batch gives its items.
    """
    node = ir.nodes[lowered.number]
    params: dict[str, Any] = {"inner": node.type.replace("${", "$${")}  # a name, never a template

    def is_known(lookup: tree.Lookup) -> bool:
        starts = ((part.start, part.steps) for part in lookup.lookups())
        return all(
            isinstance(start, tree.Stored) and (start.name in ir.inputs or (bool(steps) and start.name in ids))
            for start, steps in starts
        )

    whole = lowered.items.whole if isinstance(lowered.items, tree.Template) else None
    is_whole = whole is not None and all(map(is_known, whole.lookups()))
    if whole is not None and is_whole:
        sure = any(isinstance(operand, tree.Literal) for operand in whole.operands)
        params["items"] = whole.written if sure else _or_null(whole.written[2:-1])
    for name, lookup in read_in_prep(lowered):
        if is_known(lookup) and not (whole is not None and is_whole and lookup in whole.lookups()):
            params[name] = _or_null(lookup.written)
    for capture in lowered.captures:
        if is_known(capture.lookup):
            params[capture.name] = _or_null(capture.lookup.written)
    # An input that a name of the node hides is read by nobody now, and an engine refuses unused inputs.
    hidden = {*node.aliases, *node.inputs} & set(ir.inputs)
    read = roots([lowered.spec.items, lowered.spec.results, dict(node.params)])
    for root in sorted(hidden.intersection(read).difference(roots(params))):
        params[variable(root, params)] = _or_null(root)
    changed = {"type": f"{MODULE}:{lowered.class_name}", "params": params}
    expanded: dict[str, Any] = {}
    for key, value in node.data.items():
        if key != "batch":
            expanded[key] = changed.get(key, value)
        if key == "type" and "params" not in node.data:
            expanded["params"] = params
    if lowered.spec.has_files and node.cache:
        expanded["cache"] = False  # an engine's cache does not look into files: the class has to run
    return {**expanded, **_added(node)}


def _added(node: SourceNode) -> dict[str, Any]:
    """What an engine does with the original type by itself, and must be told of the generated one."""
    if node.batch is not None and node.batch.has_files:
        return {}
    return {"cache": True} if is_cached(node.type) and "cache" not in node.data else {}


def _or_null(reference: str) -> str:
    """A reference as a parameter that never fails by itself."""
    return f"${{{reference} ?? null}}"


def read_in_prep(lowered: LoweredBatch) -> Iterator[tuple[str, tree.Lookup]]:
    """What the templates in the items and in the paths of files refer to, one parameter each, beside what is captured
    anyway."""
    captured = {capture.lookup.written for capture in lowered.captures}
    taken = {"inner", "items", *(capture.name for capture in lowered.captures)}
    found = [*tree.lookups(lowered.items), *(tree.lookups(lowered.results) if lowered.results is not None else ())]
    for lookup in {lookup.written: lookup for lookup in found}.values():
        if lookup.written not in captured:
            name = variable(lookup.written, taken)
            taken.add(name)
            yield name, lookup


def _warn_of_caches(node: SourceNode, report: DiagnosticCollector) -> None:
    """Warn of what generated classes lack: the text that is sent from the prompt cache, and the cache itself."""
    asked_for = {"prompt_cache": node.prompt_cache, "prewarm": node.prewarm}
    for key, (message, help) in _NOT_CARRIED_OVER.items():
        if asked_for[key]:
            report.warn("PFL401", (*node.path, key), message, help=f"{help}; inside pflow this node stays interpreted")
