"""Errors in the parts of a workflow that pflow never sees, since only lowered nodes know them.

And where pflow's own executor runs such a node, the workflow is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..diagnostics.diagnostic import Diagnostic, LowerError, Severity
from ..ir.document import Document
from .batch_names import as_shown_to_validator, as_written, our_keys, used_names
from .messages import say
from .pflow_values import file_of

_OF_A_CHILD = ("PFL340", "PFL341", "PFL342", "PFL343")
"""What pflow's validator says itself: it looks at each workflow that a node starts, and shows it to us."""
_UNREAD = Document(name="", data=None)
"""A workflow of which only its data is known."""


def wrong_with_ours(ir: Any, given: Mapping[str, Any], *, with_children: bool = False) -> list[Diagnostic]:
    """The errors that `lower` finds in `ir` and pflow cannot: not in what pflow is shown of it.

    `given` are the parameters of the run. What says nothing that only pflow-lower knows is not looked at, unless
    `with_children`: then a workflow that it starts says such things, and what they do together is looked at, too.
    """
    shown = as_shown_to_validator(ir, given)
    if shown is ir and not with_children:
        return []
    try:
        return _only_in(ir, shown, given, with_children=with_children)
    except LowerError as error:  # a table
        return list(error.diagnostics)
    except Exception as error:  # noqa: BLE001  pflow-lower must never break a run that pflow could do
        say(f"what only pflow-lower knows was not looked at before the run: {type(error).__name__}: {error}")
        return []


def _only_in(ir: Any, shown: Any, given: Mapping[str, Any], *, with_children: bool) -> list[Diagnostic]:
    path, name = file_of(given)
    file = Path(path) if path else None
    errors = _Errors(name or "workflow", file, given)
    known = {(one.code, as_written(ir, one.where.partition(".")[0], one.where)) for one in errors.of(shown)}

    def ours(read: Document) -> list[Diagnostic]:
        found = errors.of(ir, read, with_children=with_children)
        return [one for one in found if one.code not in _OF_A_CHILD and (one.code, one.where) not in known]

    found = ours(_UNREAD)
    return ours(_read(file)) if found and file is not None else found


def _read(file: Path) -> Document:
    from ..load.load import load

    try:
        return load(file)
    except LowerError:  # it is what pflow has read, so the places are all that is missing
        return _UNREAD


class _Errors:
    """What our own stages say of one workflow, as the author wrote it or as pflow is shown it."""

    def __init__(self, name: str, file: Path | None, given: Mapping[str, Any]) -> None:
        from ..node_types.lookup import NodeTypes

        self._name = name
        self._file = file
        self._given = given
        self._types = NodeTypes({})  # inside pflow, its registry says what a type is, and no table

    def of(self, ir: Mapping[str, Any], read: Document = _UNREAD, *, with_children: bool = False) -> list[Diagnostic]:
        """The errors in `ir`; with its children, those that it makes with them. `read` has the places."""
        from ..analyse.analyse import analyse
        from ..node_types.run_tables import RunTables
        from ..validate.validate import validate

        declared = ir.get("inputs") or {}
        extra: dict[str, Any] = {name: {} for name in self._given if name not in declared and not name.startswith("_")}
        data = {**ir, "inputs": {**declared, **extra}} if extra else dict(ir)
        source, found = validate(read._replace(name=self._name, data=data, warnings=()))
        if source is not None:
            folder = self._file.parent if self._file is not None else Path.cwd()
            budgets = RunTables.of(folder).budgets
            file = self._file if with_children else None
            found = [*found, *analyse(source, self._types, file=file, budgets=budgets)[1]]
        return [one for one in found if one.severity is Severity.ERROR]


def node_of(found: Diagnostic, ir: Any) -> str | None:
    """The node of `ir` that a finding is about; None for one about something else: a table, an edge, an output."""
    name = found.where.partition(".")[0]
    return name if any(isinstance(node, Mapping) and node.get("id") == name for node in ir.get("nodes") or ()) else None


def first_of(found: Sequence[Diagnostic], ir: Any, error: Callable[..., Exception]) -> Exception:
    """`found`, of which there are some, in `ir` or a table beside it, as the version's CompilationError."""
    first = found[0]
    more = f" (and {len(found) - 1} more: pflow-lower lint)" if len(found) > 1 else ""
    return error(
        f"{text_with_place(first, ir)}{more}",
        phase="lowering",
        node_id=node_of(first, ir),
        suggestion=first.help or None,
    )


def text_of(found: Diagnostic) -> str:
    """What is wrong, on one line, as pflow says it beside the place."""
    return f"[{found.code}] {found.where}: {found.message}" if found.where else f"[{found.code}] {found.message}"


def text_with_place(found: Diagnostic, ir: Any) -> str:
    """`text_of`, for where no place is shown: what is not about a node of `ir` is found by file and line only."""
    if node_of(found, ir) is not None or found.position is None:
        return text_of(found)
    return f"{found.file}:{found.position.line}: {text_of(found)}"


def refusal(
    error: Callable[..., Exception],
    node: Mapping[str, Any],
    declared: Collection[str],
    why: Callable[[], str],
    *,
    options: Sequence[str] = (),
) -> Exception | None:
    """The error about `node`, which runs interpreted; None if that leaves nothing out that it says.

    `error` is the version's CompilationError, `declared` are the names of the workflow, `why` says why the node was
    not lowered, `options` are those of the command that only lowered nodes honour.
    """
    or_else = "or change what keeps the node from being lowered."
    if keys := our_keys(node):
        what = f"the batch key `{keys[0]}`"
        suggestion = f"Take `{keys[0]}` out of the batch, {or_else}"
    elif options:
        what = options[0]
        suggestion = f"Leave {options[0]} away, {or_else}"
    elif names := used_names(node, declared):
        what = f"${{{names[0]}}}"
        suggestion = "Use ${__index__}, or have the node before the batch put the number into each item."
    else:
        return None
    return error(
        f"{what} is known in lowered batch nodes only, and '{node['id']}' runs interpreted: {why()}",
        phase="lowering",
        node_id=node["id"],
        node_type=node["type"],
        suggestion=suggestion,
    )
