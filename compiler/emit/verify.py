"""What must hold of generated code, checked on every run. A failure is a bug of ours.

Whatever a workflow says, it may change literals and names in generated code, never its shape: every
module is parsed again and compared with the shape that the templates promise.
"""

from __future__ import annotations

import ast
import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..files.generated_names import CLASSES, PROGRAM
from ..ir.batch_keys import BATCH_KEYS
from ..ir.lowered import MODULE, RAY_OPTIONS, SHAPES, LoweredBatch, LoweredIR
from ..ir.python_ast import parse_python
from ..lowering.names import RUNTIME
from ..lowering.verify_ir import InvalidOutput

_OWNERS = frozenset({"self", "given", "call"})
_NAMES = RUNTIME | {"self", "shared", "call", "given", "params", "inputs", "items", "results", "scope", "float"}
_START = re.compile(
    r"""if __name__ == '__main__':
(    sys\.path\.insert\(0, __file__\.rpartition\('flow\.py'\)\[0\] or sys\.path\[0\]\)
)?    try:
        from [\w.]+\.start import start
    except ModuleNotFoundError as error:
        sys\.exit\(f'error: \{error\}: [-\w., ]+'\)
    sys\.exit\(start\(__file__, __package__\)\)"""
)
_ALLOWED = frozenset({
    ast.arguments, ast.arg, ast.Return, ast.Assign, ast.Expr, ast.Call, ast.keyword, ast.Attribute, ast.Name,
    ast.Load, ast.Store, ast.Constant, ast.JoinedStr, ast.FormattedValue, ast.Dict, ast.List, ast.Tuple,
    ast.Await, ast.UnaryOp, ast.USub, ast.AnnAssign,
})  # fmt: skip
_NESTED = frozenset({ast.ListComp, ast.comprehension, ast.Subscript})
"""What stands in classes of batches inside each other besides."""


def verify_files(lowered: LoweredIR, files: Mapping[str, str]) -> None:
    """Check the generated modules: that of the batch classes and, where there is one, the program.

    Raises: InvalidOutput.
    """
    wrong = list(_wrong_in_module(files[CLASSES], lowered.batches))
    if wrong:
        raise InvalidOutput(f"generated invalid code in {CLASSES}: " + "; ".join(wrong))
    if PROGRAM in files:
        verify_program(files[PROGRAM])


def verify_program(text: str) -> None:
    """Check a `flow.py`: imports, one table, functions of calls and edges, its start. Raises: InvalidOutput."""
    wrong = list(_wrong_in_program(parse_python(text)))
    if wrong:
        raise InvalidOutput(f"generated invalid code in {PROGRAM}: " + "; ".join(wrong))


