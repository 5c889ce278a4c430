"""Ray itself, where it is installed, and the cluster that a run names. Nothing imports this unless it is asked for."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .ray_home import Home
from .ray_place import NEEDS_RAY, NotForRay, look_for_cluster, no_cluster

_connecting = threading.Lock()


def ray_itself() -> Any:
    """The module. Raises: NotForRay, where it is not installed."""
    try:
        import ray
        import ray.cloudpickle
    except ImportError as error:
        raise NotForRay(NEEDS_RAY) from error
    return ray


def connect(address: str) -> Any:
    """Have a cluster: one that this process is connected to already, the one at `address`, or one of its own on this
    machine. By itself Ray would take any that happens to run here, a test's say; that one is at "auto".

    Returns ray. Raises: NotForRay, where it is not installed or no cluster answers at `address`, or this process is
    connected to another one.
    """
    ray = ray_itself()
    with _connecting:
        look_for_cluster(address)
        if ray.is_initialized():
            return ray
        address = address or os.environ.get("RAY_ADDRESS", "")
        try:
            with _keeping_sigterm():
                _in_a_lasting_thread(functools.partial(_init, ray, address))
        except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise no_cluster(address, error) from error
        _say_on_stderr()
    return ray


def _init(ray: Any, address: str) -> None:
    if address:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    else:
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")


def _in_a_lasting_thread(work: Callable[[], None]) -> None:
    """Do `work` in the main thread, or in one that never ends: on Linux a cluster of one's own ends with the thread
    that has started it. Raises: what `work` does."""
    if threading.current_thread() is threading.main_thread():
        return work()
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def stay() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  whatever it is; raised again where it is waited for
            return ended.put(error)
        ended.put(None)
        threading.Event().wait()

    threading.Thread(target=stay, name="pflow-lower-ray", daemon=True).start()
    if (error := ended.get()) is not None:
        raise error


@contextlib.contextmanager
def _keeping_sigterm() -> Iterator[None]:
    """Inside, and afterwards, SIGTERM is what it is without Ray, which would end the program with status 1 and, below
    Python, write a stack of its own to stderr. What Ray has started ends with this process however that ends."""
    utils: Any = sys.modules.get("ray._private.utils")
    setter = getattr(utils, "set_sigterm_handler", None)
    # What Python has told the system to call: from another thread than the main one, it lets nobody tell it again.
    get, put = ctypes.pythonapi.PyOS_getsig, ctypes.pythonapi.PyOS_setsig
    get.argtypes, get.restype = [ctypes.c_int], ctypes.c_void_p
    put.argtypes, put.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
    before, handler = get(signal.SIGTERM), signal.getsignal(signal.SIGTERM)
    try:
        if setter is not None:
            utils.set_sigterm_handler = lambda handler: None
        yield
    finally:
        if setter is not None:
            utils.set_sigterm_handler = setter
        if signal.getsignal(signal.SIGTERM) is handler:  # or the main thread has installed another one meanwhile
            put(signal.SIGTERM, before)


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
    ray: Any,
    given: tuple[str, Home, bytes | None],
    options: Mapping[str, Any],
    work: Callable[..., Any],
    *,
    is_stream: bool,
) -> Any:
    """`work` as a remote function: it carries what the batch ships, unless that is large, or gets a reference to it."""
    sign, home, pickled = given

    def run_stream(message: bytes, more: Any = pickled) -> Iterator[bytes]:
        yield from work((sign, home, more), message)

    def run_whole(message: bytes, more: Any = pickled) -> bytes:
        found: bytes = work((sign, home, more), message)
        return found

    options = {**options, "name": "pflow-lower"}
    if is_stream:
        return ray.remote(**{**options, "num_returns": "streaming"})(run_stream)
    return ray.remote(**options)(run_whole)
