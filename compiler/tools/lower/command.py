"""The command `lower`, which is meant where none is named: `pflow-lower workflow.json`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ... import pipeline
from ...command_options import EXAMPLES, allow_outside, nodes_file, out_folder
from ...diagnostics.diagnostic import LowerError
from ...diagnostics.formats.show import FORMATS, in_colour, show_findings
from ...exit_status import FAILED
from ...files.generated_names import LOWERED
from ...options import Options


@click.command(epilog=EXAMPLES)
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
    shows_files = out is not None or emit in ("python", "both") or "emit" in print_after
    _refuse_without_effect(context, shows_files=shows_files)
    if watching:
        from ..shared.watch import watch_command, workflow_state

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
    on_stage = _Stages(print_after, changes=print_changed).show if print_after or print_changed else None
    try:
        compiled = pipeline.run(workflow, options, on_stage=on_stage)
        written = _write(compiled, out, workflow) if out is not None else None
    except LowerError as error:
        show_findings(error.diagnostics, form)
        raise SystemExit(FAILED) from None
    show_findings(compiled.diagnostics, form, quiet=quiet)
    if out is None:
        _print(compiled, emit)
    elif written is not None and not quiet and form == "text":
        _say_what_was_written(compiled, written, out)


def _refuse_without_effect(context: click.Context, *, shows_files: bool) -> None:
    """An option that would change nothing is never ignored. Raises: click.UsageError."""
    asked = context.params
    program, standalone = asked["program"], asked["standalone"]
    asked_to_print = context.get_parameter_source("emit") is not ParameterSource.DEFAULT
    unseen = (program and not shows_files and "lower" not in asked["print_after"]) or (standalone and not shows_files)
    for message, is_true in {
        "-o writes the files and does not print them: leave out -o, or --emit": asked["out"] and asked_to_print,
        "--program and --standalone make files: add -o DIR, or --emit python to see them": unseen,
        "--maps writes files beside the generated ones: add -o DIR": asked["maps"] and not asked["out"],
    }.items():
        if is_true:
            raise click.UsageError(message)


class _Stages:
    """Shows what the stages named `after` gave and, with `changes`, what each of them changed in the workflow."""

    def __init__(self, after: tuple[str, ...], *, changes: bool) -> None:
        self._after = after
        self._changes = changes
        self._before: tuple[str, Any] | None = None

    def show(self, stage: str, result: Any) -> None:
        """The stage has given `result`."""
        from .stage_dump import difference, dump_stage, workflow_after

        if self._changes:
            before = self._before
            data = workflow_after(result, before[1] if before else None)
            if before is not None and (text := difference(before, (stage, data))):
                click.echo(text, err=True)
            self._before = (stage, data)
        if stage in self._after:
            click.echo(f"--- after {stage}\n{dump_stage(result)}", err=True)


def _write(compiled: pipeline.Compiled, folder: Path, workflow: str) -> list[Path]:
    from ...write.write import write

    return write(compiled.files, folder, source=None if workflow == "-" else Path(workflow))


def _say_what_was_written(compiled: pipeline.Compiled, written: list[Path], folder: Path) -> None:
    from ...write.generated_folder import left_over
    from .written import about_left_over, about_written

    click.echo(about_written(written, folder), err=True)
    if left := left_over(compiled.files, folder):
        click.echo(about_left_over(left, folder), err=True)


def _print(compiled: pipeline.Compiled, emit: str) -> None:
    """Print what `--emit` asks for."""
    if emit == "graph":
        from .mermaid import before_and_after

        click.echo(before_and_after(compiled.source.data, compiled.lowered.document))
    if emit in ("ir", "both"):
        _print_text(compiled.files[LOWERED], "json")
    if emit in ("python", "both"):
        modules = [name for name in compiled.files if name.endswith(".py") and "/" not in name]
        for name in modules:
            if emit == "both" or len(modules) > 1:
                title = f"\n# --- {name}"
                click.echo(click.style(title, dim=True) if in_colour(sys.stdout) else title)
            _print_text(compiled.files[name], "python")


def _print_text(text: str, language: str) -> None:
    """Print `text`, in colour where a terminal shows it."""
    if in_colour(sys.stdout):
        from pygments import highlight
        from pygments.formatters import TerminalFormatter
        from pygments.lexers import get_lexer_by_name

        text = highlight(text, get_lexer_by_name(language), TerminalFormatter())
    click.echo(text, nl=False)


COMMANDS = (lower,)
