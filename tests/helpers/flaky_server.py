"""A server as APIs are: it limits, stalls, resets and fails, and remembers when it granted what.

    with FlakyServer(per_second=20, retry_after="seconds") as server:
        urllib.request.urlopen(f"{server.url}/items/7")

Every answer to `/items/N` is `{"label": "label N"}`. Which request meets which fault is drawn from `seed` and the
number of the request, so a run can be repeated as far as its order is the same.
"""

from __future__ import annotations

import email.utils
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

RetryAfter = Literal["seconds", "date", "none"]


class FlakyServer:
    """On a free port of 127.0.0.1, for the length of a `with`."""

    def __init__(
        self,
        *,
        per_second: float = 0,
        retry_after: RetryAfter = "seconds",
        seconds: float = 0,
        stalls: float = 0,
        resets: float = 0,
        errors: float = 0,
        stall_seconds: float = 30,
        seed: int = 1,
    ) -> None:
        """`per_second` 0 is no limit (a bucket of that size, as APIs have it); `seconds` is how long an answer takes;
        `stalls`, `resets` and `errors` are the shares of requests that meet such a fault."""
        self.per_second = per_second
        self.retry_after = retry_after
        self.seconds = seconds
        self.faults = {"stall": stalls, "reset": resets, "error": errors}
        self.stall_seconds = stall_seconds
        self.seed = seed
        self.granted: list[float] = []
        """When (`time.monotonic`) a request was let through the limit."""
        self.asked: Counter[str] = Counter()
        """How often each path was asked for."""
        self.answered: Counter[int] = Counter()
        """How often each status was answered; 0 stands for a reset."""
        self.most_under_way = 0
        self._tokens = float(per_second)
        self._at = time.monotonic()
        self._lock = threading.Lock()
        self._number = 0
        self._under_way = 0
        self._closing = threading.Event()

    def __enter__(self) -> FlakyServer:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.request_queue_size = 512
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request, or fail it."""
        with self._lock:
            self._number += 1
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
            self.asked[request.path] += 1
            fault = self._fault(self._number)
        try:
            wait = self._take()
            if wait > 0:
                self._say(request, 429, {"error": "slow down"}, self._headers(wait))
            elif fault == "reset":
                self._reset(request)
            elif fault == "error":
                self._say(request, 500, {"error": "oops"}, {})
            else:
                self._closing.wait(self.stall_seconds if fault == "stall" else self.seconds)
                self._say(request, 200, {"label": f"label {request.path.rpartition('/')[2]}"}, {})
        finally:
            with self._lock:
                self._under_way -= 1

    def _fault(self, number: int) -> str:
        draw = random.Random(f"{self.seed}/{number}").random()
        for fault, share in self.faults.items():
            draw -= share
            if draw < 0:
                return fault
        return ""

    def _take(self) -> float:
        """Take a token; otherwise in how many seconds there is one."""
        with self._lock:
            now = time.monotonic()
            if not self.per_second:
                self.granted.append(now)
                return 0
            self._tokens = min(self.per_second, self._tokens + (now - self._at) * self.per_second)
            self._at = now
            if self._tokens < 1:
                return (1 - self._tokens) / self.per_second
            self._tokens -= 1
            self.granted.append(now)
            return 0

    def _headers(self, wait: float) -> dict[str, str]:
        if self.retry_after == "none":
            return {}
        if self.retry_after == "date":
            return {"Retry-After": email.utils.formatdate(time.time() + wait + 1, usegmt=True)}
        return {"Retry-After": f"{wait:.3f}"}

    def _say(self, request: BaseHTTPRequestHandler, status: int, data: Any, headers: dict[str, str]) -> None:
        body = json.dumps(data).encode()
        with self._lock:
            self.answered[status] += 1
        try:
            request.send_response(status)
            for name, value in {
                **headers,
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
            }.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(body)
        except OSError:  # whoever asked has given up
            request.close_connection = True

    def _reset(self, request: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.answered[0] += 1
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.close_connection = True
        request.connection.close()


def most_in_a_window(times: list[float], seconds: float) -> int:
    """The most of `times` that any window of that length holds."""
    ordered = sorted(times)
    most = first = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
