"""The commands that have to do with pflow: `pflow`, `run`, `enable`, `disable`, `status`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from .. import install_hints
from ..exit_status import FAILED

JSON_DOES_NOT_RUN = (
    "pflow's command runs .pflow.md workflows only\n"
    "  JSON workflows are for compiling, for programs (pflow-lower WORKFLOW -o DIR --program)"
    " and for pflow as a library"
)


class PassedOn(click.Command):
    """A command whose arguments are another program's, options and `--` included."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take all of them as they are; a first one that asks for help may mean this command."""
        if args[:1] in (["-h"], ["--help"]) and self.add_help_option:
            return super().parse_args(ctx, args[:1])
        ctx.args = list(args)
        return []


@click.command("pflow", cls=PassedOn, add_help_option=False, options_metavar="ARGS...")
@click.pass_context
def run_pflow(ctx: click.Context) -> None:
    """Run pflow's own command line; batches run as generated code."""
    _pflow(ctx.args)


@click.command("run", cls=PassedOn, options_metavar="WORKFLOW [KEY=VALUE]...")
@click.pass_context
def run_workflow(ctx: click.Context) -> None:
    """Run WORKFLOW in pflow: short for `pflow-lower pflow run`.

    WORKFLOW is a .pflow.md file, or the name of a workflow that pflow has saved.
    """
    for argument in ctx.args:
        if argument.lower().endswith(".json") and "=" not in argument:
            _refuse(f"{argument}: {JSON_DOES_NOT_RUN}")
    _pflow(["run", *ctx.args])


@click.command()
@click.option("--when-asked", is_flag=True, help="Act only on commands with PFLOW_LOWER=1 in their environment.")
def enable(when_asked: bool) -> None:
    """Have the plain `pflow` of this Python run generated code.

    Writes one file into site-packages, and says which. PFLOW_LOWER=0 switches it off for one command.
    """
    from .enable import Refused
    from .enable import enable as enable_it

    try:
        click.echo(f"wrote {enable_it(when_asked=when_asked)}")
    except Refused as error:
        _refuse(error)


@click.command()
def disable() -> None:
    """Undo `enable`."""
    from .enable import Refused
    from .enable import disable as disable_it

    try:
        removed = disable_it()
    except Refused as error:
        _refuse(error)
    click.echo("nothing to disable" if removed is None else f"removed {removed}")


@click.command()
def status() -> None:
    """Say whether `enable` is in force, and for which pflow."""
    from .enable import status as lines

    click.echo("\n".join(lines()))


@click.command(options_metavar="", short_help="Compare interpreter and generated code on scripted results.")
@click.argument("workflow", type=click.Path())
@click.argument("inputs", nargs=-1, metavar="[KEY=VALUE]...")
def prove(workflow: str, inputs: tuple[str, ...]) -> None:
    """Compare pflow's interpreter and the generated classes on scripted results.

    Every batch node of WORKFLOW runs some hundred times in both: nodes that succeed, fail in every way, are slow
    or refuse, with 0, 1, 5 and more items, on a virtual clock. Nothing is called and nothing is waited for. Inputs
    that are not given are made up, and so is what the steps before a batch would have given.

    The exit status is 0 if all agree, 1 if there is a difference (it is shown), 2 if it could not be found out.
    """
    from .prove.run import prove_all

    raise SystemExit(prove_all(workflow, inputs))


COMMANDS = (run_pflow, run_workflow, enable, disable, status, prove)


def start_pflow(arguments: Sequence[str]) -> NoReturn:
    """Run `pflow` with `arguments` in this process, as its own script does, and exit as it does.

    Raises: Refused, if pflow is not installed.
    """
    from .enable import Refused, is_wanted
    from .lazy_install import install_when_imported

    if is_wanted(True):
        install_when_imported()
    sys.argv = ["pflow", *arguments]
    # Usage lines name the program; under `python -m pflow_lower` click would make that the module.
    sys.modules["__main__"].__package__ = None
    try:
        from pflow.cli import cli_main
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "pflow":
            raise
        where = f"pflow is not installed in this Python ({sys.executable})"
        raise Refused(f"{where}: {install_hints.PFLOW}") from error
    cli_main()
    raise SystemExit(0)


def _pflow(arguments: Sequence[str]) -> NoReturn:
    from .enable import Refused

    try:
        start_pflow(arguments)
    except Refused as error:
        _refuse(error)


def _refuse(error: object) -> NoReturn:
    click.echo(f"pflow-lower: {error}", err=True)
    raise SystemExit(FAILED)
