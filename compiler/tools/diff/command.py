"""`pflow-lower diff`: what a change of a workflow means."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...command_options import allow_outside
from ...diagnostics.diagnostic import Diagnostic, LowerError, each_once
from ...diagnostics.formats.show import FORMATS, show_findings
from ...exit_status import FAILED
from ...exit_status import of as exit_status

if TYPE_CHECKING:
    from .model import Comparison, Kind

_OWN = ("text", "json", "markdown")
_EXAMPLES = """
\b
Examples:
  pflow-lower diff old.json new.json          two files
  pflow-lower diff --git HEAD                 what is not committed yet
  pflow-lower diff --git main...HEAD flows/   what this branch does to flows/
"""


def _kinds(context: click.Context, parameter: click.Parameter, value: str | None) -> frozenset[Kind]:
    """The value of --fail-on: an empty one is a variable that was not set, and would never fail."""
    from .model import KINDS, Kind

    names = [name.strip() for name in (value or "").split(",") if name.strip()]
    if value is not None and not names:
        raise click.BadParameter(
            f"is empty; name a class of change, or leave it out; the classes are {', '.join(KINDS)}"
        )
    wrong = [name for name in names if name not in KINDS]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} is not a class of change; the classes are {', '.join(KINDS)}")
    return frozenset(map(Kind, names))


def _revision(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """The value of --git: an empty one is a variable that was not set."""
    if value == "":
        raise click.BadParameter("is empty; for what is not committed yet, write HEAD")
    return value


@click.command(short_help="Say what a change of a workflow means.", epilog=_EXAMPLES)
@click.argument("paths", nargs=-1, metavar="OLD NEW", type=click.Path(path_type=str))
@click.option(
    "--git",
    "revision",
    metavar="REV",
    callback=_revision,
    help="Compare the working tree with REV, or the two of A..B, A...B.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([*_OWN, *(form for form in FORMATS if form not in _OWN)]),
    default="text",
    show_default=True,
    help="json is described by `pflow-lower schema diff`; markdown is for a comment.",
)
@allow_outside
@click.option(
    "--fail-on",
    metavar="CLASS,...",
    callback=_kinds,
    help="Exit with 1 if there is such a change: breaking, behaviour, cost, schedule, cosmetic.",
)
def diff(paths: tuple[str, ...], revision: str | None, form: str, fail_on: frozenset[Kind]) -> None:
    """Say, node by node, what the change from one version of a workflow to another means.

    OLD and NEW are two workflow files. With --git, the versions are those of the repository, and the arguments
    are the files and folders to look at (all, if there are none). The tables of node types, of rates and of Ray
    that each version has are compared, too. A submodule that has changed is not looked at: that is said.

    \b
    breaking   results have another shape, order or name
    behaviour  other contents: what is asked, of which list, what failures lead to
    cost       more calls, or dearer ones, are possible
    schedule   the same calls at other times
    cosmetic   nothing that can be observed

    The exit status is 0, 1 for a change that --fail-on names, 2 if a version cannot be lowered, or
    a submodule has changed that may have workflows.
    """
    try:
        if revision is not None:
            comparisons = _of_revisions(revision, paths)
        elif len(paths) == 2:
            from .load_pair import compare_files

            comparisons = [compare_files(Path(paths[0]), Path(paths[1]), *paths)]
        else:
            raise click.UsageError("give two files, OLD and NEW, or --git REV")
    except LowerError as error:
        show_findings(error.diagnostics, form if form in FORMATS else "text")
        raise SystemExit(FAILED) from None
    problems = each_once(problem for comparison in comparisons for problem in comparison.problems)
    _show(comparisons, problems, form, fail_on)
    from .show import all_kinds

    found = {kind for comparison in comparisons for kind in all_kinds(comparison)}
    raise SystemExit(exit_status(found=bool(found & fail_on), failed=bool(problems)))


def _show(
    comparisons: Sequence[Comparison], problems: Sequence[Diagnostic], form: str, fail_on: frozenset[Kind]
) -> None:
    from . import show

    if form in ("text", "json", "markdown"):
        if form == "text":
            click.echo(show.as_text(comparisons))
        elif form == "json":
            click.echo(show.as_data(comparisons))
        else:
            from .show_markdown import as_markdown

            click.echo(as_markdown(comparisons), nl=False)
        show_findings(problems, "text") if form != "json" else None
    else:
        show_findings([*problems, *show.as_findings(comparisons, fail_on)], form, err=False)


def _of_revisions(revision: str, paths: Sequence[str]) -> list[Comparison]:
    from .load_pair import compare_files
    from .model import Comparison
    from .revisions import Repository

    repository = Repository(f"--git {revision}")
    old, new = repository.range(revision)
    if nothing := [reason for path in paths if (reason := repository.nothing_at(path, old, new)) is not None]:
        raise LowerError(nothing)
    found = []
    for pair in repository.changed(old, new, paths):
        with tempfile.TemporaryDirectory() as scratch:
            sides: list[Path | None] = []
            for commit, path, name in ((old, pair.old, "old"), (new, pair.new, "new")):
                if path is None:
                    sides.append(None)
                elif commit is None:
                    sides.append(repository.file(path))
                else:
                    sides.append(repository.extract(commit, path, Path(scratch, name)))
            names = [repository.shown(path) for path in (pair.old or pair.new, pair.new or pair.old) if path]
            found.append(compare_files(sides[0], sides[1], *names, tables=True))
    for name, reason in repository.unseen(old, new, paths):
        found.append(Comparison(repository.shown(name), repository.shown(name), None, None, problems=(reason,)))
    return [one for one in found if one.changes or one.problems or one.old is None or one.new is None]


COMMANDS = (diff,)
