"""One `Run` around each run of a workflow in pflow, sub-workflows included: its journal, budget and limit.

pflow's engine runs a sub-workflow as it runs a workflow, maybe in another thread. The cache that pflow hands on to it
tells which run it is part of.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from ...journals import journal_folder_of
from ...runtime.journal_file import JournalError
from ...runtime.run import Run, check_for_ray, current_run, join
from ...runtime.started_workflow import WORKFLOW_FILE
from ...runtime.stopping import enclosing_batch
from ..asked import Asked, asked_for
from ..messages import say
from ..resuming import are_results_out, note_failed

_CACHE = "__memoization_cache__"

_steps: ContextVar[tuple[Run, Any, dict[str, Any]] | None] = ContextVar("steps", default=None)
"""The workflow that runs here: the run that it is part of, its store, and what was counted of each step."""

_runs: weakref.WeakKeyDictionary[Any, Run] = weakref.WeakKeyDictionary()
"""The run of each cache."""


def run_of_workflow(original: Callable[..., str], engine: Any, workflow: Any, shared: Any) -> str:
    """`WorkflowEngine.run` as part of a run: the one around it, or one of its own, which ends with it.

    Raises: JournalError, if the journal of the run cannot be used; ValueError, if a batch cannot run where it is to;
    whatever the workflow does.
    """
    run = _run_around(shared)
    if run is not None:
        if enclosing_batch.get() is None:  # what an item starts stays where the item runs
            check_for_ray(run, _classes(workflow))
        with _part_of(run), _steps_of(run, shared):
            return original(engine, workflow, shared)
    asked = asked_for()
    run = _new_run(engine, workflow, shared, asked)
    check_for_ray(run, _classes(workflow))
    if (cache := shared.get(_CACHE)) is not None:
        _runs[cache] = run
    ended_well = False
    try:
        with _part_of(run), _steps_of(run, shared):
            if not engine.only_node:
                _open_journal(run, workflow)
            action = original(engine, workflow, shared)
        ended_well = not str(action).startswith("error")
    except BaseException:  # an interrupt, too: the run is over, however it ended
        try:
            _end(run, ended_well=False, asked=asked, trace=getattr(engine, "trace", None))
        except JournalError as error:  # what stopped the run says more
            say(str(error))
        raise
    _end(run, ended_well=ended_well, asked=asked, trace=getattr(engine, "trace", None))
    return action


def _run_around(shared: Any) -> Run | None:
    run = current_run()
    if run is not None or not shared.get("_pflow_depth", 0):
        return run
    cache = shared.get(_CACHE)
    return None if cache is None else _runs.get(cache)


@contextlib.contextmanager
def _part_of(run: Run) -> Iterator[None]:
    before = current_run()
    join(run)
    try:
        yield
    finally:
        join(before)


@contextlib.contextmanager
def _steps_of(run: Run, shared: Any) -> Iterator[None]:
    """Inside, the steps of a workflow count for the budget of `run`; see `count_steps`."""
    if run.budget is None:
        yield
        return
    token = _steps.set((run, shared, {}))
    try:
        yield
    finally:
        count_steps()
        _steps.reset(token)


def count_steps() -> None:
    """Have what the steps so far have cost, of the workflow that runs here, counted: those that are not batches, whose
    items are counted as they end. What pflow has restored, or had in its cache, was paid for by an earlier run."""
    found = _steps.get()
    if found is None:
        return
    run, shared, counted = found
    state = shared.get("__execution__") or {}
    for node_id in set(state.get("completed_nodes", ())).difference(state.get("restored_nodes", ())):
        outputs = shared.get(node_id)
        usage = outputs.get("llm_usage") if isinstance(outputs, dict) else None
        if isinstance(usage, dict) and not usage.get("cache_source") and counted.get(node_id) is not usage:
            counted[node_id] = usage
            run.pays({"llm_usage": usage})


def _new_run(engine: Any, workflow: Any, shared: Any, asked: Asked) -> Run:
    path = str(shared.get(WORKFLOW_FILE) or engine.workflow_path or "workflow")
    run = Run(
        path,
        inputs=_inputs(workflow, shared),
        journal_folder=lambda: journal_folder_of(path),
        resume=asked.resume,
        fresh=asked.fresh,
        budget=asked.budget,
        limit=asked.limit,
        on=asked.on,
        in_part=bool(engine.only_node),
    )
    if run.fresh:
        run.forget_earlier()
    is_resumed = engine.resume_from is not None or getattr(engine, "resume_after", None) is not None
    if run.resume is None and is_resumed and run.journal_path.exists():
        run.resume = True  # `pflow resume`: of the items that are left, too
    return run


def _inputs(workflow: Any, shared: Any) -> dict[str, Any]:
    """What the run was given, as its store has it before the first step. What comes from the settings' environment (a
    key, say) may be another one tomorrow, and it is the same run."""
    given = {**workflow.resolved_defaults, **shared}
    return {
        name: value
        for name, value in given.items()
        if not name.startswith("_") and name not in workflow.env_param_names
    }


def _open_journal(run: Run, workflow: Any) -> None:
    """Have the journal now, if a batch will want it: that it cannot be had is said before anything runs."""
    if any(run.wants_journal(generated.resume) for generated in _classes(workflow)):
        run.journal()


def _classes(workflow: Any) -> list[Any]:
    """Those of its batches that are lowered."""
    configs = (config.batch_config for config in workflow.node_configs.values())
    return [generated for config in configs if (generated := getattr(config, "generated", None)) is not None]


def _close_at_exit(run: Run, asked: Asked) -> None:
    """Forget what a run has done that has ended well, now that its results are out; or keep it."""
    try:
        left = run.close(ended_well=are_results_out())
    except JournalError as error:
        say(str(error))
    else:
        _say_left(run, left, asked, then="run it again")


def _end(run: Run, *, ended_well: bool, asked: Asked, trace: Any) -> None:
    if unused := run.unused_budget():
        say(unused)
    is_over = ended_well and not run.is_incomplete
    if is_over and asked.until_exit and run.is_journalled and not run.is_in_part:
        # A kill before the results are printed, or a disk that is full, would lose what was paid for.
        run.flush()
        atexit.register(_close_at_exit, run, asked)
        return
    left = run.close(ended_well=ended_well)
    if asked.until_exit and not ended_well:
        note_failed(trace, is_journalled=left > 0)
    if run.is_in_part or not is_over:
        _say_left(run, left, asked, then="run all of it" if is_over else "run it again")
    if ended_well and not run.has_batches and (options := asked.options()):
        say(f"no batch of {os.path.basename(run.workflow)} ran, so {' and '.join(options)} had no effect")


def _say_left(run: Run, left: int, asked: Asked, *, then: str) -> None:
    """Say how many items are in the journal, if any are, and what to do `then`."""
    if left:
        items, are = ("items", "are") if left > 1 else ("item", "is")
        say(
            f"{left} {items} of {os.path.basename(run.workflow)} that ended well {are} in the journal; {then}"
            f"{' with --resume' if asked.resume else ''} to do only the others (`pflow-lower journal` shows them)"
        )
