"""The command `view`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...command_options import allow_outside, nodes_file, out_folder
from ...diagnostics.diagnostic import LowerError, Severity
from ...diagnostics.formats.show import show_findings
from ...exit_status import FAILED

if TYPE_CHECKING:
    from .explore import Explored


@click.command()
@click.argument("workflow", type=click.Path(path_type=str))
@click.option(
    "-o",
    "--out",
    metavar="DIR|FILE.html",
    callback=out_folder,
    help="Write WORKFLOW's page into DIR, or as the file DIR/NAME.html; without it, into a temporary folder.",
)
@click.option("--no-open", is_flag=True, help="Do not open the page in a browser.")
@allow_outside
@click.option("--serve", is_flag=True, help="Serve the page at 127.0.0.1 and load it again whenever WORKFLOW is saved.")
@nodes_file
def view(workflow: str, out: Path | None, no_open: bool, serve: bool, nodes: Path | None) -> None:
    """Show WORKFLOW beside what it becomes, in a browser.

    Makes one HTML page that needs nothing else and prints where it is. Point at a line to see where it came from and
    what it became. A workflow with errors makes a page, too: with the errors where they are. The exit status is 0, or 2
    if the workflow cannot be lowered.
    """
    if serve:
        if out is not None or workflow == "-":
            raise click.UsageError("--serve keeps a page for one file up to date: it takes no --out and no -")
        from .server import serve as keep_serving

        try:
            keep_serving(workflow, nodes, make=partial(_page, workflow), say=lambda url: _show(url, no_open))
        except LowerError as error:
            show_findings(error.diagnostics, "text")
            raise SystemExit(FAILED) from None
        return
    from .explore import explore
    from .place import put

    try:
        explored = explore(workflow, nodes, stdin=sys.stdin.buffer)
        if not explored.text:
            raise LowerError(explored.findings)
        path = put(_page(workflow, explored), workflow, out)
    except LowerError as error:
        show_findings(error.diagnostics, "text")
        raise SystemExit(FAILED) from None
    show_findings([f for f in explored.findings if f.severity is Severity.ERROR], "text")
    _show(path.as_uri(), no_open, shown=str(path))
    if explored.compiled is None:
        raise SystemExit(FAILED)


def _page(workflow: str, explored: Explored, live: str = "") -> str:
    """The page of what was explored, written or served."""
    from .page import render
    from .reviewed import findings_of, plan_of

    return render(explored, findings_of(explored, workflow), plan_of(explored, workflow), live=live)


def _show(url: str, no_open: bool, shown: str = "") -> None:
    """Say where the page is, and open it."""
    click.echo(shown or url)
    if no_open:
        return
    import webbrowser

    if not webbrowser.open(url):
        click.echo("no browser could be started: open it yourself", err=True)


COMMANDS = (view,)
