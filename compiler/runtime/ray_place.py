"""What is said of Ray before a run begins: what cannot run there, and that no cluster is there. It needs no ray.

Ray itself is asked when a batch runs (`ray_cluster.py`).
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

NEEDS_RAY = "running on Ray needs ray: pip install ray"
_CONNECT_SECONDS = 5.0
_CLIENT_PORT = 10001
"""Where Ray's own client looks, if an address names no port."""


_SETTINGS = b"\x04"
"""The type of an HTTP/2 frame."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0\0\0\0\0"
"""How a connection of HTTP/2 begins: the magic words, and a frame of no settings."""
_FRAME_HEAD = 9

NO_AUTO = "`max_concurrent: auto` is found out in one process; on Ray, write a number"


class NotForRay(Exception):
    """The batch cannot run on Ray; the message says what stands in the way, and where it comes from."""


def refuse_what_ray_cannot_do(batches: Iterable[Any]) -> None:
    """Raises: NotForRay, if one of the generated `batches`, or their classes, cannot run on a cluster."""
    for batch in batches:
        if batch.parallel and batch.max_concurrent == "auto":
            raise NotForRay(f"{batch.node_id}: {NO_AUTO}")


def _expect_grpc(connection: socket.socket) -> None:
    """Raises: ConnectionError, where something else than a gRPC server listens, which answers with its settings at once
    (RFC 9113, 3.4); OSError."""
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return
    connection.sendall(_PREFACE)
    answer = b""
    while len(answer) < _FRAME_HEAD:
        part = connection.recv(_FRAME_HEAD - len(answer))
        if not part:
            break
        answer += part
    if answer[3:4] != _SETTINGS:
        raise ConnectionError("what listens there is not Ray's head, whose port is 6379 by default")


def _expect_it_at(connection: socket.socket, address: str, connected: str) -> None:
    """Raises: NotForRay, where this process is `connected` to a cluster at another address than `connection` is."""
    host, port = connection.getpeername()[:2]
    parts = urlsplit(f"//{connected}")
    hosts = {str(found[4][0]) for found in socket.getaddrinfo(parts.hostname, parts.port)}
    is_same = host in hosts or (ip_address(host).is_loopback and any(map(_is_here, hosts)))
    if port != parts.port or not is_same:
        raise NotForRay(f"this process is connected to the Ray cluster at {connected}, and not to that at {address}")


def _is_here(host: str) -> bool:
    """Whether an address is one of this machine."""
    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        return False
    return True


def no_cluster(address: str, error: object) -> NotForRay:
    """That no cluster answers at `address`, and why."""
    return NotForRay(f"no Ray cluster answers at {address or 'this machine'}: {error}")


def look_for_cluster(address: str) -> None:
    """Look whether a cluster may be at `address`, or at RAY_ADDRESS if that is "": Ray itself would wait for minutes.

    Raises: NotForRay, if nothing of the kind listens there, or this process is connected to another cluster. A name
    that Ray knows, as "auto", it looks up itself.
    """
    ray = sys.modules.get("ray")
    connected = ray.get_runtime_context().gcs_address if ray is not None and ray.is_initialized() else ""
    if connected and not address:
        return
    address = address or os.environ.get("RAY_ADDRESS", "")
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port or (_CLIENT_PORT if parts.scheme == "ray" else None)
        if host is not None and port is not None:
            with socket.create_connection((host, port), timeout=_CONNECT_SECONDS) as connection:
                if connected and parts.scheme != "ray":  # whose own client stands between, at an address of its own
                    _expect_it_at(connection, address, connected)
                _expect_grpc(connection)
    except (OSError, ValueError) as error:
        raise no_cluster(address, error) from error
