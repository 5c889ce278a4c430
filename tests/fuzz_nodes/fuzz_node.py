"""A pflow node for the fuzzer: one parameter of every declared type, and it reads the shared store by name."""

from __future__ import annotations

from typing import Any

from pflow.core.node import Node


class FuzzTypedNode(Node):  # type: ignore[misc]  # pflow is not typed for us
    """Show what it was given.

    Interface:
    - Params: one: list  # a list
    - Params: other: array  # another
    - Params: table: object  # a dict
    - Params: either: dict|str  # one of them
    - Params: words: list[str]  # texts
    - Params: count: int  # a number
    - Params: flag: bool  # a truth value
    - Params: text: str  # a text
    - Params: wanted: str  # what it needs of the store
    - Writes: shared["seen"]: any  # what it was given
    - Actions: default
    """

    name = "fuzz-typed"

    def prep(self, shared: Any) -> Any:
        wanted = self.params.get("wanted")
        return dict(self.params), shared[wanted] if isinstance(wanted, str) and wanted else None

    def exec(self, prep_res: Any) -> Any:
        return prep_res

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        given, found = exec_res
        shared["seen"] = {key: [type(value).__name__, value] for key, value in given.items()}
        shared["found"] = type(found).__name__
        shared.pop("seldom", None)
        return "default"
