"""The command line. `pflow-lower WORKFLOW` is short for `pflow-lower lower WORKFLOW`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from . import __version__, pipeline, regular_files
from .diagnostics.diagnostic import LowerError, printable
from .diagnostics.formats.show import FORMATS, in_colour, show_findings
from .exit_status import DONE, FAILED, INTERRUPTED
from .generated_names import LOWERED, MAP
from .ir.report import nearest
from .options import Options
from .stdio import cannot_write

_EXAMPLES = """
\b
Examples:
  pflow-lower workflow.json               show the expanded IR
  pflow-lower workflow.json --emit both   ... and the generated code
  pflow-lower workflow.pflow.md -o out    write lowered.json and nodes.py
  pflow-lower workflow.json -o out --program --standalone
                                          ... and a program to run anywhere
  cat workflow.json | pflow-lower -       read from standard input
"""


def out_folder(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Path | None:
    """The value of -o: an empty one is a variable that was not set, never this folder."""
    if value == "":
        raise click.BadParameter("is empty; for this folder, write `.`")
    return None if value is None else Path(value)


_NAMED = 5
"""So many files are named; of more there is a number."""

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
    "lsp": "tools.lsp.command",
    "pflow": "pflow.cli",
    "plan": "tools.plan.command",
    "prove": "pflow.cli",
    "run": "pflow.cli",
    "schema": "tools.schema.command",
    "status": "pflow.cli",
    "view": "tools.view.command",
}
"""The commands besides `lower` and `completion`: each stands in a module of its own area, which is imported when
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
        return found + [item for item in lower.shell_complete(ctx, incomplete) if item.value not in known]


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
    epilog=_EXAMPLES,
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


@cli.command(epilog=_EXAMPLES)
@click.argument("workflow", type=click.Path(path_type=str))
@click.option(
    "--emit",
    type=click.Choice(["ir", "python", "both", "graph"]),
    default="ir",
    show_default=True,
    help="What to print; graph is a Mermaid flowchart of the workflow before and after.",
)
@click.option(
    "-o",
    "--out",
    metavar="DIR",
    callback=out_folder,
    help="Write the files into DIR; print which.",
)
@click.option("--program", is_flag=True, help="Also make flow.py, the whole workflow as a PocketFlow program.")
@click.option("--standalone", is_flag=True, help="Also copy the runtime, so that pflow-lower is not needed to run.")
@click.option("--maps", is_flag=True, help="Also write source maps: generated line -> line of the workflow.")
@nodes_file
@click.option(
    "--print-after",
    metavar="STAGE",
    multiple=True,
    type=click.Choice(pipeline.STAGES),
    help=f"Show on stderr what a stage gave: {', '.join(pipeline.STAGES)}.",
)
@click.option(
    "--print-changed", is_flag=True, help="Show on stderr what each stage changed in the workflow, as a diff."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How findings are printed on stderr.",
)
@allow_outside
@click.option("-q", "--quiet", is_flag=True, help="Print no warnings and no notes.")
@click.option("--watch", "watching", is_flag=True, help="Lower again whenever a file changes, until Ctrl-C.")
@click.pass_context
def lower(
    context: click.Context,
    workflow: str,
    emit: str,
    out: Path | None,
    program: bool,
    standalone: bool,
    maps: bool,
    nodes: Path | None,
    print_after: tuple[str, ...],
    print_changed: bool,
    form: str,
    quiet: bool,
    watching: bool,
) -> None:
    """Expand the batch nodes of WORKFLOW (the default command).

    Prints the expanded IR, or writes it and the generated code with -o. Findings go to stderr. The
    exit status is 0 if the workflow could be lowered and 2 if not.
    """

    changes = _Changes() if print_changed else None

    def watch(stage: str, result: Any) -> None:
        if changes is not None:
            changes.watch(stage, result)
        if stage in print_after:
            from .tools.shared.stage_dump import dump_stage

            click.echo(f"--- after {stage}\n{dump_stage(result)}", err=True)

    shows_files = out is not None or emit in ("python", "both") or "emit" in print_after
    asked_to_print = context.get_parameter_source("emit") is not ParameterSource.DEFAULT
    unseen = (program and not shows_files and "lower" not in print_after) or (standalone and not shows_files)
    _refuse(
        {
            "-o writes the files and does not print them: leave out -o, or --emit": out is not None and asked_to_print,
            "--program and --standalone make files: add -o DIR, or --emit python to see them": unseen,
            "--maps writes files beside the generated ones: add -o DIR": maps and out is None,
        }
    )
    if watching:
        from .tools.shared.watch import watch_command, workflow_state

        watch_command(context, lambda: workflow_state(Path(workflow), nodes), workflow)
    options = Options(
        nodes_file=nodes,
        out=out,
        code=shows_files or program,
        program=program,
        standalone=standalone,
        maps=maps,
        ask_pflow=True,
    )
    try:
        compiled = pipeline.run(workflow, options, on_stage=watch)
        written = _write(compiled.files, out, workflow) if out is not None else None
    except LowerError as error:
        show_findings(error.diagnostics, form)
        raise SystemExit(FAILED) from None
    show_findings(compiled.diagnostics, form, quiet=quiet)
    if written is not None and out is not None:
        if not quiet and form == "text":
            from .generated_folder import left_over

            click.echo(_about_written(written, out), err=True)
            if left := left_over(compiled.files, out):
                click.echo(_about_left_over(left, out), err=True)
        return
    if emit == "graph":
        from .tools.shared.mermaid import before_and_after

        click.echo(before_and_after(compiled.source.data, compiled.lowered.document))
    if emit in ("ir", "both"):
        _show(compiled.files[LOWERED], "json")
    if emit in ("python", "both"):
        modules = [name for name in compiled.files if name.endswith(".py") and "/" not in name]
        for name in modules:
            if emit == "both" or len(modules) > 1:
                title = f"\n# --- {name}"
                click.echo(click.style(title, dim=True) if in_colour(sys.stdout) else title)
            _show(compiled.files[name], "python")


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


