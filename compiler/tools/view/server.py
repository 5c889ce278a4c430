"""Keeps the page of one workflow up to date on 127.0.0.1, until it is interrupted.

The page asks `/events` (server-sent events) for the word of the newest state, and loads again when that is not its
own. What the workflow is made of is looked at a few times a second; only a change makes a new page.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from ...diagnostics.diagnostic import LowerError
from ..shared.watch import poll, workflow_state
from .explore import Explored, explore

_BREATHE = 15.0
"""Seconds after which a silent connection is told something, so that a browser that left is noticed."""

Make = Callable[[Explored, str], str]
"""Explored and the word of its state -> the page."""


class State(NamedTuple):
    """A page, and the word that tells it from others."""

    word: str
    page: bytes


class Pages:
    """The newest page of a workflow."""

    def __init__(self, workflow: str, nodes_file: Path | None, make: Make) -> None:
        self._workflow = workflow
        self._nodes_file = nodes_file
        self._make = make
        self._changed = threading.Condition()
        self._state = self._made()

    def make(self) -> None:
        """Make the page anew, from the files as they are."""
        state = self._made()
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def newest(self) -> State:
        """The page as it is now."""
        return self._state

    def wait(self, word: str, seconds: float) -> str:
        """The word of the newest state, as soon as it is not `word`, or after `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._state.word != word, seconds)
            return self._state.word

    def _made(self) -> State:
        explored = explore(self._workflow, self._nodes_file)
        # The page is a function of what is in it: the word is made from one without a word.
        bare = self._make(explored, "@")
        word = hashlib.sha256(bare.encode()).hexdigest()[:16]
        page = bare.replace('data-live="@"', f'data-live="{word}"', 1)
        return State(word, page.encode())


def serve(workflow: str, nodes_file: Path | None, *, make: Make, say: Callable[[str], None]) -> None:
    """Serve the page that `make` makes of `workflow` until Ctrl-C. `say` is told the address once it answers.

    Raises: LowerError if there is nothing to show at the start.
    """
    first = explore(workflow, nodes_file)
    if not first.text:  # a file that is not there is an error of the command; later it may be gone for a moment
        raise LowerError(first.findings)
    pages = Pages(workflow, nodes_file, make)
    server = _Server(pages)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    try:
        say(f"http://127.0.0.1:{server.server_port}/")
        poll(pages.make, lambda: workflow_state(Path(workflow), nodes_file))
    except KeyboardInterrupt:
        pass  # how one stops a server
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """Loopback only, at a port of the system's choice."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, pages: Pages) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closed its tab needs no message."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "pflow-lower"
    sys_version = ""

    def do_GET(self) -> None:
        """The page, or the events; nothing for who came by another name than ours (DNS rebinding)."""
        port = self.server.server_port
        if self.headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
            self._answer(403, "text/plain; charset=utf-8", b"This address is for the browser of this machine only.\n")
        elif self.path == "/":
            self._answer(200, "text/html; charset=utf-8", self.server.pages.newest().page)
        elif self.path == "/events":
            self._events()
        else:
            self._answer(404, "text/plain; charset=utf-8", b"There is one page here: /\n")

    def do_HEAD(self) -> None:
        """As for GET, without the content."""
        self.do_GET()

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self._head(status, kind, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: int, kind: str, length: int | None) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Cache-Control": "no-store",
            "Content-Security-Policy": "frame-ancestors 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            **({"Content-Length": str(length)} if length is not None else {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _events(self) -> None:
        self._head(200, "text/event-stream", None)
        if self.command == "HEAD":
            return
        word = ""
        while True:
            newest = self.server.pages.wait(word, _BREATHE)
            self.wfile.write(b": still here\n\n" if newest == word else f"data: {newest}\n\n".encode())
            word = newest

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the terminal is the user's."""
