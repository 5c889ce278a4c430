"""What a `code` node's own Python says of its inputs."""

from __future__ import annotations

import ast

from .ir import SourceNode


def optional_inputs(node: SourceNode) -> frozenset[str]:
    """The inputs that the code's annotations allow to be None: `x: str | None`, `x: Optional[str]`.

    Empty if the code does not parse: the node itself will say so when it runs.
    """
    code, inputs = node.params.get("code"), node.params.get("inputs")
    if not isinstance(code, str) or not isinstance(inputs, dict):
        return frozenset()
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    annotations = {
        found.target.id: ast.unparse(found.annotation)
        for found in ast.walk(tree)
        if isinstance(found, ast.AnnAssign) and isinstance(found.target, ast.Name)
    }
    return frozenset(name for name, annotation in annotations.items() if name in inputs and _allows_none(annotation))


def _allows_none(annotation: str) -> bool:
    """pflow reads the text of an annotation, and so does this: the two must agree on odd ones too."""
    if annotation.startswith(("Optional[", "typing.Optional[")) and annotation.endswith("]"):
        return True
    return "None" in [part.strip() for part in annotation.split("|")]
