"""What a reference or a key of a batch means, in Markdown, for the one who points at it."""

from __future__ import annotations

import json
import re

from ...analyse.invariance import PREVIOUS, Bindings
from ...analyse.known_outputs import outputs_of
from ...analyse.sentences import names_nothing
from ...analyse.template_sites import SiteKind
from ...emit.emit import summary
from ...ir.batch_keys import BATCH_KEYS, REQUIRED, BatchKey
from ...ir.batch_spec import ErrorHandling
from ...ir.lowered import LoweredIR
from ...ir.template import Field
from ...ir.workflow import SourceIR, SourceNode
from .analysis import Analysis
from .occurrences import Occurrence, Symbol, at
from .text import Place

OUTPUTS = {
    "results": "what each item gave, in the order of the items",
    "file": "the path of the file that has what each item gave",
    "count": "how many items there were",
    "success_count": "how many items succeeded",
    "error_count": "how many items failed",
    "errors": "a list of what failed, with the position of each item",
    "batch_metadata": "how the batch ran, and how long it took",
}
"""What a batch node gives."""

_POSITION = "the position of the item in this batch, from 0"
_COUNTERS = {
    "__index__": _POSITION,
    "batch_index": f"{_POSITION} (pflow-lower's own name for `__index__`)",
    "batch_total": "how many items this batch has (pflow-lower's own)",
    PREVIOUS: "the result of the item before, of the last one that succeeded (pflow-lower's own)",
    "__iteration__": "the number of the loop's round",
}


def hover(analysis: Analysis, offset: int) -> tuple[str, Place] | None:
    """What stands at `offset`, in Markdown, and its place; None if there is nothing to say."""
    found = at(analysis.occurrences, offset)
    if found is not None and analysis.source is not None:
        words = _symbol(analysis.source, found)
        return "\n\n".join([*words, *_when(analysis, found)]), found.place
    return _key(analysis, offset)


def _symbol(ir: SourceIR, found: Occurrence) -> list[str]:
    symbol = found.symbol
    if symbol.kind == "input":
        return _input(ir, symbol)
    if symbol.kind == "node":
        node = next(node for node in ir.nodes if node.id == symbol.name)
        return _node(node, found)
    if symbol.kind == "counter":
        return [f"{_code(symbol.name)}: {_COUNTERS[symbol.name]}"]
    owner = ir.nodes[symbol.owner]
    if symbol.kind == "item" and owner.batch is not None:
        items = next((level.items for level in owner.batch.levels if level.alias == symbol.name), owner.batch.items)
        listed = _code(items) if isinstance(items, str) else f"a list of {len(items)} written in the workflow"
        if owner.batch.items_file is not None:
            listed = f"those in the file {_code(owner.batch.items_file)}"
        return [f"**item** {_code(symbol.name)} of the batch {_code(owner.id)}: one of {listed}"]
    if symbol.kind == "own":
        value = owner.params["inputs"][symbol.name]
        return [f"**key** {_code(symbol.name)} of this node's `inputs`", _json(value)]
    return [names_nothing(_code(symbol.name))]


def _input(ir: SourceIR, symbol: Symbol) -> list[str]:
    declared = ir.inputs[symbol.name]
    declared = declared if isinstance(declared, dict) else {}
    traits = [str(declared["type"])] if "type" in declared else []
    traits.append("optional" if declared.get("required") is False or "default" in declared else "required")
    if "default" in declared:
        traits.append(f"default {_code(json.dumps(declared['default'], ensure_ascii=False))}")
    words = [f"**input** {_code(symbol.name)}: {', '.join(traits)}"]
    return [*words, _plain(declared["description"])] if declared.get("description") else words


