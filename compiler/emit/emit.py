"""Emit: LoweredIR -> the text of every generated file. Decides nothing, looks at no file and no clock.

in   LoweredIR, the command that regenerates the files
out  {path: text}, marked with where its lines come from (`marks`)
says nothing: a failure here is a bug of ours
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..files.generated_names import CLASSES, LOWERED, MADE_BY
from ..ir.batch_keys import BATCH_KEYS, keys_shown_at
from ..ir.batch_spec import ErrorHandling, InnerBatch
from ..ir.lowered import RAY_OPTIONS, SHAPES, Budget, LoweredBatch, LoweredIR
from .class_body import exec_body, item_name_body, node_path, prep_body, written_key
from .document_text import document_text
from .marks import Origin, mark, marked
from .python_text import comment, docstring, lay_out, literal
from .python_tree import PyCall, PyKeyword, PyLiteral

if TYPE_CHECKING:
    import jinja2

RUNTIME = "pflow_lower.runtime"
STANDALONE_RUNTIME = "pflow_lower_runtime"


class SourceHeader(NamedTuple):
    """Where the generated files come from, as their header says it."""

    source: str
    """The workflow's path, relative to the output folder; "" if it did not come from a file."""
    command: str
    """The command that regenerates the files, run in the output folder."""
    class_folders: tuple[str, ...] = ()
    """Where the classes of a program's steps are looked for, relative to the output folder."""
    journals: str = ""
    """Where the journals of a program's runs stand, likewise; "" if no table says so."""
    made: str = ""
    """What files without a source were made for."""


OWN_ATTEMPTS = {"max": "own_attempts", "wait": "own_wait", "backoff": "own_backoff"}
"""What a generated class calls what the node's `retry` says: `max_retries` and its like are those of the batch."""


def emit(lowered: LoweredIR, source: SourceHeader, *, runtime: str = RUNTIME) -> dict[str, str]:
    """The expanded IR and the module of generated classes, by path; both marked."""
    return {LOWERED: document_text(lowered), CLASSES: _module(lowered.batches, source, runtime)}


def runtime_copy() -> dict[str, str]:
    """The runtime's own modules, for files that must run without pflow-lower."""
    from importlib import resources  # late: slow to import, and seldom needed

    folder = resources.files(RUNTIME)
    mark = "\n".join([comment(f"{MADE_BY}: a copy of its runtime. Do not edit."), *_COPY, ""])
    return {
        f"{STANDALONE_RUNTIME}/{file.name}": mark + file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".py")
    }


def summary(batch: LoweredBatch) -> str:
    """How the batch runs, in a few words."""
    spec = batch.spec
    words = [f"up to {spec.max_concurrent} at once" if spec.parallel else "one at a time"]
    if spec.max_retries > 1:
        wait = f", {literal(spec.retry_wait)} s apart" if spec.retry_wait else ""
        words.append(f"{spec.max_retries} attempts{wait}")
    words.append(spec.error_handling.in_words)
    return ", ".join(words)


def _module(batches: Sequence[LoweredBatch], source: SourceHeader, runtime: str) -> str:
    classes = [_class(batch) for batch in batches]
    used = {name for _, uses in classes for name in uses}
    name = source.source or "a workflow"
    about = docstring(f"Batch nodes of {name}." if batches else f"{name} has no batch nodes.")
    head = [*header(source), *type_checker_lines(runtime)]
    return (
        jinja()
        .get_template("module.py.jinja")
        .render(
            header=[mark(HEADER, len(head)) + head[0], *head[1:]],
            docstring=about,
            imports=runtime_imports(runtime, used),
            classes=[text for text, _ in classes],
        )
    )


IN_A_PACKAGE = "if __package__ and not TYPE_CHECKING:"
"""What is beside a module is imported as a part of the same package, if the module is part of one. Type checkers look
at the other imports: they find what is beside a module whether its folder is a package or not."""


