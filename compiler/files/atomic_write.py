"""Writing files so that nobody ever sees half of one: each is written beside its place, then moved there."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

LEFT_OVER = ".pflow-lower-tmp"
"""How the name of a file ends that waits to be moved; a process that is killed may leave it behind."""


def replace_files(files: Mapping[Path, bytes], mode: int | None = None) -> None:
    """Write all of `files`, or none if one of them cannot be written; folders are made as needed.

    A file keeps the permissions of the one that it replaces, and a new one gets the usual ones, unless `mode` says
    which. Signals wait until all files are moved; only what ends a process at once (SIGKILL, a power cut) can come
    between two of them. Raises: OSError.
    """
    waiting: list[tuple[str, Path]] = []
    try:
        for target, content in files.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=LEFT_OVER)
            waiting.append((name, target))
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, _mode(target) if mode is None else mode)
        with _signals_wait():
            while waiting:
                os.replace(*waiting[0])
                waiting.pop(0)
    finally:
        for name, _ in waiting:
            Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold back the signals that would end this process in between, where the system can."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _mode(target: Path) -> int:
    """The permissions of the file that is replaced, or those that a new file would get."""
    if target.is_file():
        return target.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
