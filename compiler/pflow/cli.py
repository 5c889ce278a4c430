"""The commands that have to do with pflow: `pflow`, `run`, `enable`, `disable`, `status`, `prove`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
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
    """A command whose arguments are another program's, options and `--` included, but for options of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take its own options; leave all others as they are. The first of those may ask for help of this command."""
        own, others = self._sorted(args)
        if others[:1] in (["-h"], ["--help"]) and self.add_help_option:
            return super().parse_args(ctx, others[:1])
        super().parse_args(ctx, own)
        ctx.args = others
        return []

    def _sorted(self, args: list[str]) -> tuple[list[str], list[str]]:
        """The arguments that are options of this command, and all others. After `--` nothing is."""
        options = {name: option for option in self.params for name in option.opts if isinstance(option, click.Option)}
        own: list[str] = []
        others: list[str] = []
        left = iter(args)
        for arg in left:
            option = options.get(arg.partition("=")[0])
            if arg == "--":
                others += [arg, *left]
            elif option is None:
                others.append(arg)
            else:
                own.append(arg)
                if not option.is_flag and "=" not in arg:
                    own += [value for value in [next(left, None)] if value is not None]
        return own, others


def _dollars(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """The value of --budget, which means what it means to a program. Raises: click.BadParameter."""
    from argparse import ArgumentTypeError

    from ..runtime.arguments import dollars

    try:
        return None if value is None else dollars(value)
    except ArgumentTypeError as error:
        raise click.BadParameter(str(error)) from None


def _place(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """The value of --on, likewise. Raises: click.BadParameter."""
    from ..runtime.run import place_of

    try:
        place_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value


@click.command("pflow", cls=PassedOn, add_help_option=False, options_metavar="ARGS...")
@click.pass_context
def run_pflow(ctx: click.Context) -> None:
    """Run pflow's own command line; batches run as generated code."""
    words = [word for word in ctx.args if word[:1] != "-"]
    if words[:1] == ["run"] or (words and _is_json(words[0])):  # other commands of pflow's may take JSON
        _refuse_json(ctx.args)
    _pflow(ctx.args)


@click.command(
    "run",
    cls=PassedOn,
    options_metavar="[OPTIONS] WORKFLOW [NAME=VALUE]...",
    short_help="Run WORKFLOW in pflow; also --resume, --budget, --limit.",
)
@click.option("--resume", is_flag=True, help="Journal the items of every batch, and do only what is not done.")
@click.option("--fresh", is_flag=True, help="Forget what earlier runs of the same inputs have journalled.")
@click.option(
    "--budget",
    metavar="DOLLARS",
    callback=_dollars,
    help="Start no item once so many dollars are known to be spent.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Run only the first items of every batch.")
@click.option("--on", metavar="ray[=ADDRESS]", callback=_place, help="Run parallel batches on a Ray cluster.")
@click.option("--quiet", is_flag=True, help="Show no progress: pflow's -p, which prints the result only.")
@click.pass_context
def run_workflow(
    ctx: click.Context,
    resume: bool,
    fresh: bool,
    budget: float | None,
    limit: int | None,
    on: str | None,
    quiet: bool,
) -> None:
    """Run WORKFLOW in pflow: `pflow-lower pflow run`, with options of its own.

    WORKFLOW is a .pflow.md file, or the name of a workflow that pflow has saved. All other options are those
    of `pflow run`, and so is the exit status. PFLOW_LOWER_RESUME=1 is --resume for a plain pflow.
    """
    _refuse_json(ctx.args)
    _refuse_generated(ctx.args)
    _refuse_twice(ctx.args)
    _tell_of_tables(ctx.args)
    from .asked import Asked, ask
    from .enable import SWITCH, is_wanted

    asked = Asked(True if resume else None, fresh, budget, limit, on)
    if asked != Asked() and not is_wanted(True):
        raise click.UsageError(f"{SWITCH}={os.environ[SWITCH]} switches pflow-lower off, and with it this option", ctx)
    ask(asked)
    own = [name for option in ctx.command.params for name in option.opts]
    _pflow(["run", *(["-p"] if quiet else []), *ctx.args], own)


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
@click.argument("inputs", nargs=-1, metavar="[NAME=VALUE]...")
def prove(workflow: str, inputs: tuple[str, ...]) -> None:
    """Compare pflow's interpreter and the generated classes on scripted results.

    Every batch node of WORKFLOW runs some hundred times in both: nodes that succeed, fail in every way, are slow
    or refuse, with 0, 1, 5 and more items, on a virtual clock. Nothing is called and nothing is waited for. Inputs
    that are not given are made up, and so is what the steps before a batch would have given.

    The exit status is 0 if all agree, 1 if there is a difference (it is shown), 2 if a batch could not be compared.
    """
    from .prove.run import prove_all

    raise SystemExit(prove_all(workflow, inputs))


COMMANDS = (run_pflow, run_workflow, enable, disable, status, prove)


def start_pflow(arguments: Sequence[str], own: Sequence[str] = ()) -> NoReturn:
    """Run `pflow` with `arguments` in this process, as its own script does, and exit as it does.

    `own` are the options that the caller has besides. Raises: Refused, if pflow is not installed; click.NoSuchOption,
    for an argument that neither of both knows and that is nearly one of `own`.
    """
    from .asked import ask, asked_for
    from .enable import Refused, is_wanted
    from .lazy_install import install_when_imported
    from .resuming import note_exit, say_how

    if is_wanted(True):
        install_when_imported()
    ask(asked_for()._replace(until_exit=True))
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
    _refuse_misspelt(arguments, own, sys.modules[cli_main.__module__])
    try:
        cli_main()
    except SystemExit as ended:
        note_exit(ended.code)
        if ended.code:
            say_how()
        raise
    except BaseException as error:  # whatever ends pflow: its results may not be out
        note_exit(error)
        raise
    raise SystemExit(0)


def _is_json(argument: str) -> bool:
    return argument.lower().endswith(".json") and "=" not in argument


def _refuse_json(arguments: Sequence[str]) -> None:
    """Say of a JSON workflow that pflow's command does not take it, before pflow starts, and exit."""
    for argument in filter(_is_json, arguments):
        _refuse(f"{argument}: {JSON_DOES_NOT_RUN}")


def _refuse_generated(arguments: Sequence[str]) -> None:
    """Say of a module that pflow-lower has written that it is not the workflow, and exit: pflow would parse it."""
    from pathlib import Path

    from ..files.generated_header import HEADER_BYTES
    from ..files.regular_files import read_start
    from ..load.load import generated_module

    for argument in arguments:
        if argument.endswith(".py"):
            with contextlib.suppress(OSError):  # pflow says what there is to say of it
                if (refused := generated_module(read_start(Path(argument), HEADER_BYTES), argument)) is not None:
                    click.echo(str(refused), err=True)
                    raise SystemExit(FAILED)


def _refuse_twice(arguments: Sequence[str]) -> None:
    """Say that an input is given twice, of which pflow would take the last without a word, and exit."""
    from ..runtime.arguments import named

    try:
        named(argument for argument in arguments if "=" in argument and not argument.startswith("-"))
    except ValueError as error:
        _refuse(error)


def _refuse_misspelt(arguments: Sequence[str], own: Sequence[str], pflow: ModuleType) -> None:
    """Refuse what is nearly an option of `own`: pflow would take it for an input, and say so, or drop it.

    `pflow` is the module of its command line, whose commands know which options are pflow's: some are near ours. That
    of 0.8.1 has no command before it starts, and that version no option that is near.
    """
    from ..ir.report import nearest

    names = {name.lstrip("-"): name for name in own if name.startswith("--")}
    commands = [value for value in vars(pflow).values() if isinstance(value, click.Command)]
    theirs = {opt for each in commands for param in each.params for opt in (*param.opts, *param.secondary_opts)}
    for argument in arguments[: arguments.index("--")] if "--" in arguments else arguments:
        name = argument.partition("=")[0]
        if not name.startswith("-") or name in theirs:
            continue
        guess = nearest(name.lstrip("-"), names) or (name.lstrip("-") if name.lstrip("-") in names else None)
        if guess is not None:
            context = click.get_current_context(silent=True)
            raise click.NoSuchOption(name, possibilities=[names[guess]], ctx=context)


def _tell_of_tables(arguments: Sequence[str]) -> None:
    """Say which tables beside the workflow nobody reads: whoever wrote one takes it for what the run keeps to."""
    from pathlib import Path

    from ..node_types.run_tables import unread_for

    for argument in arguments:
        if argument.endswith(".md") and "=" not in argument and os.path.isfile(argument):
            for finding in unread_for(Path(argument).parent):
                click.echo(finding.render(), err=True)


def _pflow(arguments: Sequence[str], own: Sequence[str] = ()) -> NoReturn:
    from .enable import Refused

    try:
        start_pflow(arguments, own)
    except Refused as error:
        _refuse(error)


def _refuse(error: object) -> NoReturn:
    click.echo(f"pflow-lower: {error}", err=True)
    raise SystemExit(FAILED)
