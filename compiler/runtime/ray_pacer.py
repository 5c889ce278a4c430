"""A rate that all workers of a cluster share."""

from __future__ import annotations

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


class _PacerActor:
    def __init__(self, rate: Any, path: Any) -> None:
        self._pace: Pacer = Pace(rate) if path is None else SharedBudget(path, rate)

    def reserve(self) -> float:
        return self._pace.reserve()

    def hold(self, seconds: float) -> None:
        self._pace.hold(seconds)
