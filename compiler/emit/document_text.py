"""`lowered.json`: the expanded IR as JSON text, marked with where its keys come from.

A mark for every key of the workflow, of a node and of its parameters, and for the members of other objects and lists.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..ir import tree
from ..ir.lowered import LoweredBatch, LoweredIR
from ..ir.paths import Path
from ..lowering.lower import read_in_prep
from .marks import Origin, marked


def document_text(lowered: LoweredIR) -> str:
    """The document as `json.dumps` lays it out, with a newline at its end."""
    batches = {batch.number: batch for batch in lowered.batches}
    members = []
    for key, value in lowered.document.items():
        if key == "nodes":
            nodes = (_node(number, node, batches.get(number), lowered.added) for number, node in enumerate(value))
            members.append(_member(key, _list(nodes)))
        else:
            members.append(marked(_member(key, _whole(value, (key,))), Origin((key,), "kept")))
    return _object(members) + "\n"


def _whole(value: Any, path: Path) -> str:
    """A value outside of the nodes, its parts marked."""
    if isinstance(value, dict):
        return _object(marked(_member(k, dump(v)), Origin((*path, k), "kept")) for k, v in value.items())
    if isinstance(value, list):
        return _list(marked(dump(item), Origin((*path, number), "kept")) for number, item in enumerate(value))
    return dump(value)


def _node(number: int, node: Mapping[str, Any], batch: LoweredBatch | None, added: frozenset[Path]) -> str:
    path: Path = ("nodes", number)
    rule = "kept" if batch is None else "class"
    members = []
    for key, value in node.items():
        if key == "params" and isinstance(value, dict):
            origins = _origins(path, value, batch)
            text = _object(marked(_member(name, dump(part)), origins[name]) for name, part in value.items())
        else:
            text = dump(value)
        origin = Origin((*path, key), rule if key == "type" else "kept")
        if (*path, key) in added:
            origin = Origin((*path, "type"), "added")
        members.append(marked(_member(key, text), origin))
    return marked(_object(members), Origin((*path, "id"), rule))


def _origins(node: Path, params: Iterable[str], batch: LoweredBatch | None) -> Mapping[str, Origin]:
    """Where each parameter of a node comes from; one of a generated node says what its class depends on."""
    if batch is None:
        return {name: Origin((*node, "params", name), "kept") for name in params}
    found = dict.fromkeys(params, Origin((*node, "batch", "items"), "items"))
    of_results = {lookup.written for lookup in tree.lookups(batch.results)} if batch.results is not None else set()
    for name, lookup in read_in_prep(batch):
        if lookup.written in of_results:
            found[name] = Origin((*node, "batch", "results"), "results")
    found |= {capture.name: Origin(capture.path, "capture", capture.offset) for capture in batch.captures}
    return {**found, "inner": Origin((*node, "type"), "call")}


def dump(value: Any) -> str:
    """A value as JSON text, over several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _member(key: str, text: str) -> str:
    return f"{json.dumps(key, ensure_ascii=False)}: {text}"


def _object(members: Iterable[str]) -> str:
    return _bracketed("{", members, "}")


def _list(items: Iterable[str]) -> str:
    return _bracketed("[", items, "]")


def _bracketed(opening: str, parts: Iterable[str], closing: str) -> str:
    lines = ",\n".join(_indented(parts))
    return f"{opening}\n{lines}\n{closing}" if lines else opening + closing


def _indented(parts: Iterable[str]) -> Iterator[str]:
    return ("  " + part.replace("\n", "\n  ") for part in parts)
