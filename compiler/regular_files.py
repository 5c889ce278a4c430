"""Reading files that somebody else may have chosen: regular ones, of bounded size, below a known folder.

A workflow, a table or a generated file of a checkout may name `/dev/zero`, a FIFO that nobody writes to, or a link to
what is none of the checkout's business. Whoever only looks reads none of these.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MOST = 32 * 1024 * 1024
"""Bytes of the largest file that is read."""

Name = str | os.PathLike[str]


class Refused(OSError):
    """A file that is there and is not read; `strerror` says why."""


def read(file: Name, *, most: int = MOST, below: Path | None = None) -> bytes:
    """The content of a regular file of at most `most` bytes that stands below the folder `below`, links followed.

    Raises: OSError as `open` does; Refused (which is one) for a device, a pipe, a larger file, one that is elsewhere.
    """
    if below is not None and not is_below(file, below):
        raise Refused(errno.EPERM, "it is outside of the repository (or of the workflow's folder)", os.fspath(file))
    with open(_descriptor(file), "rb") as opened:
        content = opened.read(most + 1)
    if len(content) > most:
        raise Refused(errno.EFBIG, f"it is too large, the limit is {most:,} bytes", os.fspath(file))
    return content


def read_start(file: Name, most: int) -> bytes:
    """The first `most` bytes of a regular file. Raises: as `read` does."""
    with open(_descriptor(file), "rb") as opened:
        return opened.read(most)


def is_below(file: Name, folder: Path) -> bool:
    """Whether `file`, links followed, is below `folder`, links followed. What is not there is where it would be."""
    try:
        return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))
    except ValueError:  # a NUL in the name: no file, and `open` says so
        return True


def top_of(folder: Path) -> Path:
    """The repository that `folder` is part of; the folder itself outside of one."""
    found = repository_of(folder)
    return Path(os.path.abspath(folder)) if found is None else found


def repository_of(folder: Path) -> Path | None:
    """The top of the repository that `folder` is part of, by its name; None outside of one."""
    start = Path(os.path.abspath(folder))
    return next((parent for parent in (start, *start.parents) if os.path.lexists(parent / ".git")), None)


def leads_out(folder: Path) -> bool:
    """Whether `folder` is part of a repository by its name, and a link takes it out of there."""
    repository = repository_of(folder)
    return repository is not None and not is_below(folder, repository)


def _descriptor(file: Name) -> int:
    """An open regular file. A pipe is not waited for, whoever may write to it."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(file))
    raise Refused(errno.EINVAL, "it is not a regular file", os.fspath(file))
