"""`pflow-lower check`: are the committed files what the workflows say?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...command_options import allow_outside, paths_given
from ...diagnostics.diagnostic import each_once, printable
from ...diagnostics.formats.show import FORMATS, show_findings
from ...exit_status import of as exit_status

if TYPE_CHECKING:
    from .compare import Outcome

_NOTHING = "nothing to check: no folder here was written by `pflow-lower WORKFLOW -o DIR`, and no table lists one"

_FEW = 3
"""As many workflows are named in a command; of more, their folder."""
_FEW_FILES = 10
"""As many files of a folder are named; of more, the folder."""


@click.command(short_help="Compare committed files with their workflows.")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=str), callback=paths_given)
@click.option("--update", is_flag=True, help="Refresh what differs (refused where CI is set).")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How findings are printed."
)
@allow_outside
@click.option("-q", "--quiet", is_flag=True, help="Print findings only: no differences, no summary.")
@click.option("--watch", "watching", is_flag=True, help="Check again whenever a file changes, until Ctrl-C.")
@click.pass_context
def check(
    context: click.Context, paths: tuple[Path, ...], update: bool, form: str, quiet: bool, watching: bool
) -> None:
    """Compare committed generated files with what their workflows are lowered to today.

    Looks below each PATH (this folder, if there is none) for folders that were written with -o, and for tables:
    [[tool.pflow-lower.lowerings]] in pyproject.toml, [[lowerings]] in pflow-lower.toml. A PATH may also be a
    workflow or a generated file. Writes nothing, needs no network.

    What lowering a workflow warns of is printed, too. The exit status is 0 if all is up to date, 1 if not, 2 if that
    could not be found out, also if there is nothing to check, or if a program has a step without a class.
    """
    if update and os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise click.UsageError("--update is for your own machine: in CI nobody would review what it changes")
    if watching:
        from ..shared.watch import watch_command

        watch_command(context, lambda: _state(paths), "workflows and generated files")
    from .compare import disputed
    from .find import find
    from .run import run

    lowerings, problems, passed_by, of_several = find(paths)
    disputes = [disputed(one) for one in lowerings if os.path.abspath(one.folder) in of_several]
    clear = [one for one in lowerings if os.path.abspath(one.folder) not in of_several]
    outcomes = [*run(clear, update=update), *disputes]
    findings = [*problems, *(finding for outcome in outcomes for finding in outcome.findings)]
    if form == "text" and not quiet:
        for outcome in outcomes:
            for text in outcome.differences:
                click.echo(text)
    show_findings(each_once(findings), form, err=False)
    if form == "text" and not quiet:
        _summarise(outcomes, paths or (Path(),))
    is_nothing = not outcomes and not problems
    if is_nothing:  # in every form, and if quiet, too: nobody may take it for a pass
        click.echo(_NOTHING, err=True)
    if form == "text":
        for folder, why in passed_by:
            click.echo(f"passed by: {printable(str(folder))} ({why})", err=True)
    failed = bool(problems) or is_nothing
    failed = failed or any(outcome.failed or outcome.cannot_run for outcome in outcomes)
    raise SystemExit(exit_status(found=any(outcome.drifted for outcome in outcomes), failed=failed))


def _summarise(outcomes: Sequence[Outcome], paths: Sequence[Path]) -> None:
    for outcome in outcomes:
        for what in _files(outcome.refreshed):
            click.echo(f"refreshed {what}")
        for what in _files(outcome.removed):
            click.echo(f"removed {what}")
    drifted = [outcome for outcome in outcomes if outcome.drifted]
    failed = [outcome for outcome in outcomes if outcome.failed]
    if not outcomes:
        return
    broken = [outcome for outcome in outcomes if outcome.cannot_run]
    parts = [f"{len(outcomes) - len({id(one) for one in [*drifted, *failed]})} up to date"]
    parts += [f"{len(drifted)} not up to date"] if drifted else []
    parts += [f"{len(failed)} could not be checked"] if failed else []
    parts += [f"{len(broken)} cannot run"] if broken else []
    click.echo(f"{_count(len(outcomes))} checked: {', '.join(parts)}")
    # Where nothing has changed, nobody has to be told again.
    changed = {one.workflow for one in outcomes if not one.is_portable and (one.drifted or one.refreshed)}
    if changed:
        have = "workflow has batch keys" if len(changed) == 1 else "workflows have batch keys"
        command = f"pflow-lower lint --portable {_arguments(changed)}"
        click.echo(f"note: {len(changed)} {have} that plain pflow refuses: {command}", err=True)
    stale = [outcome for outcome in drifted if any(finding.code != "PFL614" for finding in outcome.findings)]
    stale = [outcome for outcome in stale if outcome.can_be_refreshed]
    if stale:
        from .compare import first_clear

        in_the_way = [name for outcome in stale for name in outcome.in_the_way]
        start = "to refresh, " if in_the_way else "refresh with: "
        click.echo(f"{start}{first_clear(in_the_way, _command(stale, paths))}")


def _files(paths: Sequence[str]) -> Iterator[str]:
    """Each of `paths`; of many in one folder, how many, and nothing of those in a folder that is among them."""
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        by_folder.setdefault(os.path.dirname(path), []).append(printable(path))
    for folder, names in by_folder.items():
        if folder not in paths:
            many = f"{printable(folder) or '.'} ({len(names)} files)"
            yield from names if len(names) <= _FEW_FILES else [many]


def _count(number: int) -> str:
    return f"{number} folder" if number == 1 else f"{number} folders"


def _arguments(workflows: Iterable[str]) -> str:
    """A few workflows by name, many by the folder that they are in."""
    from ...node_types.project_file import as_argument

    names = sorted(workflows)
    if len(names) > _FEW:
        try:
            names = [os.path.commonpath(names) or "."]
        except ValueError:  # relative ones and absolute ones
            names = ["."]
    return " ".join(as_argument(Path(name)) for name in names)


def _command(stale: Sequence[Outcome], paths: Sequence[Path]) -> str:
    """The one command that refreshes everything: the folder, where it is one, or else what was asked for."""
    from ...node_types.project_file import as_argument

    names = [as_argument(Path(stale[0].folder))] if len(stale) == 1 else [as_argument(path) for path in paths]
    names = [] if names == ["."] else names
    return " ".join(["pflow-lower check --update", *names])


def _state(paths: Sequence[Path]) -> Any:
    """Everything that a check looks at: what there is to check, and the stamps of the files."""
    from ..shared.watch import stamps, workflow_state
    from .find import find

    found = find(paths)
    files = {}
    for lowering in found.lowerings:
        files.update(workflow_state(lowering.workflow, lowering.nodes_file))
        try:
            files.update(stamps(path for path in sorted(lowering.folder.rglob("*")) if path.is_file()))
        except OSError:  # a folder that vanishes just now: the next look will tell
            files[str(lowering.folder)] = None
    return found, files


COMMANDS = (check,)
