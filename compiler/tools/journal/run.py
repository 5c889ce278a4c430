"""What `pflow-lower journal list | show | clear | export` do. Each ends with its exit status: SystemExit."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from ...diagnostics.diagnostic import printable
from ...exit_status import DONE, FAILED, FOUND
from ...runtime.journal_file import Described, JournalError, NotOurs, describe, forget, read_rows
from ...runtime.run import dollars
from .find import NotFound, folders, gone_journals, journal_called, journals


def list_journals(form: str) -> None:
    """Print all journals, as text or JSON."""
    try:
        paths, places = journals(), folders()
    except JournalError as error:
        _refuse(error)
    looked_at = [_described(path) for path in paths]
    found = [one for one in looked_at if isinstance(one, Described)]
    problems = [one for one in looked_at if isinstance(one, JournalError)]
    not_read = [one for one in problems if not isinstance(one, NotOurs)]  # of what is not a journal, nothing is missing
    if form == "json":
        click.echo(json.dumps([_as_data(one) for one in found], indent=2))
    else:
        for one in found:
            click.echo(_line(one))
    for problem in problems:
        _complain(str(problem))
    if not found and not not_read:
        click.echo(f"no journal in {' or '.join(printable(str(place)) for place in places)}", err=True)
    raise SystemExit(FAILED if not_read else DONE if found else FOUND)


def show(name: str, form: str) -> None:
    """Print the finished items in a journal, as text or JSON."""
    path = _called(name)
    rows = _rows(path)
    if form == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        key = f" {row['key']!r}" if row["key"] is not None else ""
        cost = f"  {dollars(row['cost'])}" if row["cost"] is not None else ""
        click.echo(printable(f"{row['node']}{key}  {row['seconds']:.2f} s{cost}  {_short(row['result'])}"))
    if not rows:
        click.echo("no item has ended well", err=True)


def clear(names: Sequence[str]) -> None:
    """Forget the journals called so; without a name, all of them, and the locks of those that are gone."""
    try:
        paths = [_called(name) for name in names] or journals()
        if not names:
            _tidy_up()
    except JournalError as error:
        _refuse(error)
    if not paths:
        click.echo("there is no journal", err=True)
        raise SystemExit(FOUND)
    cleared = [_clear(path) for path in paths]
    raise SystemExit(DONE if all(cleared) else FAILED)


def export(name: str) -> None:
    """Print the finished items in a journal as JSON Lines."""
    for row in _rows(_called(name)):
        click.echo(json.dumps(row, ensure_ascii=not _takes_unicode()))


def _described(path: Path) -> Described | JournalError:
    """What the journal at `path` is, or why that cannot be said."""
    try:
        return describe(path)
    except JournalError as error:
        return error


def _clear(path: Path) -> bool:
    try:
        forget(path)
    except JournalError as error:
        _complain(str(error))
        return False
    click.echo(f"cleared {printable(path.stem)}")
    return True


def _tidy_up() -> None:
    for path in gone_journals():
        with contextlib.suppress(JournalError):  # a run that is beginning holds it, or it is not for us to remove
            forget(path)


def _takes_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _called(name: str) -> Path:
    try:
        return journal_called(name)
    except NotFound as error:
        _complain(str(error))
        raise SystemExit(FOUND) from None
    except JournalError as error:
        _refuse(error)


def _rows(path: Path) -> Sequence[dict[str, Any]]:
    try:
        return [row._asdict() for row in read_rows(path)]
    except JournalError as error:
        _refuse(error)


def _complain(problem: str) -> None:
    lines = "\n".join(map(printable, problem.splitlines()))
    click.echo(f"pflow-lower: {lines}", err=True)


def _refuse(error: Exception) -> NoReturn:
    _complain(str(error))
    raise SystemExit(FAILED)


def _line(one: Described) -> str:
    items = ", ".join(f"{node} {count}" for node, count in one.nodes.items()) or "no item"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.started))
    used = ", in use" if one.is_in_use else ""
    gone = " (gone)" if _is_gone(one.workflow) else ""
    return printable(f"{one.path.stem}  {one.workflow}{gone}  {items}  {when}  {_size(one.size)}{used}")


def _is_gone(workflow: str) -> bool:
    """Whether the workflow surely stands no more where its runs were: then no run of it comes to this journal."""
    files = [workflow, workflow.rpartition("#")[0] or workflow]  # the batch of a class that no run was around
    for file in files if os.path.isabs(workflow) else ():
        try:
            os.lstat(file)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:  # who knows
            return False
        return False
    return os.path.isabs(workflow)


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _as_data(one: Described) -> dict[str, Any]:
    return {
        "journal": one.path.stem,
        "file": str(one.path),
        "workflow": one.workflow,
        "gone": _is_gone(one.workflow),
        "nodes": dict(one.nodes),
        "items": sum(one.nodes.values()),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.started)),
        "size": one.size,
        "in_use": one.is_in_use,
    }


def _short(result: Any) -> str:
    text = json.dumps(result, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:99]}…"
