"""Run something again whenever a file changes: by looking, which works on every system and every file system."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from ...files import regular_files

Stamp = tuple[int, int] | None
"""When a file was written and how long it is; None for no file."""

_SECONDS = 0.3
_WORD = re.compile(r"[^\s\"'`(){}\[\]<>,;|]+")
_MOST = 16 * 1024 * 1024


def watch_command(context: click.Context, state: Callable[[], Any], what: str) -> NoReturn:
    """Run the command of `context` now and after every change of `state`, until Ctrl-C.

    The command's option `watching` is off in those runs. A run that fails has said why; the next one may not.
    `what` names what is watched. Raises: click.UsageError, if that is standard input.
    """
    if what == "-":
        raise click.UsageError("--watch needs a file to look at, not standard input")
    parameters = {**context.params, "watching": False}

    def run() -> None:
        try:
            assert context.command.callback is not None  # it is running
            context.invoke(context.command.callback, **parameters)
        except (SystemExit, click.exceptions.Exit):
            pass  # its exit status: this process goes on
        except click.ClickException as error:
            error.show()

    watch_files(run, state, what)


def watch_files(run: Callable[[], None], state: Callable[[], Any], what: str) -> NoReturn:
    """As `poll`, with a line on stderr after each run and before the next; `what` names what is watched."""

    def run_and_say() -> None:
        run()
        click.echo(f"watching {what}; Ctrl-C ends", err=True)

    def say() -> None:
        click.echo(f"\n--- {datetime.now():%H:%M:%S}: something changed", err=True)

    poll(run_and_say, state, say)


def poll(run: Callable[[], None], state: Callable[[], Any], changed: Callable[[], None] = lambda: None) -> NoReturn:
    """Call `run` now and whenever `state()` gives something else than before, `changed` first; ends by an exception."""
    while True:
        before = state()  # before the run: what changes during it is seen after it
        run()
        after = before
        while after == before:
            time.sleep(_SECONDS)
            after = state()
        while True:  # an editor may write in several steps: wait until it is done
            time.sleep(_SECONDS / 3)
            latest = state()
            if latest == after:
                break
            after = latest
        changed()


def stamps(files: Iterable[Path]) -> dict[str, Stamp]:
    """The stamp of every file, by name."""
    return {str(file): _stamp(file) for file in files}


def workflow_state(workflow: Path, nodes_file: Path | None = None) -> dict[str, Stamp]:
    """The stamps of everything that lowering `workflow` reads: it, the files it mentions, tables of node types."""
    folder = Path(os.path.abspath(workflow)).parent
    tables = [parent / "pyproject.toml" for parent in (folder, *folder.parents)]
    files = [workflow, *tables, *([nodes_file] if nodes_file else [])]
    return stamps([*files, *(workflow.parent / name for name in mentioned_in(workflow))])


def mentioned_in(workflow: Path) -> list[str]:
    """What in the text of a workflow, valid or not, can be the path of a file."""
    try:
        content = regular_files.read(workflow, most=_MOST)
    except (OSError, ValueError):  # a moment in which there is no such file, or a name that none can have
        return []
    return mentioned(content.decode("utf-8", "replace"))


def mentioned(text: str) -> list[str]:
    """What in `text` can be the path of a file: more than is, so that nothing has to be understood."""
    words = _WORD.findall(text)
    found = {_from_path(word).replace("\\/", "/") for word in words if "/" in word[:-1]}
    return sorted(
        name
        for name in found
        if len(name) < 1000 and not name.startswith("//") and "://" not in name and "\0" not in name
    )


def _from_path(word: str) -> str:
    """A word from where the path in it starts: a label and a colon may stand before it."""
    return word[word.rfind(":", 0, word.index("/")) + 1 :]


def _stamp(file: Path) -> Stamp:
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size
