"""What changes of a workflow besides its nodes mean: inputs, outputs, the order of the nodes, modes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from ...analyse.node_order import order
from ...ir.edges import kept
from ...ir.template import Field, Index, Reference, parse
from ...ir.workflow import SourceIR, SourceNode
from ..shared.prompt_cache import chunks_of
from .canonical import Names, canonical
from .model import ABSENT, BEHAVIOUR, BREAKING, COSMETIC, COST, Change, Kind, Reader, kinds

Pairs = Sequence[tuple[SourceNode, SourceNode]]
Readers = Mapping[str, tuple[Reader, ...]]
_MODES = {
    "enable_namespacing": (BREAKING, "Where the nodes write changes: under their own names, or all into one place."),
    "template_resolution_mode": (BEHAVIOUR, "What an unresolved reference leads to changes: a failure, or its text."),
    "start_node": (BEHAVIOUR, "The workflow starts at another node."),
}


def workflow_changes(
    old: SourceIR, new: SourceIR, pairs: Pairs, renamed: Mapping[str, str], old_readers: Readers, new_readers: Readers
) -> Iterator[Change]:
    """The changes that belong to no single node; `renamed` are the nodes with another name in `new`."""
    yield from _inputs(old, new, old_readers, new_readers)
    yield from _outputs(old, new, renamed)
    yield from _order(old, new, pairs, renamed)
    for key, (kind, sentence) in _MODES.items():
        one, two = old.data.get(key, ABSENT), new.data.get(key, ABSENT)
        before = renamed.get(one, one) if key == "start_node" and isinstance(one, str) else one
        if _said(before, renamed) != _said(two, {}):
            yield Change(kinds(kind), "", key, sentence, one, two, (key,))
    yield from _prompt_cache(old, new, renamed)


def _prompt_cache(old: SourceIR, new: SourceIR, renamed: Mapping[str, str]) -> Iterator[Change]:
    """The chunks of the prompt cache: their text goes to the model, the rest is a matter of price."""
    one, two = old.data.get("cache", ABSENT), new.data.get("cache", ABSENT)
    if _said(one, renamed) == _said(two, {}):
        return
    if _sent(old, renamed) != _sent(new, {}):
        found, sentence = kinds(BEHAVIOUR, COST), "Another text is sent before the prompts that name it."
    else:
        found, sentence = kinds(COST), "The provider's prompt cache is filled differently: same answers, another price."
    yield Change(found, "", "cache", sentence, one, two, ("cache",))


def _sent(ir: SourceIR, renamed: Mapping[str, str]) -> Any:
    """What the chunks that some node names say."""
    named = {name for node in ir.nodes for name in node.prompt_cache}
    chunks = chunks_of(ir)
    return _said([[name, text] for name, text in chunks.items() if name in named], renamed)


def _said(value: Any, renamed: Mapping[str, str]) -> Any:
    """What `value` means; keys that begin with _ say where pflow's parser found things."""
    if isinstance(value, dict):
        value = {key: member for key, member in value.items() if not key.startswith("_")}
    return canonical(None if value is ABSENT else value, Names(renamed=renamed))


def _inputs(old: SourceIR, new: SourceIR, old_readers: Readers, new_readers: Readers) -> Iterator[Change]:
    for name in [*new.inputs, *(name for name in old.inputs if name not in new.inputs)]:
        one, two = old.inputs.get(name, ABSENT), new.inputs.get(name, ABSENT)
        if _said(one, {}) == _said(two, {}) and (one is ABSENT) == (two is ABSENT):
            continue
        found, sentence = _input(one, two, _items_from(new, name))
        yield Change(
            found,
            "",
            f"inputs.{name}",
            sentence,
            one,
            two,
            ("inputs", name),
            (old_readers if two is ABSENT else new_readers).get(name, ()),
        )


def _items_from(ir: SourceIR, name: str) -> list[Reference]:
    """The references to an input that make the items of a batch."""
    return [
        reference
        for node in ir.nodes
        if node.batch is not None and isinstance(node.batch.items, str)
        for reference in parse(node.batch.items.strip()).references()
        if reference.root == name
    ]


def _input(old: Any, new: Any, items: Sequence[Reference]) -> tuple[tuple[Kind, ...], str]:
    if new is ABSENT:
        return kinds(BREAKING), "The input is gone: who gives it must stop."
    if old is ABSENT:
        if _must_be_given(new):
            return kinds(BREAKING), "A new input that everybody has to give: it has no default."
        return kinds(BEHAVIOUR), "A new input that need not be given."
    if old.get("type") != new.get("type"):
        return kinds(BREAKING), "The input takes values of another type."
    if not _must_be_given(old) and _must_be_given(new):
        return kinds(BREAKING), "The input has to be given now."
    if {**old, "description": 0} == {**new, "description": 0}:
        return kinds(COSMETIC), "The input is described in other words."
    found = [BEHAVIOUR]
    sentence = "Another value holds where the input is not given, or it comes from elsewhere."
    for reference in items:
        before, after = (_number_of_items(spec.get("default", ABSENT), reference) for spec in (old, new))
        if after is not None and before != after:
            instead = "" if before is None else f" instead of {before}"
            items_now = f"{after} item" if after == 1 else f"{after} items"
            sentence = f"Where the input is not given, a batch has {items_now}{instead}."
            if after > (before or 0):
                found.append(COST)
    return kinds(*found), sentence


