"""What the names of a module stand for, read from its source: nothing of it is imported or run.

The last statement that binds a name counts; of statements in the branches of an `if` or a `try`, each may. A class
inherits from what its bases stand for where its statement is.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

_AT_RUN_TIME = frozenset({"exec", "globals", "locals", "vars"})
"""What a module may call to bind names that its source does not have."""


class Elsewhere(NamedTuple):
    """What other names mean, in another module or further up in the same one."""

    module: str
    """"" for the same module."""
    names: tuple[str, ...]
    """None of them: the module itself."""


FUNCTION = "a function"


class NotAClass(NamedTuple):
    """What is surely not a class."""

    what: str


class Unclear(NamedTuple):
    """What may be anything: the result of a call."""


Meaning = ast.ClassDef | Elsewhere | NotAClass | Unclear


class _Step(NamedTuple):
    """A statement that binds a name, or with the name `*` all those of another module."""

    name: str
    meaning: Meaning
    is_sure: bool
    """Whether it is run in any case, and what was bound before does not count any more."""


class Found(NamedTuple):
    """What a name stands for."""

    meanings: tuple[tuple[Meaning, int], ...] = ()
    """Each with the place of its statement: what its own names mean is to be asked before that."""
    star: str = ""
    """A module that cannot be read, and may bind the name: all its names are imported."""


class ModuleNames:
    """What a module binds at its top level, in the order of its statements."""

    def __init__(self, body: Iterable[ast.stmt], package: str, *, of_class: bool = False) -> None:
        """`package` is the one that its relative imports start from; the body may be that `of_class`."""
        self.steps: list[_Step] = []
        self.made_at_run_time = False
        """Whether it may have names that its source does not have."""
        self.remade: set[str] = set()
        """The classes of which a call makes what their names stand for in the end: `Ask = register(Ask)`."""
        self.public: list[str] | None = None
        """What `__all__` says; None if it does not say it in so many words."""
        self.says_all = False
        self.own_from = 0
        """Where its own statements begin: before them are those of the module that a class statement stands in."""
        self._package = package
        self._of_class = of_class
        self._read(body, is_sure=True)
        self.made_at_run_time = self.made_at_run_time or any(step.name == "__getattr__" for step in self.steps)

    def names(self) -> list[str]:
        """The names that may be those of classes."""
        own = self.steps[self.own_from :]
        return [step.name for step in own if isinstance(step.meaning, ast.ClassDef | Elsewhere)]

    def inside(self, definition: ast.ClassDef, before: int) -> ModuleNames:
        """The attributes of a class that stands here: what its body binds, and what it sees of the module.

        A class that inherits, or is made by more than its statement, may have others.
        """
        found = ModuleNames(definition.body, self._package, of_class=True)
        seen = self.steps[: self.own_from or before]  # the body of a class does not see that of one around it
        found.steps = [*seen, *found.steps]
        found.own_from = len(seen)
        found.made_at_run_time = bool(definition.bases or definition.keywords or definition.decorator_list)
        return found

    def _read(self, body: Iterable[ast.stmt], *, is_sure: bool) -> None:
        for statement in body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                is_plain = not statement.decorator_list
                self._bind(statement.name, NotAClass(FUNCTION) if is_plain else Unclear(), is_sure)
                for part in ast.walk(statement):
                    for name in part.names if isinstance(part, ast.Global) else ():
                        self._bind(name, Unclear(), False)
            elif isinstance(statement, ast.ClassDef):
                self._bind(statement.name, statement, is_sure)
            elif isinstance(statement, ast.Import | ast.ImportFrom):
                self._import(statement, is_sure)
            elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
                self._assign(statement, is_sure)
            elif isinstance(statement, ast.With):
                self._others(statement.items, is_sure)
                self._read(statement.body, is_sure=is_sure)
            else:
                self._compound(statement, is_sure)

    def _compound(self, statement: ast.stmt, is_sure: bool) -> None:
        """A statement with others in it, which may be run or not; or one that binds what may be anything."""
        inner: list[ast.AST] = []
        for part in ast.iter_child_nodes(statement):
            if isinstance(part, ast.ExceptHandler | ast.match_case):
                self._read(part.body, is_sure=False)
            elif not isinstance(part, ast.stmt):
                inner.append(part)
        self._others(inner, is_sure)
        for field in ("body", "orelse"):
            body = getattr(statement, field, ())
            self._read(body if isinstance(body, list) else (), is_sure=False)
        self._read(getattr(statement, "finalbody", ()), is_sure=is_sure)

    def _import(self, statement: ast.Import | ast.ImportFrom, is_sure: bool) -> None:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                bound = alias.asname or alias.name.partition(".")[0]
                self._bind(bound, Elsewhere(alias.name if alias.asname else bound, ()), is_sure)
            return
        origin = _absolute(self._package, statement.module or "", statement.level)
        for alias in statement.names:
            names = () if alias.name == "*" else (alias.name,)
            self._bind(alias.asname or alias.name, Elsewhere(origin, names), is_sure)

    def _assign(self, statement: ast.Assign | ast.AnnAssign | ast.AugAssign, is_sure: bool) -> None:
        value = statement.value
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if value is None:  # an annotation
            return
        self._others([value], is_sure)
        for target in targets:
            if not isinstance(target, ast.Name):
                self._others([target], is_sure)
            elif target.id == "__all__":
                self._all(statement)
            elif self._of_class or not _names_itself(target.id, value, self):  # of a class, it is the module's
                self._bind(target.id, _meaning(value), is_sure)

    def _all(self, statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
        try:
            names = ast.literal_eval(statement.value) if statement.value is not None else None
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            names = None
        before = self.public if isinstance(statement, ast.AugAssign) else []
        is_list = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
        self.public = [*before, *map(str, names or ())] if is_list and before is not None else None
        self.says_all = True

    def _others(self, parts: Iterable[ast.AST], is_sure: bool) -> None:
        """Names that expressions bind, to whatever."""
        for part in (inner for outer in parts for inner in ast.walk(outer)):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                self._bind(part.id, Unclear(), is_sure)
            elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in _AT_RUN_TIME:
                self.made_at_run_time = True
            elif isinstance(part, ast.Name) and part.id == "__all__":
                self.public, self.says_all = None, True  # `__all__.append("Ask")`

    def _bind(self, name: str, meaning: Meaning, is_sure: bool) -> None:
        self.steps.append(_Step(name, meaning, is_sure))


def bound_by_class(definition: ast.ClassDef) -> list[str]:
    """What the body of a class binds; a name as often as a statement there binds it."""
    return [step.name for step in ModuleNames(definition.body, "", of_class=True).steps]


Read = Callable[[str], "ModuleNames | None"]


def find(
    name: str,
    module: ModuleNames,
    read: Read,
    before: int | None = None,
    asked: dict[str, bool | None] | None = None,
) -> Found:
    """What `name` stands for in `module`, at its end or `before` one of its statements; `read` knows other modules.

    `asked` are the modules on the way here, which may import each other, and whether they have such a name.
    """
    asked = {} if asked is None else asked
    found: list[tuple[Meaning, int]] = []
    star = ""
    steps = list(enumerate(module.steps[:before]))
    for place, step in reversed(steps[module.own_from :] if before is None else steps):
        if step.name == "*" and isinstance(step.meaning, Elsewhere):
            is_there = _exports(step.meaning.module, name, read, asked)
            if is_there is None:
                star = star or step.meaning.module
            if not is_there:
                continue
            found.append((Elsewhere(step.meaning.module, (name,)), place))
        elif step.name == name:
            found.append((step.meaning, place))
        else:
            continue
        if step.is_sure:
            break
    classes = [one for one in found if not isinstance(one[0], NotAClass)]  # `Base = None` where it is not installed
    return Found(tuple(classes or found), "" if found else star)


def exported(module: str, read: Read, seen: set[str] | None = None) -> Iterator[str]:
    """The names of what may be classes that `import *` takes from a module."""
    seen = set() if seen is None else seen
    names = read(module)
    if names is None or module in seen:
        return
    seen.add(module)
    yield from (name for name in names.names() if not name.startswith("_") and name != "*")
    for step in names.steps:
        if step.name == "*" and isinstance(step.meaning, Elsewhere):
            yield from exported(step.meaning.module, read, seen)


def _exports(module: str, name: str, read: Read, asked: dict[str, bool | None]) -> bool | None:
    """Whether `import *` takes `name` from a module; None if nobody can know."""
    if module not in asked:
        asked[module] = False
        asked[module] = _has(module, name, read, asked)
    return asked[module]


def _has(module: str, name: str, read: Read, asked: dict[str, bool | None]) -> bool | None:
    names = read(module)
    if names is None:
        return None
    if names.public is not None:
        return name in names.public
    if name.startswith("_") and not names.says_all:
        return False
    found = find(name, names, read, asked=asked)
    return True if found.meanings else (None if found.star or names.made_at_run_time else False)


def dotted(expression: ast.expr) -> list[str]:
    """`a.b.C` or `C[T]` as names; empty for an expression that is not a name."""
    names: list[str] = []
    while True:
        if isinstance(expression, ast.Subscript):
            expression = expression.value
        elif isinstance(expression, ast.Attribute):
            names.insert(0, expression.attr)
            expression = expression.value
        elif isinstance(expression, ast.Name):
            return [expression.id, *names]
        else:
            return []


def _meaning(value: ast.expr) -> Meaning:
    """What a name stands for to which `value` is assigned."""
    if isinstance(value, ast.Name | ast.Attribute) and (names := dotted(value)):
        return Elsewhere("", tuple(names))
    literal = ast.Constant | ast.JoinedStr | ast.List | ast.Tuple | ast.Dict | ast.Set | ast.Lambda | ast.ListComp
    return NotAClass("a value") if isinstance(value, literal) else Unclear()


def _names_itself(name: str, value: ast.expr, module: ModuleNames) -> bool:
    """Whether `value` is what `name` is already, or made of it by a call, as by a decorator: `Ask = wrap(Ask)`."""
    if isinstance(value, ast.Name):
        return value.id == name
    given = [*value.args, *(keyword.value for keyword in value.keywords)] if isinstance(value, ast.Call) else []
    if not any(isinstance(part, ast.Name) and part.id == name for part in given):
        return False
    module.remade.add(name)
    return any(step.name == name for step in module.steps)


def _absolute(package: str, module: str, level: int) -> str:
    """The absolute name of what `from ..module import` means inside `package`."""
    if level == 0:
        return module
    parts = package.split(".") if package else []
    parts = parts[: len(parts) - (level - 1)]
    return ".".join([*parts, module] if module else parts)
