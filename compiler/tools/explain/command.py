"""`pflow-lower explain`: what a code means, and where a generated line comes from."""

from __future__ import annotations

from typing import Any

import click

from ...diagnostics.codes import CODES
from ...exit_status import FAILED


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    found = [CompletionItem(code, help=title) for code, title in CODES.items() if code.startswith(incomplete.upper())]
    return found or [CompletionItem(incomplete, type="file")]


@click.command(short_help="Say what a code means, or where a generated line comes from.")
@click.argument("what", required=False, metavar="[CODE | FILE:LINE]", shell_complete=_complete)
def explain(what: str | None) -> None:
    """Say what a code means, or where a line of a generated file comes from.

    \b
    pflow-lower explain PFL301       the code in words, with a wrong and a right example
    pflow-lower explain nodes.py:42  the line of the workflow that this line was made of
    pflow-lower explain              all codes

    The exit status is 0, or 2 if there is no such code or line.
    """
    from .explain import code_in_words, codes, line_in_words, place
    from .generated_file import CannotExplain

    try:
        if what is None:
            text = codes()
        else:
            at = place(what)
            text = code_in_words(what) if at is None else line_in_words(*at)
    except CannotExplain as error:
        click.echo(f"pflow-lower: {error}", err=True)
        raise SystemExit(FAILED) from None
    click.echo(text)


COMMANDS = (explain,)
