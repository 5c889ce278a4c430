"""Whether a node can be made of a class without arguments, and whether its asynchronous methods are waited for.

Programs and pflow make nodes so. It is judged by the statements of the class and of all that it inherits from, in the
order in which Python looks for a method. Where anything of that is not certain, nothing is said.
"""

from __future__ import annotations

import ast
from abc import ABCMeta
from collections.abc import Iterable, Iterator, Sequence

from .class_search import ASYNC_CLASSES, RUNS, ClassRead, Looked, Place, Search, is_of_pocketflow
from .module_names import bound_by_class, dotted

_HARMLESS = frozenset({("builtins", "object"), ("abc", "ABC"), ("typing", "Generic")})
"""Python's own classes that need no arguments and have no methods of a node."""
_METHODS = ("exec", "prep", "post", "exec_fallback")
"""Those methods of a node that have an asynchronous one beside them, in the order in which they are spoken of."""
_AFTER_EXEC = (("post", 3),)
_GIVEN_TO = {
    "exec": _AFTER_EXEC,
    "exec_fallback": _AFTER_EXEC,
    "prep": (("exec", 1), ("exec_fallback", 1), ("post", 2)),
}
"""Which methods are given what one of them gave, each with the place of that among its parameters, `self` being 0."""
_OF_EVERY_NODE = frozenset({*_METHODS, "_exec", "_run", "run", "set_params", "next"})
_OF_FLOWS = frozenset({"start", "get_next_node", "_orch"})
_OWN_WAYS = RUNS | {"_exec", "run", "run_async"}
"""A class with one of its own calls its methods as it likes."""
_WAITS = frozenset({"async_to_sync", "create_task", "ensure_future", "run", "run_coroutine_threadsafe"})
_WAITS |= {"run_until_complete", "get_event_loop", "gather", "submit"}
"""What is called by a method that waits for another's answer by itself."""
_ABSTRACT = frozenset({"abstractmethod", "abstractproperty", "abstractclassmethod", "abstractstaticmethod"})

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Line = list[ClassRead | Place]
"""A class and all that it inherits from, as in `__mro__`; of a place only the name is known."""


class _Uncertain(Exception):
    """Only a run can tell."""


def judged(search: Search) -> Looked:
    """What a finished walk gave, and what is wrong with the class, if anything surely is."""
    looked = search.answer()
    is_node = bool(search.plain_base or search.async_base)
    if search.is_ambiguous or search.unknown or search.missing or search.todo or not is_node:
        return looked
    try:
        line = _line(search, search.asked)
        if any(map(_is_made_otherwise, line)):
            return looked
        unheard = _unheard(line, looked.base) if looked.base else ""
        return looked._replace(needs=_needs(line), abstract=_abstract(line), unheard=unheard)
    except _Uncertain:
        return looked


def _line(search: Search, place: Place, below: frozenset[Place] = frozenset()) -> _Line:
    if place in below:
        raise _Uncertain  # a class that inherits from itself
    below |= {place}
    if place in search.leads_to:
        return _line(search, search.leads_to[place], below)
    if place in search.known:
        if not is_of_pocketflow(place.module) and (place.module, place.name) not in _HARMLESS:
            raise _Uncertain
        return [Place(place.module, place.name)]
    read = search.read.get(place)
    if read is None:
        raise _Uncertain
    lines = [_line(search, base, below) for base in read.bases]
    return [read, *_merged([*lines, [line[0] for line in lines]])]


def _merged(lines: list[_Line]) -> Iterator[ClassRead | Place]:
    """Python's order of classes. Raises: _Uncertain where there is none."""
    while lines := [line for line in lines if line]:
        for line in lines:
            if not any(line[0] in other[1:] for other in lines):
                break
        else:
            raise _Uncertain
        first = line[0]
        yield first
        lines = [other[1:] if other[0] == first else other for other in lines]


def _is_made_otherwise(one: ClassRead | Place) -> bool:
    """Whether making an object of the class is more than calling its `__init__`."""
    if isinstance(one, Place):
        return False
    metaclass = [keyword for keyword in one.definition.keywords if not _is_abc(keyword)]
    return bool(metaclass) or any(_binds(one, name) for name in ("__new__", "__init_subclass__"))


