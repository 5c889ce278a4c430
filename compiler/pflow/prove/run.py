"""`pflow-lower prove`, from its arguments to what it prints."""

from __future__ import annotations

from collections.abc import Iterable

import click

from ... import install_hints
from ...diagnostics.diagnostic import LowerError
from ...exit_status import FAILED
from ...exit_status import of as exit_status
from ...load.markdown import quiet
from ...node_types.pflow_types import REFERENCE


def prove_all(workflow: str, inputs: Iterable[str]) -> int:
    """Print a report on each batch node of `workflow`; answers the exit status. `inputs` are NAME=VALUE."""
    try:
        from .prove import prove
    except ImportError as error:
        return _failed(f"this needs pflow {REFERENCE} ({install_hints.PFLOW}): {error}")
    nodes = compared = runs = differences = 0
    try:
        with quiet():  # the scripts fail on purpose, hundreds of times
            for proof in prove(workflow, inputs):
                click.echo("\n".join(proof.lines()))
                nodes, compared = nodes + 1, compared + bool(proof.runs)
                runs, differences = runs + proof.runs, differences + len(proof.differences)
    except LowerError as error:
        return _failed("\n".join(found.render() for found in error.diagnostics))
    except Exception as error:  # noqa: BLE001  pflow refuses a workflow with errors of many kinds
        return _failed(f"pflow-lower: {str(error) or type(error).__name__}")
    if not nodes:
        click.echo("no batch nodes")
    elif not runs:
        return _failed("nothing was compared")
    else:
        what = f"{differences} difference{'' if differences == 1 else 's'}" if differences else "all agree"
        which = f"{nodes}" if compared == nodes else f"{compared} of {nodes}"
        left = {0: "", 1: "; 1 was not compared"}.get(nodes - compared, f"; {nodes - compared} were not compared")
        click.echo(f"{which} batch node{'' if nodes == 1 else 's'}, {runs} runs: {what}{left}")
    return exit_status(found=differences > 0, failed=compared < nodes)


def _failed(why: str) -> int:
    click.echo(why, err=True)
    return FAILED
