"""One run of a generated program: arguments in, JSON out, and what there is to say about it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .arguments import read_arguments, read_inputs
from .batch_nodes import is_batch
from .data_types import Params, Shared
from .declared_inputs import Inputs
from .exceptions import said_by
from .journal_file import JournalDamaged, JournalError
from .json_text import json_text, say, write_out
from .loops import is_cancelled, run_blocking
from .missing import UnresolvedOutputs
from .outcome import BatchEndedEarly
from .program import AsyncWorkflow, Workflow, batches_of, check_batches, journals_of, visited_steps
from .progress import showing
from .run import Run, check_for_ray, running
from .signals import Terminated, ending_on_sigterm
from .start import SEE_WHERE, TRACEBACK_VARIABLE, status_of_exit

_MOST_ITEMS = 10
"""So many failed items of a batch are named."""
_LONGEST_LINE = 300


def run_program(
    build_flow: Callable[[], Workflow | AsyncWorkflow],
    inputs: Inputs,
    outputs: Callable[[Shared], Params],
    arguments: list[str],
) -> int:
    """Run a flow with `key=value` arguments and print its outputs as JSON.

    Returns the exit status: 0 done; 1 the workflow failed, ended before all items ran, or has not given an output;
    2 the arguments are wrong, the journal cannot be used, or the outputs cannot be written; 130 interrupted, 143
    terminated. A node that ends the program chooses another one, but not 0: the workflow is not done.

    Raises: asyncio.CancelledError, if the task that it is called in is cancelled.
    """
    module = sys.modules.get(build_flow.__module__)
    program = os.path.basename(build_flow.__code__.co_filename)
    try:
        asked = read_arguments(program, getattr(module, "__doc__", None) or "", inputs, arguments)
        if asked.help:
            return write_out(asked.help.rstrip("\n"))
        shared: Shared = read_inputs(inputs, asked.given)
    except ValueError as error:
        say(f"error: {error}")
        return 2
    if "pflow" in sys.modules:
        import http.client  # noqa: F401  or pflow's first scan for nodes hides it: see before_pflow.py
    run: Run | None = None
    with visited_steps() as visited:
        try:
            flow = build_flow()
            # The workflow's, whether it stands there or not: the run of `build_flow().run()` has the same name.
            name = getattr(flow, "file", None) or build_flow.__code__.co_filename
            try:
                run = Run(
                    name,
                    inputs=shared,
                    journal_folder=journals_of(flow),
                    resume=asked.resume,
                    fresh=asked.fresh,
                    budget=asked.budget,
                    limit=asked.limit,
                    on=asked.on,
                )
                check_for_ray(run, batches_of(flow))
            except ValueError as error:
                say(f"error: {error}")
                return 2
            if not asked.quiet:
                run.tell = say
            with ending_on_sigterm(), running(run):
                with showing(quiet=asked.quiet):
                    _open_journal(run, flow)
                    _run(flow, shared)
                # As part of the run, which keeps its journal until its outputs are there and out.
                text, changes = json_text(outputs(shared))
                run.flush()
                status = write_out(text)
                run.is_incomplete = run.is_incomplete or status != 0
        except BaseException as error:  # whatever it is, it becomes an exit status here
            if is_cancelled(error):
                raise
            if os.environ.get(TRACEBACK_VARIABLE):
                if not isinstance(error, SystemExit):
                    raise
                traceback.print_exception(error)  # Python shows none, and may end with 0
            return _failed(error, run, visited, shared)
    say(*(f"warning: {warning}" for warning in _warnings(shared)))
    say(*(f"warning: {change}" for change in changes), *_failed_items(visited, shared), *_left(run))
    if options := " and ".join(asked.options()):
        if unused := run.unused_budget():
            say(f"warning: {unused}")
        if not run.has_batches:
            say(f"warning: no batch ran, so {options} had no effect")
        say(*(f"warning: {options} had no effect in the workflow that '{step}' started" for step in _starting(visited)))
    return status


def _starting(visited: list[Any]) -> Iterator[str]:
    """The steps that have started another workflow, whose batches are pflow's own unless pflow-lower is in it."""
    executor = sys.modules.get("pflow.runtime.workflow_executor")
    if executor is None or "pflow_lower.pflow" in sys.modules:
        return
    yield from dict.fromkeys(node.node_id for node in visited if isinstance(node.inner, executor.WorkflowExecutor))


