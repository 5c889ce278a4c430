"""`python -m MODULE` or `python FILE.py` in a third of the time: forked from a Python that has imported a lot.

    done = forked.run("pflow_lower", "run", "flow.pflow.md", env=environment, cwd=folder)

Most of what a run inside pflow takes is the import of other people's packages, `mcp` above all. Here they are imported
once. pflow and pflow-lower are not: who imports which of them when, and what is wrapped by then, is as in a process of
its own. So are the environment, the folder, the streams (nothing to read unless it is given, files to write to) and the
end of the interpreter. What it cannot do: options of Python, and what Python reads of its environment as it starts.

A test that sends signals, looks at a terminal or is about starting starts its process itself.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import logging
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

PATIENCE = 300
"""Seconds after which a command that does not end is killed: it hangs."""
NOT_YET = ("pflow", "pflow_lower")


def run(
    what: str, *arguments: str, env: Mapping[str, str], cwd: Path | str, stdin: str | None = None, models: bool = False
) -> subprocess.CompletedProcess[str]:
    """How `python -m what` ended and what it printed, or `python what` if that is a file.

    With `models`, the package by which pflow asks them is imported, too: it takes twice as long as all others.
    """
    if not hasattr(os, "fork"):
        command = [sys.executable, *([] if what.endswith(".py") else ["-m"]), what, *arguments]
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        return subprocess.run(command, env=env, cwd=cwd, capture_output=True, encoding="utf-8", check=False, **given)
    server = _server(models)
    request = {"command": [what, *arguments], "env": dict(env), "cwd": os.fspath(cwd)}
    with _read_from(stdin) as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        text = json.dumps(request).encode()
        socket.send_fds(server, [len(text).to_bytes(4, "big")], [source.fileno(), out.fileno(), err.fileno()])
        server.sendall(text)
        child, status = _number(server), None
        try:
            status = _number(server)
        finally:
            if status is None:  # a time-out, or the test was interrupted
                os.kill(child, signal.SIGKILL)
                _server.cache_clear()  # what it answers now would be taken for another command's
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess([what, *arguments], status, *said)


def _read_from(text: str | None) -> BinaryIO:
    if text is None:
        return open(os.devnull, "rb")
    assert len(text) < 16_000, "a pipe holds no more, and nobody reads yet"
    read, write = os.pipe()
    with open(write, "wb") as pipe:
        pipe.write(text.encode())
    return open(read, "rb")


@cache
def _server(models: bool) -> socket.socket:
    """The Python that is forked; it ends with this process, or when this end of the socket is closed."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, __file__, str(theirs.fileno()), *(["models"] if models else [])]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    ours.settimeout(PATIENCE)

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _number(source: socket.socket) -> int:
    return int.from_bytes(_exactly(source, 4), "big", signed=True)


def _exactly(source: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        if not (more := source.recv(size - len(found))):
            raise EOFError("the Python that is forked has ended")
        found += more
    return found


# --- In the Python that is forked


def serve(asked: socket.socket, models: bool) -> list[str]:
    """Fork for every command; return in the fork, with what it is to run."""
    del sys.path[0]  # this folder: its modules are imported as `helpers.…`, and by nobody here
    _import_others(models)
    gc.freeze()  # a collection, also the one at the end, would look at all that was imported, and so copy it
    while True:
        size, streams, _, _ = socket.recv_fds(asked, 4, 3)
        if not size:
            os._exit(0)
        request = json.loads(_exactly(asked, int.from_bytes(size, "big")))
        child = os.fork()
        if not child:
            asked.close()
            return become(request, streams)
        for stream in streams:
            os.close(stream)
        asked.sendall(child.to_bytes(4, "big"))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        asked.sendall(status.to_bytes(4, "big", signed=True))


def _import_others(models: bool) -> None:
    """Import what a run inside pflow imports, but for pflow and us: which modules those are is tried in a fork."""
    read, write = os.pipe()
    if not os.fork():
        for name in (
            *("pflow_lower.before_pflow", "pflow_lower.cli", "pflow_lower.pflow.cli", "pflow.cli"),
            *("pflow.execution.plan", "pflow.runtime.workflow_executor"),
        ):
            importlib.import_module(name)
        if models:
            from pflow.core.litellm_runtime import import_litellm

            import_litellm()
        with open(write, "w") as pipe:
            json.dump([name for name in sys.modules if name.partition(".")[0] not in NOT_YET], pipe)
        os._exit(0)
    os.close(write)
    with open(read) as pipe:
        names = json.load(pipe)
    os.wait()
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # as pflow has it: without, the import asks a server
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)  # that too: it says what is not installed
    for name in names:
        with contextlib.suppress(ImportError):  # names in `sys.modules` that no file stands behind
            importlib.import_module(name)


def become(request: dict[str, Any], streams: list[int]) -> list[str]:
    """Take over everything in which a process started for `request` would differ from this one."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = sys.__stdin__ = _text(0, "r", "strict")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _text(1, "w", "strict")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _text(2, "w", "backslashreplace")  # type: ignore[misc]
    sys.path.insert(0, os.getcwd())
    command: list[str] = request["command"]
    return command


def _text(number: int, mode: str, errors: str) -> io.TextIOWrapper:
    binary: Any = open(number, f"{mode}b", closefd=False)  # noqa: SIM115  until the end
    return io.TextIOWrapper(binary, encoding="utf-8", errors=errors, line_buffering=number == 2)


def start(what: str, *arguments: str) -> NoReturn:
    """What Python does with these arguments; of a module, by the function with which `-m` does it."""
    if what.endswith(".py"):
        sys.path[0] = str(Path(what).resolve().parent)
        sys.argv = [what, *arguments]
        runpy.run_path(what, run_name="__main__")
    else:
        sys.argv = ["-m", *arguments]
        runpy._run_module_as_main(what)  # type: ignore[attr-defined]
    sys.exit()


if __name__ == "__main__":
    start(*serve(socket.socket(fileno=int(sys.argv[1])), "models" in sys.argv))
