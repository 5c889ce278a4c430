"""`pflow-lower schema`: JSON Schemas for editors and for programs."""

from __future__ import annotations

import click

from .schema import names, schema_text


@click.command(short_help="Print the JSON Schema of workflows, or of an output.")
@click.argument("name", type=click.Choice(names()), default="workflow")
def schema(name: str) -> None:
    """Print the JSON Schema of workflows, for editors; or of what a command prints or writes.

    In VS Code, after `pflow-lower schema > workflow.schema.json`, in .vscode/settings.json:

    \b
    "json.schemas": [
      {"fileMatch": ["flows/*.json"], "url": "./workflow.schema.json"}
    ]
    """
    click.echo(schema_text(name))


COMMANDS = (schema,)
