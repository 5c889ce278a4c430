"""What pflow-lower defines beyond pflow: keys of an annotation, and `${batch_index}` and `${batch_total}` inside it.

pflow knows no such keys and names, so it is shown a workflow without the keys and with names of its own; lowering
sees the author's. A name that the author declares (an input, a node, the item, a parameter given to the run) is the
author's. A workflow that uses none of this is handed on untouched.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from ..analyse.invariance import BATCH_NAMES, INDEX, PREVIOUS, Bindings, Bound, batch_names
from ..ir.known_to_pflow import ours_in, without_ours
from ..ir.template import parse, roots
from .messages import say
from .result_files import with_texts, without_files

_A_FILE = "items.jsonl"
"""Stands for a path with references in it, which pflow does not see: they are looked at with our keys."""
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"?|(?<![\w.-])([A-Za-z_]\w*)(?![\w-])')


def used_names(node: Mapping[str, Any], declared: Collection[str]) -> tuple[str, ...]:
    """Which of our names the batch node refers to. `declared` are the names of its workflow."""
    found = {name for names in _used(node, declared).values() for name in names}
    return tuple(name for name in BATCH_NAMES if name in found)


def _used(node: Mapping[str, Any], declared: Collection[str]) -> dict[str, set[str]]:
    """Which of our names the batch node refers to, by parameter. The node is as read: nothing has looked at it yet."""
    batch, params = node.get("batch"), node.get("params")
    if not isinstance(batch, Mapping) or not isinstance(params, dict):
        return {}
    aliases = _aliases(batch)
    bindings = Bindings(batch_names(aliases, declared), params)
    found: dict[str, set[str]] = {}
    for key, value in params.items():
        ours = {name for name in BATCH_NAMES if bindings.bound(name, key) is BATCH_NAMES[name]}
        ours |= {name for name in aliases[1:] if bindings.bound(name, key) is Bound.PART}
        if used := ours.intersection(roots(value)):
            found[key] = used
    return found


def _aliases(batch: Mapping[str, Any]) -> tuple[str, ...]:
    """What the items of a batch, and of those inside it, are called, as far as that can be read."""
    found = []
    inner: Any = batch
    while isinstance(inner, Mapping):
        alias = inner.get("as", "item")
        found.append(alias if isinstance(alias, str) else "")
        inner = inner.get("batch")
    return tuple(found)


def _stand_ins(batch: Mapping[str, Any]) -> dict[str, str]:
    """What pflow is shown in place of a name that it does not know: its own for a number, the item for the rest."""
    outer, *inner = _aliases(batch)
    return {name: outer if name == PREVIOUS else INDEX for name in BATCH_NAMES} | dict.fromkeys(inner, outer)


def declared_names(ir: Mapping[str, Any], given: Collection[str] = ()) -> set[str]:
    """The names that a workflow gives a meaning to; `given` are parameters of the run."""
    nodes = {node.get("id") for node in ir.get("nodes", ()) if isinstance(node, Mapping)}
    return {*nodes, *(ir.get("inputs") or ()), *given}


def names_by_hand(ir: Any, given: Collection[str]) -> set[str]:
    """Those of our names that are parameters of the run, `given`, and that the workflow does not declare."""
    inputs = (ir.get("inputs") if isinstance(ir, Mapping) else None) or ()
    return {name for name in BATCH_NAMES if name in given and name not in inputs}


def as_pflow_knows_it(ir: Any, given: Collection[str] = ()) -> Any:
    """`ir` without keys of ours, and with pflow's own name in place of ours: `ir` itself, if it uses none of them."""
    if not (isinstance(ir, Mapping) and isinstance(ir.get("nodes"), list)):
        return ir
    declared = declared_names(ir, given)
    nodes = [_known_node(node, declared) for node in ir["nodes"]]
    shown = without_files(_with(ir, nodes))
    inputs = ir.get("inputs") or {}
    return without_our_keys(_with(shown, [_reading(node, inputs) for node in shown["nodes"]]))


def as_shown_to_validator(ir: Any, given: Collection[str]) -> Any:
    """As `as_pflow_knows_it`, for a whole workflow and the parameters of its run; what cannot be read, as it is."""
    try:
        return as_pflow_knows_it(ir, names_by_hand(ir, given))
    except Exception as error:  # noqa: BLE001  pflow's validator says best what is wrong with this workflow
        say(f"${{batch_index}} and ${{batch_total}} are not known in this workflow: {error}")
        return ir


def without_our_keys(ir: Any) -> Any:
    """`ir` without the batch keys that only pflow-lower knows: `ir` itself, if it uses none of them."""
    if not (isinstance(ir, Mapping) and isinstance(ir.get("nodes"), list)):
        return ir
    return _with(
        ir, [{**node, "batch": without_ours(node["batch"])} if our_keys(node) else node for node in ir["nodes"]]
    )


def our_keys(node: Any) -> tuple[str, ...]:
    """The keys of a node's annotation, as far as it is one, that only pflow-lower knows."""
    batch = node.get("batch") if isinstance(node, Mapping) else None
    return ours_in(batch) if isinstance(batch, Mapping) else ()


def as_written(ir: Mapping[str, Any], node_id: str, text: str) -> str:
    """`text`, which may name a place in the node of `ir` as pflow is shown it, with that of what its author wrote."""
    wrapped = (node for node in ir["nodes"] if our_keys(node) and isinstance(node["batch"].get("items"), str))
    is_one = "batch.items[0]" in text and any(node.get("id") == node_id for node in wrapped)
    return text.replace("batch.items[0]", "batch.items") if is_one else text


def _with(ir: Mapping[str, Any], nodes: list[Any]) -> Mapping[str, Any]:
    """`ir` with these nodes: `ir` itself, if they are its own."""
    same = all(new is old for new, old in zip(nodes, ir["nodes"], strict=True))
    return ir if same else {**ir, "nodes": nodes}


def _reading(node: Any, inputs: Collection[str]) -> Any:
    """`node` with the inputs that its keys of ours read among its items, after them: so that they count as used."""
    batch = node["batch"] if (keys := our_keys(node)) else {}
    read = [root for root in roots([batch[key] for key in keys]) if root in inputs]
    is_file = "items" in keys
    path = str(batch["items"].get("file", "")) if is_file else ""
    if not read and "${" not in path:
        return node
    listed = [_A_FILE if "${" in path else path] if is_file else batch.get("items")
    items = [*(listed if isinstance(listed, list) else [listed]), *(f"${{{name}}}" for name in read)]
    return {**node, "batch": {**batch, "items": items}}


def _known_node(node: Any, declared: Collection[str]) -> Any:
    used = _used(node, declared) if isinstance(node, Mapping) else {}
    if not used:
        return node
    params, stand_ins = {**node["params"]}, _stand_ins(node["batch"])
    for key, names in used.items():
        params[key] = with_texts(params[key], partial(_known_text, {name: stand_ins[name] for name in names}))
    return {**node, "params": params}


def _known_text(names: Mapping[str, str], text: str) -> str:
    """`text` with other names in its `${...}`: those that `names` has for them."""
    if not any(name in text for name in names):
        return text
    made, at = "", 0
    for expression in parse(text).expressions:
        inner = _WORD.sub(lambda m: names.get(m[1] or "", m[0]), text[expression.start : expression.end])
        made += text[at : expression.start] + inner
        at = expression.end
    return made + text[at:]
