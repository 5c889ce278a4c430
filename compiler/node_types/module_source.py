"""The names of a module, given where its source is."""

from __future__ import annotations

import os
import warnings
from importlib.machinery import ModuleSpec

from ..files import regular_files
from ..ir.python_ast import parse_python
from .module_names import ModuleNames


class NotPython(Exception):
    """The source of a module cannot be compiled: importing it fails. The text says where, and why."""


def load(spec: ModuleSpec | None, name: str) -> ModuleNames | None:
    """The names of the module at `spec`; None if it has no Python source that is a file.

    Raises: NotPython.
    """
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        source = regular_files.read(spec.origin)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the user's code is looked at, not judged
            tree = parse_python(source)
        return ModuleNames(tree.body, name if spec.submodule_search_locations is not None else name.rpartition(".")[0])
    except SyntaxError as error:
        at = f":{error.lineno}" if error.lineno else ""
        raise NotPython(f"{os.path.basename(spec.origin)}{at}: {error.msg}") from error
    except ValueError as error:  # a byte that text does not have
        raise NotPython(f"{os.path.basename(spec.origin)}: {error}") from error
    except (ImportError, OSError, RecursionError, MemoryError):
        return None
