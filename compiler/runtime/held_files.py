"""Files that are being written: each by one batch at a time, or the results of two would be lost or mixed up.

A file is held for as long as it is open, so that nothing has to be given back where a batch ends in an unusual
way. Batches of this process are told apart by the path. Those of other processes are noticed through `flock`, where the
system and the file system have it, and not at all elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import weakref
from pathlib import Path
from typing import IO, Any

from .stream_files import StreamError

_held: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
"""What is open for writing, by its real path; what is `closed` holds nothing any more."""
_holding = threading.Lock()


def begin_file(path: Path, buffering: int = -1) -> IO[bytes]:
    """Open a new file at `path`, in place of what is there.

    Raises: StreamError, if another batch is writing it; OSError.
    """
    file = open(path, "wb", buffering, opener=_open_as_it_is)  # noqa: SIM115  open as long as the batch runs
    try:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a pipe may well have several writers
            _hold(path, path, file, file.fileno())
            file.truncate(0)
    except BaseException:  # an interrupt, too: nothing stays held
        file.close()
        raise
    return file


def let_go(descriptor: int) -> None:
    """Give a file back before it is closed: a program that is just being started may still have it open, too."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


class HeldFolder:
    """A folder for many files of results, of which one manifest tells, until it is closed."""

    def __init__(self, path: str, folder: Path) -> None:
        """`path` is what the author has written. Raises: StreamError, if another batch writes there; OSError."""
        self.closed = False
        self._descriptor: int | None = None
        with contextlib.suppress(PermissionError):  # Windows opens no folders
            self._descriptor = os.open(folder, os.O_RDONLY)
        try:
            _hold(path, folder, self, self._descriptor)
        except BaseException:  # as above
            self.close()
            raise

    def close(self) -> None:
        """Let others write there."""
        self.closed = True
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            let_go(descriptor)
            os.close(descriptor)

    __del__ = close


def _open_as_it_is(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_TRUNC, 0o666)  # another batch may be writing it


def _hold(written: object, path: Path, holder: Any, descriptor: int | None) -> None:
    """Raises: StreamError."""
    real = os.path.realpath(path)
    with _holding:
        other = _held.get(real)
        if (other is not None and not other.closed) or not _try_lock(descriptor):
            raise StreamError(
                f"{written} is being written by another batch that has not ended; "
                "put ${...} into the path so that each writes its own, or run one at a time"
            )
        _held[real] = holder


def _try_lock(descriptor: int | None) -> bool:
    """Lock the file until it is closed. False if another process has locked it; True where the system has no locks."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        if descriptor is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