def type_checker_lines(runtime: str, *disabled: str) -> list[str]:
    """The header's lines for mypy, where it is to say nothing of the codes `disabled`.

    A copy of the runtime beside the module is found in one way where the folder is a package for mypy, and in another
    where it is not: where it is not found, its classes are not types for it.
    """
    is_copy = runtime != RUNTIME
    codes = [*disabled, *(["import-not-found"] if is_copy and "import-not-found" not in disabled else [])]
    lines = [f'# mypy: disable-error-code="{",".join(codes)}"'] if codes else []
    return [*lines, *(["# mypy: disallow-subclassing-any=False, warn-return-any=False"] if is_copy else [])]


def runtime_imports(runtime: str, used: set[str]) -> list[str]:
    """The import of what a module uses of the runtime, be it installed or a copy beside the module."""
    if runtime == RUNTIME or not used:
        return import_lines({runtime: used})
    return ["from typing import TYPE_CHECKING", "", *beside_imports({runtime: used})]


def beside_imports(wanted: Mapping[str, Iterable[str]], *before: str) -> list[str]:
    """The imports of modules that stand beside the one that imports them, in a package or not: then after `before`."""
    names = {module: sorted(found) for module, found in wanted.items()}
    inside = [f"    {line}" for line in import_lines({f".{module}": found for module, found in names.items()}, 4)]
    outside = [f"    {line}" for line in import_lines(names, 4)]
    return [IN_A_PACKAGE, *inside, "else:", *(f"    {line}" for line in before), *outside]


HEADER = Origin((), "header")


_HANDS_OFF = ("#", "# ruff: noqa", "# fmt: off")
"""Formatters and fixers of any settings leave the file as it is, or it would not be what `check` expects."""


_PYRIGHT_RULES = """
    AbstractUsage ArgumentType AssignmentType AttributeAccessIssue CallIssue FunctionMemberAccess GeneralTypeIssues
    IncompatibleMethodOverride IncompatibleVariableOverride IndexIssue InvalidTypeForm MissingImports
    MissingModuleSource OperatorIssue OptionalCall OptionalContextManager OptionalIterable OptionalMemberAccess
    OptionalOperand OptionalSubscript PossiblyUnboundVariable PrivateImportUsage Redeclaration ReturnType
    TypedDictNotRequiredAccess Unhashable
"""
_COPY = (
    *_HANDS_OFF,
    "# mypy: ignore-errors",
    "# pyright: basic, " + ", ".join(f"report{rule}=false" for rule in _PYRIGHT_RULES.split()),
)
"""In a copy of the runtime besides: type checkers of any settings take its types as they are."""


def header(source: SourceHeader) -> list[str]:
    """The comment lines at the top of a generated file."""
    if not source.source:
        return [comment(f"{MADE_BY}{source.made}. Do not edit."), *_HANDS_OFF]
    return [
        comment(f"{MADE_BY} from {source.source}. Do not edit; edit the workflow and run:", width=1000),
        "#",
        comment(f"    {source.command}", width=1000),
        *_HANDS_OFF,
    ]


def import_lines(wanted: Mapping[str, Iterable[str]], indent: int = 0) -> list[str]:
    """Import lines for the names of each module, sorted, opened up where they are too long after `indent` blanks."""
    lines = []
    for module in sorted(wanted, key=_natural):
        names = sorted(wanted[module], key=_import_order)
        if not names:
            continue
        line = f"from {module} import {', '.join(names)}"
        pad = " " * indent
        spread = f"from {module} import (\n{pad}    " + f",\n{pad}    ".join(names) + f",\n{pad})"
        lines.append(line if len(line) <= 88 - indent else spread)
    return lines


def _import_order(name: str) -> tuple[int, list[tuple[int, str]], str]:
    """The order that import sorters agree on: constants, classes, functions; upper case as lower."""
    name = name.partition(" as ")[0]
    return (0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2, _natural(name.lower()), name)


