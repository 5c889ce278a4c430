"""Tables that say how workflows are run: budgets that have a name, where journals stand, what items need on Ray.

[tool.pflow-lower.rates]
openai = "500/min"
local = { rate = "10/s", max_concurrent = 4 }

[tool.pflow-lower.journal]
dir = "state"

[tool.pflow-lower.on]
"*" = { num_cpus = 2 }
embed = { num_gpus = 0.5, memory = 2_000_000_000 }

They stand in pyproject.toml, or without `tool.pflow-lower` in a pflow-lower.toml; the nearest one counts.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..diagnostics.diagnostic import Diagnostic, LowerError, Severity, each_once
from ..ir.batch_keys import RATE, RATE_NAME
from ..ir.lowered import Budget
from ..ir.report import nearest
from .project_file import (
    NOT_NODES,
    PROJECT_FILE,
    TABLES,
    Table,
    folders_asked,
    nearest_table,
    read_toml,
    table_problem,
    unknown_key,
)

OWN_FILE = "pflow-lower.toml"
_OWN_HEADS = {"journal": "[journal]", "lowerings": "[[lowerings]]", "on": "[on]", "rates": "[rates]"}
OWN_TABLES = tuple(_OWN_HEADS)
"""What may stand in such a file without `tool.pflow-lower`."""
MOST_AT_ONCE = 1000
_RATE = re.compile(RATE)
_RATE_NAME = re.compile(RATE_NAME)
_CODE = "PFL413"
_KEYS = ("rate", "max_concurrent")
_ALL_NODES = "*"
_AMOUNTS = ("memory", "num_cpus", "num_gpus")
_ON_KEYS = (*_AMOUNTS, "runtime_env")


_T = TypeVar("_T")


class RunTables(NamedTuple):
    """What all of them say of workflows in one folder: a faulty one is an error, whoever looks, needed or not."""

    budgets: Mapping[str, Budget]
    ray_options: Mapping[str, Mapping[str, Any]]
    journals: tuple[Path, str] | None
    """As `journals_said_for` has it."""
    warnings: tuple[Diagnostic, ...] = ()
    """Tables that somebody meant for such workflows, and nobody reads where they stand."""

    @classmethod
    def of(cls, folder: Path | None) -> RunTables:
        """Raises: LowerError (PFL410, PFL413), with what is wrong with any of them."""
        wrong: list[Diagnostic] = []

        def read(table: Callable[[Path | None], _T], instead: _T) -> _T:
            try:
                return table(folder)
            except LowerError as error:
                wrong.extend(error.diagnostics)
                return instead

        found = cls(read(budgets_for, {}), read(ray_options_for, {}), read(journals_said_for, None))
        if wrong:
            raise LowerError(each_once(wrong))
        return found._replace(warnings=tuple(unread_for(folder)))


def unread_in(data: Mapping[str, Any], file: Path, code: str) -> Iterator[Diagnostic]:
    """What nobody reads in the pflow-lower.toml `file`, which holds `data`: each an error of the code `code`."""
    for key in data:
        if key == "tool" or key in OWN_TABLES:
            continue
        if key in TABLES:
            help = f"this table stands in {PROJECT_FILE}: [tool.pflow-lower.{key}]"
        elif guess := nearest(key, OWN_TABLES):
            help = f"did you mean {_OWN_HEADS[guess]}?"
        else:
            help = f"the tables of this file are {', '.join(_OWN_HEADS.values())}"
        yield table_problem(file, key, f"unknown key {key!r}", help, code=code)


def unread_for(folder: Path | None) -> Iterator[Diagnostic]:
    """The same of the files that are asked for workflows in `folder`, as warnings: a run goes on without such a table.

    What `check` alone reads is left to `check`. A file that cannot be read is told of by whoever looks for its tables.
    """
    for parent in folders_asked(folder) if folder is not None else ():
        file = parent / OWN_FILE
        if file.is_file():
            with contextlib.suppress(LowerError):
                data = read_toml(file)
                concern = {key: value for key, value in data.items() if nearest(key, OWN_TABLES) != "lowerings"}
                yield from (found._replace(severity=Severity.WARNING) for found in unread_in(concern, file, _CODE))


def budgets_for(folder: Path | None) -> Mapping[str, Budget]:
    """The budgets that a workflow in `folder` may name. Raises: LowerError (PFL410, PFL413)."""
    table = _table(folder, "rates", "not a table of rates")
    if table is None:
        return {}
    if found := [wrong for name, value in table.value.items() for wrong in _wrong_in_budget(name, value, table)]:
        raise LowerError(found)
    return {name: _budget(value) for name, value in table.value.items()}


def journals_for(folder: Path | None) -> Path | None:
    """Where the journals of workflows in `folder` stand; None if no table says so. Raises: as `journals_said_for`."""
    said = journals_said_for(folder)
    return None if said is None else said[0] / said[1]


def journals_said_for(folder: Path | None) -> tuple[Path, str] | None:
    """What a table says of where the journals of workflows in `folder` stand, and the folder that this is seen from.

    Raises: LowerError (PFL410, PFL413).
    """
    table = _table(folder, "journal", "not a table", ' and dir = "..."')
    if table is None:
        return None
    found = [_unknown_key(table.file, table.section, key, ("dir",)) for key in table.value if key != "dir"]
    name = table.value.get("dir")
    if not (isinstance(name, str) and name):
        found.append(_problem(table.file, f"{table.section}.dir", "names no folder", 'write dir = "state"'))
    if found:
        raise LowerError(found)
    return Path(os.path.abspath(table.file)).parent, str(name)


def ray_options_for(folder: Path | None) -> Mapping[str, Mapping[str, Any]]:
    """What the items of nodes of workflows in `folder` need on Ray: by node id, and under "*" for all nodes.

    Raises: LowerError (PFL410, PFL413).
    """
    table = _table(folder, "on", NOT_NODES)
    if table is None:
        return {}
    if found := [wrong for name, value in table.value.items() for wrong in _wrong_in_needs(name, value, table)]:
        raise LowerError(found)
    return dict(table.value)


def ray_options_of(
    node_id: str, options: Mapping[str, Mapping[str, Any]], *, parallel: bool
) -> Mapping[str, Any] | None:
    """What the items of the node `node_id` need on Ray: what holds for all parallel ones, and for this one on top."""
    return {**(options.get(_ALL_NODES, {}) if parallel else {}), **options.get(node_id, {})} or None


def _table(folder: Path | None, key: str, message: str, also: str = "") -> Table | None:
    """The table `key` that counts for workflows in `folder`; `message` says what it is where it is not a table."""
    table = None if folder is None else nearest_table(folder, key, own_file=OWN_FILE)
    if table is not None and not isinstance(table.value, dict):
        raise LowerError([_problem(table.file, table.section, message, f"write [{table.section}]{also}")])
    return table


def _wrong_in_needs(name: str, value: object, table: Table) -> Iterator[Diagnostic]:
    file, where = table.file, f"{table.section}.{name}"
    if not isinstance(value, dict) or not value:
        yield _problem(file, where, "says nothing of what a node needs", "write { num_cpus = 2 }")
        return
    for key in value.keys() - set(_ON_KEYS):
        yield _unknown_key(file, where, key, _ON_KEYS)
    for key in _AMOUNTS:
        if key not in value:
            continue
        amount = value[key]
        if not (type(amount) in (int, float) and math.isfinite(amount) and amount >= 0):
            yield _problem(file, f"{where}.{key}", f"{amount!r} is not an amount", "write a number, at least 0")
        elif key == "num_gpus" and amount > 1 and amount != int(amount):
            yield _problem(file, f"{where}.{key}", f"Ray has no {amount!r}", "above 1, write a whole number")
    if "runtime_env" in value and not (isinstance(value["runtime_env"], dict) and _is_json(value["runtime_env"])):
        example = '{ env_vars = { MODEL = "small" } }'
        yield _problem(file, f"{where}.runtime_env", "not a table of Ray's", f"write {example}")


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _budget(value: Any) -> Budget:
    return Budget(value, None) if isinstance(value, str) else Budget(value.get("rate"), value.get("max_concurrent"))


def _wrong_in_budget(name: str, value: object, table: Table) -> Iterator[Diagnostic]:
    file, where = table.file, f"{table.section}.{name}"
    example = '"500/min", or { rate = "500/min", max_concurrent = 20 }'
    if _RATE_NAME.fullmatch(name) is None:
        yield _problem(file, where, f"{name!r} is not a name of a rate", "write it in small letters, digits, - and _")
    if not isinstance(value, (str, dict)):
        yield _problem(file, where, "a budget is a rate or a table", f"write {example}")
        return
    entry: dict[str, Any] = {"rate": value} if isinstance(value, str) else value
    for key in entry.keys() - set(_KEYS):
        yield _unknown_key(file, where, key, _KEYS)
    rate, most = entry.get("rate"), entry.get("max_concurrent")
    if rate is None and most is None:
        yield _problem(file, where, "says no limit", f"write {example}")
    if rate is not None and not (isinstance(rate, str) and _RATE.fullmatch(rate)):
        place = where if isinstance(value, str) else f"{where}.rate"
        yield _problem(file, place, f"{rate!r} is not a rate", 'one is "60/min"; also s, h, day')
    if most is not None and not (type(most) is int and 1 <= most <= MOST_AT_ONCE):
        yield _problem(
            file, f"{where}.max_concurrent", f"{most!r} is not a number of calls", f"write 1 to {MOST_AT_ONCE}"
        )


def _unknown_key(file: Path, where: str, key: str, known: Sequence[str]) -> Diagnostic:
    return unknown_key(file, where, key, known, code=_CODE)


def _problem(file: Path, where: str, message: str, help: str = "") -> Diagnostic:
    return table_problem(file, where, message, help, code=_CODE)