def _number_of_items(default: Any, reference: Reference) -> int | None:
    """How many items a batch has that is given the default; None if that is not a list."""
    value = default
    for step in reference.path:
        if isinstance(step, Field) and isinstance(value, Mapping):
            value = value.get(step.name)
        elif isinstance(step, Index) and isinstance(value, list) and step.value < len(value):
            value = value[step.value]
        else:
            return None
    if isinstance(value, str):  # a list written as JSON counts
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return len(value) if isinstance(value, list) else None


def _must_be_given(spec: Mapping[str, Any]) -> bool:
    return spec.get("required", True) is not False and "default" not in spec


def _outputs(old: SourceIR, new: SourceIR, renamed: Mapping[str, str]) -> Iterator[Change]:
    before, after = old.data.get("outputs") or {}, new.data.get("outputs") or {}
    for name in [*after, *(name for name in before if name not in after)]:
        one, two = before.get(name, ABSENT), after.get(name, ABSENT)
        if _said(one, renamed) == _said(two, {}) and (one is ABSENT) == (two is ABSENT):
            continue
        if two is ABSENT:
            found, sentence = kinds(BREAKING), "The output is gone."
        elif one is ABSENT:
            found, sentence = kinds(BEHAVIOUR), "A new output."
        elif _said(one.get("source"), renamed) != _said(two.get("source"), {}):
            found, sentence = kinds(BEHAVIOUR), "The output shows something else."
        elif one.get("type") != two.get("type"):
            found, sentence = kinds(BREAKING), "The output has another type."
        elif {**one, "description": 0, "source": 0} == {**two, "description": 0, "source": 0}:
            found, sentence = kinds(COSMETIC), "The output is described in other words."
        else:
            found, sentence = kinds(BEHAVIOUR), "The output is exposed differently."
        yield Change(found, "", f"outputs.{name}", sentence, one, two, ("outputs", name))


def _order(old: SourceIR, new: SourceIR, pairs: Pairs, renamed: Mapping[str, str]) -> Iterator[Change]:
    """Nodes that run earlier or later than others did, and edges that lead elsewhere."""
    common = {two.id for _, two in pairs}
    before = [renamed.get(name, name) for name in _sequence(old)]
    before, after = [name for name in before if name in common], [name for name in _sequence(new) if name in common]
    nodes = {node.id: node for node in new.nodes}
    if before != after:
        in_place = {
            name
            for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
            for name in before[block.a : block.a + block.size]
        }
        for name in after:
            if name not in in_place:
                node = nodes[name]
                sentence = f"It runs after {_before(after, name)} now, not after {_before(before, name)}."
                places = before.index(name) + 1, after.index(name) + 1
                yield Change(
                    kinds(BEHAVIOUR), name, "order", sentence, *places, node.path, batch=node.batch is not None
                )
        return
    was, now = _edges(old, renamed, common), _edges(new, {}, common)
    for place in sorted(was.keys() | now.keys(), key=lambda place: (nodes[place[0]].number, place[1])):
        name, action = place
        one, two = was.get(place, []), now.get(place, [])
        if one != two:
            answer = action or '""'
            when = "it" if action == "default" else f"its action {answer}"
            sentence = f"After {when} comes {_comes(two)}, not {_comes(one)}."
            node = nodes[name]
            is_batch = node.batch is not None
            yield Change(kinds(BEHAVIOUR), name, "edges", sentence, one, two, node.path, batch=is_batch)


def _comes(targets: list[str]) -> str:
    return "nothing" if not targets else " and ".join(f"`{name}`" for name in targets)


def _before(names: list[str], name: str) -> str:
    at = names.index(name)
    return f"`{names[at - 1]}`" if at else "the start"


def _sequence(ir: SourceIR) -> list[str]:
    position = order(ir, ir.edges_taken).position
    return sorted(position, key=lambda name: position[name])


def _edges(ir: SourceIR, renamed: Mapping[str, str], common: set[str]) -> dict[tuple[str, str], list[str]]:
    """Where each action of a node leads, past nodes that are in one of the workflows only."""
    leads: dict[tuple[str, str], list[str]] = {}
    for edge in kept(ir.edges):
        first, then = renamed.get(edge.source, edge.source), renamed.get(edge.target, edge.target)
        leads.setdefault((first, edge.name), []).append(then)
    found = {}
    for (first, action), targets in leads.items():
        if first in common:
            reached = sorted({name for target in targets for name in _reached(target, leads, common)})
            if reached:
                found[first, action] = reached
    return found


def _reached(name: str, leads: Mapping[tuple[str, str], list[str]], common: set[str]) -> Iterator[str]:
    seen = {name}
    todo = [name]
    while todo:
        here = todo.pop()
        if here in common:
            yield here
            continue
        following = [then for then in leads.get((here, "default"), ()) if then not in seen]
        seen.update(following)
        todo += following
