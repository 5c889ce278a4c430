"""`pflow-lower plan`, from its arguments to what it prints."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from ... import pipeline
from ...diagnostics.diagnostic import LowerError
from ...diagnostics.formats.show import show_findings
from ...exit_status import DONE, FAILED
from ...ir.document import Workflow
from ...node_types.run_tables import ray_options_for
from ...options import Options
from ...runtime.journal_file import JournalError
from .clock import Times, WrongTime, from_trace, seconds
from .cluster import Cluster
from .forecast import forecast
from .journalled import with_journal
from .known import KnownValues, WrongInput, given
from .plan import Plan
from .plan_json import dump
from .plan_text import as_text
from .tokens import Price


def run(
    workflow: str,
    inputs: Iterable[str],
    item_times: Iterable[str],
    trace: Path | None,
    price: str | None,
    form: str,
    cluster: Cluster | None = None,
) -> int:
    """Print the plan of `workflow`; answer the exit status."""
    try:
        times = _times(item_times, trace)
        made = plan(workflow, inputs, times=times, price=_price(price), cluster=cluster, ask_pflow=True)
    except LowerError as error:
        show_findings(error.diagnostics, "text")
        return FAILED
    except (WrongInput, WrongTime) as error:
        click.echo(f"pflow-lower: {error}", err=True)
        return FAILED
    show_findings(made.findings, "text")  # what a run would stumble over is not a part of the plan
    click.echo(dump(made) if form == "json" else as_text(made))
    if made.unread_journal:
        click.echo(f"pflow-lower: {made.unread_journal}", err=True)
    return FAILED if made.unread_journal or any(node.is_wrong for _, node in made.flat()) else DONE


def plan(
    workflow: Workflow,
    inputs: Iterable[str] = (),
    *,
    times: Times = Times(),  # noqa: B008  has no state
    price: Price | None = None,
    cluster: Cluster | None = None,
    ask_pflow: bool = False,
) -> Plan:
    """The plan of a workflow (a path, "-" or the data itself); `inputs` are NAME=VALUE, `ask_pflow` as in `Options`.

    Raises: LowerError, if it cannot be read or is invalid; WrongInput; WrongTime, for a node that it does not have.
    """
    compiled = pipeline.run(workflow, Options(code=False, ask_pflow=ask_pflow))
    ir = compiled.source
    known = KnownValues(ir, given(ir, inputs), Path.cwd())
    folder = Path(ir.name).parent if not ir.name.startswith("<") else Path.cwd()
    if cluster is not None:
        cluster = cluster._replace(needs=ray_options_for(folder))
        times = times._replace(cluster=cluster)
    nodes, totals = forecast(ir, known, times, folder=folder)
    unread = ""
    if not ir.name.startswith("<"):
        try:
            nodes = with_journal(nodes, Path(ir.name).absolute())
        except JournalError as error:
            unread = str(error)
    made = Plan(ir.name, nodes, price, totals, known.missing(), compiled.diagnostics, unread, cluster)
    missing = times.named - {node.path for _, node in made.flat()}
    if missing:
        raise WrongTime(f"--item-time {min(missing)}=...: the workflow has no such node")
    return made


def _times(written: Iterable[str], trace: Path | None) -> Times:
    each, named = None, set()
    of_node = from_trace(trace) if trace is not None else {}
    for text in written:
        node, equals, time = text.rpartition("=")
        if equals:
            of_node[node] = (seconds(time),)
            named.add(node)
        else:
            each = seconds(time)
    return Times(each, of_node, frozenset(named))


def _price(text: str | None) -> Price | None:
    if text is None:
        return None
    first, slash, second = text.partition("/")
    try:
        price = Price(float(first), float(second)) if slash else None
    except ValueError:
        price = None
    if price is None or not (0 <= price.input < 1e9 and 0 <= price.output < 1e9):
        raise click.UsageError(f"--price {text}: write the price of a million tokens of input and of output, 2.5/10")
    return price
