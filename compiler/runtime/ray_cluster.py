"""Ray itself, where it is installed, and the cluster that a run names. Nothing imports this unless it is asked for."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from .run import NEEDS_RAY

_CONNECT_SECONDS = 5.0
_CLIENT_PORT = 10001
"""Where Ray's own client looks, if an address names no port."""


NO_AUTO = "`max_concurrent: auto` is found out in one process; on Ray, write a number"


class NotForRay(Exception):
    """The batch cannot run on Ray; the message says what stands in the way, and where it comes from."""


def ray_itself() -> Any:
    """The module. Raises: NotForRay, where it is not installed."""
    try:
        import ray
        import ray.cloudpickle
    except ImportError as error:
        raise NotForRay(NEEDS_RAY) from error
    return ray


def refuse_what_ray_cannot_do(batches: Iterable[Any]) -> None:
    """Raises: NotForRay, if one of the generated `batches`, or their classes, cannot run on a cluster."""
    for batch in batches:
        if batch.parallel and batch.max_concurrent == "auto":
            raise NotForRay(f"{batch.node_id}: {NO_AUTO}")


def look_for_cluster(address: str) -> None:
    """Look whether anything listens at `address`, or at RAY_ADDRESS if it is "": Ray itself would wait for minutes.

    Raises: NotForRay, if nothing does. A name that Ray knows, as "auto", it looks up itself.
    """
    address = address or os.environ.get("RAY_ADDRESS", "")
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port or (_CLIENT_PORT if parts.scheme == "ray" else None)
        if host is not None and port is not None:
            socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise NotForRay(f"no Ray cluster answers at {address}: {error}") from error


def connect(address: str) -> Any:
    """Have a cluster: one that this process is connected to already, the one at `address`, or one of its own on this
    machine. By itself Ray would take any that happens to run here, a test's say; that one is at "auto".

    Returns ray. Raises: NotForRay, where it is not installed or no cluster answers at `address`.
    """
    ray = ray_itself()
    if ray.is_initialized():
        return ray
    look_for_cluster(address)
    try:
        if address or (address := os.environ.get("RAY_ADDRESS", "")):
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise NotForRay(f"no Ray cluster answers at {address or 'this machine'}: {error}") from error
    _say_on_stderr()
    return ray


def _say_on_stderr() -> None:
    """Ray says on stdout, where the results of a run go, that a worker has died, and has no option for that."""
    module: Any = sys.modules.get("ray._private.worker")
    said = getattr(module, "print_to_stdstream", None)
    if said is not None and said.__module__ != __name__:

        def on_stderr(data: dict[str, Any], **more: Any) -> None:
            said({**data, "is_err": True}, **more)

        module.print_to_stdstream = on_stderr


def deaths() -> tuple[type[Exception], ...]:
    """What Ray raises for a task whose worker or machine has died."""
    exceptions = ray_itself().exceptions
    return (
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.OutOfMemoryError,
        exceptions.ObjectLostError,
    )


def task_of(
    ray: Any, given: tuple[str, bytes | None], options: Mapping[str, Any], work: Callable[..., Any], *, is_stream: bool
) -> Any:
    """`work` as a remote function: it carries what the batch ships, unless that is large, or gets a reference to it."""
    sign, pickled = given

    def run_stream(message: bytes, more: Any = pickled) -> Iterator[bytes]:
        yield from work((sign, more), message)

    def run_whole(message: bytes, more: Any = pickled) -> bytes:
        found: bytes = work((sign, more), message)
        return found

    options = {**options, "name": "pflow-lower"}
    if is_stream:
        return ray.remote(**{**options, "num_returns": "streaming"})(run_stream)
    return ray.remote(**options)(run_whole)
