"""Where relative paths start on a worker, and where it looks for modules: where the run does, if it has that, too.

Ray starts a worker in the folder that the cluster was started in.
"""

from __future__ import annotations

import functools
import os
import socket
import sys
import sysconfig
from collections.abc import Mapping
from typing import Any, NamedTuple


@functools.cache
def _began_in() -> str:
    """The folder that Ray started this worker in, if nobody has left it yet."""
    return _here()


def _here() -> str:
    """The working directory; "" where it has been removed: nothing relative is found there."""
    try:
        return os.getcwd()
    except OSError:
        return ""


class Home(NamedTuple):
    """What a worker needs, to find what the process that runs the workflow finds."""

    folder: str
    """Where its relative paths start; "" if that is nowhere."""
    modules: tuple[str, ...]
    """Where it looks for modules that are not installed."""
    stays: bool = False
    """Whether a worker stays in the folder that it has, since Ray was told which."""

    def path(self, path: str) -> str:
        """What the worker that asks calls what is `path` in the process that runs the workflow."""
        return path if _here() == self.folder else os.path.join(self.folder, path)


def home_of(ray: Any, options: Mapping[str, Any]) -> Home:
    """That of this process, for tasks with these options of Ray's."""
    environments = options.get("runtime_env") or {}, ray.get_runtime_context().runtime_env or {}
    stays = any("working_dir" in environment for environment in environments)
    folder = _here()
    installed = installed_folders()
    looked_in = dict.fromkeys(os.path.abspath(path) for path in sys.path if folder or os.path.isabs(path))
    modules = (path for path in looked_in if os.path.isdir(path))
    here = (path for path in modules if not os.path.join(os.path.realpath(path), "").startswith(installed))
    return Home(folder, tuple(here), stays)


def go_home(home: Home) -> str:
    """Be in the folder of `home`, and find its modules. Answers what to tell of that, "" if nothing is amiss."""
    # Last: what the worker finds by itself stays as it is.
    sys.path += [path for path in home.modules if path not in sys.path and os.path.isdir(path)]
    if home.stays or not home.folder:
        return ""
    began_in = _began_in()
    try:
        os.chdir(home.folder)
    except OSError as error:
        why = error.strerror or error
        if began_in:
            os.chdir(began_in)  # and not where another batch was
        return f"{home.folder} is not on {socket.gethostname()} ({why}): relative paths start in {began_in} there"
    return ""


def installed_folders() -> tuple[str, ...]:
    """Where what is installed stands, each with a separator at its end."""
    paths = sysconfig.get_paths()
    return tuple(os.path.join(os.path.realpath(paths[name]), "") for name in ("stdlib", "purelib", "platlib"))
