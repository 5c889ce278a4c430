"""`pflow-lower guide`: everything that is too long for the README, a topic at a time."""

from __future__ import annotations

import click

from ...exit_status import FAILED
from ...ir.report import nearest, quoted
from .topics import topics


@click.command(short_help="Print a topic of the guide, or list the topics.")
@click.argument("topic", required=False)
def guide(topic: str | None) -> None:
    """Print TOPIC of the guide, which is Markdown; without one, list the topics.

    `pflow-lower guide batches` is for whoever writes batches, language models that plan workflows included.

    The exit status is 0, or 2 if there is no such topic.
    """
    known = topics()
    if topic is None:
        width = max(map(len, known))
        click.echo("".join(f"{name:{width}}  {found.summary}\n" for name, found in known.items()), nl=False)
        click.echo("\nRead one with: pflow-lower guide TOPIC")
        return
    if topic not in known:
        guess = nearest(topic, known)
        help = f"did you mean `{guess}`?" if guess else f"there are: {', '.join(known)}"
        click.echo(f"pflow-lower: no topic is called {quoted([topic])}\n  {help}", err=True)
        raise SystemExit(FAILED)
    click.echo(known[topic].markdown, nl=False)


COMMANDS = (guide,)
