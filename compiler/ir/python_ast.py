"""Python source as a syntax tree, in whatever thread."""

from __future__ import annotations

import ast
import contextlib
import threading

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
