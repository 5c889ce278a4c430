"""`pflow-lower plan`: its options."""

from __future__ import annotations

import math
from pathlib import Path

import click

from ...command_options import allow_outside


def _amount(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    """Raises: click.BadParameter, for what is no amount: a sum with it would be none, either."""
    if value is not None and not 0 <= value < math.inf:
        raise click.BadParameter(f"{value} is not an amount, 0 or more")
    return value


@click.command(short_help="Say what a run will make of calls, time and tokens.")
@click.argument("workflow", type=click.Path(path_type=str))
@click.argument("inputs", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--item-time",
    "item_times",
    metavar="[NODE=]TIME",
    multiple=True,
    help="How long a call for an item takes: 2s, or ask=150ms for one node.",
)
@click.option(
    "--times", "trace", metavar="TRACE", type=click.Path(path_type=Path), help="Take durations from a trace of pflow."
)
@click.option(
    "--on", "place", type=click.Choice(["ray"]), help="Parallel batches run on a cluster; say its --nodes, --item-time."
)
@click.option("--nodes", type=click.IntRange(1, 100_000), help="How many nodes the cluster has.")
@click.option("--node-cpus", type=click.IntRange(1, 10_000), help="How many processors a node has.  [default: 1]")
@click.option("--node-price", type=float, callback=_amount, help="What a node costs an hour.")
@click.option("--price", metavar="IN/OUT", help="What a million tokens of input and of output cost: 2.5/10.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@allow_outside
@click.option("--watch", "watching", is_flag=True, help="Do so again whenever a file changes that the plan depends on.")
@click.pass_context
def plan(
    context: click.Context,
    workflow: str,
    inputs: tuple[str, ...],
    item_times: tuple[str, ...],
    trace: Path | None,
    place: str | None,
    nodes: int | None,
    node_cpus: int | None,
    node_price: float | None,
    price: str | None,
    form: str,
    watching: bool,
) -> None:
    """Say how many calls a run of WORKFLOW makes at best and at worst, before anything is spent.

    Inputs are given as for a run. Nothing is run, no key and no network is needed. What cannot be known is said as
    unknown: n(node) is the number of that node's items.

    The numbers are the fewest and the most calls with which a run comes to its end: no item needs a second attempt, or
    all need every one. What lowering warns of goes to stderr. The exit status is 0, or 2 if the workflow is invalid,
    a run would fail at the items of a batch, or a file that says how many there are, or the journal, could not be read.
    """
    from .cluster import Cluster
    from .run import run

    if place is None and (nodes, node_cpus, node_price) != (None, None, None):
        raise click.UsageError("--nodes, --node-cpus and --node-price say something of a cluster: add --on ray")
    if place is not None and nodes is None:
        raise click.UsageError("--on ray: say with --nodes how many nodes the cluster has")
    cluster = None if nodes is None else Cluster(nodes, node_cpus or 1, node_price)

    if watching:
        from ..shared.watch import mentioned_in, stamps, watch_command, workflow_state

        file = Path(workflow)
        # Files that nodes read are named from the folder that a run starts in; all others from the workflow's.
        watch_command(
            context,
            lambda: {**workflow_state(file), **stamps([*map(Path, mentioned_in(file)), *([trace] if trace else [])])},
            workflow,
        )
    raise SystemExit(run(workflow, inputs, item_times, trace, price, form, cluster))


COMMANDS = (plan,)