def _natural(name: str) -> list[tuple[int, str]]:
    """`name` for sorting: numbers inside it count as numbers, so that 2 comes before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name) if part]


def _class(batch: LoweredBatch) -> tuple[str, set[str]]:
    """The text of one class, and what it uses of the runtime."""
    shape = SHAPES[batch.shape]
    prep, prep_uses = prep_body(batch)
    execution, exec_uses = exec_body(batch)
    item_name, name_uses = item_name_body(batch)
    options = () if batch.ray_options is None else (RAY_OPTIONS,)
    chosen = (written_key(batch, key) for key in keys_shown_at("base") if key in batch.spec.written)
    about = docstring(f"Run `{batch.node_id}` ({batch.type}) {_for_each(batch)}.")
    text = (
        jinja()
        .get_template("batch_node.py.jinja")
        .render(
            name=batch.class_name,
            base="".join(mark(Origin(path, "policy")) for path in chosen) + shape.base,
            is_async=shape.is_async,
            docstring=marked(about, Origin((*node_path(batch), "type"), "class")),
            attributes=_attributes(batch),
            prep=prep,
            item_name=item_name,
            exec=execution,
        )
    )
    uses = {"Batch", "Call", "Result", "Shared", shape.base, *options, *prep_uses, *exec_uses, *name_uses}
    return marked(text.removesuffix("\n"), Origin((*node_path(batch), "id"), "class")), uses


def _for_each(batch: LoweredBatch) -> str:
    outer, *inner = (_each(level) for level in batch.spec.levels)
    if batch.spec.items_file is not None:
        outer = f"{batch.spec.alias} in the file {batch.spec.items_file}"
    return f"for each {outer}" + "".join(f", for each {level}" for level in inner)


def _each(level: InnerBatch) -> str:
    items = level.items
    return f"{level.alias} in " + (items if isinstance(items, str) else f"a list of {len(items)}")


def _attributes(batch: LoweredBatch) -> list[str]:
    """What the annotation says, under its own names; a setting that it leaves out is the base's."""
    spec = batch.spec
    found: list[tuple[str, Any, Origin]] = [
        ("node_id", batch.node_id, Origin((*node_path(batch), "id"), "name")),
        ("alias", spec.alias, Origin(written_key(batch, "as"), "alias")),
    ]
    if batch.levels:
        aliases = tuple(level.name for level in batch.levels)
        found.append(("aliases", aliases, Origin(written_key(batch, "batch"), "alias")))
    source = spec.items_file if spec.items_file is not None else spec.items
    if isinstance(source, str):
        found.append(("items", source, Origin((*node_path(batch), "batch", "items"), "items")))
    if batch.retry is not None:
        for part in batch.retry.written:
            origin = Origin((*node_path(batch), "retry", part), "attempts")
            found.append((OWN_ATTEMPTS[part], getattr(batch.retry, part), origin))
    for key in BATCH_KEYS:
        value = getattr(spec, key.field, key.default)
        value = value.value if isinstance(value, ErrorHandling) else value
        value = spec.results_file if key.key == "results" else value
        if key.shown_at == "attribute" and (key.key in spec.written or value != key.default):
            rule = "attempts" if key.key in ("max_retries", "retry_wait") else "policy"
            rule = key.key if key.key == "results" else rule
            found.append((key.key, value, Origin(written_key(batch, key.key), rule)))
        if key.key == "rate" and batch.budget is not None:
            origin = Origin(written_key(batch, "rate"), "policy")
            found += [(name, value, origin) for name, value in _shared(batch.budget) if value is not None]
    if batch.ray_options is not None:
        needs = tuple(PyKeyword(name, PyLiteral(value)) for name, value in batch.ray_options.items())
        found.append(("ray_options", PyCall(RAY_OPTIONS, needs), Origin(node_path(batch), "policy")))
    if not batch.namespaced:
        found.append(("namespaced", False, Origin(("enable_namespacing",), "kept")))
    return [
        marked(lay_out(value if isinstance(value, PyCall) else PyLiteral(value), 1, f"{name} = "), origin)
        for name, value, origin in found
    ]


def _shared(budget: Budget) -> tuple[tuple[str, Any], ...]:
    return ("shared_rate", budget.rate), ("shared_max_concurrent", budget.max_concurrent)


@functools.cache
def jinja(folder: str = "", *, html: bool = False) -> jinja2.Environment:
    """The templates in a folder of `templates/`, ready to render; those of `html` escape what they are given.

    Those of Python do not: text of a workflow comes through the three doors of python_text.py.
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("pflow_lower.templates", package_path=folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=html,  # noqa: S701  Python is not HTML
    )
