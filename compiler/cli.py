"""The command line. `pflow-lower WORKFLOW` is short for `pflow-lower lower WORKFLOW`."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, NoReturn

import click

from . import __version__
from .command_options import EXAMPLES
from .exit_status import DONE, FAILED, INTERRUPTED
from .files import regular_files
from .ir.report import nearest
from .stdio import cannot_write

JUDGES = frozenset({"check", "diff", "lint", "prove"})
"""The commands whose exit status is an answer: one that could not be printed must not read as a pass."""

ELSEWHERE = {
    "check": "tools.check.command",
    "diff": "tools.diff.command",
    "disable": "pflow.cli",
    "enable": "pflow.cli",
    "explain": "tools.explain.command",
    "guide": "tools.guide.command",
    "journal": "tools.journal.command",
    "lint": "tools.lint.command",
    "lower": "tools.lower.command",
    "lsp": "tools.lsp.command",
    "pflow": "pflow.cli",
    "plan": "tools.plan.command",
    "prove": "pflow.cli",
    "run": "pflow.cli",
    "schema": "tools.schema.command",
    "status": "pflow.cli",
    "view": "tools.view.command",
}
"""The commands besides `completion`: each stands in a module of its own area, which is imported when
the command is asked for. `COMMANDS` of that module holds it."""


class Commands(click.Group):
    """A group of commands in which `lower` may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `lower` before arguments that name no command."""
        if args and args[0] not in self.list_commands(ctx) and args[0] not in ("--help", "-h", "--version"):
            if (command := self._mistyped(ctx, args[0])) is not None:
                raise click.UsageError(f"no command and no file is called {args[0]!r}; did you mean `{command}`?", ctx)
            args = ["lower", *args]
        return super().parse_args(ctx, args)

    def _mistyped(self, ctx: click.Context, word: str) -> str | None:
        """The command that `word` was probably meant to be, unless it is, or looks like, a workflow."""
        if not word.replace("-", "").isalnum() or word.startswith("-") or os.path.lexists(word):
            return None
        return nearest(word, self.list_commands(ctx))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, by name."""
        return sorted({*self.commands, *ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in self.commands and cmd_name in ELSEWHERE:
            module = import_module(f".{ELSEWHERE[cmd_name]}", __package__)
            self.add_command(next(command for command in module.COMMANDS if command.name == cmd_name))
        return super().get_command(ctx, cmd_name)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments; `--help` prints here, and what it prints to may take nothing more."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except OSError as error:
            raise click.exceptions.Exit(cannot_write(error)) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what stops it from outside becomes an exit status."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except OSError as error:
            status = cannot_write(error)
            if status == DONE and ctx.invoked_subcommand in JUDGES:
                status = FAILED  # `check | head` is not a pass: what it would have answered is not known
            raise click.exceptions.Exit(status) from None
        finally:
            regular_files.allow_outside(False)  # it was said for this command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Commands, and what may stand where a command does: a workflow, or an option of `lower`."""
        from click.shell_completion import CompletionItem

        found = super().shell_complete(ctx, incomplete)
        if not incomplete.startswith("-"):
            return [*found, CompletionItem(incomplete, type="file")]
        known = {item.value for item in found}
        lower = self.get_command(ctx, "lower")
        assert lower is not None
        return found + [item for item in lower.shell_complete(ctx, incomplete) if item.value not in known]


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
    epilog=EXAMPLES,
    invoke_without_command=True,
    subcommand_metavar="WORKFLOW | COMMAND ...",
)
@click.version_option(__version__, message="pflow-lower %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Compile batch-annotated workflow nodes into readable Python.

    `pflow-lower WORKFLOW` prints the workflow with its batch nodes expanded; WORKFLOW is a .json or
    .pflow.md file, or - for standard input. Its options: `pflow-lower lower --help`.

    JSON is for compiling, for programs and for pflow as a library; what pflow's command runs is .pflow.md.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@cli.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL; source it in the shell's start-up file."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # click knows the three shells of the choice above
    click.echo(found(cli, {}, "pflow-lower", "_PFLOW_LOWER_COMPLETE").source())


def run(arguments: list[str]) -> NoReturn:
    """Run the command with `arguments` and exit."""
    cli.main(arguments, prog_name="pflow-lower")
    raise SystemExit(DONE)
