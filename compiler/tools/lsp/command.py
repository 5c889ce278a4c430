"""The command `lsp`."""

from __future__ import annotations

import click

from ... import install_hints
from ...command_options import allow_outside
from ...exit_status import FAILED


@click.command(short_help="Serve editors: findings while typing, hover, definitions.")
@allow_outside
@click.option("--stdio", is_flag=True, help="Serve on standard input and output (the only way there is).")
def lsp(stdio: bool) -> None:
    """Run the language server for `.pflow.md` and `.json` workflows on stdin/stdout.

    An editor starts it: findings while typing, what a reference resolves to, where it is declared, and the
    generated code of a batch node. Needs pygls.
    """
    try:
        import pygls.lsp.server  # noqa: F401  what the import below needs, so that its own errors are not hidden
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        click.echo(f"pflow-lower: the language server needs pygls: {install_hints.LANGUAGE_SERVER}", err=True)
        raise SystemExit(FAILED) from None
    from .server import start

    start()


COMMANDS = (lsp,)
