"""How often one step has run in a run: as pflow does, a program ends a loop that does not end by itself."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

MOST_VISITS = 100
"""How often, if the environment does not say otherwise."""

VISITS_VARIABLE = "PFLOW_MAX_NODE_VISITS"
"""Where it says so, to pflow as well."""

_visits: ContextVar[Counter[int] | None] = ContextVar("visits", default=None)


@contextmanager
def counting_visits() -> Iterator[None]:
    """Inside, the steps that one run of a workflow comes to are counted."""
    token = _visits.set(Counter())
    try:
        yield
    finally:
        _visits.reset(token)


def count_visit(step: Any) -> None:
    """A run has come to `step`. Raises: RuntimeError, if it has too often."""
    visits = _visits.get()
    if visits is None:
        return
    visits[id(step)] += 1
    if visits[id(step)] > (most := most_visits()):
        raise RuntimeError(
            f"step '{step.node_id}' has run {most} times, and the edges lead to it once more: a run that goes round so "
            f"often is taken for one that never ends; {VISITS_VARIABLE}={most * 10} allows more"
        )


def most_visits() -> int:
    """How often a step may run in a run. What is not a number is not heard, as in pflow."""
    try:
        return int(os.environ.get(VISITS_VARIABLE, MOST_VISITS))
    except ValueError:
        return MOST_VISITS
