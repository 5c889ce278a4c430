"""What must hold of a `LoweredIR`, checked on every run before anything is made of it. A failure is a bug of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..ir import tree
from ..ir.lowered import MODULE, LoweredBatch, LoweredIR, LoweredStep, Parameter


class InvalidOutput(AssertionError):
    """The compiler made something that it must not make. Please report it, with the workflow."""


def verify_lowered(lowered: LoweredIR) -> None:
    """Check the lowered workflow. Raises: InvalidOutput."""
    wrong = list(_wrong(lowered))
    if wrong:
        raise InvalidOutput("generated invalid IR: " + "; ".join(wrong))


def _wrong(lowered: LoweredIR) -> Iterator[str]:
    nodes = lowered.document["nodes"]
    if len(nodes) != len(lowered.steps):
        yield f"{len(lowered.steps)} steps stand for {len(nodes)} nodes"
        return
    for number, (node, step) in enumerate(zip(nodes, lowered.steps, strict=True)):
        if step.number != number or node["id"] != step.id:
            yield f"step {number} is {step.id}, number {step.number}"
        yield from (f"{step.id}: {wrong}" for wrong in _wrong_step(step, node))
    if [step.batch for step in lowered.steps if step.batch is not None] != list(lowered.batches):
        yield "the batches are not those of the steps"
    ids = {step.id for step in lowered.steps}
    for edge in lowered.edges:
        if not {edge.source, edge.target} <= ids:
            yield f"an edge leads from {edge.source} to {edge.target}, and one of them is not a step"
    if lowered.start not in ids:
        yield f"it starts at {lowered.start}, which is not a step"
    for name, found in lowered.outputs:
        parts = found.lookups() if isinstance(found, tree.Choice) else tree.lookups(found)
        yield from (f"output {name}: {wrong}" for wrong in _not_in_store(parts))
    classes = [batch.class_name for batch in lowered.batches]
    if len(set(classes)) != len(classes):
        yield "two classes have one name"


def _wrong_step(step: LoweredStep, node: Mapping[str, Any]) -> Iterator[str]:
    if step.batch is not None:
        yield from _wrong_batch(step.batch, node)
        if step.parameters or step.batch.number != step.number or step.batch.node_id != step.id:
            yield f"its batch is {step.batch.node_id}, number {step.batch.number}"
    for parameter in step.parameters:
        yield from _wrong_templates(parameter.key, parameter.value)
        yield from (f"{parameter.key}: {wrong}" for wrong in _not_in_store(tree.lookups(parameter.value)))


def _wrong_batch(batch: LoweredBatch, node: Mapping[str, Any]) -> Iterator[str]:
    if "batch" in node:
        yield "it still has a batch"
    if node["type"] != f"{MODULE}:{batch.class_name}":
        yield f"it has the type {node['type']!r}"
    if any(isinstance(value, dict | list) for value in node["params"].values()):
        yield "a captured reference is nested"
    if not batch.class_name.isidentifier() or not batch.alias.isidentifier():
        yield f"{batch.class_name!r} or {batch.alias!r} is not a name"
    yield from (f"items: {wrong}" for wrong in _not_in_store(tree.lookups(batch.items)))
    if batch.results is not None:
        yield from _wrong_templates("results", batch.results)
        yield from (f"results: {wrong}" for wrong in _not_in_store(tree.lookups(batch.results)))
    if (batch.results is None) is not (batch.spec.results_file is None):
        yield "its results go somewhere else"
    yield from _wrong_levels(batch)
    yield from _wrong_captures(batch)
    for parameter in _read_in_a_call(batch):
        yield from _wrong_templates(parameter.key, parameter.value)
        yield from (f"{parameter.key}: {wrong}" for wrong in _wrong_starts(parameter, batch))


def _read_in_a_call(batch: LoweredBatch) -> tuple[Parameter, ...]:
    """The parameters, and the name of the item as if it were one: the keys of `inputs` are not known to it either."""
    if batch.item_name is None:
        return batch.parameters
    return (*batch.parameters, Parameter("inputs", batch.item_name, None, parse_json=False))


def _wrong_levels(batch: LoweredBatch) -> Iterator[str]:
    """Batches inside each other have names of their own, and read those of the batches around them only."""
    if len(batch.levels) == 1:
        yield "a single batch has levels"
    names = [level.name for level in batch.levels]
    variables = [level.variable for level in batch.levels]
    are_names = all(map(str.isidentifier, variables))
    if len(set(names)) != len(names) or len(set(variables)) != len(variables) or not are_names:
        yield f"levels {names}, in {variables}"
    for number, level in enumerate(batch.levels):
        known = {tree.ItemPart(name) for name in names[:number]}
        for lookup in tree.lookups(level.items):
            if lookup.start not in known and not isinstance(lookup.start, tree.Stored):
                yield f"{level.name}: ${{{lookup.written}}} is not read from an outer item or the store"


def _wrong_captures(batch: LoweredBatch) -> Iterator[str]:
    names = [capture.name for capture in batch.captures]
    if len(set(names)) != len(names) or not all(name.isidentifier() for name in names):
        yield f"captured names {names}"
    if {"inner", "items"} & set(names):
        yield "a captured name is one of the class's own"
    for capture in batch.captures:
        yield from (f"capture {capture.name}: {wrong}" for wrong in _not_in_store(capture.lookup.lookups()))
        of_the_node = {("nodes", batch.number, "params"), ("nodes", batch.number, "batch")}
        if capture.path[:3] not in of_the_node or not capture.text.startswith("${", capture.offset):
            yield f"capture {capture.name} is not from where it says"
    if not _is_scope(batch):
        starts = {lookup.start for p in _read_in_a_call(batch) for lookup in tree.lookups(p.value)}
        for name in names:
            if tree.Captured(name) not in starts:
                yield f"nothing reads the captured {name}"


def _wrong_starts(parameter: Parameter, batch: LoweredBatch) -> Iterator[str]:
    """Every lookup starts at the item, at something captured or, outside of `inputs`, at one of its keys.

    The store itself is only read where the keys of `inputs` are not known before the node runs.
    """
    names = {capture.name for capture in batch.captures}
    own = next((tree.keys(p.value) for p in batch.parameters if p.key == "inputs"), {})
    for lookup in tree.lookups(parameter.value):
        start = lookup.start
        if isinstance(start, tree.ItemPart) and start.name not in {level.name for level in batch.levels}:
            yield f"${{{lookup.written}}} is not an item"
        elif isinstance(start, tree.Captured) and start.name not in names:
            yield f"${{{lookup.written}}} is not captured, as {start.name}"
        elif isinstance(start, tree.Own) and (parameter.key == "inputs" or start.name not in own):
            yield f"${{{lookup.written}}} is not an input of the node"
        elif isinstance(start, tree.Stored) and (parameter.key == "inputs" or not _is_scope(batch)):
            yield f"${{{lookup.written}}} is read from the store for every item"


def _is_scope(batch: LoweredBatch) -> bool:
    return any(p.key == "inputs" and isinstance(p.value, tree.Template) for p in batch.parameters)


def _not_in_store(lookups: Iterator[tree.Lookup]) -> Iterator[str]:
    """Outside of a call there is no item, and nothing has been captured."""
    for lookup in lookups:
        if not isinstance(lookup.start, tree.Stored):
            yield f"${{{lookup.written}}} is not read from the store"


def _wrong_templates(key: str, value: tree.Value) -> Iterator[str]:
    """What stands in a template stands where it says."""
    if isinstance(value, tree.Template):
        for choice in value.choices:
            if not choice.operands or not value.source.startswith(choice.written, choice.offset):
                yield f"{key}: {choice.written} does not stand at {choice.offset}"
    elif isinstance(value, tree.Object):
        for name, member in value.entries:
            yield from _wrong_templates(f"{key}.{name}", member)
    elif isinstance(value, tree.List):
        for item in value.items:
            yield from _wrong_templates(key, item)
