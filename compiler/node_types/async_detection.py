"""Whether a node class is asynchronous, read from its source: nothing of the user's is imported.

A class counts as asynchronous if it, or a class that it inherits from, defines one of PocketFlow's
asynchronous methods, or inherits from one of PocketFlow's asynchronous classes by name. What cannot be
found or read is taken as synchronous.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import NamedTuple

ASYNC_METHODS = frozenset({"prep_async", "exec_async", "post_async"})
ASYNC_CLASSES = frozenset(
    {
        "AsyncNode",
        "AsyncBatchNode",
        "AsyncParallelBatchNode",
        "AsyncFlow",
        "AsyncBatchFlow",
        "AsyncParallelBatchFlow",
    }
)

_MAX_STEPS = 100  # classes and modules looked at for one answer: what is deeper is not a node class


class _Module(NamedTuple):
    """What a module says at its top level: its classes, what it imports, what it imports with `*`."""

    classes: dict[str, ast.ClassDef]
    imports: dict[str, tuple[str, str]]
    """Local name -> (module, name in it); the second is "" where the local name is the module itself."""
    stars: list[str]


class NodeSources:
    """Reads node classes from files; every module is read at most once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """`folders` are searched before `sys.path`."""
        self._folders = [str(folder) for folder in folders]
        self._modules: dict[str, _Module | None] = {}

    def is_async(self, module: str, class_name: str, file: Path | None = None) -> bool:
        """Whether class `class_name` of `module` is asynchronous; with `file`, that is the module's source."""
        if file is not None:
            self._modules[module] = _load(importlib.util.spec_from_file_location(module, file), module)
        todo = [(module, class_name)]
        seen: set[tuple[str, str]] = set()
        while todo and len(seen) < _MAX_STEPS:
            place = todo.pop()
            if place in seen:
                continue
            seen.add(place)
            source = self._read(place[0])
            if source is None:
                continue
            if place[1] in source.classes:
                definition = source.classes[place[1]]
                if _defines_async_method(definition):
                    return True
                bases = [_dotted(base) for base in definition.bases]
                origins = [_origin(source, place[0], base) for base in bases if base]
                if any(name in ASYNC_CLASSES for _, name in origins):
                    return True
                todo += origins
            elif place[1] in source.imports:
                todo.append(_origin(source, place[0], [place[1]]))
            else:
                todo += [(star, place[1]) for star in source.stars]
        return False

    def _read(self, module: str) -> _Module | None:
        if module not in self._modules:
            self._modules[module] = _load(self._find(module), module)
        return self._modules[module]

    def _find(self, module: str) -> ModuleSpec | None:
        """The module's spec. Packages on the way are walked through, not imported."""
        head, *rest = module.split(".")
        try:
            spec = PathFinder.find_spec(head, [*self._folders, *sys.path])
            if spec is None:
                spec = importlib.util.find_spec(head)  # editable installs have finders of their own
            for name in rest:
                if spec is None or spec.submodule_search_locations is None:
                    return None
                spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
        except (ImportError, ValueError, OSError):  # a name or a path that no finder understands
            return None
        return spec


def _load(spec: ModuleSpec | None, name: str) -> _Module | None:
    """The module at `spec`, parsed; None if it has no Python source."""
    get_source = getattr(spec.loader, "get_source", None) if spec is not None else None
    if spec is None or get_source is None:
        return None
    try:
        source = get_source(spec.name)
        if source is None:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the user's code is looked at, not judged
            tree = ast.parse(source)
    except (ImportError, OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
    module = _Module({}, {}, [])
    for statement in _statements(tree.body):
        if isinstance(statement, ast.ClassDef):
            module.classes[statement.name] = statement
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                bound = alias.asname or alias.name.partition(".")[0]
                module.imports[bound] = (alias.name if alias.asname else bound, "")
        elif isinstance(statement, ast.ImportFrom):
            origin = _absolute(package, statement.module or "", statement.level)
            for alias in statement.names:
                if alias.name == "*":
                    module.stars.append(origin)
                else:
                    module.imports[alias.asname or alias.name] = (origin, alias.name)
    return module


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, those inside `if`, `try` and `with` too; not those of functions or classes."""
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            yield from _statements(statement.body)
            yield from _statements(getattr(statement, "orelse", ()))
            yield from _statements(getattr(statement, "finalbody", ()))
            for handler in getattr(statement, "handlers", ()):
                yield from _statements(handler.body)


def _defines_async_method(definition: ast.ClassDef) -> bool:
    return any(
        isinstance(statement, ast.AsyncFunctionDef) and statement.name in ASYNC_METHODS
        for statement in _statements(definition.body)
    )


def _dotted(base: ast.expr) -> list[str]:
    """`a.b.C` or `C[T]` as names; empty for an expression that is not a name."""
    names: list[str] = []
    while True:
        if isinstance(base, ast.Subscript):
            base = base.value
        elif isinstance(base, ast.Attribute):
            names.insert(0, base.attr)
            base = base.value
        elif isinstance(base, ast.Name):
            return [base.id, *names]
        else:
            return []


def _origin(source: _Module, module: str, names: list[str]) -> tuple[str, str]:
    """The (module, class) that `names` mean in `module`, as far as its imports tell."""
    head, *rest = names
    origin, name = source.imports.get(head, (module, head))
    *path, last = [*([name] if name else []), *rest] or [""]
    return ".".join([origin, *path]) if origin else ".".join(path), last


def _absolute(package: str, module: str, level: int) -> str:
    """The absolute name of what `from ..module import` means inside `package`."""
    if level == 0:
        return module
    parts = package.split(".") if package else []
    parts = parts[: len(parts) - (level - 1)]
    return ".".join([*parts, module] if module else parts)
