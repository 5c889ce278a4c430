"""Ray itself, where it is installed, and the cluster that a run names. Nothing imports this unless it is asked for."""

from __future__ import annotations

from typing import Any


class NotForRay(Exception):
    """The batch cannot run on Ray; the message says what stands in the way, and where it comes from."""


def ray_itself() -> Any:
    """The module. Raises: NotForRay, where it is not installed."""
    try:
        import ray
        import ray.cloudpickle
    except ImportError as error:
        raise NotForRay("running on Ray needs ray: pip install ray") from error
    return ray


def connect(address: str) -> Any:
    """Have a cluster: one that this process is connected to already, the one at `address`, or one of this machine.

    Returns ray. Raises: NotForRay, where it is not installed or no cluster answers at `address`.
    """
    ray = ray_itself()
    if ray.is_initialized():
        return ray
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise NotForRay(f"no Ray cluster answers at {address or 'this machine'}: {error}") from error
    return ray


def deaths() -> tuple[type[Exception], ...]:
    """What Ray raises for a task whose worker or machine has died."""
    exceptions = ray_itself().exceptions
    return (
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.OutOfMemoryError,
        exceptions.ObjectLostError,
    )