def _is_abc(keyword: ast.keyword) -> bool:
    return keyword.arg == "metaclass" and dotted(keyword.value)[-1:] == ["ABCMeta"]


def _binds(read: ClassRead, name: str) -> int:
    return bound_by_class(read.definition).count(name)


def _own(read: ClassRead, name: str) -> _Function | None:
    """The method that the statement of a class has; None if it has none. Raises: _Uncertain."""
    found = [one for one in read.definition.body if isinstance(one, _Function) and one.name == name]
    if _binds(read, name) != len(found):
        raise _Uncertain
    return found[-1] if found else None


def _needs(line: _Line) -> tuple[str, ...]:
    for at, one in enumerate(line):
        if isinstance(one, Place):
            if is_of_pocketflow(one.module):
                return ()
            continue
        if (init := _own(one, "__init__")) is not None:
            if init.decorator_list:
                raise _Uncertain
            return tuple(_required(init.args))
        if one.is_dataclass and _makes_init(one.definition):
            return tuple(_required_fields(line[at:]))
    return ()


def _required(arguments: ast.arguments) -> Iterator[str]:
    by_place = [*arguments.posonlyargs, *arguments.args]
    most = len(by_place) - len(arguments.defaults)
    yield from (one.arg for one in by_place[1:most])
    yield from (
        one.arg for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None
    )


def _makes_init(definition: ast.ClassDef) -> bool:
    decorator = definition.decorator_list[0]
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
        if keyword.arg in (None, "init"):
            return isinstance(keyword.value, ast.Constant) and keyword.value.value is True
    return True


def _required_fields(line: Sequence[ClassRead | Place]) -> list[str]:
    """The fields of dataclasses that have no default."""
    required: dict[str, bool] = {}
    for at, one in reversed([*enumerate(line)]):
        for name, field in _fields(one):
            text = ast.unparse(field.annotation)
            if "ClassVar" in text or "KW_ONLY" in text:
                required[name] = False
            elif field.value is None:  # what the class has by that name is the default, inherited or not
                required[name] = not any(_has_attribute(other, name) for other in line[at:])
            else:
                given = _given_to_field(field.value)
                required[name] = given is not None and not given & {"default", "default_factory", "init"}
    return [name for name, is_required in required.items() if is_required]


def _fields(one: ClassRead | Place) -> Iterator[tuple[str, ast.AnnAssign]]:
    """What stands in the body of a dataclass as a field does."""
    for field in one.definition.body if isinstance(one, ClassRead) and one.is_dataclass else ():
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            yield field.target.id, field


def _given_to_field(value: ast.expr) -> set[str] | None:
    """The names of the arguments of a `field(...)`; None if the value of a field is not one. Raises: _Uncertain."""
    if not isinstance(value, ast.Call) or dotted(value.func)[-1:] != ["field"]:
        return None
    given = {keyword.arg for keyword in value.keywords if keyword.arg is not None}
    if len(given) != len(value.keywords):
        raise _Uncertain
    return given


def _has_attribute(one: ClassRead | Place, name: str) -> bool:
    """Whether a class may have an attribute by its own statement."""
    if isinstance(one, Place):
        # `hasattr`: a class has what its metaclass has, an abstract one `register`
        return hasattr(ABCMeta, name) or _may_be_of_pocketflow(one, name)
    values = [field.value for other, field in _fields(one) if other == name and field.value is not None]
    # `dataclass` takes a `field(...)` without a default of that kind out of the class again
    gone = [given for value in values if (given := _given_to_field(value)) is not None and "default" not in given]
    return _binds(one, name) > len(gone)


def _may_be_of_pocketflow(place: Place, name: str) -> bool:
    """Whether a class that is known by its name may have an attribute as one of PocketFlow's or pflow's."""
    if not is_of_pocketflow(place.module):
        return False
    if not place.module.startswith("pocketflow"):
        return True  # pflow's have many others
    own = _OF_EVERY_NODE | _OF_FLOWS if place.name.endswith("Flow") else _OF_EVERY_NODE
    return name in own or (place.name in ASYNC_CLASSES and name.removesuffix("_async") in own)


