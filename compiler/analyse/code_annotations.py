"""What a `code` node's own Python says: the annotations of its inputs and of its `result`.

pflow reads the text of an annotation, not its meaning, and so does this: the two must agree on odd
ones too.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping
from typing import NamedTuple

from ..ir.python_ast import parse_python
from ..ir.workflow import SourceNode
from ..node_types.declared_type import JSON_TYPES

PYTHON_TYPES = {json: python for python, json in JSON_TYPES.items()}
"""How an annotation spells a JSON type."""

_PLAIN_TYPES = frozenset({*JSON_TYPES, "set", "tuple", "bytes"})
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class Annotations(NamedTuple):
    """The annotations of a piece of code, name by name, as text."""

    module: Mapping[str, str]
    """Those of the module's own names, also inside its ifs and loops; of several, the first."""
    bare: Mapping[str, str]
    """Those of `module` without a value, which are what pflow takes for declarations of inputs."""
    anywhere: Mapping[str, str]
    """Those inside functions and classes too; of several, the innermost, then the last."""


@functools.lru_cache(maxsize=1024)
def read_annotations(code: str) -> Annotations | None:
    """The annotations in `code`; None if it does not parse: the node itself will say so when it runs."""
    module: dict[str, str] = {}
    bare: dict[str, str] = {}
    anywhere: dict[str, str] = {}
    try:
        tree = parse_python(code)
        waiting: list[ast.AST] = [*reversed(tree.body)]
        while waiting:  # the first statement first
            found = waiting.pop()
            if isinstance(found, _SCOPES):
                continue
            if isinstance(found, ast.AnnAssign) and isinstance(found.target, ast.Name):
                module.setdefault(found.target.id, ast.unparse(found.annotation))
                if found.value is None:
                    bare.setdefault(found.target.id, ast.unparse(found.annotation))
            waiting.extend(reversed([*ast.iter_child_nodes(found)]))
        for found in ast.walk(tree):
            if isinstance(found, ast.AnnAssign) and isinstance(found.target, ast.Name):
                anywhere[found.target.id] = ast.unparse(found.annotation)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Annotations(module, bare, anywhere)


def annotations_of(node: SourceNode) -> Annotations | None:
    """The annotations in the code of `node`; None if it is not a `code` node, or its code does not parse."""
    code = node.params.get("code")
    return read_annotations(code) if node.type == "code" and isinstance(code, str) else None


def optional_inputs(node: SourceNode) -> frozenset[str]:
    """The inputs that the code's annotations allow to be None: `x: str | None`, `x: Optional[str]`."""
    found = annotations_of(node)
    if found is None:
        return frozenset()
    return frozenset(name for name, text in found.anywhere.items() if name in node.inputs and allows_none(text))


def result_type(node: SourceNode) -> str | None:
    """The JSON type that the code of `node` declares its `result` to be, if it does."""
    found = annotations_of(node)
    text = found.anywhere.get("result") if found is not None else None
    return json_type(text) if text is not None else None


def json_type(annotation: str) -> str | None:
    """The JSON type that an annotation stands for, None and what is in brackets left out.

    None for what has no such type: `Any`, `set`, a class, a union of several types.
    """
    return JSON_TYPES.get(_outer(annotation))


def is_python_type(annotation: str) -> bool:
    """Whether an annotation is one of Python's plain types, or that and None; what is in brackets is left out."""
    return _outer(annotation) in _PLAIN_TYPES


def _outer(annotation: str) -> str:
    text = annotation.strip()
    while True:  # an Optional may stand inside another
        inner = _without_none(text)
        if inner is None:
            break
        text = inner
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return text.partition("[")[0].strip()


def allows_none(annotation: str) -> bool:
    """Whether an annotation allows None."""
    return _is_optional(annotation) or "None" in [part.strip() for part in annotation.split("|")]


def _is_optional(annotation: str) -> bool:
    return annotation.startswith(("Optional[", "typing.Optional[")) and annotation.endswith("]")


def _without_none(annotation: str) -> str | None:
    if not allows_none(annotation):
        return None
    if _is_optional(annotation):
        return annotation.partition("[")[2][:-1].strip()
    rest = [part.strip() for part in annotation.split("|") if part.strip() != "None"]
    return " | ".join(rest) if rest else None