def _open_journal(run: Run, flow: Any) -> None:
    """Have the journal now, if a batch will want it: that it cannot be had is said before anything runs.

    Raises: JournalError; ValueError, if a setting of a batch is wrong.
    """
    check_batches(flow)
    if run.fresh:
        run.forget_earlier()
    if any(run.wants_journal(node.resume) for node in batches_of(flow)):
        run.journal()


def _run(flow: Any, shared: Shared) -> None:
    if isinstance(flow, AsyncWorkflow):
        run_blocking(flow.run_async(shared))
    else:
        flow.run(shared)


def _failed(error: BaseException, run: Run | None, visited: list[Any], shared: Shared) -> int:
    """Say what `error` has ended the run, and what is left; the exit status."""
    status = 2 if isinstance(error, JournalError) else 1
    if isinstance(error, KeyboardInterrupt):
        status = 143 if isinstance(error, Terminated) else 130
        message = "terminated" if isinstance(error, Terminated) else "interrupted"
    else:
        status = status_of_exit(error) if isinstance(error, SystemExit) else status
        said = _text_of(error)
        message = f"error: {said if isinstance(error, UnresolvedOutputs) else _named(said, visited)}"
    notes = getattr(error, "__notes__", ())
    say(message, *(str(note) for note in notes if isinstance(note, str)))
    # A journal that is damaged, or could not be had before the first step, is not the way on.
    is_of_no_use = isinstance(error, JournalDamaged) or (isinstance(error, JournalError) and not visited)
    left = () if is_of_no_use else _left(run, error)
    if run is not None and (unused := run.unused_budget()):
        say(f"warning: {unused}")
    warnings = (f"warning: {warning}" for warning in _warnings(shared))
    say(*warnings, *_failed_items(visited, shared), *left, SEE_WHERE)
    return status


def _text_of(error: BaseException) -> str:
    name = type(error).__name__
    try:
        said = str(error)
    except Exception:  # noqa: BLE001  it may have any __str__
        return name
    if isinstance(error, SystemExit):
        return f"the program was ended by what it runs: {f'{name}: {said}' if said else name}"
    return said if said and isinstance(error, Exception) else f"{name}: {said}" if said else name


def _named(message: str, visited: list[Any]) -> str:
    """`message` with the step that has failed, unless it says so itself. A batch begins with its step's name alone."""
    step = getattr(visited[-1], "node_id", "") if visited else ""
    if not step:
        return message
    message = message.removeprefix(f"{step}: ")
    return message if f"'{step}'" in message.partition("\n")[0] else f"step '{step}': {message}"


def _warnings(shared: Shared) -> Iterator[str]:
    found = shared.get("__warnings__")
    if isinstance(found, Mapping):
        yield from map(str, found.values())


def _failed_items(visited: list[Any], shared: Shared) -> Iterator[str]:
    """The failed items of every batch that ran, the first ones."""
    for node in {getattr(node, "node_id", ""): node for node in visited if is_batch(node)}.values():
        outcome = shared.get(node.node_id)
        if not isinstance(outcome, Mapping):
            continue
        errors = outcome.get("errors")
        if not isinstance(errors, list) or not errors:
            continue
        failed = outcome.get("error_count", len(errors))
        yield f"{node.node_id}: {failed} of {outcome.get('count')} items that ran failed:"
        for error in errors[:_MOST_ITEMS]:
            name = error.get("key") or error["item_summary"]["summary"]
            yield f"  [{error['index']}] {_line(name)}: {_line(said_by(error['error'], error.get('exception')))}"
        if failed > _MOST_ITEMS:
            yield f"  ... and {failed - _MOST_ITEMS} more"


def _left(run: Run | None, error: BaseException | None = None) -> Iterator[str]:
    """How to go on, where a journal holds what is done; or how it would have been kept, where a budget was reached."""
    if run is not None and run.holds_answers():
        yield "what is done is kept: run the same command again, and only what is not done runs (--fresh begins again)"
    elif isinstance(error, BatchEndedEarly):
        yield "nothing is kept; with --resume, the next run would go on from there"


def _line(text: Any) -> str:
    """The first line of a text that says anything, without what would steer a terminal."""
    line = next((line.strip() for line in str(text).splitlines() if line.strip()), "")
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line[:_LONGEST_LINE])
    return f"{shown}..." if len(line) > _LONGEST_LINE else shown
