"""Files of results, which pflow's validator does not know, nor the output `file` of a batch that writes one.

Where `${batch.file}` stands, it is shown a plain text, or another output of the batch where it wants a reference.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..ir.template import Expression, Field, Reference, parse

_PATH = "results.jsonl"


def without_files(ir: Mapping[str, Any]) -> Mapping[str, Any]:
    """`ir` without files of results and what refers to them: `ir` itself, if there are none."""
    with_file = {node["id"] for node in ir["nodes"] if _results_path(node) is not None and "id" in node}
    if not with_file:
        return ir
    nodes = [_node(node, with_file) if isinstance(node, Mapping) else node for node in ir["nodes"]]
    found = {**ir, "nodes": nodes}
    if isinstance(outputs := ir.get("outputs"), Mapping):
        found["outputs"] = {name: _output(output, with_file) for name, output in outputs.items()}
    return found


def _results_path(node: Any) -> str | None:
    batch = node.get("batch") if isinstance(node, Mapping) else None
    results = batch.get("results") if isinstance(batch, Mapping) else None
    path = results.get("file") if isinstance(results, Mapping) else None
    return path if isinstance(path, str) else None


def _node(node: Mapping[str, Any], with_file: Collection[str]) -> Mapping[str, Any]:
    return {key: with_texts(value, lambda text: _text(text, with_file)) for key, value in node.items()}


def _output(output: Any, with_file: Collection[str]) -> Any:
    source = output.get("source") if isinstance(output, Mapping) else None
    if not isinstance(source, str):
        return output
    name = source.removesuffix(".file")
    if name != source and name in with_file:
        return {**output, "source": f"{name}.count"}
    whole = parse(source)
    if whole.is_whole and _file_of(whole.expressions[0], with_file):
        return {**output, "source": f"${{{_file_of(whole.expressions[0], with_file)}.count}}"}
    return {**output, "source": _text(source, with_file)}


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with every text inside it as `change` gives it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: with_texts(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_texts(inner, change) for inner in value]
    return value


def _text(text: str, with_file: Collection[str]) -> str:
    if ".file" not in text or "${" not in text:
        return text
    made, at = "", 0
    for expression in parse(text).expressions:
        if _file_of(expression, with_file):
            made, at = made + text[at : expression.start] + _PATH, expression.end
    return made + text[at:]


def _file_of(expression: Expression, with_file: Collection[str]) -> str:
    """The batch whose `file` the expression may be; "" if it is something else."""
    for operand in expression.operands:
        if isinstance(operand, Reference) and operand.root in with_file and operand.path == (Field("file"),):
            return operand.root
    return ""
