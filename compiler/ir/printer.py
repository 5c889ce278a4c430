"""A `LoweredIR` as text: one line for each fact, for people and for the golden cases.

    batch classify: llm -> ClassifyBatch, threaded
      items = store.list_issues.response
      item as issue
      capture style = store.style  (nodes[1].params.system, character 53)
      param prompt = text("Title: ", item.title)

A lookup begins with what it starts from: `item`, `part` (an item of batches inside each other), `previous`, `index`,
`total`, `captured`, `own` (a key of `inputs`) or `store`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from . import tree
from .batch_keys import BATCH_KEYS
from .lowered import LoweredBatch, LoweredIR, LoweredStep, Parameter
from .paths import address
from .template import Field, Index, Issue
from .workflow import Retry

_WIDTH = 100
_STARTS: Mapping[type[tree.Start], str] = {
    tree.Item: "item",
    tree.ItemPart: "part",
    tree.Previous: "previous",
    tree.ItemIndex: "index",
    tree.ItemTotal: "total",
    tree.Captured: "captured",
    tree.Own: "own",
    tree.Stored: "store",
}


def printed(lowered: LoweredIR) -> str:
    """All that `lowered` says, but for the expanded document, which has a form of its own (`lowered.json`)."""
    return "".join(f"{line}\n" for line in _lines(lowered))


def _lines(lowered: LoweredIR) -> Iterator[str]:
    yield f"workflow {_json(lowered.name)}{', permissive' if lowered.permissive else ''}"
    for name, spec in lowered.inputs.items():
        yield f"input {name} = {_json(spec)}"
    for step in lowered.steps:
        yield from _batch(step.batch) if step.batch is not None else _step(step)
    for edge in lowered.edges:
        yield f"edge {edge.source} -> {edge.target}{f', {_json(edge.name)}' if edge.action is not None else ''}"
    yield f"start {lowered.start}"
    for output in lowered.outputs:
        found = output.value
        yield f"output {output.name} = {_choice(found) if isinstance(found, tree.Choice) else value(found)}"


def _step(step: LoweredStep) -> Iterator[str]:
    runs = f" -> {'.'.join(step.runs)}" if step.runs is not None else ""
    yield f"step {step.id}: {step.type}{runs}{', asynchronous' if step.is_async else ''}"
    yield from _retry(step.retry)
    for parameter in step.parameters:
        yield from _parameter(parameter)


def _retry(retry: Retry | None) -> Iterator[str]:
    if retry is not None:
        yield f"  retry {', '.join(f'{key} {_json(getattr(retry, key))}' for key in retry.written)}"


def _batch(batch: LoweredBatch) -> Iterator[str]:
    namespaced = "" if batch.namespaced else ", without namespaces"
    yield f"batch {batch.node_id}: {batch.type} -> {batch.class_name}, {batch.shape.value}{namespaced}"
    yield f"  items = {'' if batch.spec.items_file is None else 'file '}{_spread(batch.items, 1)}"
    if batch.results is not None:
        yield f"  results = file {_spread(batch.results, 1)}"
    for level in batch.levels:
        yield f"  level {level.name} = {_spread(level.items, 1)}"
    if not batch.levels:
        yield f"  item as {batch.alias}"
    for row in BATCH_KEYS:
        if (
            row.key in batch.spec.written
            and row.field not in ("items", "results", "alias", "inner_batch")
            and row.field in batch.spec._fields
        ):
            found = getattr(batch.spec, row.field)
            yield f"  {row.key} {_json(getattr(found, 'value', found))}"
    if batch.budget is not None:
        yield f"  budget {_json(batch.budget._asdict())}"
    if batch.ray_options is not None:
        yield f"  on {_json(dict(batch.ray_options))}"
    yield from _retry(batch.retry)
    for capture in batch.captures:
        place = f"{address(capture.path)}, character {capture.offset + 1}"
        yield f"  capture {capture.name} = {_lookup(capture.lookup)}  ({place})"
    for parameter in batch.parameters:
        yield from _parameter(parameter)


def _parameter(parameter: Parameter) -> Iterator[str]:
    declared = f": {parameter.declared.value}" if parameter.declared is not None else ""
    text_only = "" if parameter.parse_json else "  (text inside is not read as JSON)"
    yield f"  param {parameter.key}{declared} = {_spread(parameter.value, 1)}{text_only}"


def _spread(found: tree.Value, indent: int) -> str:
    """A value on one line if it fits, else the members of an object or a list one below the other."""
    flat = value(found)
    if len(flat) <= _WIDTH:
        return flat
    pad = "  " * (indent + 1)
    if isinstance(found, tree.Object):
        rows = [f"{pad}{_json(key)}: {_spread(member, indent + 1)}" for key, member in found.entries]
        return "\n".join(["{", *rows, f"{'  ' * indent}}}"])
    if isinstance(found, tree.List):
        return "\n".join(["[", *(f"{pad}{_spread(item, indent + 1)}" for item in found.items), f"{'  ' * indent}]"])
    return flat


def value(found: tree.Value) -> str:
    """A value on one line."""
    if isinstance(found, tree.Literal):
        return _json(found.value)
    if isinstance(found, tree.Object):
        return f"{{{', '.join(f'{_json(key)}: {value(member)}' for key, member in found.entries)}}}"
    if isinstance(found, tree.List):
        return f"[{', '.join(map(value, found.items))}]"
    whole = found.whole
    text = _choice(whole) if whole is not None else f"text({', '.join(map(_part, found.parts))})"
    if found.unless_run:
        return f"none_unless_run({', '.join(map(_lookup, found.unless_run))}; {text})"
    return text


def _part(part: str | tree.Choice | Issue) -> str:
    return _choice(part) if isinstance(part, tree.Choice) else _json(part.raw if isinstance(part, Issue) else part)


def _choice(found: tree.Choice) -> str:
    operands = (_lookup(o) if isinstance(o, tree.Lookup) else _json(o.value) for o in found.operands)
    return " ?? ".join(operands)


def _lookup(found: tree.Lookup) -> str:
    text, name = _STARTS[type(found.start)], getattr(found.start, "name", None)
    text += f".{name}" if name is not None else ""
    for step in found.steps:
        if isinstance(step, Field):
            text += f".{step.name}"
        else:
            text += f"[{step.value if isinstance(step, Index) else _lookup(step.lookup)}]"
    return text


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False)
