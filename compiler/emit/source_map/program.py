"""The source map of `flow.py`: its steps, edges, parameters, inputs and outputs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...ir.paths import Path
from ...ir.workflow import SourceIR
from .lines import Lines, lines_of, values, with_comments


def program_lines(source: SourceIR, text: str) -> Iterator[Lines]:
    """The lines of `text`, the program of `source`, by the place that they come from."""
    lines = text.split("\n")
    yield Lines(1, next(n for n, line in enumerate(lines, 1) if not line.startswith("#")), (), "header")
    with_params = iter([node for node in source.nodes if node.params and node.batch is None])
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            yield from values(statement.value, ("inputs",), dict(source.inputs), "input", lines)
        elif not isinstance(statement, ast.FunctionDef):
            continue
        elif statement.name == "build_flow":
            yield from _flow(source, statement)
        elif statement.name == "outputs":
            yield from _outputs(source, statement, lines)
        elif statement.name != "main":
            node = next(with_params)
            path: Path = (*node.path, "params")
            yield lines_of(statement, path, "parameter")
            for inner in statement.body:
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from values(inner.value, path, dict(node.params), "parameter", lines)
                elif isinstance(inner, ast.Assign):
                    first = with_comments(inner.lineno, lines)
                    yield Lines(first, inner.end_lineno or first, (*path, "inputs"), "parameter")


def _flow(source: SourceIR, function: ast.FunctionDef) -> Iterator[Lines]:
    nodes = iter(source.nodes)
    edges = iter(range(len(source.data.get("edges") or ())))
    for statement in function.body[1:]:
        if isinstance(statement, ast.Assign):
            yield lines_of(statement, (*next(nodes).path, "id"), "step")
        elif isinstance(statement, ast.Return):
            yield lines_of(statement, ("start_node",) if "start_node" in source.data else ("nodes", 0, "id"), "start")
        else:
            yield lines_of(statement, ("edges", next(edges)), "edge")


def _outputs(source: SourceIR, function: ast.FunctionDef, lines: list[str]) -> Iterator[Lines]:
    declared = source.data.get("outputs") or {}
    shown = function.body[-1]
    if declared and isinstance(shown, ast.Return) and shown.value is not None:
        yield from values(shown.value, ("outputs",), dict(declared), "output", lines)
