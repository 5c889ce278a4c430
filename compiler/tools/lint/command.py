"""`pflow-lower lint`: its options."""

from __future__ import annotations

from pathlib import Path

import click

from ...command_options import allow_outside, nodes_file
from ...diagnostics.formats.show import FORMATS


def _codes(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Codes and beginnings of codes, separated by commas."""
    codes = tuple(code.strip().upper() for value in values for code in value.split(","))
    from ..shared.suppression_table import known_codes

    for code in codes:
        if not code or not any(known.startswith(code) for known in known_codes()):
            raise click.BadParameter(f"{code!r} is not a lint code or prefix (example: PFL501)")
    return codes


@click.command(short_help="Find what costs money, time or data.")
@click.argument("workflow", nargs=-1, required=True, metavar="WORKFLOW...", type=click.Path(path_type=str))
@click.option(
    "--select",
    metavar="CODES",
    multiple=True,
    callback=_codes,
    help="Only these: PFL501, or PFL5 for all of lint's own.",
)
@click.option("--ignore", metavar="CODES", multiple=True, callback=_codes, help="Not these. The longer code counts.")
@click.option("--portable", is_flag=True, help="Also what pflow without pflow-lower would refuse (PFL516).")
@click.option("--fix", "mend", is_flag=True, help="Mend what can be mended without a change of behaviour.")
@nodes_file
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How findings are printed."
)
@allow_outside
@click.option("-q", "--quiet", is_flag=True, help="No summary on stderr.")
def lint(
    workflow: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    portable: bool,
    mend: bool,
    nodes: Path | None,
    form: str,
    quiet: bool,
) -> None:
    """Find what can be proven about WORKFLOWs and costs money, time or data.

    A WORKFLOW is a .json or .pflow.md file, a folder to search, or - for standard input. Findings go to stdout.
    In a folder, all .pflow.md and .pflow.json files are workflows, and .json files that look like one, in whatever
    encoding: where one cannot be read, that is an error. Other JSON of which nobody can tell is named on stderr.

    A finding that you accept goes into pyproject.toml:

    \b
        [tool.pflow-lower.lint.ignore]
        "flows/*.json" = { classify = ["PFL501"], "*" = ["PFL513"] }

    The exit status is 0 if nothing was found, 1 if something was, 2 if a workflow could not be read or is invalid.
    """
    from .run import run
    from .table import PORTABLE

    if portable:
        select = (*(select or ("PFL",)), PORTABLE)
    raise SystemExit(run(workflow, select, ignore, mend, nodes, form, quiet))


COMMANDS = (lint,)
