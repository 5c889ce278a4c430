"""What a node class is like, read from its source: nothing of the user's is imported or run.

A class counts as asynchronous if it, or a class that it inherits from, defines one of PocketFlow's asynchronous
methods, or inherits from one of PocketFlow's asynchronous classes by name. Where a class, or one that it inherits
from, cannot be found or read, the answer says so: what is generated must not depend on what happens to be installed.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import NamedTuple

from .. import regular_files
from ..ir.python_ast import parse_python
from ..ir.report import nearest

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


_KNOWN_MODULES = frozenset({"pflow", "pocketflow", *sys.stdlib_module_names})
"""Modules whose classes are known, by name, not to be asynchronous unless they are in `ASYNC_CLASSES`."""

MODULES_OF_NODES = frozenset({"pflow", "pocketflow"})

_RUNS = frozenset({"_run", "_run_async"})
"""PocketFlow's methods that run a node: a class with one of its own runs as it likes."""


class Looked(NamedTuple):
    """What looking at a class gave."""

    is_async: bool = False
    unknown: str = ""
    """Why the answer is not certain: what could not be found or read."""
    missing: str = ""
    """That the class, or another one that its name stands for, is not in its module, which was read; else ""."""
    found: bool = False
    """Whether the class itself was found."""
    near: str = ""
    """A class of that module with a name much like the one that is missing."""
    base: str = ""
    """PocketFlow's or pflow's class by which it runs, asynchronously or not; "" if that is not certain."""

    @property
    def runs_async(self) -> bool | None:
        """Whether the class by which it runs is asynchronous; None if that is not certain."""
        return self.base in ASYNC_CLASSES if self.base else None


class _Module(NamedTuple):
    """What a module says at its top level: its classes, what it imports, what it imports with `*`."""

    classes: dict[str, ast.ClassDef]
    imports: dict[str, tuple[str, str]]
    """Local name -> (module, name in it); the second is "" where the local name is the module itself."""
    stars: list[str]
    others: frozenset[str]
    """Names that stand for something else: a function, the result of a call."""


@dataclass
class _Search:
    """A walk from a class to those that it inherits from, and what was seen on the way."""

    todo: list[tuple[str, str]]
    seen: set[tuple[str, str]] = field(default_factory=set)
    is_async: bool = False
    unknown: str = ""
    found: bool = False
    runs_as_it_likes: bool = False
    """Whether a class on the way may run in a way of its own."""
    async_base: str = ""
    plain_base: str = ""

    def come_to(self, module: str, name: str) -> None:
        """The class `name` of `module` is the one asked for, or one that it inherits from."""
        is_ours = _is_of_pocketflow(module)
        if name in ASYNC_CLASSES:
            self.is_async = True
            self.async_base = self.async_base or (name if is_ours else "")
        elif is_ours:
            self.plain_base = self.plain_base or name

    def doubt(self, why: str) -> None:
        self.unknown = self.unknown or why

    def answer(self) -> Looked:
        base = self.async_base or ("" if self.unknown or self.todo else self.plain_base)
        base = "" if self.runs_as_it_likes else base
        if self.is_async:
            return Looked(is_async=True, base=base)
        return Looked(unknown=self.unknown, found=self.found, base=base)


class NodeSources:
    """Reads node classes from files; every module is read at most once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """`folders` are searched before `sys.path`."""
        self._folders = [str(folder) for folder in folders]
        self._modules: dict[str, _Module | None] = {}

    def look(self, module: str, class_name: str, file: Path | None = None) -> Looked:
        """Look at class `class_name` of `module`; with `file`, that is the module's source."""
        if file is not None:
            self._modules[module] = _load(importlib.util.spec_from_file_location(module, file), module)
        search = _Search(todo=[(module, class_name)])
        while search.todo and len(search.seen) < _MAX_STEPS:
            place = search.todo.pop()
            if place not in search.seen:
                search.seen.add(place)
                missing = self._step(search, *place)
                if missing is not None and not search.is_async:
                    return missing
        return search.answer()

    def _step(self, search: _Search, module: str, name: str) -> Looked | None:
        """Look at one class for `search`; answers what there is to say if it is the one asked for, and not there."""
        search.come_to(module, name)
        is_first = len(search.seen) == 1
        known = module.partition(".")[0] in _KNOWN_MODULES
        source = None if known and not is_first else self._read(module)
        if source is None:
            if not known:
                search.doubt(f"the module {module} cannot be found or read")
        elif name in source.classes:
            _step_to_bases(search, source, module, name)
        elif name in source.imports:
            search.todo.append(_origin(source, module, [name]))
        elif source.stars:
            search.todo += [(star, name) for star in source.stars]
        elif name in source.others or "__getattr__" in source.others:
            search.doubt(f"{name} of {module} is not a class statement")
        elif self._read(f"{module}.{name}") is not None:
            search.doubt(f"{module}.{name} is a module")
        elif is_first:
            return self._missing(module, name, source)
        else:
            search.doubt(f"the module {module} has no class {name}")
        return None

    def _missing(self, module: str, class_name: str, source: _Module) -> Looked:
        near = nearest(class_name, (*source.classes, *source.imports))
        return Looked(missing=f"the module {module} has no class {class_name}", near=near or "")

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
    """The module at `spec`, parsed; None if it has no Python source that is a file."""
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        source = regular_files.read(spec.origin)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the user's code is looked at, not judged
            tree = parse_python(source)
    except (ImportError, OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
    module = _Module({}, {}, [], frozenset(_others(tree.body)))
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


def _others(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that statements bind to what may be anything."""
    for statement in _statements(body):
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield statement.name
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _step_to_bases(search: _Search, source: _Module, module: str, name: str) -> None:
    definition = source.classes[name]
    search.found = True
    search.is_async = search.is_async or _defines_async_method(definition)
    if not _is_of_pocketflow(module) and (
        _may_run_as_it_likes(definition) or name in {*source.imports, *source.others}
    ):
        search.runs_as_it_likes = True
    bases = [_dotted(base) for base in definition.bases]
    if not all(bases):
        search.doubt(f"a base class of {name} is the result of a call")
    origins = [_origin(source, module, base) for base in bases if base]
    search.todo += [origin for origin in origins if not _is_builtin(source, module, origin)]


def _is_of_pocketflow(module: str) -> bool:
    return module.partition(".")[0] in MODULES_OF_NODES


def _may_run_as_it_likes(definition: ast.ClassDef) -> bool:
    """Whether a class has a method of its own that runs it, or is made by more than its statement."""
    own = {
        part.name for part in _statements(definition.body) if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    own.update(_others(definition.body))
    return bool(definition.decorator_list or definition.keywords) or not _RUNS.isdisjoint(own)


def _is_builtin(source: _Module, module: str, origin: tuple[str, str]) -> bool:
    """Whether a base class is one of Python's own: `object`, `Exception`."""
    own = origin[0] == module and origin[1] not in {*source.classes, *source.imports, *source.others}
    return own and not source.stars and hasattr(builtins, origin[1])


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
