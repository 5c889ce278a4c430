"""Reading files that somebody else may have chosen: regular ones, of bounded size, below a known folder.

A workflow, a table or a generated file of a checkout may name `/dev/zero`, a FIFO that nobody writes to, or a link to
what is none of the checkout's business. Whoever only looks reads none of these.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

MOST = 32 * 1024 * 1024
"""Bytes of the largest file that is read."""

Name = str | os.PathLike[str]

ELSEWHERE = "it is outside of the repository (or of the workflow's folder)"
GITS_OWN = "it is git's own, where credentials may stand"
HELP = "--allow-outside reads it all the same"

_command_allows = False
_outside_allowed: ContextVar[bool] = ContextVar("_outside_allowed", default=False)
_given: ContextVar[Path | None] = ContextVar("_given", default=None)
"""Where the workflow stands, or what is looked through for some, that somebody gave."""


class Refused(OSError):
    """A file that is there and is not read; `strerror` says why."""


def read(file: Name, *, most: int = MOST, below: Path | None = None) -> bytes:
    """The content of a regular file of at most `most` bytes that stands below the folder `below`, links followed.

    Raises: OSError as `open` does; Refused (which is one) for a device, a pipe, a larger file, one that is elsewhere.
    """
    if below is not None and (why := _why_not(file, below)):
        raise Refused(errno.EPERM, why, os.fspath(file))
    with open(_descriptor(file), "rb") as opened:
        content = opened.read(most + 1)
    if len(content) > most:
        raise Refused(errno.EFBIG, f"it is too large, the limit is {most:,} bytes", os.fspath(file))
    return content


def read_beside(file: Name, folder: Path, *, most: int = MOST) -> bytes:
    """The content of a file that a workflow in `folder` names: in the same repository, or in that folder.

    Raises: as `read` does. What `allow_outside` allows may stand anywhere.
    """
    return read(file, most=most, below=None if may_lead_outside() else bound_of(folder))


def check_beside(file: Name, folder: Path) -> None:
    """See that a file is one that `read_beside` reads, however large it is. Raises: as that does."""
    if why := why_not(file, folder):
        raise Refused(errno.EPERM, why, os.fspath(file))
    os.close(_descriptor(file))


def allow_outside(allowed: bool = True) -> None:
    """Say, once for a command, that whoever gave it means files outside of the repository, too."""
    global _command_allows
    _command_allows = allowed


@contextlib.contextmanager
def outside_allowed(allowed: bool = True) -> Iterator[None]:
    """Do what is inside as after `allow_outside`."""
    token = _outside_allowed.set(allowed or _outside_allowed.get())
    try:
        yield
    finally:
        _outside_allowed.reset(token)


@contextlib.contextmanager
def given(folder: Path | None) -> Iterator[None]:
    """Inside, what stands in `folder`, or its repository, may name files anywhere in there, from however deep.

    A workflow that another one starts has no narrower bounds than that one: of several around each other, the outermost
    counts as long as what is inside stands there. None: as before.
    """
    around = _given.get()
    is_wider = folder is None or (around is not None and is_below(folder, top_of(around)))
    token = _given.set(around if is_wider else folder)
    try:
        yield
    finally:
        _given.reset(token)


def bound_of(folder: Path) -> Path:
    """Where files may stand that something in `folder` names: that of `given`, or else `top_of(folder)`."""
    around = _given.get()
    top = None if around is None else top_of(around)
    return top if top is not None and is_below(folder, top) else top_of(folder)


def may_lead_outside() -> bool:
    """Whether files outside of the repository are meant."""
    return _command_allows or _outside_allowed.get()


def read_named(name: str, most: int) -> bytes:
    """At most `most` bytes of the file that somebody names on a command line: a regular one, or a descriptor.

    (`<(...)` of a shell is the name of a descriptor.) Raises: OSError, ValueError.
    """
    if name == "/dev/stdin" or name.startswith(("/dev/fd/", "/proc/self/fd/")):
        with open(name, "rb") as opened:
            return opened.read(most)
    return read_start(name, most)


def read_start(file: Name, most: int) -> bytes:
    """The first `most` bytes of a regular file. Raises: as `read` does."""
    with open(_descriptor(file), "rb") as opened:
        return opened.read(most)


def reason(error: Exception) -> str:
    """What the system says of `error`, as a part of a sentence: "permission denied"."""
    text = getattr(error, "strerror", None) or str(error)
    return f"{text[:1].lower()}{text[1:]}"


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


def why_not(file: Name, folder: Path) -> str:
    """Why `read_beside(file, folder)` refuses the file for where it stands; "" if it does not."""
    return "" if may_lead_outside() else _why_not(file, bound_of(folder))


def _why_not(file: Name, top: Path) -> str:
    if not is_below(file, top):
        return ELSEWHERE
    try:
        real, spelled = Path(os.path.realpath(file)), Path(os.path.abspath(file))
        inside = real.relative_to(os.path.realpath(top))
    except ValueError:  # a NUL in the name: no file, and `open` says so
        return ""
    spelled = spelled.relative_to(top) if spelled.is_relative_to(top) else Path()
    folders = (real, *real.parents)[1 : len(inside.parts)]
    gits = _is_called_git(inside) or _is_called_git(spelled) or any(map(_is_git_directory, folders))
    return GITS_OWN if gits else ""


def _is_called_git(inside: Path) -> bool:
    """Whether a path leads into `.git`, however a file system spells it that knows no capitals."""
    return any(part.casefold() == ".git" for part in inside.parts)


def _is_git_directory(folder: Path) -> bool:
    """Whether git keeps a repository in a folder, whatever it is called: a `.git` may be a file that names it."""
    kept = (folder / name for name in ("objects", "refs"))
    return os.path.lexists(folder / "HEAD") and (os.path.lexists(folder / "commondir") or all(map(os.path.isdir, kept)))


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
