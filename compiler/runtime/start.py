"""How a generated `flow.py` starts as a program: as a module of the package that its folder is.

Whether it is run by its path (`python gen/wf/flow.py`) or by its name (`python -m gen.wf.flow`), the generated modules
beside it are imported from its own folder only, so that they never take the place of a module `nodes` of the user's.
"""

from __future__ import annotations

import filecmp
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from .signals import ending_on_sigterm

PACKAGE = "pflow_lower_program"
"""The name of the package that the folder of a program is, if it was run by its path."""

TRACEBACK_VARIABLE = "PFLOW_LOWER_TRACEBACK"
"""The environment variable that has a program show where an error was raised, instead of a message alone."""

_DISTRIBUTIONS = {"pflow": "pflow-cli", "pocketflow": "pocketflow"}
"""What to install for a module that generated code imports."""

_COPY = "pflow_lower_runtime"
"""What the runtime is called where it is a copy beside the program."""

SEE_WHERE = f"(set {TRACEBACK_VARIABLE}=1 to see where)"

_owns_the_process = False


def start(file: str, package: str | None) -> int:
    """Run the program in `file`, which is a module of `package`, if Python knows that already.

    Returns the exit status: what the program's `main` says; 1 if something that it imports is not there.
    """
    global _owns_the_process
    _owns_the_process = True
    folder, name = os.path.split(os.path.abspath(file))
    here = os.path.realpath(folder)
    # Last: what the folder holds is known by the name of its package, and hides nothing that others call `nodes`.
    sys.path[:] = [*(entry for entry in sys.path if os.path.realpath(entry) != here), folder]
    if not package:
        package = _package_of(folder)
    _share_the_runtime(package)
    try:
        program: Any = importlib.import_module(f"{package}.{os.path.splitext(name)[0]}")
    except ImportError as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        sys.stderr.write("".join(f"{line}\n" for line in _missing(error, folder, package)))
        return 1
    with ending_on_sigterm():
        status: int = program.main(sys.argv[1:])
    return status


def beside(file: str, path: str) -> str:
    """The path of what stands at `path`, seen from the folder of the module `file`; links are not followed."""
    return os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(file)), path))


def class_path(file: str, *folders: str, modules: Sequence[str] = ()) -> list[str]:
    """`sys.path` with the folders in which the classes of a program's steps are looked for, too.

    `folders` are seen from the folder of the program `file`. They come first if the program was started as such;
    where another program imports it, they come last, and hide nothing of that. `modules` are those of the classes.

    Raises: ImportError, if one of them stands in a folder, and another module of that name would be imported.
    """
    own = beside(file, ".")
    places = dict.fromkeys(beside(file, folder) for folder in folders)
    wanted = [folder for folder in places if folder != own]
    rest = [entry for entry in sys.path if entry not in wanted]
    found = [*wanted, *rest] if _owns_the_process else [*rest, *wanted]
    found = found if own in found else [*found, own]
    for module in modules:
        _refuse_another(module, places, found)
    return found


def _refuse_another(name: str, places: Iterable[str], path: list[str]) -> None:
    """Raises: ImportError, if the module `name` stands in one of `places`, and Python has or finds another one."""
    ours = next((file for folder in places if (file := _file_of(PathFinder.find_spec(name, [folder])))), None)
    loaded = sys.modules.get(name)
    theirs = _file_of(PathFinder.find_spec(name, path) if loaded is None else loaded.__spec__)
    if ours is None or theirs is None or os.path.realpath(ours) == os.path.realpath(theirs) or _is_same(ours, theirs):
        return
    raise ImportError(
        f"the module {name} of this program is {ours}, and in this process {theirs} has that name: give one of them "
        "another name, or run the program in a process of its own",
        name=name,
    )


def _file_of(spec: ModuleSpec | None) -> str | None:
    """The file of a module, or the folder of a package without one; None if there is none."""
    if spec is None:
        return None
    return spec.origin if spec.has_location else next(iter(spec.submodule_search_locations or ()), None)


def _is_same(one: str, two: str) -> bool:
    """Whether two modules that are a file each are copies."""
    is_package = os.path.basename(one) == "__init__.py"
    return not is_package and os.path.isfile(one) and os.path.isfile(two) and filecmp.cmp(one, two, shallow=False)


def _package_of(folder: str) -> str:
    """Make `folder` a package; its name."""
    spec = ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [folder]
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    return PACKAGE


def _share_the_runtime(package: str) -> None:
    """Have the program use this very runtime, where it is a copy beside the program: not the same copy once more."""
    copy = __name__.partition(".")[0]
    if __name__ == f"{copy}.start":
        for name in [name for name in sys.modules if name == copy or name.startswith(f"{copy}.")]:
            sys.modules[f"{package}.{name}"] = sys.modules[name]


def _missing(error: ImportError, folder: str, package: str) -> list[str]:
    """What to say of an import that has failed."""
    lines = [f"error: {error}"]
    distribution = _DISTRIBUTIONS.get((error.name or "").partition(".")[0])
    requirements = os.path.join(folder, "requirements.txt")
    if _COPY in (error.name or "").split("."):
        lines.append(f"the runtime beside it is not whole: pflow-lower check --update {os.path.relpath(folder)}")
    elif isinstance(error, ModuleNotFoundError) and (error.name or "").rpartition(".")[0] == package:
        lines.append(f"a part of the program is missing: pflow-lower check --update {os.path.relpath(folder)}")
    elif isinstance(error, ModuleNotFoundError) and distribution is not None:
        wanted = f"-r {os.path.relpath(requirements)}" if os.path.exists(requirements) else distribution
        lines.append(f"install it: pip install {wanted}")
    elif isinstance(error, ModuleNotFoundError):
        lines.append("put the module beside the workflow, where PYTHONPATH leads, or install it")
    return [*lines, SEE_WHERE]
