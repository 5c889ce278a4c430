"""Options that several commands have, and the examples that their help shows."""

from __future__ import annotations

from pathlib import Path

import click

from .files import regular_files

EXAMPLES = """
\b
Examples:
  pflow-lower workflow.json               show the expanded IR
  pflow-lower workflow.json --emit both   ... and the generated code
  pflow-lower workflow.pflow.md -o out    write lowered.json and nodes.py
  pflow-lower workflow.json -o out --program --standalone
                                          ... and a program to run anywhere
  cat workflow.json | pflow-lower -       read from standard input
"""
"""What can be done with a workflow, for the help of the group and of `lower`."""

allow_outside = click.option(
    "--allow-outside",
    is_flag=True,
    expose_value=False,
    callback=lambda _context, _parameter, value: regular_files.allow_outside(value),
    help="Also read, and write, what links and ../ lead to outside of the repository.",
)
"""The option of every command that looks at a workflow: by default, nothing outside of its repository."""

nodes_file = click.option(
    "--nodes", metavar="FILE", type=click.Path(path_type=Path), help="A TOML file: the class of each node type."
)
"""The option of commands that need to know the classes of node types."""


def out_folder(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Path | None:
    """The value of -o."""
    return None if value is None else path_given(value)


def paths_given(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Path, ...]:
    """The paths that a command goes through."""
    return tuple(map(path_given, values))


def path_given(value: str) -> Path:
    """A path of a command line: an empty one is a variable that was not set, never this folder."""
    if value == "":
        raise click.BadParameter("is empty; for this folder, write `.`")
    return Path(value)
