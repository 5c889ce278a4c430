"""What must hold of the compiler's own output, checked on every run. A failure is a bug of ours.

Whatever a workflow says, it may change literals and names in generated code, never its shape: every
module is parsed again and compared with the shape that the templates promise.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ..ir.lowered import LoweredBatch, LoweredIR, Shape
from ..lowering.names import RUNTIME

_SYNC = ("__init__", "prep", "exec", "_exec", "post")
_ASYNC = ("__init__", "prep_async", "exec_async", "_exec", "post_async", "_run")
_OWNERS = frozenset({"self", "given", "given_text", "call"})
_NAMES = RUNTIME | {
    "self", "shared", "call", "given", "given_text", "params", "inputs", "items", "batch", "results", "scope", "inner",
    "super", "float",
}  # fmt: skip
_START = "if __name__ == '__main__':\n    raise SystemExit(main(sys.argv[1:]))"
_ALLOWED = frozenset({
    ast.arguments, ast.arg, ast.Return, ast.Assign, ast.Expr, ast.Call, ast.keyword, ast.Attribute, ast.Name,
    ast.Load, ast.Store, ast.Constant, ast.JoinedStr, ast.FormattedValue, ast.Dict, ast.List, ast.Tuple,
    ast.Await, ast.UnaryOp, ast.USub,
})  # fmt: skip


class BrokenPromise(AssertionError):
    """The compiler made something that it must not make. Please report it, with the workflow."""


def verify_lowered(lowered: LoweredIR) -> None:
    """Check the expanded IR. Raises: BrokenPromise."""
    wrong = list(_wrong_in_lowered(lowered))
    if wrong:
        raise BrokenPromise("generated invalid IR: " + "; ".join(wrong))


def verify_files(lowered: LoweredIR, files: Mapping[str, str]) -> None:
    """Check the generated modules of batch classes. Raises: BrokenPromise."""
    modules: dict[str, list[LoweredBatch]] = {}
    for batch in lowered.batches:
        modules.setdefault(batch.module, []).append(batch)
    for module, batches in modules.items():
        wrong = list(_wrong_in_module(files[f"{module}.py"], batches))
        if wrong:
            raise BrokenPromise(f"generated invalid code in {module}.py: " + "; ".join(wrong))


def verify_program(text: str) -> None:
    """Check a `flow.py`: imports, one table, functions of calls and edges, its start. Raises: BrokenPromise."""
    wrong = list(_wrong_in_program(ast.parse(text)))
    if wrong:
        raise BrokenPromise("generated invalid code in flow.py: " + "; ".join(wrong))


def _wrong_in_program(tree: ast.Module) -> Iterator[str]:
    docstring, *body, start = tree.body
    if not _is_docstring(docstring) or ast.unparse(start) != _START:
        yield "it does not begin or end as it must"
    known = {"dict", "str", "list", "int"}
    functions = []
    for statement in body:
        if isinstance(statement, ast.ImportFrom | ast.Import):
            known |= {name.asname or name.name for name in statement.names}
        elif isinstance(statement, ast.FunctionDef):
            functions.append(statement)
            known.add(statement.name)
        elif isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "INPUTS" and statement.value:
            ast.literal_eval(statement.value)
            known.add("INPUTS")
        else:
            yield f"has a {type(statement).__name__}"
    for function in functions:
        local = known | {argument.arg for argument in function.args.args}
        for node in (node for statement in function.body for node in ast.walk(statement)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                local.add(node.id)
            elif isinstance(node, ast.Name) and node.id not in local:
                yield f"{function.name} uses {node.id}"
            elif type(node) not in _ALLOWED and not isinstance(node, ast.BinOp | ast.RShift | ast.Sub):
                yield f"{function.name} has a {type(node).__name__}"
            elif isinstance(node, ast.Attribute):
                yield f"{function.name} reads .{node.attr}"


def _wrong_in_lowered(lowered: LoweredIR) -> Iterator[str]:
    nodes = lowered.document["nodes"]
    for batch in lowered.batches:
        node = nodes[batch.number]
        if "batch" in node:
            yield f"{batch.node_id} still has a batch"
        if node["type"] != f"{batch.module}:{batch.class_name}":
            yield f"{batch.node_id} has the type {node['type']!r}"
        if not batch.class_name.isidentifier() or not batch.alias.isidentifier():
            yield f"{batch.node_id}: {batch.class_name!r} or {batch.alias!r} is not a Python name"
        names = [capture.name for capture in batch.captures]
        if len(set(names)) != len(names) or not all(name.isidentifier() for name in names):
            yield f"{batch.node_id}: captured names {names}"
        if any(isinstance(value, dict | list) for value in node["params"].values()):
            yield f"{batch.node_id}: a captured reference is nested"
    classes = [(batch.module, batch.class_name) for batch in lowered.batches]
    if len(set(classes)) != len(classes):
        yield "two classes have one name"


def _wrong_in_module(text: str, batches: list[LoweredBatch]) -> Iterator[str]:
    body = ast.parse(text).body
    classes = [statement for statement in body if isinstance(statement, ast.ClassDef)]
    head = body[: len(body) - len(classes)]
    if not _is_docstring(head[0]) or not all(_is_import(statement) for statement in head[1:]):
        yield "the head is not a docstring and imports"
    if [cls.name for cls in classes] != [batch.class_name for batch in batches]:
        yield f"the classes are {[cls.name for cls in classes]}"
        return
    for cls, batch in zip(classes, batches, strict=True):
        yield from (f"{cls.name}: {wrong}" for wrong in _wrong_in_class(cls, batch))


def _wrong_in_class(cls: ast.ClassDef, batch: LoweredBatch) -> Iterator[str]:
    attributes = {}
    methods = []
    for statement in cls.body[1:]:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            attributes[statement.targets[0].id] = ast.literal_eval(statement.value)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            methods.append(statement.name)
            yield from _wrong_in_method(statement, batch)
        else:
            yield f"has a {type(statement).__name__}"
    expected = {"node_id": batch.node_id, "alias": batch.spec.alias}
    if isinstance(batch.spec.items, str):
        expected["items"] = batch.spec.items
    if not _is_docstring(cls.body[0]) or {k: attributes.get(k) for k in expected} != expected:
        yield f"its attributes are {attributes}"
    if tuple(methods) != (_ASYNC if batch.shape is Shape.IN_TASKS else _SYNC):
        yield f"its methods are {methods}"


def _wrong_in_method(method: ast.FunctionDef | ast.AsyncFunctionDef, batch: LoweredBatch) -> Iterator[str]:
    for statement in method.body:
        for node in ast.walk(statement):
            kind = type(node)
            if kind not in _ALLOWED:
                yield f"{method.name} has a {kind.__name__}"
            elif kind is ast.Name and node.id not in _NAMES and node.id != batch.alias:  # type: ignore[attr-defined]
                yield f"{method.name} uses {node.id}"  # type: ignore[attr-defined]
            elif kind is ast.Attribute and not _is_our_attribute(node):  # type: ignore[arg-type]
                yield f"{method.name} reads .{node.attr}"  # type: ignore[attr-defined]


def _is_our_attribute(node: ast.Attribute) -> bool:
    if isinstance(node.value, ast.Name):
        return node.value.id in _OWNERS
    return isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id == "super"


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.level == 0