class _Changes:
    """Prints, after each stage that changed the workflow, what it changed."""

    def __init__(self) -> None:
        self._before: tuple[str, Any] | None = None

    def watch(self, stage: str, result: Any) -> None:
        from .tools.shared.stage_dump import difference, workflow_after

        before = self._before
        data = workflow_after(result, before[1] if before else None)
        if before is not None and (text := difference(before, (stage, data))):
            click.echo(text, err=True)
        self._before = (stage, data)


def _refuse(ignored: Mapping[str, bool]) -> None:
    """Raise the first of the messages that is true: an option that would change nothing is never ignored."""
    for message, is_true in ignored.items():
        if is_true:
            raise click.UsageError(message)


def _write(files: Any, folder: Path, workflow: str) -> list[Path]:
    from .write import write

    return write(files, folder, source=None if workflow == "-" else Path(workflow))


def _about_written(written: Sequence[Path], folder: Path) -> str:
    if not written:
        return f"{_shown(folder)} is up to date"
    names = [_shown(path) for path in written if not path.name.endswith(MAP)]
    maps = ["source maps"] if len(names) != len(written) else []
    if len(names) > _NAMED:
        runtime = sum(path.parent != folder for path in written)
        own = [_shown(path) for path in written if path.parent == folder and not path.name.endswith(MAP)]
        names = own[:_NAMED] + ([f"{len(own) - _NAMED} more"] if len(own) > _NAMED else [])
        names += [f"the runtime ({runtime} files)"] if runtime else []
    return f"wrote {', '.join([*names, *maps])}"


def _about_left_over(left: Sequence[Path], folder: Path) -> str:
    """What an earlier run left, and how to get rid of it."""
    maps = [path for path in left if path.name.endswith(MAP) and path.with_suffix("").with_suffix("") in left]
    own = [path if path.parent == folder else path.parent for path in left if path not in maps]
    names = list(dict.fromkeys(map(_shown, own)))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    verb, them = ("are", "them") if len(names) > 1 else ("is", "it")
    return (
        f"{', '.join(names[:_NAMED])}{more} {verb} left from an earlier run; nothing uses {them} now"
        f" (pflow-lower check --update removes {them})"
    )


def _shown(path: Path) -> str:
    return printable(str(path))


def _show(text: str, language: str) -> None:
    """Print `text`, in colour where a terminal shows it."""
    if in_colour(sys.stdout):
        from pygments import highlight
        from pygments.formatters import TerminalFormatter
        from pygments.lexers import get_lexer_by_name

        text = highlight(text, get_lexer_by_name(language), TerminalFormatter())
    click.echo(text, nl=False)
