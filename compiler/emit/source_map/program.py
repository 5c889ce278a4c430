"""The source map of `flow.py`: its steps, edges, parameters, inputs and outputs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...ir import tree
from ...ir.lowered import LoweredIR
from ...ir.paths import Path
from .lines import Lines, lines_of, values, with_comments


def program_lines(lowered: LoweredIR, text: str) -> Iterator[Lines]:
    """The lines of `text`, the program of `lowered`, by the place that they come from."""
    lines = text.split("\n")
    yield Lines(1, next(n for n, line in enumerate(lines, 1) if not line.startswith("#")), (), "header")
    with_params = iter([step for step in lowered.steps if step.parameters])
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            yield from values(statement.value, ("inputs",), dict(lowered.inputs), "input", lines)
        elif not isinstance(statement, ast.FunctionDef):
            continue
        elif statement.name == "build_flow":
            yield from _flow(lowered, statement)
        elif statement.name == "outputs":
            yield from _outputs(lowered, statement, lines)
        elif statement.name != "main":
            node = next(with_params)
            path: Path = (*node.path, "params")
            yield lines_of(statement, path, "parameter")
            for inner in statement.body:
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from values(
                        inner.value, path, {p.key: tree.written(p.value) for p in node.parameters}, "parameter", lines
                    )
                elif isinstance(inner, ast.Assign):
                    first = with_comments(inner.lineno, lines)
                    yield Lines(first, inner.end_lineno or first, (*path, "inputs"), "parameter")


def _flow(lowered: LoweredIR, function: ast.FunctionDef) -> Iterator[Lines]:
    nodes = iter(lowered.steps)
    edges = iter(range(len(lowered.edges)))
    for statement in function.body[1:]:
        if isinstance(statement, ast.Assign):
            yield lines_of(statement, (*next(nodes).path, "id"), "step")
        elif isinstance(statement, ast.Return):
            yield lines_of(
                statement, ("start_node",) if "start_node" in lowered.document else ("nodes", 0, "id"), "start"
            )
        else:
            yield lines_of(statement, ("edges", next(edges)), "edge")


def _outputs(lowered: LoweredIR, function: ast.FunctionDef, lines: list[str]) -> Iterator[Lines]:
    declared = [output.name for output in lowered.outputs]
    shown = function.body[-1]
    if declared and isinstance(shown, ast.Return) and shown.value is not None:
        yield from values(shown.value, ("outputs",), {name: {} for name in declared}, "output", lines)
