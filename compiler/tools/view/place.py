"""Where a page is written."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path

from ...lowering.names import digest_of
from ...write.write import write

_PAGES = (".html", ".htm")


def put(page: str, workflow: str, out: Path | None) -> Path:
    """Write `page` into the folder `out` or, without it, into a temporary one of the user's; gives its absolute path.

    An `out` that ends with .html, and is not a folder, is the file itself. Without `out` a workflow always gets the
    same place, so that a browser's tab can be loaded again.

    Raises: LowerError (PFL601 a file of the user's is in the way, PFL602 cannot write).
    """
    if out is None:
        path = _folder() / _name(workflow)
    else:
        path = Path(os.path.abspath(out))
        if path.is_dir() or path.suffix.lower() not in _PAGES:
            path /= f"{_stem(workflow)}.html"
    write({path.name: page}, path.parent, source=None if workflow == "-" else Path(workflow))
    return path


def _name(workflow: str) -> str:
    return f"{_stem(workflow)}-{digest_of(os.path.abspath(workflow))}.html"


def _stem(workflow: str) -> str:
    """The workflow's name without its endings, as part of a file name."""
    return re.sub(r"[^\w.-]+", "_", os.path.basename(workflow).partition(".")[0]).strip("-") or "workflow"


def _folder() -> Path:
    """A folder that nobody else can write to; its name can be guessed, so somebody else may have made it first."""
    user = str(os.getuid()) if hasattr(os, "getuid") else "pages"
    folder = Path(tempfile.gettempdir(), f"pflow-lower-{user}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="pflow-lower-"))
    foreign = hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022)
    if foreign or not stat.S_ISDIR(status.st_mode):
        return Path(tempfile.mkdtemp(prefix="pflow-lower-"))
    return folder
