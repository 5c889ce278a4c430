"""`evaluate`: a template against a context, through the code that generated classes contain."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from .. import runtime
from ..ir.lowered import Parameter
from ..ir.template import templates
from ..load.plain_data import TOO_DEEP, too_deep
from ..lowering.bind import bound, in_store
from ..node_types.declared_type import meaning_of, outer_type
from ..runtime import Missing, ParameterError, Unresolved
from .python_text import lay_out
from .template_to_python import Variables, items, parameter

Mode = Literal["strict", "permissive"]


class UnresolvedError(Unresolved):
    """A template cannot be resolved. `unresolved` holds the expressions that found nothing, sorted."""

    def __init__(self, unresolved: tuple[str, ...], issues: tuple[str, ...] = ()) -> None:
        self.unresolved = unresolved
        self.issues = issues
        wrong = [f"${{{raw}}}" for raw in unresolved] + [f"{raw} (malformed)" for raw in issues]
        super().__init__("Unresolved variables: " + ", ".join(wrong))


def evaluate(template: Any, context: Mapping[str, Any], declared_type: str | None = None, mode: Mode = "strict") -> Any:
    """The value of `template` (a string, or a list or dict with templates inside) in `context`.

    `declared_type` is the type of the parameter that it feeds, as pflow declares it ("str", "dict",
    "list[str]", ...). In "permissive" mode an expression that finds nothing stays as it is written.

    Raises (strict): UnresolvedError, a ValueError, if something is not found or malformed;
    ParameterError, a ValueError, if the value cannot become the declared type.
    Raises (in both modes): ParameterError if the template has more levels than a workflow may have.
    """
    compiled = compile_template(template, declared_type)
    if mode == "permissive":
        return compiled.permissive(context)
    return compiled.strict(context)


class Compiled:
    """A template as functions of a context."""

    def __init__(self, template: Any, declared_type: str | None) -> None:
        self._template = template
        self.source = python_source(template, declared_type)
        self._strict = _function(self.source)
        self._permissive = _function(python_source(template, declared_type, permissive=True))
        found = [parsed for _, parsed in templates(template)]
        # An issue is text like any other unless an expression stands beside it.
        has_expressions = any(parsed.is_dynamic for parsed in found)
        self._issues = tuple(sorted({i.raw for t in found for i in t.issues})) if has_expressions else ()
        self._expressions = tuple(dict.fromkeys(e.raw for t in found for e in t.expressions))

    def strict(self, context: Mapping[str, Any]) -> Any:
        """The value. Raises: as `evaluate` in strict mode."""
        try:
            if not self._issues:
                return self._strict(context)
        except Unresolved:
            pass
        missing = (raw for raw in self._expressions if isinstance(_probe(raw)(context), Missing))
        raise UnresolvedError(tuple(sorted(missing)), self._issues)

    def permissive(self, context: Mapping[str, Any]) -> Any:
        """The value, with what is not found left as it is written, and of whatever type it is."""
        try:
            return self._permissive(context)
        except ParameterError:
            return _function(python_source(self._template, None, permissive=True))(context)


def compile_template(template: Any, declared_type: str | None = None) -> Compiled:
    """`template` as functions, compiled once and then remembered. Raises ParameterError if it is too deep."""
    if isinstance(template, str):
        return _compile_text(template, declared_type)
    if too_deep(template):
        raise ParameterError(f"the template is {TOO_DEEP}")
    return Compiled(template, declared_type)


@functools.lru_cache(maxsize=4096)
def _compile_text(template: str, declared_type: str | None) -> Compiled:
    return Compiled(template, declared_type)


def python_source(template: Any, declared_type: str | None = None, *, permissive: bool = False) -> str:
    """The Python expression for `template`, over a variable `context`."""
    declared = None if declared_type is None else outer_type(declared_type)
    source = Parameter("", bound(template, in_store), meaning_of(declared), parse_json=True)
    return lay_out(parameter(source, Variables("context"), permissive=permissive))


@functools.lru_cache(maxsize=4096)
def _probe(expression: str) -> Callable[[Mapping[str, Any]], Any]:
    return _function(lay_out(items(bound(f"${{{expression}}}", in_store), Variables("context"))))


def _function(source: str) -> Callable[[Mapping[str, Any]], Any]:
    code = compile(f"lambda context: (\n{source}\n)", "<template>", "eval")
    names = {name: getattr(runtime, name) for name in runtime.__all__}
    return cast("Callable[[Mapping[str, Any]], Any]", eval(code, names))  # noqa: S307  our own spelling
