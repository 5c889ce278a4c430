"""The source map of a module of generated classes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...ir import tree
from ...ir.batch_keys import keys_shown_at
from ...ir.lowered import LoweredBatch, LoweredIR
from ...ir.paths import Path
from ..emit import OWN_ATTEMPTS
from .lines import Lines, lines_of, values, with_comments

_ATTEMPTS = ("max_retries", "retry_wait")
_OWN_KEYS = {attribute: key for key, attribute in OWN_ATTEMPTS.items()}


def module_lines(lowered: LoweredIR, text: str) -> Iterator[Lines]:
    """The lines of `text`, the module of generated classes, by the place that they come from."""
    tree = ast.parse(text)
    source = text.split("\n")
    batches = {batch.class_name: batch for batch in lowered.batches}
    yield Lines(1, next(n for n, line in enumerate(source, 1) if not line.startswith("#")), (), "header")
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            yield from _class(batches[statement.name], statement, source)


def _class(batch: LoweredBatch, cls: ast.ClassDef, source: list[str]) -> Iterator[Lines]:
    node: Path = ("nodes", batch.number)
    yield lines_of(cls, (*node, "id"), "class")
    for key in keys_shown_at("base"):
        if key in batch.spec.written:
            yield Lines(cls.lineno, cls.lineno, (*node, "batch", key), "policy")
    for statement in cls.body:
        if isinstance(statement, ast.Expr):
            yield lines_of(statement, (*node, "type"), "class")
        elif isinstance(statement, ast.Assign):
            yield from _attribute(batch, statement)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _method(batch, statement, source)


def _attribute(batch: LoweredBatch, statement: ast.Assign) -> Iterator[Lines]:
    node: Path = ("nodes", batch.number)
    target = ast.unparse(statement.targets[0])
    if target == "node_id":
        yield lines_of(statement, (*node, "id"), "name")
    elif target == "alias":
        yield lines_of(statement, _written(batch, "as"), "alias")
    elif target == "items":
        yield lines_of(statement, (*node, "batch", "items"), "items")
    elif target in keys_shown_at("attribute"):
        yield lines_of(statement, _written(batch, target), "attempts" if target in _ATTEMPTS else "policy")
    elif target in _OWN_KEYS:
        yield lines_of(statement, (*node, "retry", _OWN_KEYS[target]), "attempts")
    elif target == "namespaced":
        yield lines_of(statement, ("enable_namespacing",), "kept")


def _method(batch: LoweredBatch, method: ast.FunctionDef | ast.AsyncFunctionDef, source: list[str]) -> Iterator[Lines]:
    node: Path = ("nodes", batch.number)
    name = method.name.removesuffix("_async")
    for statement in method.body:
        first = with_comments(statement.lineno, source)
        last = statement.end_lineno or first
        if name == "prep" and isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            path = (*node, "batch", "items")
            yield Lines(first, last, path, "items")
            yield from values(statement.value, path, batch.spec.items, "items", source)
        elif name == "prep" and isinstance(statement, ast.Return):
            yield from _captures(batch, statement)
        elif name == "exec":
            yield from _exec(batch, statement, source)


def _captures(batch: LoweredBatch, statement: ast.Return) -> Iterator[Lines]:
    captures = {capture.name: capture for capture in batch.captures}
    for call in ast.walk(statement):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "open":
            for keyword in call.keywords:
                capture = captures.get(keyword.arg or "")
                if capture is not None:
                    last = keyword.value.end_lineno or keyword.value.lineno
                    yield Lines(keyword.value.lineno, last, capture.path, "capture", capture.text, capture.offset)


def _exec(batch: LoweredBatch, statement: ast.stmt, source: list[str]) -> Iterator[Lines]:
    node: Path = ("nodes", batch.number)
    first, last = with_comments(statement.lineno, source), statement.end_lineno or statement.lineno
    params: Path = (*node, "params")
    written = {p.key: tree.written(p.value) for p in batch.parameters}
    if isinstance(statement, ast.Return):
        yield Lines(first, last, (*node, "type"), "call")
    elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        target = ast.unparse(statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0])
        if target == "params":
            yield Lines(first, last, params, "parameter")
            yield from values(statement.value, params, written, "parameter", source)
        elif target in ("inputs", "scope"):
            yield Lines(first, last, (*params, "inputs"), "parameter")
            yield from values(statement.value, (*params, "inputs"), written.get("inputs"), "parameter", source)
        else:
            yield Lines(first, last, _written(batch, "as"), "item")


def _written(batch: LoweredBatch, *keys: str) -> Path:
    """The first of the batch's keys that its author wrote, or the batch itself."""
    path: Path = ("nodes", batch.number, "batch")
    return next(((*path, key) for key in keys if key in batch.spec.written), path)
