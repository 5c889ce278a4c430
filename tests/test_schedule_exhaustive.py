"""Every order of events for small batches: up to 4 items, 2 workers, 3 attempts, every pattern of failures.

How they are tried and what they are compared with stands in `helpers/every_order.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from helpers.every_order import ATTEMPTS, PATTERNS, WORKERS, Explorer, Plan

pytestmark = pytest.mark.slow


@pytest.fixture(params=["threads", "tasks"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop | None]:
    if request.param == "threads":
        yield None
    else:
        loop = asyncio.new_event_loop()
        yield loop
        loop.close()


@pytest.mark.parametrize("fail_fast", [False, True])
def test_every_order_of_up_to_three_items(loop: Any, fail_fast: bool) -> None:
    explorer = Explorer(loop, fail_fast=fail_fast)
    for size in range(4):
        for plan in itertools.product(PATTERNS, repeat=size):
            explorer.every_order(lambda _, plan=plan: plan)  # type: ignore[misc]
    assert explorer.runs == (2628 if fail_fast else 3466) - 1


@pytest.mark.parametrize("first", PATTERNS)
def test_every_order_of_four_items_fail_fast(loop: Any, first: str) -> None:
    explorer = Explorer(loop, fail_fast=True)
    for rest in itertools.product(PATTERNS, repeat=3):
        if "again again fail" in (first, *rest):  # without a failure, it is as with `continue`, below
            explorer.every_order(lambda _, plan=(first, *rest): plan)  # type: ignore[misc]
    assert quiet()


def test_every_order_of_four_items_continue(loop: Any) -> None:
    """How an item's last attempt ends changes nothing of what runs next, so the orders share the patterns out."""
    explorer = Explorer(loop, fail_fast=False)
    seen: set[Plan] = set()
    for attempts in itertools.product(range(1, ATTEMPTS + 1), repeat=4):
        alike = [[steps for steps, count in PATTERNS.items() if count == most] for most in attempts]
        plans = list(itertools.product(*alike))

        def plan(n: int, plans: list[Plan] = plans) -> Plan:
            seen.add(plans[n % len(plans)])
            return plans[n % len(plans)]

        explorer.every_order(plan)
    assert explorer.runs == 12432
    assert len(seen) == len(PATTERNS) ** 4


def quiet() -> bool:
    """Whether no thread of a batch is left."""
    return not [thread for thread in threading.enumerate() if thread.name.startswith(("b-", "pflow-lower"))]


# --- What is wrong is found


def test_a_worker_too_many() -> None:
    explorer = Explorer(None, fail_fast=False, max_concurrent=WORKERS + 1)
    with pytest.raises(AssertionError, match=r"should be|workers"):
        explorer.every_order(lambda _: ("ok",) * 4)


def test_an_item_that_starts_after_a_failure() -> None:
    explorer = Explorer(None, fail_fast=True, error_handling="continue")
    with pytest.raises(AssertionError, match="should be"):
        explorer.run(("again again fail", "again again fail", "ok", "ok"), [])


def test_attempts_beyond_the_budget() -> None:
    explorer = Explorer(None, fail_fast=False, max_retries=ATTEMPTS + 1)
    with pytest.raises(AssertionError):
        explorer.run(("again again fail",), [])
