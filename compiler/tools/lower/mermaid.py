"""A workflow as a Mermaid flowchart.

Nothing an author wrote becomes Mermaid syntax: nodes are called b0, b1 and so on, and labels stand in quotes with
every character that could mean something written as an entity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...diagnostics.diagnostic import printable
from ...ir.batch_spec import BatchSpec, at_once
from ...ir.edges import edges_of, kept

_PLAIN = frozenset(" _-.,/+=?!*()[]{}$:\u2060")
"""Besides letters and digits, what a label shows as it is."""

_LONGEST = 80
_BATCH = "classDef batch stroke-width:3px"


def before_and_after(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """One flowchart of a workflow as it was written and as it was lowered."""
    return "\n".join(
        [
            "flowchart TD",
            '  subgraph before["as written"]',
            *_body(before, "b", "    "),
            "  end",
            '  subgraph after["as lowered"]',
            *_body(after, "a", "    "),
            "  end",
            f"  {_BATCH}",
        ]
    )


def _body(document: Mapping[str, Any], prefix: str, indent: str) -> Iterator[str]:
    names = {node["id"]: f"{prefix}{number}" for number, node in enumerate(document["nodes"])}
    for node in document["nodes"]:
        name = names[node["id"]]
        lines = [node["id"], *_label_lines(node)]
        label = "<br/>".join(map(_escaped, lines))
        yield f'{indent}{name}[["{label}"]]:::batch' if "batch" in node else f'{indent}{name}["{label}"]'
    for edge in kept(edges_of(document)):
        arrow = "-->" if edge.name == "default" else f'-->|"{_escaped(edge.name)}"|'
        yield f"{indent}{names[edge.source]} {arrow} {names[edge.target]}"


def _label_lines(node: Mapping[str, Any]) -> Iterator[str]:
    """What a node's label says besides its id: the type, and how a batch runs."""
    inner = node.get("params", {}).get("inner") if ":" in node["type"] else None
    yield f"{node['type']} around {inner}" if isinstance(inner, str) else node["type"]
    batch = node.get("batch")
    if not isinstance(batch, Mapping):
        return
    spec = BatchSpec.of(batch)
    number = len(spec.items) if isinstance(spec.items, list) else 0
    listed = f"{number} item" if number == 1 else f"{number} items"
    if spec.items_file is not None:
        listed, number = f"the file {spec.items_file}", 1
    yield f"for each {spec.alias} in {listed if number else spec.items}"
    for inner in spec.levels[1:] if spec.inner_batch is not None else ():
        source = inner.items if isinstance(inner.items, str) else f"{len(inner.items)} items"
        yield f"and each {inner.alias} in {source}"
    policy = [_side_by_side(spec)]
    if spec.results is not None:
        policy.append(f"results to {spec.results_file}")
    if spec.rate is not None:
        policy.append(f"at most {spec.rate}")
    if spec.max_retries > 1:
        policy.append(f"{spec.max_retries} attempts")
    policy.append(spec.error_handling.in_words)
    if spec.tolerated_failures is not None:
        policy[-1] = f"stops after more than {spec.tolerated_failures} failures"
    yield ", ".join(policy)


def _side_by_side(spec: BatchSpec) -> str:
    if not spec.parallel:
        return "one by one"
    return at_once(spec.max_concurrent)


def _escaped(text: str) -> str:
    shown = printable(text) or '""'
    shown = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."
    shown = shown.replace("$$", "$\u2060$")  # two in a row would begin a formula
    return "".join(c if c.isalnum() or c in _PLAIN else f"#{ord(c)};" for c in shown)
