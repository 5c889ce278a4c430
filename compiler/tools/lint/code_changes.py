"""Which of its inputs a piece of Python changes in place, as far as that is certain.

Followed: names of inputs, names that are plainly set to one (`rows = data`), to a part of one (`row = data["row"]`) or
loop over one. A name that is set to anything else is forgotten, in whichever branch. Functions are not looked into.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import NamedTuple

from ...ir.python_ast import parse_python

_METHODS = frozenset("append clear extend insert pop popitem remove reverse setdefault sort update".split())
_VIEWS = frozenset(("values", "items", "get"))
_FUNCTIONS = {
    ("random", "shuffle"): 0,
    ("heapq", "heappush"): 0,
    ("heapq", "heappop"): 0,
    ("heapq", "heapify"): 0,
    ("bisect", "insort"): 0,
}


class Change(NamedTuple):
    """One change in place: of which input, on which line of the code, written how."""

    name: str
    line: int
    text: str


class Indexing(NamedTuple):
    """`name[0]` on a list that the code was given."""

    name: str
    line: int
    text: str


def changes(code: str, inputs: Collection[str]) -> Iterator[Change]:
    """Every change in place of one of `inputs`, the first of each."""
    tree = _parsed(code)
    if tree is None:
        return
    seen: set[str] = set()
    for change in _Walk({name: name for name in inputs}, set(inputs)).block(tree.body):
        if change.name not in seen:
            seen.add(change.name)
            yield change


def indexings(code: str, inputs: Collection[str]) -> Iterator[Indexing]:
    """Every `name[NUMBER]` in the code for a name among `inputs` that is never set to anything else."""
    tree = _parsed(code)
    if tree is None:
        return
    stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    declared = {
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is None
    }
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
            continue
        name = node.value.id
        set_again = name in stored and not (name in declared and _times_stored(tree, name) == 1)
        if name in inputs and not set_again and name not in arguments and _is_number(node.slice):
            yield Indexing(name, node.lineno, ast.unparse(node))


def _times_stored(tree: ast.AST, name: str) -> int:
    return sum(
        1
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
    )


def _is_number(index: ast.expr) -> bool:
    if isinstance(index, ast.UnaryOp) and isinstance(index.op, ast.USub):
        index = index.operand
    return isinstance(index, ast.Constant) and type(index.value) is int


def _parsed(code: str) -> ast.Module | None:
    try:
        return parse_python(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # the node itself says so when it runs


class _Walk:
    """Goes through statements in their order. `alive` maps names to the input they are, or are a part of."""

    def __init__(self, alive: dict[str, str], whole: set[str]) -> None:
        self.alive = alive
        self.whole = whole
        """Those of `alive` that are the input itself, so that `+=` on them changes a list in place."""

    def block(self, body: list[ast.stmt]) -> Iterator[Change]:
        for statement in body:
            yield from self.statement(statement)

    def statement(self, node: ast.stmt) -> Iterator[Change]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
            self.forget(node)
            return
        if isinstance(node, (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)):
            yield from self.compound(node)
            return
        yield from self.calls(node)
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from self.stored(target, node)
            self.forget(node)
            if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self.learn(node.targets[0].id, node.value)
        elif isinstance(node, ast.AnnAssign):
            yield from self.stored(node.target, node)
            if node.value is not None:
                self.forget(node)
                if isinstance(node.target, ast.Name):
                    self.learn(node.target.id, node.value)
        elif isinstance(node, ast.AugAssign):
            yield from self.stored(node.target, node)
            if isinstance(node.target, ast.Name):
                name = node.target.id
                grows = isinstance(node.op, ast.Add) and isinstance(node.value, (ast.List, ast.ListComp))
                merges = isinstance(node.op, ast.BitOr) and isinstance(node.value, (ast.Dict, ast.DictComp))
                if name in self.alive and name in self.whole and (grows or merges):
                    yield self.change(self.alive[name], node)
                elif not (grows or merges):
                    self.forget(node)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                yield from self.stored(target, node)
            self.forget(node)
        else:
            self.forget(node)

    def compound(self, node: ast.stmt) -> Iterator[Change]:
        """Blocks that may run or not: what any of them sets anew is forgotten after all of them."""
        before = dict(self.alive)
        for test in (getattr(node, "test", None), getattr(node, "iter", None), getattr(node, "subject", None)):
            if test is not None:
                yield from self.calls(test)
                self.forget(test)
        for bound in [*getattr(node, "items", ()), *(case.pattern for case in getattr(node, "cases", ()))]:
            self.forget(bound)
        for handler in getattr(node, "handlers", ()):
            self.alive.pop(handler.name, None)
        source = self.source_of(node.iter) if isinstance(node, (ast.For, ast.AsyncFor)) else None
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            self.forget(node)  # what a round sets holds in the next one
        names = _loop_names(node)
        for name in names:
            self.alive.pop(name, None)
            if source is not None:
                self.alive[name] = source
        start = dict(self.alive)
        bodies = [getattr(node, key, []) for key in ("body", "orelse", "finalbody")]
        bodies += [handler.body for handler in getattr(node, "handlers", [])]
        bodies += [case.body for case in getattr(node, "cases", [])]
        for body in bodies:
            self.alive = dict(start)
            yield from self.block(body)
        self.alive = before
        self.forget(node)

    def learn(self, name: str, value: ast.expr) -> None:
        source = self.source_of(value)
        if source is not None:
            self.alive[name] = source
            if isinstance(value, ast.Name) and value.id in self.whole:
                self.whole.add(name)

    def source_of(self, value: ast.expr) -> str | None:
        """The input that `value` is, or is a part of."""
        while True:
            if isinstance(value, ast.Name):
                return self.alive.get(value.id)
            if isinstance(value, ast.Subscript):
                if isinstance(value.slice, ast.Slice):
                    return None  # a copy
                value = value.value
            elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _VIEWS:
                value = value.func.value
            elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "enumerate":
                if len(value.args) != 1:
                    return None
                value = value.args[0]
            else:
                return None

    def stored(self, target: ast.expr, statement: ast.stmt) -> Iterator[Change]:
        """Changes by setting or deleting `x[...]`."""
        for node in ast.walk(target):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
                source = self.source_of(node.value)
                if source is not None:
                    yield self.change(source, statement)

    def calls(self, statement: ast.AST) -> Iterator[Change]:
        """Changes by calling a method, outside of lambdas and of comprehensions that reuse the name."""
        todo = [statement]
        while todo:
            node = todo.pop()
            if isinstance(node, ast.Lambda):
                continue
            if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
                own = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
                if own & self.alive.keys():
                    continue
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                source = self.source_of(node.func.value)
                if source is not None and node.func.attr in _METHODS:
                    yield self.change(source, node)
                elif isinstance(node.func.value, ast.Name) and (node.func.value.id, node.func.attr) in _FUNCTIONS:
                    source = self.source_of(node.args[0]) if node.args else None
                    if source is not None:
                        yield self.change(source, node)
            todo.extend(ast.iter_child_nodes(node))

    def forget(self, node: ast.AST) -> None:
        for inner in ast.walk(node):
            name = None
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, (ast.Store, ast.Del)):
                name = inner.id
            elif isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                name = inner.name
            elif isinstance(inner, ast.alias):
                name = (inner.asname or inner.name).partition(".")[0]
            elif isinstance(inner, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
                name = inner.name
            if name:
                self.alive.pop(name, None)
                self.whole.discard(name)

    def change(self, name: str, node: ast.stmt | ast.expr) -> Change:
        text = ast.unparse(node)
        return Change(name, node.lineno, text if len(text) <= 60 else text[:57] + "...")


def _loop_names(node: ast.stmt) -> list[str]:
    """The names that a loop gives its members; for `a, b` the last one only, which `items` and `enumerate` fill."""
    if not isinstance(node, (ast.For, ast.AsyncFor)):
        return []
    target = node.target
    if isinstance(target, ast.Tuple) and len(target.elts) == 2:
        if not isinstance(node.iter, ast.Call):
            return []
        target = target.elts[1]
    return [target.id] if isinstance(target, ast.Name) else []
