"""What a node class is like, read from its source: nothing of the user's is imported or run.

A class counts as asynchronous if it inherits from one of PocketFlow's asynchronous classes by name, or if it, or a
class that it inherits from, defines one of PocketFlow's asynchronous methods, unless it surely runs by a class that
never calls them. Where a class, or one that it inherits from, cannot be found or read, the answer says so: what is
generated must not depend on what happens to be installed.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from ..ir.report import nearest
from .class_search import MODULES_OF_NODES, RUNS, ClassRead, Looked, Place, Search, is_of_pocketflow
from .class_shape import judged
from .module_names import FUNCTION, Elsewhere, ModuleNames, NotAClass, bound_by_class, dotted, exported, find
from .module_source import NotPython, load

ASYNC_METHODS = frozenset({"prep_async", "exec_async", "post_async"})

_MAX_STEPS = 100  # classes and modules looked at for one answer: what is deeper is not a node class

_KNOWN_MODULES = MODULES_OF_NODES | sys.stdlib_module_names
"""Modules whose classes are known, by name, not to be asynchronous unless they are in `ASYNC_CLASSES`."""


class NodeSources:
    """Reads node classes from files; every module is read at most once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """`folders` are searched before `sys.path`."""
        self._folders = [str(folder) for folder in folders]
        self._modules: dict[str, ModuleNames | None] = {}
        self._broken: dict[str, str] = {}
        """Why a module that is there cannot be imported."""
        self._classes: set[str] = set()
        """Those of `_modules` that are classes of a module."""

    def look(self, module: str, class_name: str, file: Path | None = None) -> Looked:
        """Look at class `class_name` of `module`; with `file`, that is the module's source."""
        if file is not None:
            self._load(module, importlib.util.spec_from_file_location(module, file))
        search = Search(Place(module, class_name), self._classes)
        search.todo.append(search.asked)
        while search.todo and len(search.seen) < _MAX_STEPS:
            place = search.todo.pop()
            if place not in search.seen:
                search.seen.add(place)
                self._step(search, place)
        return judged(search)

    def _step(self, search: Search, place: Place) -> None:
        """Look at what one name stands for."""
        module, name, before = place
        known = module.partition(".")[0] in _KNOWN_MODULES
        source = self._read(module)
        if known and place != search.asked:
            self._step_to_known(search, place, source)
        elif module in self._broken:
            search.cannot_import(module, self._broken[module])
        elif source is None:
            search.come_to(module, name)
            if not known:
                self._cannot_read(search, module)
        else:
            found = find(name, source, self._read, before)
            search.is_ambiguous = search.is_ambiguous or len(found.meanings) > 1
            if not any(isinstance(meaning, Elsewhere) for meaning, _ in found.meanings):
                search.come_to(module, name)
            for meaning, at in found.meanings:
                if isinstance(meaning, ast.ClassDef):
                    self._step_to_bases(search, source, place, meaning, at)
                elif isinstance(meaning, Elsewhere):
                    self._step_elsewhere(search, source, place, meaning, at)
                elif isinstance(meaning, NotAClass):
                    search.lack(place, f": it is {meaning.what}")
                else:
                    search.cannot_tell(place)
            if not found.meanings:
                self._step_to_nothing(search, source, place, found.star)

    def _cannot_read(self, search: Search, module: str) -> None:
        """There is no source of a module. What its package says of the name may not be one at all."""
        package, _, name = module.rpartition(".")
        source = self._modules.get(package)
        if source is not None and find(name, source, self._read).meanings:
            search.cannot_tell(Place(package, name))
        else:
            search.cannot_read(module)

    def _step_to_known(self, search: Search, place: Place, source: ModuleNames | None) -> None:
        """A class of PocketFlow's, pflow's or Python's is known by its name, if there is one."""
        module, name, _ = place
        search.come_to(module, name)
        search.known.add(place)
        found = None if source is None else find(name, source, self._read)
        if source is None or found is None:
            return
        what = [_what(meaning) for meaning, _ in found.meanings]
        if FUNCTION in what and not is_of_pocketflow(module):
            search.cannot_tell(place)  # it may stand for a base: `typing.NamedTuple` does
        elif what and all(what):
            search.lack(place, f": it is {what[0]}")
        elif found.meanings:
            search.found = True
        elif is_of_pocketflow(module):
            self._step_to_nothing(search, source, place, found.star)

    def _step_to_nothing(self, search: Search, source: ModuleNames, place: Place, star: str) -> None:
        """Nothing binds the name, as far as the source says."""
        module, name, before = place
        if before is not None and hasattr(builtins, name):  # `object`, `Exception`
            search.leads_to[place] = Place("builtins", name)
            search.known.add(search.leads_to[place])
            return
        if star:
            search.cannot_read(star)
        elif source.made_at_run_time:
            search.cannot_tell(place)
        elif before is None and self._find(f"{module}.{name}") is not None:
            search.lack(place, ": it is a module")
        else:
            known = [each for each in source.names() if each != "*"]
            known += [each for step in source.steps if step.name == "*" for each in self._starred(step.meaning)]
            search.lack(place, "", nearest(name, known))

    def _starred(self, meaning: object) -> Iterable[str]:
        return exported(meaning.module, self._read) if isinstance(meaning, Elsewhere) else ()

    def _step_to_bases(
        self, search: Search, source: ModuleNames, place: Place, definition: ast.ClassDef, at: int
    ) -> None:
        search.found = True
        search.is_async = search.is_async or _defines_async_method(definition)
        if not is_of_pocketflow(place.module) and (
            _may_run_as_it_likes(definition) or definition.name in source.remade
        ):
            search.runs_as_it_likes = True
        bases: list[Place] = []
        for base in definition.bases:
            if names := dotted(base):
                places = list(self._places(source, place.module, names, at))
                bases += places[:1]
                search.is_ambiguous = search.is_ambiguous or len(places) != 1
                search.todo += places
            else:
                search.doubt(f"a base class of {definition.name} is the result of a call")
        is_dataclass = self._is_dataclass(source, definition, at)
        is_remade = definition.name in source.remade or (bool(definition.decorator_list) and not is_dataclass)
        search.is_ambiguous = search.is_ambiguous or is_remade
        search.read[place] = ClassRead(definition, tuple(bases), is_dataclass)

    def _is_dataclass(self, source: ModuleNames, definition: ast.ClassDef, at: int) -> bool:
        decorators = definition.decorator_list
        if len(decorators) != 1:
            return False
        head, *rest = dotted(decorators[0].func if isinstance(decorators[0], ast.Call) else decorators[0]) or [""]
        found = [meaning for meaning, _ in find(head, source, self._read, at).meanings]
        is_one = len(found) == 1 and isinstance(found[0], Elsewhere) and found[0].module == "dataclasses"
        return is_one and [*getattr(found[0], "names", ()), *rest] == ["dataclass"]

    def _step_elsewhere(self, search: Search, source: ModuleNames, place: Place, meaning: Elsewhere, at: int) -> None:
        if not meaning.names:
            search.lack(place, f": it is {_what(meaning)}")
            return
        places = [_in_module(meaning.module, meaning.names)] if meaning.module else []
        places = places or list(self._places(source, place.module, list(meaning.names), at))
        search.is_ambiguous = search.is_ambiguous or len(places) != 1
        search.leads_to[place] = places[0]
        search.todo += places

    def _places(self, source: ModuleNames, module: str, names: list[str], at: int) -> Iterator[Place]:
        """What the dotted `names` mean before the statement `at` of `module`."""
        head, *rest = names
        if not rest:
            yield Place(module, head, at)
            return
        found = find(head, source, self._read, at)
        for meaning, before in found.meanings:
            if not isinstance(meaning, Elsewhere):
                yield _in_module(module, names)
            elif meaning.module:
                yield _in_module(meaning.module, [*meaning.names, *rest])
            else:
                yield from self._places(source, module, [*meaning.names, *rest], before)
        if not found.meanings:
            yield _in_module(module, names)

    def _read(self, module: str) -> ModuleNames | None:
        """The names of a module; of a class, by the dotted name of its module and its own, its attributes."""
        if module not in self._modules:
            self._load(module, self._find(module))
            if self._modules[module] is None and module not in self._broken:
                self._modules[module] = self._inside_class(module)
        return self._modules[module]

    def _inside_class(self, name: str) -> ModuleNames | None:
        """What is in the class whose dotted name this is, however it came there; None if it surely is not one."""
        module, _, class_name = name.rpartition(".")
        source = self._read(module) if module else None
        found = () if source is None else find(class_name, source, self._read).meanings
        if source is None or len(found) != 1:
            return None
        meaning, at = found[0]
        if isinstance(meaning, ast.ClassDef):
            self._classes.add(name)
            return source.inside(meaning, at)
        if not isinstance(meaning, Elsewhere):
            return None
        other = ".".join([meaning.module or module, *meaning.names])
        inside = self._read(other)
        self._classes |= {name} if other in self._classes else set()
        return inside

    def _load(self, module: str, spec: ModuleSpec | None) -> None:
        self._modules[module] = None
        try:
            self._modules[module] = load(spec, module)
        except NotPython as error:
            self._broken[module] = str(error)

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


def _in_module(module: str, names: Sequence[str]) -> Place:
    """The last of `names` in the module that the others lead to."""
    *path, name = names
    return Place(".".join([module, *path]) if module else ".".join(path), name)


def _what(meaning: object) -> str:
    """What it is that is surely not a class; "" of anything else."""
    if isinstance(meaning, NotAClass):
        return meaning.what
    return "a module" if isinstance(meaning, Elsewhere) and not meaning.names else ""


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


def _may_run_as_it_likes(definition: ast.ClassDef) -> bool:
    """Whether a class has a method of its own that runs it, or is made by more than its statement."""
    return bool(definition.decorator_list or definition.keywords) or not RUNS.isdisjoint(bound_by_class(definition))


def _defines_async_method(definition: ast.ClassDef) -> bool:
    return any(
        isinstance(statement, ast.AsyncFunctionDef) and statement.name in ASYNC_METHODS
        for statement in _statements(definition.body)
    )
