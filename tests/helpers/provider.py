"""A server on this machine in place of a model's provider."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Provider(BaseHTTPRequestHandler):
    """Echoes; and completes chats, as OpenAI's servers do."""

    prompts: list[str]
    """What chats were completed, or refused, in the order of their coming."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        status = int(self.path.split("/")[2].partition("?")[0]) if self.path.startswith("/status/") else 200
        self.answer(status, {"path": self.path, "header": self.headers.get("X-Test")})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        if not self.path.endswith("/chat/completions"):
            self.answer(200, {"path": self.path, "body": body})
            return
        prompt, model = body["messages"][-1]["content"], body["model"]
        self.prompts.append(prompt)
        if "bad" in prompt:
            self.answer(400, {"error": {"message": "that is bad", "type": "invalid_request_error"}})
            return
        said = json.dumps({"n": len(prompt)}) if body.get("response_format") else f"{model} on {prompt}"
        message = {"role": "assistant", "content": "" if "blank" in prompt else said}
        usage = {"prompt_tokens": len(prompt), "completion_tokens": 5, "total_tokens": len(prompt) + 5}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        kind = {"id": "c", "object": "chat.completion", "created": 1, "model": model}
        self.answer(200, {**kind, "choices": [choice], "usage": usage})

    def answer(self, status: int, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(prompts: list[str] | None = None) -> Iterator[str]:
    """The address of a provider that answers until the block ends, and notes every prompt."""
    noting = type("Noting", (Provider,), {"prompts": [] if prompts is None else prompts})
    server = ThreadingHTTPServer(("127.0.0.1", 0), noting)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
