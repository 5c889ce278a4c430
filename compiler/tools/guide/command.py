"""`pflow-lower guide`: how to write batches, for people and for planners."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Print the authoring guide, for people and LLM planners.")
def guide() -> None:
    """Print the authoring guide: when to batch, how to write it, what comes out, what it costs.

    It is Markdown, for people and for language models that plan workflows.
    """
    file = Path(__file__).with_name("guide.md")
    click.echo(file.read_text(encoding="utf-8"), nl=False)


COMMANDS = (guide,)