def _abstract(line: _Line) -> tuple[str, ...]:
    """The abstract methods for which nothing stands before them in the line, where a metaclass looks after them."""
    is_looked_after = ("abc", "ABC") in [one[:2] for one in line if isinstance(one, Place)]
    for one in line:
        is_looked_after = is_looked_after or (isinstance(one, ClassRead) and bool(one.definition.keywords))
    if not is_looked_after:
        return ()
    names = [
        function.name
        for one in line
        if isinstance(one, ClassRead)
        for function in one.definition.body
        if isinstance(function, _Function) and _is_abstract(function)
    ]
    return tuple(name for name in dict.fromkeys(names) if _stays_abstract(line, name))


def _is_abstract(function: _Function) -> bool:
    return any(_ABSTRACT.intersection(dotted(decorator)[-1:]) for decorator in function.decorator_list)


def _stays_abstract(line: _Line, name: str) -> bool:
    for one in line:
        if isinstance(one, ClassRead):
            if _binds(one, name):
                return (function := _own(one, name)) is not None and _is_abstract(function)
        elif _may_be_of_pocketflow(one, name):
            return False
    return False


def _unheard(line: _Line, base: str) -> str:
    """The asynchronous method that `base` calls without waiting, or does not call at all; "" if there is none."""
    read = [one for one in line if isinstance(one, ClassRead)]
    if any(_binds(one, name) for one in read for name in _OWN_WAYS):
        return ""
    is_async = base in ASYNC_CLASSES
    for method in _METHODS:
        never, other = _first(read, method), _first(read, f"{method}_async")
        if is_async:
            never = None if other is not None or _is_spoken_of(read, method) else never
        elif never is None:
            never = None if _is_spoken_of(read, f"{method}_async") else other
        elif _is_waited_for(read, method):
            never = None
        if isinstance(never, ast.AsyncFunctionDef) and not never.decorator_list:
            return never.name
    return ""


def _first(read: Iterable[ClassRead], name: str) -> _Function | None:
    return next((function for one in read if (function := _own(one, name)) is not None), None)


def _is_spoken_of(read: Iterable[ClassRead], name: str) -> bool:
    """Whether a method may call another one by its name."""
    parts = [part for one in read for part in ast.walk(one.definition)]
    return any(
        (isinstance(part, ast.Attribute) and part.attr == name)
        or (isinstance(part, ast.Constant) and part.value == name)
        for part in parts
    )


def _is_waited_for(read: Sequence[ClassRead], name: str) -> bool:
    """Whether a method may wait for what the method `name` gave."""
    calls = [part for one in read for part in ast.walk(one.definition) if isinstance(part, ast.Call)]
    if any(_called(call) in _WAITS for call in calls):
        return True
    given = [(function, at) for other, at in _GIVEN_TO.get(name, ()) if (function := _first(read, other)) is not None]
    return any(function.decorator_list or _hands_on(function, at) for function, at in given)


def _called(call: ast.Call) -> str:
    """The last name of what is called; "" if it has none."""
    if isinstance(call.func, ast.Attribute):  # of whatever: `new_event_loop().run_until_complete(e)`
        return call.func.attr
    return "".join(dotted(call.func)[-1:])


def _hands_on(function: _Function, at: int) -> bool:
    """Whether its parameter has a part in a call, `wait(e)` or `e.send(None)`, or is gone through: that may wait."""
    arguments = function.args
    by_place = [*arguments.posonlyargs, *arguments.args]
    parameter = by_place[at] if at < len(by_place) else arguments.vararg
    return parameter is not None and any(
        isinstance(name, ast.Name) and name.id == parameter.arg
        for part in ast.walk(function)
        if isinstance(part, ast.Call | ast.For | ast.comprehension)
        for name in ast.walk(part if isinstance(part, ast.Call) else part.iter)
    )
