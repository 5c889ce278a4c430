"""A compiled workflow and its generated classes: made once per compile, run once per batch."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from pflow.core.diagnostic import Diagnostic, Severity
from pflow.core.exceptions import CompilationError
from pflow.runtime.engine.types import BatchConfig, CompiledWorkflow, NodeConfig

from ...diagnostics.diagnostic import Diagnostic as OurDiagnostic
from ...runtime.progress import showing
from ...runtime.run import current_run
from ...runtime.signals import ending_on_sigterm
from ...runtime.standard_error import write_unlocked
from ..asked import asked_for
from ..batch_names import (
    as_pflow_knows_it,
    as_shown_to_validator,
    as_written,
    declared_names,
    names_by_hand,
    used_names,
    without_our_keys,
)
from ..malformed import why_malformed
from ..messages import new_run, say, say_interpreted, write_line
from ..only_lowered import first_of, node_of, refusal, text_of, wrong_with_ours
from ..pflow_values import as_data, file_of, place_of, spec_of
from ..resuming import note_ours
from .engine import PflowEngine
from .run_scope import count_steps, run_of_workflow

__all__ = [
    "compiled_with_classes",
    "data_flow_of_known_names",
    "execute",
    "key_with_captured",
    "known_to_schema",
    "run_of_workflow",
    "validated",
]

Original = Callable[..., Any]


class LoweredBatchConfig(BatchConfig):  # type: ignore[misc]  # pflow is not typed for us
    """pflow's configuration of a batch, with the class that runs it."""

    def __init__(
        self,
        config: BatchConfig,
        generated: type,
        names: tuple[str, ...],
        place: str,
        engine: type[PflowEngine],
        *,
        has_files: bool,
    ) -> None:
        """`names` are those of ours that the node refers to; `place` is where it stands in its workflow; `has_files`
        says whether items are read from a file, or results written to one."""
        super().__init__(**vars(config))
        self.engine = engine
        self.generated = generated
        self.names = names
        self.place = place
        self.has_files = has_files


class TemplateDialect(NamedTuple):
    """How a version of pflow reads templates, as far as it differs from generated code."""

    engine: type[PflowEngine]
    """pflow around one run of one batch node."""
    why_different: Callable[[Mapping[str, Any]], str]
    """Why it may read those of a batch node in another way, so that the node stays with pflow; "" if it does not."""


DIALECT = TemplateDialect(PflowEngine, lambda node: "")


def compiled_with_classes(original: Original, ir_json: Any, *arguments: Any, **keywords: Any) -> CompiledWorkflow:
    """`compile_workflow`, and then: every batch that can be lowered gets its generated class. See `compile_for`."""
    return compile_for(DIALECT, original, ir_json, *arguments, **keywords)


def compile_for(
    dialect: TemplateDialect, original: Original, ir_json: Any, *arguments: Any, **keywords: Any
) -> CompiledWorkflow:
    """`compile_workflow`, and then: every batch that can be lowered gets its generated class.

    Raises: whatever `compile_workflow` does; CompilationError, if a node says what only lowered nodes know, and
    cannot be lowered.
    """
    ir = as_data(ir_json)
    given = keywords.get("initial_params", arguments[1] if len(arguments) > 1 else None) or {}
    if as_shown_to_validator(ir, given) is not ir:
        note_ours()
    if found := wrong_with_ours(ir, given):
        raise first_of(found, ir, CompilationError)
    compiled = original(without_our_keys(ir), *arguments, **keywords)
    if all(config.batch_config is None for config in compiled.node_configs.values()):
        return compiled
    why = ""
    try:
        _give_classes(ir, compiled, given, dialect)
    except Exception as error:  # noqa: BLE001  pflow-lower must never break a run that pflow could do
        why = str(error) or type(error).__name__
        say_interpreted(file_of(given)[1], why)
    _refuse_ours(ir, compiled, given, why, dialect)
    return compiled


