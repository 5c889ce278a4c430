"""The result of a lookup that found nothing, and the error where a value is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

RootNames = Callable[[Any], "str | None"]
"""The name under which the author of a workflow knows the value that a lookup began at.

"" stands for a mapping of names, such as the shared store; None for a value that has no name.
"""


class ParameterError(ValueError):
    """A parameter of one item has no usable value."""


class Unresolved(ParameterError):
    """A reference found nothing. `missing` says which one, until it has been named in the message."""

    def __init__(self, message: str, missing: Missing | None = None) -> None:
        super().__init__(message)
        self.missing = missing

    def prefix_with(self, reference: str) -> None:
        """Put `reference` in front of what is said, once: whoever catches this next has other names."""
        self.args = (f"{reference}: {self}",)
        self.missing = None


class UnresolvedOutputs(Unresolved):
    """Outputs of the workflow of which there is nothing: all steps have run, and none of them is to blame."""


class Missing:
    """What a lookup gives that found nothing: where it began, and the path that it took from there."""

    __slots__ = ("_operands", "path", "start")

    def __init__(self, start: Any, path: tuple[Any, ...], operands: tuple[Missing, ...] = ()) -> None:
        self.start = start
        self.path = path
        self._operands = operands

    def without_start(self) -> Missing:
        """The same without the value that it began at, which may be a whole store."""
        return Missing(None, self.path, tuple(operand.without_start() for operand in self._operands))

    def reference(self, name_of: RootNames) -> str:
        """What was looked for, as it is written between `${` and `}`: `user.names[0] ?? nickname`."""
        if self._operands:
            return " ?? ".join(operand.reference(name_of) for operand in self._operands)
        if isinstance(self.start, Missing):
            root: str | None = self.start.reference(name_of)
        else:
            root = name_of(self.start)
        steps = "".join(_written_step(step, name_of) for step in self.path)
        return f"{root}{steps}" if root else steps.removeprefix(".")

    def __repr__(self) -> str:
        return f"<Missing ${{{self.reference(lambda _: None)}}}>"

    def __bool__(self) -> bool:
        return False

    def __copy__(self) -> Missing:
        return self

    def __deepcopy__(self, memo: object) -> Missing:
        return self


class Index(int):
    """A list index that stands in another place of the data: `${list[${number}]}`."""

    origin: Missing

    @classmethod
    def of(cls, value: int, origin: Missing) -> Index:
        """The index `value`, which was read at the place where `origin` would have been missing."""
        index = cls(value)
        index.origin = origin
        return index


def _written_step(step: Any, name_of: RootNames) -> str:
    if isinstance(step, str):
        return f".{step}"
    if type(step) is Index:
        return f"[${{{step.origin.reference(name_of)}}}]"
    if type(step) is Missing:
        return f"[${{{step.reference(name_of)}}}]"
    return f"[{step}]"
