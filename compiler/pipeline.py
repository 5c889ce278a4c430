"""The stages in their order. Each takes what the one before gave and says all that it has to say.

This file is the table of contents of the compiler: what a stage does is in the module of its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from .diagnostics.diagnostic import Diagnostic, LowerError, Severity, by_position
from .ir.document import Document, Workflow
from .ir.lowered import LoweredIR, Shape
from .ir.workflow import SourceIR
from .options import Options

if TYPE_CHECKING:
    from .analyse.analyse import BatchFacts

OnStage = Callable[[str, Any], None]
"""Called after each stage with the stage's name and what it gave."""

STAGES = (
    "load",  # bytes -> plain data that knows its positions
    "validate",  # -> SourceIR: the schema, and what a schema cannot say
    "analyse",  # -> Facts: node types, shapes, whether references resolve
    "lower",  # -> LoweredIR: closure conversion; its dump is the expanded IR
    "emit",  # -> the text of every file, rendered through templates/
)


class Compiled(NamedTuple):
    """What the pipeline gives: the expanded IR, the files, and every finding (none is an error)."""

    source: SourceIR
    lowered: LoweredIR
    files: Mapping[str, str]
    marked: Mapping[str, str]
    """The files that have a source map, with the marks that it is read from."""
    diagnostics: tuple[Diagnostic, ...]


def run(
    workflow: Workflow | Document,
    options: Options | None = None,
    *,
    stdin: BinaryIO | None = None,
    on_stage: OnStage | None = None,
) -> Compiled:
    """Take `workflow` (a path, "-" for standard input, the data itself) through every stage.

    A `Document` is one that was loaded already: the text in an editor, under the name of its file.

    A stage that finds errors is the last one, but for `validate`, whose findings do not keep `analyse`
    from saying what is wrong with the references.

    Raises: LowerError with everything that was found.
    """
    from .analyse import analyse
    from .emit.verify import verify_files
    from .load import load
    from .lowering import lower as lowering
    from .lowering import program
    from .lowering.verify_ir import verify_lowered
    from .node_types import lookup as node_types
    from .node_types import run_tables
    from .validate import validate

    options = options or Options()
    on_stage = on_stage or (lambda stage, result: None)
    diagnostics: list[Diagnostic] = []

    if isinstance(workflow, Document):
        document, workflow = workflow, workflow.name
    else:
        document = load.load(workflow, stdin=stdin)
    on_stage("load", document)

    source, findings = validate.validate(document)
    diagnostics += findings
    if source is None:
        raise LowerError(diagnostics)
    on_stage("validate", source)

    types = node_types.NodeTypes.for_workflow(_folder(workflow), options.nodes_file)
    file = _file(workflow) if options.children else None
    budgets = run_tables.budgets_for(_folder(workflow))
    facts, findings = analyse.analyse(source, types, program=options.program, file=file, budgets=budgets)
    needs = run_tables.ray_options_for(_folder(workflow))
    facts = facts._replace(batches=tuple(_with_needs(batch, needs) for batch in facts.batches))
    diagnostics += [*findings, *types.warnings]
    _stop_at_errors(diagnostics)
    if options.ask_pflow and source.name.endswith(".md"):  # read by pflow, so it is here; JSON must not wait for it
        from .pflow.ask import ask_pflow

        diagnostics += ask_pflow(source, types, _file(workflow))
        _stop_at_errors(diagnostics)
    on_stage("analyse", facts)

    lowered, findings = lowering.lower(source, facts)
    diagnostics += findings
    if options.program and (refused := tuple(program.refusals(source))):
        raise LowerError(refused)
    _stop_at_errors(diagnostics)
    verify_lowered(lowered)
    on_stage("lower", lowered)

    folders = types.class_folders(step.type for step in lowered.steps) if options.program else []
    files, marked = _emit(lowered, workflow, options, folders)
    if options.code:
        verify_files(lowered, files)
    on_stage("emit", files)
    return Compiled(source=source, lowered=lowered, files=files, marked=marked, diagnostics=by_position(diagnostics))


def _emit(
    lowered: LoweredIR, workflow: Workflow, options: Options, class_folders: Iterable[Path]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The generated files, and those of them that have a source map with their marks."""
    from .emit import emit
    from .emit.document_text import document_text
    from .emit.header import source_header
    from .emit.marks import plain_files

    if not options.code:
        marked = {"lowered.json": document_text(lowered)}
        return plain_files(marked), marked
    runtime = _runtime(options)
    source = source_header(workflow, options, class_folders)
    marked = emit.emit(lowered, source, runtime=runtime)
    if options.program:
        from .emit.program import emit_program

        marked |= emit_program(lowered, source, runtime=runtime)
    files = plain_files(marked)
    if options.program:
        from .emit.verify import verify_program

        verify_program(files["flow.py"])
    if options.maps and source.source:
        from .emit.source_map import map_files, maps_of

        files |= map_files(maps_of(lowered, marked), files, source.source)
    if options.standalone:
        from .emit.requirements import emit_requirements

        files |= emit.runtime_copy()
        files |= emit_requirements(lowered, source, program=options.program)
    return files, marked


def _runtime(options: Options) -> str:
    """The module that generated code imports: the installed one, or the copy beside it."""
    from .emit import emit

    return emit.STANDALONE_RUNTIME if options.standalone else emit.RUNTIME


def _folder(workflow: Workflow) -> Path | None:
    """Where the workflow's own pyproject.toml is looked for."""
    if isinstance(workflow, Mapping):
        return None
    name = os.fspath(workflow)
    return Path.cwd() if name == "-" else Path(name).absolute().parent


def _with_needs(batch: BatchFacts, needs: Mapping[str, Mapping[str, Any]]) -> BatchFacts:
    from .node_types.run_tables import ray_options_of

    parallel = batch.shape is not Shape.SEQUENTIAL
    return batch._replace(ray_options=ray_options_of(batch.node.id, needs, parallel=parallel))


def _file(workflow: Workflow) -> Path | None:
    """The file that a workflow came from."""
    if isinstance(workflow, Mapping) or os.fspath(workflow) == "-":
        return None
    return Path(workflow).absolute()


def _stop_at_errors(diagnostics: list[Diagnostic]) -> None:
    if any(finding.severity is Severity.ERROR for finding in diagnostics):
        raise LowerError(diagnostics)