_with_ours: ContextVar[int] = ContextVar("with_ours", default=0)
"""How many of the workflows that were validated here say something that only pflow-lower knows."""


def validated(original: Original, ir: Any = None, *arguments: Any, **keywords: Any) -> Any:
    """`WorkflowValidator.validate`, to which our names in a batch look like pflow's own; and what it cannot see.

    It validates the workflows that nodes start, too, and comes here with each of them.
    """
    if ir is None:
        ir = keywords.pop("workflow_ir", None)
    if keywords.get("_seen") is None:  # not the validation of a sub-workflow
        new_run()
    given = keywords.get("extracted_params", arguments[0] if arguments else None) or {}
    shown = as_shown_to_validator(ir, given)
    before = _with_ours.get()
    found = original(shown, *arguments, **keywords)
    below = _with_ours.get() > before
    if shown is ir and not below:
        return found
    _with_ours.set(_with_ours.get() + 1)
    wrong = wrong_with_ours(ir, given, with_children=below)
    return [*(_as_written(ir, one) for one in found), *(_said_by_pflow(one, ir) for one in wrong)]


def _as_written(ir: Any, found: Diagnostic) -> Diagnostic:
    """One of pflow's findings, with the place in the author's workflow."""
    node_id, context = found.node_id or "", dict(found.context or {})
    if isinstance(path := context.get("path"), str):
        context["path"] = as_written(ir, node_id, path)
    return replace(found, message=as_written(ir, node_id, found.message), context=context or found.context)


def _said_by_pflow(wrong: OurDiagnostic, ir: Any) -> Diagnostic:
    """One of our errors as pflow shows its own."""
    place = {"path": wrong.file, "line": wrong.position.line} if wrong.position else {}
    return Diagnostic(
        severity=Severity.ERROR,
        source="validator",
        title="Validation Error",
        node_id=node_of(wrong, ir),
        message=text_of(wrong),
        suggestions=[wrong.help] if wrong.help else None,
        context={"category": "validation", **place},
    )


def known_to_schema(original: Original, data: Any, *arguments: Any, **keywords: Any) -> Any:
    """`validate_ir`, pflow's schema alone, which sub-workflows and saved ones meet: without our keys."""
    return original(without_our_keys(as_data(data)), *arguments, **keywords)


def data_flow_of_known_names(original: Original, ir: Any, *arguments: Any, **keywords: Any) -> Any:
    """`validate_data_flow`, to which our names in a batch look like pflow's own."""
    return original(as_pflow_knows_it(ir), *arguments, **keywords)


def execute(original: Original, node: Any, config: NodeConfig, shared: dict[str, Any], run_one: Original) -> str:
    """`execute_batch` through the generated class, where there is one."""
    batch_config = config.batch_config
    if not isinstance(batch_config, LoweredBatchConfig):
        return str(original(node, config, shared, run_one))
    generated: Any = batch_config.generated(node)
    generated.engine = batch_config.engine(node, config, run_one)
    count_steps()
    # On a terminal pflow shows batches itself; elsewhere it says nothing of one before its end.
    shows_itself = not callable(shared.get("__progress_callback__")) or sys.stderr is None or sys.stderr.isatty()
    with ending_on_sigterm(), showing(quiet=shows_itself, write=partial(write_line, write=write_unlocked)):
        return str(generated._run(shared))


def key_with_captured(original: Original, config_hash: str, batch_config: Any, shared: Any, *rest: Any) -> Any:
    """The memo key of a lowered batch: pflow's, over what the class captures as well.

    pflow's own key knows the template's text and the items, not what else the template reads.
    """
    if isinstance(batch_config, LoweredBatchConfig):
        if batch_config.has_files:
            return None  # what is in a file may change, and the results must be written anew
        captured = _captured(batch_config.generated, shared)
        if captured is None:
            return None
        ours = _of_the_outcome(batch_config.generated)
        digest = hashlib.sha256(f"{captured}{ours}".encode("utf-8", "surrogatepass")).hexdigest()
        config_hash = f"{config_hash}:{digest}"
    return original(config_hash, batch_config, shared, *rest)


