"""What git knows of a repository. Nothing of the repository is run by this, and nothing is fetched for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_ENVIRONMENT = {"GIT_LITERAL_PATHSPECS": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}


def ask(folder: Path, *arguments: str) -> bytes | None:
    """What git prints in `folder`; None where it cannot tell, or is not installed."""
    command = ["git", "-C", os.path.abspath(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, env={**os.environ, **_ENVIRONMENT}, check=False)
    except OSError:
        return None
    return None if done.returncode else done.stdout


def versions(file: Path) -> list[bytes]:
    """What git's index and its last commit hold at the very path of `file`."""
    found = (ask(file.parent, "cat-file", "blob", f"{where}:./{file.name}") for where in ("", "HEAD"))
    return [content for content in found if content is not None]