def _node(node: SourceNode, found: Occurrence) -> list[str]:
    path = found.reference.path if found.reference is not None else ()
    output = path[0].name if path and isinstance(path[0], Field) else None
    kind = "batch node" if node.batch is not None else "node"
    what = f"**output** {_code(output)} of the {kind}" if output else f"**{kind}**"
    words = [f"{what} {_code(node.id)} ({_code(node.type)})"]
    if node.purpose:
        words.append(_plain(node.purpose))
    outputs = [name for name in OUTPUTS if node.batch is not None and name in outputs_of(node.batch)]
    if node.batch is not None and output in outputs:
        only = ""
        if output == "results" and node.batch.error_handling is ErrorHandling.CONTINUE:
            only = "; with `error_handling: continue`, of those that succeeded"
        words.append(f"{_code(output)}: {OUTPUTS[output]}{only}")
    elif node.batch is not None and output is None:
        words.append(f"It gives {', '.join(_code(name) for name in outputs)}.")
    return words


def _when(analysis: Analysis, found: Occurrence) -> list[str]:
    """For a reference in a batch node: whether it is the same for every item."""
    site, reference, ir = found.site, found.reference, analysis.source
    node = site.node if site is not None else None
    if site is None or reference is None or ir is None or node is None or node.batch is None:
        return []
    if site.kind is SiteKind.FILE:
        return [f"*Says which file {_code(node.id)} opens, once, before the loop.*"]
    if site.kind is SiteKind.ITEMS:
        return [f"*Makes the items of {_code(node.id)}; read once, before the loop.*"]
    if site.kind is not SiteKind.PARAMETER:
        return []
    if found.symbol.kind == "own":
        value = node.params["inputs"][found.symbol.name]
        return ["*Filled in for every item.*"] if "${" in str(value) else []
    bindings, key = Bindings.of(node, ir.names), str(site.path[3])
    part = None if bindings.is_open(key) else bindings.invariant_part(reference, key)
    if part is None:
        return ["*Different for every item: worked out inside the loop.*"]
    name = _captured(analysis.lowered, node, part.raw)
    read = f"Read once, before the loop{f', as {_code(name)}' if name else ''}"
    if part == reference:
        return [f"*The same for every item. {read}.*"]
    return [f"*{_code('${' + part.raw + '}')} is the same for every item. {read}; the index differs.*"]


def _captured(lowered: LoweredIR | None, node: SourceNode, raw: str) -> str:
    for batch in lowered.batches if lowered is not None else ():
        if batch.node_id == node.id:
            return next((capture.name for capture in batch.captures if capture.lookup.written == raw), "")
    return ""


def _key(analysis: Analysis, offset: int) -> tuple[str, Place] | None:
    """What a key of a batch annotation does, and what the annotation as a whole comes to."""
    if analysis.places is None or analysis.source is None:
        return None
    for node in analysis.source.nodes:
        if node.batch is None:
            continue
        path = (*node.path, "batch")
        place = analysis.places.key(path)
        if place is not None and place.holds(offset):
            return _batch(analysis, node), place
        for row in BATCH_KEYS:
            place = analysis.places.key((*path, row.key)) if row.key in node.batch.written else None
            if place is not None and place.holds(offset):
                return f"**batch** {_code(row.key)}: {_about(row)}", place
    return None


def _about(row: BatchKey) -> str:
    """What a key does, within which bounds, and what holds without it."""
    return f"{row.about} {'Required' if row.default is REQUIRED else f'Default {row.values_text()}'}."


def _batch(analysis: Analysis, node: SourceNode) -> str:
    words = f"**batch** of {_code(node.id)}: the node runs once for every item"
    for batch in analysis.lowered.batches if analysis.lowered is not None else ():
        if batch.node_id == node.id:
            return f"{words}; {summary(batch)}. Generated class: {_code(batch.class_name)}"
    return words


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    text = text if len(text) <= 400 else text[:397] + "..."
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}json\n{text}\n{fence}"


def _code(text: str) -> str:
    """`text` as code in Markdown, whatever is in it."""
    text = " ".join(text.split()) or " "
    text = text if len(text) <= 200 else text[:197] + "..."
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{padding}{text}{padding}{ticks}"


def _plain(text: object) -> str:
    """An author's sentences, in which nothing counts as Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|!&~])", r"\\\1", str(text).strip()[:1_000])