def _give_classes(
    ir: Mapping[str, Any], compiled: CompiledWorkflow, given: Mapping[str, Any], dialect: TemplateDialect
) -> None:
    """Give every batch of `compiled` that can be lowered its class.

    An error of any kind leaves every batch without one.
    """
    path, name = file_of(given)
    wanted: dict[str, NodeConfig] = {}
    for node in ir["nodes"]:
        node_id, config = node["id"], compiled.node_configs.get(node["id"])
        if config is not None and config.batch_config is not None:
            why = _why_interpreted(node, config, compiled, dialect)
            if why:
                say(f"{name + ': ' if name else ''}{node_id} runs interpreted: {why}")
            else:
                wanted[node_id] = config
    if not wanted:
        return
    from ..classes import Wanted, classes_of

    by_hand = names_by_hand(ir, given)
    annotations = {node["id"]: node["batch"] for node in ir["nodes"] if node["id"] in wanted}
    batches = {
        node_id: Wanted(spec_of(config.batch_config, annotations[node_id]), _types(config))
        for node_id, config in wanted.items()
    }
    generated = classes_of(ir, batches, name or "workflow", path, by_hand)
    declared = declared_names(ir, by_hand)
    for node in ir["nodes"]:
        config = wanted.get(node["id"])
        if config is not None:
            names = used_names(node, declared)
            place = place_of(node, name)
            spec = batches[node["id"]].spec
            config.batch_config = LoweredBatchConfig(
                config.batch_config,
                generated[node["id"]],
                names,
                place,
                dialect.engine,
                has_files=spec.has_files,
            )


def _why_interpreted(
    node: Mapping[str, Any], config: NodeConfig, compiled: CompiledWorkflow, dialect: TemplateDialect
) -> str:
    """Why the node stays with pflow's own executor; "" if it need not.

    Only that can share a provider's prompt cache, and only pflow's engine says what comes of malformed text.
    """
    if config.prompt_cache_items:
        return "it uses prompt_cache"
    if config.prewarm:
        return "it uses prewarm"
    if compiled.cache_block is not None and config.node_type_name == "LLMNode":
        return "it is an llm node in a workflow with a ## Cache block"
    return why_malformed(node) or dialect.why_different(node)


def _types(config: NodeConfig) -> Mapping[str, str]:
    return config.template_config.expected_types if config.template_config is not None else {}


def _refuse_ours(
    ir: Mapping[str, Any],
    compiled: CompiledWorkflow,
    given: Mapping[str, Any],
    why: str,
    dialect: TemplateDialect,
) -> None:
    """Raises: CompilationError, if a node that was not lowered says what only lowered nodes know."""
    declared = declared_names(ir, names_by_hand(ir, given))
    for node in ir["nodes"]:
        config = compiled.node_configs.get(node["id"])
        if config is None or config.batch_config is None or isinstance(config.batch_config, LoweredBatchConfig):
            continue
        because = partial(_why_interpreted, node, config, compiled, dialect) if not why else partial(str, why)
        error = refusal(CompilationError, node, declared, because, options=asked_for().options())
        if error is not None:
            raise error


def _of_the_outcome(generated: Any) -> str:
    """What of ours changes the outcome of a batch: keys of its annotation, and that only its first items run."""
    run = current_run()
    limit = asked_for().limit if run is None else run.limit
    written = (generated.key, generated.tolerated_failures, limit)
    return "" if written == (None, None, None) else repr(written)


def _captured(generated: Any, shared: Any) -> str | None:
    """What the class captures from `shared`, as text; None if it has no items yet, or what has no JSON."""
    try:
        batch = generated(None).prep(shared)
        return json.dumps(vars(batch.given), sort_keys=True, default=repr)
    except (ValueError, TypeError, RecursionError):
        return None
