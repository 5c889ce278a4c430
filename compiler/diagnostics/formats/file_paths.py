"""Where the file of a finding is, as seen from the root of the repository that a machine looks at."""

from __future__ import annotations

import ntpath
import os
import posixpath
from pathlib import Path, PurePath, PureWindowsPath
from urllib.parse import quote

from ..diagnostic import Diagnostic


def root() -> Path:
    """The folder that paths in annotations and reports are relative to: the checkout, or the current folder."""
    checkout = os.environ.get("GITHUB_WORKSPACE")
    return Path(checkout) if checkout else Path.cwd()


def path_of(finding: Diagnostic, base: PurePath, here: PurePath) -> PurePath | None:
    """The finding's file: relative to `base` where it is inside, else absolute; None if there is no file.

    `here` is the folder that names on the command line are relative to. Standard input and data
    ("<data>") are not files.
    """
    name = finding.file
    if not name or (name.startswith("<") and name.endswith(">")):
        return None
    rules = ntpath if isinstance(base, PureWindowsPath) else posixpath
    path = type(base)(rules.normpath(rules.join(str(here), name)))
    try:
        return path.relative_to(base)
    except ValueError:
        return path


def uri_of(path: PurePath) -> str:
    """`path` as a URI reference (RFC 3986): relative for a relative path, else `file:`."""
    if path.is_absolute():
        return path.as_uri()
    return quote(os.fsencode(path.as_posix()), safe="/")
