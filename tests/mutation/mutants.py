"""The mutants of a file, as cosmic-ray makes them, without those that no test could tell."""

from __future__ import annotations

import ast
import contextlib
import difflib
import inspect
import random
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

try:
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names
except ImportError as missing:
    print(f"{missing}: pip install --no-deps cosmic-ray parso stevedore", file=sys.stderr)
    sys.exit(2)

ROOT = Path(__file__).resolve().parent.parent.parent
REPLACED_BY_MANY = ("core/ReplaceBinaryOperator_", "core/ReplaceComparisonOperator_")
"""Operators that come in ten forms for each place: one of them, by chance, says as much."""
ALIKE = ("_Eq_Is", "_NotEq_IsNot", "_Is_Eq", "_IsNot_NotEq")
"""Operators that change nothing for most values: identity is equality."""
Position = tuple[int, int]
"""Line, from 1, and column, from 0."""


@dataclass(frozen=True)
class Mutant:
    file: str
    lines: range
    operator: str
    source: str

    def code(self) -> CodeType:
        return code_of(self.source, self.file)

    def functions(self) -> list[tuple[CodeType, CodeType]] | None:
        """The functions in which it differs from the file; None if it differs elsewhere."""
        return changed(code_of(Path(self.file).read_text(encoding="utf-8"), self.file), self.code())

    @property
    def name(self) -> str:
        return Path(self.file).relative_to(ROOT).as_posix()

    def difference(self) -> str:
        old = Path(self.file).read_text(encoding="utf-8").splitlines()
        lines = list(difflib.unified_diff(old, self.source.splitlines(), lineterm="", n=0))[2:]
        return "\n".join([f"{self.name}: {self.operator}", *lines])


def mutants_of(file: Path) -> Iterator[Mutant]:
    """All of a file, but one, by chance, of those that only put another operator in the same place."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    tree = ast.parse("".join(lines))
    left_out = list(meaningless(tree))
    for statement in tree.body:  # one by one, since cosmic-ray parses the text again for every mutant
        first = min(node.lineno for node in [statement, *getattr(statement, "decorator_list", [])]) - 1
        for name, occurrence, line in mutations("".join(lines[first : statement.end_lineno]), first, left_out):
            mutated = mutate_code("".join(lines[first : statement.end_lineno]), get_operator(name)(), occurrence)
            with contextlib.suppress(SyntaxError):  # the star of keyword-only parameters is taken for a product
                code_of(mutated, str(file))
                source = "".join([*lines[:first], mutated, *lines[statement.end_lineno :]])
                yield Mutant(str(file), statement_around(tree, line), name, source)


def mutations(text: str, above: int, left_out: list[tuple[Position, Position]]) -> Iterator[tuple[str, int, int]]:
    """Operator, which of its places, and line: what cosmic-ray can do to a statement that has lines above it."""
    forms: dict[Any, list[tuple[str, int, int]]] = defaultdict(list)
    nodes = list(ast_nodes(get_ast(text)))
    for name in operator_names():
        if get_operator(name).arguments() or name.endswith(ALIKE):
            continue
        operator = get_operator(name)()
        places = [place for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, ((line, column), end) in enumerate(places):
            line += above
            if not any(start <= (line, column) < stop for start, stop in left_out):
                many = name.startswith(REPLACED_BY_MANY)
                kind = (name.rpartition("_")[0], line, column, end) if many else (name, occurrence)
                forms[kind].append((name, occurrence, line))
    chance = random.Random(above)
    return map(chance.choice, forms.values())


def statement_around(tree: ast.AST, line: int) -> range:
    """The lines of the innermost statement that has the line; without its body, if it has one."""
    best = range(line, line + 1)
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.excepthandler):
            body = getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            if node.lineno <= line <= last:
                best = range(node.lineno, last + 1)
    return best


def meaningless(tree: ast.AST) -> Iterator[tuple[Position, Position]]:
    """From where to where stands what makes no difference to any test."""
    for node in ast.walk(tree):
        decorators = getattr(node, "decorator_list", [])
        found: list[Any] = [each for each in decorators if "cache" in ast.unparse(each)]
        found += [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if (
            (isinstance(node, ast.keyword) and node.arg == "frozen")
            or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
            or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
        ):
            found.append(node)
        for each in filter(None, found):
            start = 0 if each in decorators else each.col_offset  # where the @ stands
            yield (each.lineno, start), (each.end_lineno, each.end_col_offset)


def code_of(source: str, file: str) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # a mutant may look odd
        return compile(source, file, "exec", dont_inherit=True)


def changed(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """The same of two modules or classes."""
    if old.co_flags & inspect.CO_OPTIMIZED:
        return [(old, new)] if old.co_freevars == new.co_freevars else None
    if without_inner(old) != without_inner(new):
        return None
    inner = [changed(*pair) for pair in zip(codes(old), codes(new), strict=True) if pair[0] != pair[1]]
    return None if None in inner else [pair for pairs in inner for pair in pairs or ()]


def without_inner(code: CodeType) -> CodeType:
    return code.replace(co_consts=tuple(None if isinstance(each, CodeType) else each for each in code.co_consts))


def codes(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]
