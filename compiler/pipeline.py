"""The stages in their order. Each takes what the one before gave and says all that it has to say.

This file is the table of contents of the compiler: what a stage does is in the module of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from .diagnostics.diagnostic import Diagnostic, LowerError, Severity, by_position
from .files.generated_names import LOWERED
from .ir.document import Document, Workflow, file_of
from .ir.lowered import LoweredIR
from .ir.workflow import SourceIR
from .options import Options

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
    from .files import regular_files

    file = file_of(workflow.name if isinstance(workflow, Document) else workflow)
    with regular_files.given(None if file is None else file.parent):
        return _run(workflow, options or Options(), stdin, on_stage or (lambda stage, result: None))


def _run(workflow: Workflow | Document, options: Options, stdin: BinaryIO | None, on_stage: OnStage) -> Compiled:
    from .analyse import analyse
    from .emit.verify import verify_files
    from .load import load
    from .lowering import lower as lowering
    from .lowering.verify_ir import verify_lowered
    from .node_types import lookup as node_types
    from .node_types import run_tables
    from .validate import validate

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

    file = file_of(workflow)
    folder = _folder(workflow)
    types = node_types.NodeTypes.for_workflow(folder, options.nodes_file)
    tables = run_tables.RunTables.of(folder)
    facts, findings = analyse.analyse(
        source,
        types,
        program=options.program,
        file=file if options.children else None,
        budgets=tables.budgets,
        ray_options=tables.ray_options,
    )
    diagnostics += [*findings, *types.warnings, *tables.warnings]
    _stop_at_errors(diagnostics)
    if options.ask_pflow and document.is_markdown:  # read by pflow, so it is here; JSON must not wait for it
        from .pflow.ask import ask_pflow

        diagnostics += ask_pflow(source, types, file)
        _stop_at_errors(diagnostics)
    on_stage("analyse", facts)

    lowered, findings = lowering.lower(source, facts)
    diagnostics += findings
    verify_lowered(lowered)
    on_stage("lower", lowered)

    class_folders = types.class_folders(step.type for step in lowered.steps) if options.program else []
    journals = tables.journals if options.program else None
    files, marked = _emit(lowered, workflow, options, class_folders, journals)
    if options.code:
        verify_files(lowered, files)
    on_stage("emit", files)
    return Compiled(source=source, lowered=lowered, files=files, marked=marked, diagnostics=by_position(diagnostics))


def _emit(
    lowered: LoweredIR,
    workflow: Workflow,
    options: Options,
    class_folders: Iterable[Path],
    journals: tuple[Path, str] | None,
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The generated files, and those of them that have a source map with their marks."""
    from .emit import emit
    from .emit.document_text import document_text
    from .emit.header import source_header
    from .emit.marks import plain_files

    if not options.code:
        marked = {LOWERED: document_text(lowered)}
        return plain_files(marked), marked
    runtime = emit.STANDALONE_RUNTIME if options.standalone else emit.RUNTIME
    source = source_header(workflow, options, class_folders, journals)
    marked = emit.emit(lowered, source, runtime=runtime)
    if options.program:
        from .emit.program import emit_program

        marked |= emit_program(lowered, source, runtime=runtime)
    files = plain_files(marked)
    if options.maps and source.source:
        from .emit.source_map import map_files, maps_of

        files |= map_files(maps_of(lowered, marked), files, source.source)
    if options.standalone:
        from .emit.requirements import emit_requirements

        files |= emit.runtime_copy()
        files |= emit_requirements(lowered, source, program=options.program)
    return files, marked


def _folder(workflow: Workflow) -> Path | None:
    """Where the workflow's own tables are looked for; None for data, which stands nowhere."""
    file = file_of(workflow)
    if file is not None:
        return file.parent
    return None if isinstance(workflow, Mapping) else Path.cwd()


def _stop_at_errors(diagnostics: list[Diagnostic]) -> None:
    if any(finding.severity is Severity.ERROR for finding in diagnostics):
        raise LowerError(diagnostics)
