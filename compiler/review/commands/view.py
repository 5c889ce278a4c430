"""The command `view`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ...diagnostics import LowerError, Severity
from ...findings import show_findings

FAILED = 2


@click.command()
@click.argument("workflow", type=click.Path(path_type=str))
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path), help="Where the page goes, instead of a temporary file."
)
@click.option("--no-open", is_flag=True, help="Do not open the page in a browser.")
@click.option("--serve", is_flag=True, help="Serve the page at 127.0.0.1 and load it again whenever WORKFLOW is saved.")
@click.option(
    "--nodes", metavar="FILE", type=click.Path(path_type=Path), help="A TOML file: the class of each node type."
)
def view(workflow: str, out: Path | None, no_open: bool, serve: bool, nodes: Path | None) -> None:
    """Show WORKFLOW beside what it becomes, in a browser.

    Makes one HTML page that needs nothing else and prints where it is. Point at a line to see where it came from and
    what it became. A workflow with errors makes a page, too: with the errors where they are.
    """
    if serve:
        if out is not None or workflow == "-":
            raise click.UsageError("--serve keeps a page for one file up to date: it takes no --out and no -")
        from ..view.server import serve as keep_serving

        try:
            keep_serving(workflow, nodes, say=lambda url: _show(url, no_open))
        except LowerError as error:
            show_findings(error.diagnostics, "text")
            raise SystemExit(FAILED) from None
        return
    from ..view.explore import explore
    from ..view.page import render
    from ..view.place import put

    try:
        explored = explore(workflow, nodes, stdin=sys.stdin.buffer)
        if not explored.text:
            raise LowerError(explored.findings)
        path = put(render(explored), workflow, out)
    except LowerError as error:
        show_findings(error.diagnostics, "text")
        raise SystemExit(FAILED) from None
    show_findings([f for f in explored.findings if f.severity is Severity.ERROR], "text")
    _show(path.as_uri(), no_open, shown=str(path))


def _show(url: str, no_open: bool, shown: str = "") -> None:
    """Say where the page is, and open it."""
    click.echo(shown or url)
    if no_open:
        return
    import webbrowser

    if not webbrowser.open(url):
        click.echo("no browser could be started: open it yourself", err=True)


COMMANDS = (view,)