def _wrong_in_program(tree: ast.Module) -> Iterator[str]:
    docstring, first, second, start, *body = tree.body
    if not _is_docstring(docstring) or not _START.fullmatch(ast.unparse(start)):
        yield "it does not begin as it must"
    known = {"dict", "str", "list", "int", "__file__"}
    functions = []
    for statement in _with_imports_beside([first, second, *body]):
        if isinstance(statement, ast.ImportFrom | ast.Import):
            known |= {name.asname or name.name for name in statement.names}
        elif isinstance(statement, ast.FunctionDef):
            functions.append(statement)
            known.add(statement.name)
        elif isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "INPUTS" and statement.value:
            ast.literal_eval(statement.value)
            known.add("INPUTS")
        elif not (isinstance(statement, ast.Assign) and _is_class_path(statement)):
            yield f"has a {type(statement).__name__}"
    for function in functions:
        local = known | {argument.arg for argument in function.args.args}
        for node in (node for statement in function.body for node in ast.walk(statement)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                local.add(node.id)
            elif isinstance(node, ast.Name) and node.id not in local:
                yield f"{function.name} uses {node.id}"
            elif type(node) not in _ALLOWED:
                yield f"{function.name} has a {type(node).__name__}"
            elif isinstance(node, ast.Attribute) and not (function.name == "build_flow" and node.attr == "next"):
                yield f"{function.name} reads .{node.attr}"


def _is_class_path(statement: ast.Assign) -> bool:
    """Whether it is `sys.path[:] = class_path(__file__, ..., modules=[...])`, with nothing but texts."""
    call = statement.value
    return (
        ast.unparse(statement.targets[0]) == "sys.path[:]"
        and isinstance(call, ast.Call)
        and ast.unparse(call.func) == "class_path"
        and ast.unparse(call.args[0]) == "__file__"
        and all(isinstance(folder, ast.Constant) for folder in call.args[1:])
        and [keyword.arg for keyword in call.keywords] == ["modules"]
        and isinstance(modules := call.keywords[0].value, ast.List)
        and all(isinstance(module, ast.Constant) for module in modules.elts)
    )


def _is_own_path(statement: ast.stmt) -> bool:
    """Whether it is `sys.path[:] = own_path(__file__, MODULE)`."""
    return ast.unparse(statement) == f"sys.path[:] = own_path(__file__, {MODULE!r})"


def _with_imports_beside(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """`body`; in place of an `if` between imports of what stands beside, one of them, if both are the same names.

    Outside of a package, the path may be made ready before them.
    """
    for statement in body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "__package__ and (not TYPE_CHECKING)":
            inside = [part for part in statement.body if isinstance(part, ast.ImportFrom) and part.level == 1]
            path, *rest = statement.orelse
            others = rest if _is_own_path(path) else statement.orelse
            outside = [part for part in others if _is_import(part)]
            for part in inside:
                part.level = 0
            whole = len(inside) == len(statement.body) and len(outside) == len(others)
            if whole and list(map(ast.unparse, inside)) == list(map(ast.unparse, outside)):
                yield from outside
                continue
        yield statement


def _wrong_in_module(text: str, batches: Sequence[LoweredBatch]) -> Iterator[str]:
    body = parse_python(text).body
    classes = [statement for statement in body if isinstance(statement, ast.ClassDef)]
    head = list(_with_imports_beside(body[: len(body) - len(classes)]))
    if not _is_docstring(head[0]) or not all(_is_import(statement) for statement in head[1:]):
        yield "the head is not a docstring and imports"
    if [cls.name for cls in classes] != [batch.class_name for batch in batches]:
        yield f"the classes are {[cls.name for cls in classes]}"
        return
    for cls, batch in zip(classes, batches, strict=True):
        yield from (f"{cls.name}: {wrong}" for wrong in _wrong_in_class(cls, batch))


def _attribute(value: ast.expr) -> Any:
    """What a class attribute is: a literal, or the keywords of `RayOptions` as a dict."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == RAY_OPTIONS and not value.args:
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in value.keywords}
    return ast.literal_eval(value)


def _wrong_in_class(cls: ast.ClassDef, batch: LoweredBatch) -> Iterator[str]:
    attributes = {}
    methods = []
    for statement in cls.body[1:]:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            attributes[statement.targets[0].id] = _attribute(statement.value)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            methods.append(statement.name)
            yield from _wrong_in_method(statement, batch)
        else:
            yield f"has a {type(statement).__name__}"
    spec, shape = batch.spec, SHAPES[batch.shape]
    expected: dict[str, Any] = {"node_id": batch.node_id, "alias": spec.alias}
    for row in BATCH_KEYS:
        if row.shown_at == "attribute" and row.key in spec.written and hasattr(spec, row.field):
            value = getattr(spec, row.field)
            value = spec.results_file if row.key == "results" else value
            expected[row.key] = value.value if isinstance(value, enum.Enum) else value
    source = spec.items_file if spec.items_file is not None else spec.items
    if isinstance(source, str):
        expected["items"] = source
    if batch.budget is not None:
        shared = {"shared_rate": batch.budget.rate, "shared_max_concurrent": batch.budget.max_concurrent}
        expected |= {name: value for name, value in shared.items() if value is not None}
    if batch.ray_options is not None:
        expected["ray_options"] = dict(batch.ray_options)
    if batch.levels:
        expected["aliases"] = tuple(level.name for level in batch.levels)
    if not _is_docstring(cls.body[0]) or {k: attributes.get(k) for k in expected} != expected:
        yield f"its attributes are {attributes}"
    named = ["name_item"] if batch.item_name is not None else []
    if methods != ["prep", *named, "exec_async" if shape.is_async else "exec"]:
        yield f"its methods are {methods}"
    if [ast.unparse(base) for base in cls.bases] != [shape.base]:
        yield "it is derived from something else"


def _wrong_in_method(method: ast.FunctionDef | ast.AsyncFunctionDef, batch: LoweredBatch) -> Iterator[str]:
    names = _NAMES | ({level.variable for level in batch.levels} or {batch.alias})
    for statement in method.body:
        for node in ast.walk(statement):
            kind = type(node)
            if kind not in _ALLOWED and not (batch.levels and kind in _NESTED):
                yield f"{method.name} has a {kind.__name__}"
            elif kind is ast.Name and node.id not in names:  # type: ignore[attr-defined]
                yield f"{method.name} uses {node.id}"  # type: ignore[attr-defined]
            elif kind is ast.Attribute and not _is_our_attribute(node):  # type: ignore[arg-type]
                yield f"{method.name} reads .{node.attr}"  # type: ignore[attr-defined]


def _is_our_attribute(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in _OWNERS


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.level == 0
