"""`pflow-lower journal list | show | clear | export`. What they do is imported when it is done."""

from __future__ import annotations

import click

_FORM = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
_NAME = click.argument("name", metavar="WORKFLOW|JOURNAL")


@click.group(short_help="See, clear and export what interrupted runs have left.")
def journal() -> None:
    """See and clear the journals of runs: what finished items gave, until the run has ended well.

    A journal is named by its workflow's file, or as `list` shows it. The exit status is 0; 1 if there is no journal;
    2 if one cannot be read, or is in use by a run.
    """


@journal.command("list")
@_FORM
def list_journals(form: str) -> None:
    """List all journals: the workflow, finished items by node, when the last run began, size.

    A workflow that was renamed, moved or removed is marked as gone: its next run starts with a journal of its own.
    """
    from . import run

    run.list_journals(form)


@journal.command()
@_NAME
@_FORM
def show(name: str, form: str) -> None:
    """Show the finished items in a journal, in the order in which they ended."""
    from . import run

    run.show(name, form)


@journal.command()
@click.argument("names", nargs=-1, metavar="[WORKFLOW|JOURNAL]...")
@click.option("--all", "every", is_flag=True, help="All journals.")
def clear(names: tuple[str, ...], every: bool) -> None:
    """Forget journals: the next run does every item again."""
    from . import run

    if every and names:
        raise click.UsageError("--all clears every journal: name journals, or say --all, not both")
    if not every and not names:
        raise click.UsageError("name the journals to clear, or say --all")
    run.clear(names)


@journal.command()
@_NAME
def export(name: str) -> None:
    """Print the finished items in a journal as JSON Lines: node, key, seconds, cost, result."""
    from . import run

    run.export(name)


COMMANDS = (journal,)
