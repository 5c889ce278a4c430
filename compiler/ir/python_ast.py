"""Python source as a syntax tree, in whatever thread."""

from __future__ import annotations

import ast
import contextlib
import threading
import warnings
from typing import NamedTuple

_TRIES = 20

_lock = threading.RLock()  # it may be asked again, by what the garbage collector runs meanwhile


def parse_python(source: str | bytes) -> ast.Module:
    """`ast.parse`, which threads must not call at the same time: workflows that items start are compiled in theirs.

    CPython counts how deep a tree is in one place for all threads, which take turns where garbage is collected, and
    then says SystemError: "AST constructor recursion depth mismatch" (https://github.com/python/cpython/issues/106905).
    What code that is not ours does in other threads can still cause that, and is gone at the next try.

    Raises: what `ast.parse` raises.
    """
    with _lock:
        for _ in range(_TRIES):
            with contextlib.suppress(SystemError):
                return ast.parse(source)
        return ast.parse(source)


class PythonFault(NamedTuple):
    """Why Python source cannot be compiled."""

    message: str
    """In Python's words."""
    line: int | None
    """Counted from 1; None if Python does not say where."""
    column: int = 1


def python_fault(source: str) -> PythonFault | None:
    """What keeps `source` from being compiled as a module, `return` outside of a function, too; nothing is run.

    None if nothing does, or that cannot be found out here: it is nested too deeply for this thread.
    """
    try:
        with _lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # somebody else's code is looked at, not judged
            compile(source, "<code>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return PythonFault(error.msg or "invalid syntax", error.lineno, max(error.offset or 1, 1))
    except ValueError as error:  # a NUL
        return PythonFault(str(error), None)
    except (RecursionError, MemoryError, SystemError):
        return None
    return None
