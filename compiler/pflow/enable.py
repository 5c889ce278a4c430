"""`enable`, `disable`, `status`: pflow-lower for every pflow of this Python environment.

One file does it, `pflow_lower.pth` in site-packages. Python runs its line at every start, so the line is
short and needs nothing of pflow-lower: it adds an import hook that acts on a few modules of pflow only. When
pflow imports one of them, the hook looks for pflow-lower; if that is missing or broken by then, a line on stderr
says so, and pflow runs as it is.
"""

from __future__ import annotations

import ast
import os
import sys
import sysconfig
from pathlib import Path

from ..files.atomic_write import replace_files
from .install import install, is_installed, uninstall
from .lazy_install import STUBBED
from .versions import Unsupported, described

SWITCH = "PFLOW_LOWER"
"""The environment variable that switches pflow-lower off (0) or on (1) for one command."""

_OFF = ("0", "off", "false", "no")
_NAME = "pflow_lower.pth"
_MARK = "# Written by `pflow-lower enable`"
_WHEN_ASKED = f"# It acts only where {SWITCH}=1."
_HOOK = """\
import os, sys

class PflowLower:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in {stubbed!r}:
            return None
        if (os.environ.get({switch!r}) or {default!r}).lower() in {off!r}:
            return None
        try:
            from pflow_lower.pflow.lazy_install import spec_with_stub
            return spec_with_stub(cls, name, path)
        except (Exception, SystemExit) as error:
            if cls in sys.meta_path:
                sys.meta_path.remove(cls)
            if sys.stderr is not None:
                text = "pflow-lower is off for this run, it cannot start (%s: %s); " \\
                    "reinstall pflow-lower, or delete %s\\n"
                sys.stderr.write(text % (type(error).__name__, error, {file!r}))
            return None

if all(getattr(finder, '__name__', '') != 'PflowLower' for finder in sys.meta_path):
    sys.meta_path.insert(0, PflowLower)  # in a virtual environment, Python may run this twice
"""


class Refused(RuntimeError):
    """The environment cannot be changed; the text says why."""


def enable(*, when_asked: bool = False) -> Path:
    """Switch pflow-lower on in this environment, or with `when_asked` only where PFLOW_LOWER=1; return the file.

    Raises: Refused, if there is no pflow here that pflow-lower supports, or the file cannot be written.
    """
    known, about = _known()
    if not known:
        raise Refused(about)
    file = _file()
    if file.exists() and not _is_ours(file):
        raise Refused(f"{file} is not pflow-lower's; move it away")
    try:
        replace_files({file: _text(file, when_asked).encode("ascii")}, mode=0o644)
    except OSError as error:
        raise Refused(f"cannot write {file}: {error.strerror or error}") from error
    return file


def disable() -> Path | None:
    """Take the file away; return it, or None if there was none.

    Raises: Refused, if it is not ours or cannot be removed.
    """
    file = _file()
    if not file.exists():
        return None
    if not _is_ours(file):
        raise Refused(f"{file} is not pflow-lower's; nothing is removed")
    try:
        file.unlink()
    except OSError as error:
        raise Refused(f"cannot remove {file}: {error.strerror or error}") from error
    return file


def status() -> list[str]:
    """What holds for a plain `pflow` of this environment, in lines."""
    file = _file()
    switch = os.environ.get(SWITCH, "")
    if not file.exists():
        said = [f"off: there is no {file}"]
    elif not _is_ours(file):
        said = [f"off: {file} is not pflow-lower's"]
    elif not _is_whole(file):
        said = [f"off: {file} is damaged; write it again with `pflow-lower enable`"]
    elif _WHEN_ASKED in file.read_text(encoding="ascii", errors="replace"):
        said = [f"only with {SWITCH}=1, by {file}"]
    else:
        said = [f"on, by {file}"]
    if switch and file.exists():
        said.append(f"{SWITCH}={switch} in this shell: {'on' if is_wanted(True) else 'off'}")
    return [*said, _known()[1]]


def is_in_force() -> bool:
    """Whether a plain `pflow` of this environment, called with the variables of this process, runs generated code."""
    file = _file()
    if not file.exists() or not _is_ours(file) or not _is_whole(file):
        return False
    return is_wanted(_WHEN_ASKED not in file.read_text(encoding="ascii", errors="replace"))


def is_wanted(default: bool) -> bool:
    """Whether PFLOW_LOWER asks for pflow-lower; `default` where it says nothing."""
    switch = os.environ.get(SWITCH, "")
    return switch.lower() not in _OFF if switch else default


def _known() -> tuple[bool, str]:
    """Whether the pflow of this environment is one that pflow-lower supports, and that in words."""
    try:
        if not is_installed():
            install()
            uninstall()
    except Unsupported as error:
        return False, str(error)
    return True, f"{described()} is supported by pflow-lower"


def _file() -> Path:
    return Path(sysconfig.get_path("purelib")) / _NAME


def _is_ours(file: Path) -> bool:
    try:
        return file.read_text(encoding="ascii", errors="replace").startswith(_MARK)
    except OSError:
        return False


def _is_whole(file: Path) -> bool:
    """Whether the last line of the file, the one that Python runs, is all there."""
    lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    try:
        code = ast.parse(lines[-1])
        hook = ast.literal_eval(code.body[1].value.args[0])  # type: ignore[attr-defined]  # import sys; exec(HOOK, {})
        return len(code.body) == 2 and ast.parse(hook) is not None
    except (SyntaxError, ValueError, IndexError, AttributeError, TypeError):
        return False


def _text(file: Path, when_asked: bool) -> str:
    code = _HOOK.format(
        stubbed=tuple(STUBBED), switch=SWITCH, default="0" if when_asked else "1", off=_OFF, file=str(file)
    )
    lines = [
        f"{_MARK}; `{sys.executable} -m pflow_lower disable` removes it.",
        "# When pflow is about to compile a workflow it looks for pflow-lower; other programs it leaves alone.",
        _WHEN_ASKED if when_asked else f"# It acts unless {SWITCH}=0.",
        f"import sys; exec({code!a}, {{}})",
    ]
    return "".join(f"{line}\n" for line in lines).encode("ascii", "backslashreplace").decode("ascii")
