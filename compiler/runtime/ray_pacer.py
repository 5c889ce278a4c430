"""A rate that all workers of a cluster share, and a bound that holds over all of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .pace import Pace, SharedBudget
from .ray_cluster import ray_itself

if TYPE_CHECKING:
    from .pace import Pacer


class RemotePacer:
    """An actor around the driver's own rate. It runs on the driver's machine, where the file of a named budget is, so
    that what other processes start under its rate counts, too."""

    def __init__(self, pacer: Pacer) -> None:
        ray = ray_itself()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        path = pacer.path if isinstance(pacer, SharedBudget) else None
        self._actor = ray.remote(num_cpus=0, scheduling_strategy=here)(_PacerActor).remote(pacer.rate, path)

    def reserve(self) -> float:
        """In how many seconds the next start is."""
        return float(ray_itself().get(self._actor.reserve.remote()))

    def hold(self, seconds: float) -> None:
        """No start for `seconds`, on any worker."""
        ray_itself().get(self._actor.hold.remote(seconds))


class Places:
    """How many items may run at a time under a named budget, which bounds other batches and other processes, too.

    They are held by the process that runs the workflow, for as long as a chunk takes: the file of the budget is on its
    machine.
    """

    def __init__(self, pacer: Pacer | None) -> None:
        self._budget = pacer if isinstance(pacer, SharedBudget) and pacer.max_concurrent is not None else None

    @property
    def most(self) -> int:
        """How many there are; more than may be asked for, where nothing bounds them."""
        return (self._budget and self._budget.max_concurrent) or sys.maxsize

    def enter(self, wanted: int) -> list[int]:
        """Take as many places, or as many of them as are free."""
        if self._budget is None:
            return [-1] * wanted
        taken: list[int] = []
        while len(taken) < wanted and (place := self._budget.enter()) is not None:
            taken.append(place)
        return taken

    def leave(self, places: list[int]) -> None:
        """Give them back."""
        while places:
            place = places.pop()
            if self._budget is not None:
                self._budget.leave(place)


class _PacerActor:
    def __init__(self, rate: Any, path: Any) -> None:
        self._pace: Pacer = Pace(rate) if path is None else SharedBudget(path, rate)

    def reserve(self) -> float:
        return self._pace.reserve()

    def hold(self, seconds: float) -> None:
        self._pace.hold(seconds)
