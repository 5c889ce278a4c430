"""Which folder may import what: the arrows of CONTRIBUTING, read off the folders themselves."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import pflow_lower

PACKAGE = Path(pflow_lower.__file__).parent

GROUND = ("diagnostics", "ir", "files", "node_types")
"""What every stage knows. `diagnostics` knows nothing but itself, each of the others those before it."""
GROUND_MODULES = ("before_pflow", "install_hints")
"""Modules beside the rooms that every room but the runtime may use, as it uses the standard library."""
STAGES = ("load", "validate", "analyse", "lowering", "emit", "write")
"""In their order: a stage imports the ground and earlier stages, never a later one."""
TOPS = ("pflow", "tools")
"""What stands on the pipeline. Neither imports the other."""
ROOMS = {*GROUND, *STAGES, *TOPS, "runtime"}

LIBRARIES: dict[str, set[str]] = {
    "click": {"", "diagnostics", "pflow", "tools"},
    "jinja2": {"emit"},
    "jsonschema": {"validate"},
    "lsprotocol": {"tools"},
    "markdown_it": {"load"},
    "pathspec": {"tools"},
    "pflow": {"load", "pflow", "tools"},
    "platformdirs": {"runtime"},
    "pocketflow": {"pflow", "runtime"},
    "ray": {"runtime"},  # where a batch runs on a cluster
    "pyarrow": {"runtime"},  # where a batch reads or writes .parquet
    "pygls": {"tools"},
    "pygments": {"", "tools"},
    "rich": {"runtime"},  # the bar of `progress_displays.py`
    "tomli": {"node_types"},
    "tomllib": {"node_types"},  # no part of Python 3.10
    "yaml": {"load"},
}
"""Which room may import a library; "" is the package's own folder."""
EAGER = {
    ("", "click"),
    ("diagnostics", "click"),
    ("pflow", "click"),
    ("pflow", "pflow"),
    ("pflow", "pocketflow"),
    ("tools", "click"),
    ("tools", "lsprotocol"),  # in tools/lsp/server.py, which its command imports when it runs
    ("tools", "pygls"),
    ("runtime", "pocketflow"),
}
"""All others are imported inside a function: a start that does not need the library must not wait for it."""


@dataclass(frozen=True)
class Import:
    """One import: the module that imports, what it imports (dotted, inside the package), and when."""

    source: str
    target: str
    inner: bool
    late: bool
    typing: bool
    place: str

    @property
    def room(self) -> str:
        return room_of(self.source)


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name inside it; the package itself is ""."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py"), key=str):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "templates":
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


def room_of(module: str) -> str:
    """The top folder of a module; "" for the files beside the folders."""
    head = module.partition(".")[0]
    return head if (PACKAGE / head).is_dir() else ""


def tool_of(module: str) -> str:
    """The folder below tools/ of a module; "" elsewhere."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "tools" else ""


def imports(module: str, file: Path) -> Iterator[Import]:
    tree = ast.parse(file.read_bytes())
    typing = {id(node) for part in ast.walk(tree) if is_typing(part) for node in ast.walk(part)}
    late = {id(node) for part in ast.walk(tree) if is_late(part) for node in ast.walk(part)} | typing
    package = file.relative_to(PACKAGE).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [(alias.name, False) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            targets = [(node.module or "", False)]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            names = [f"{base}.{alias.name}".lstrip(".") for alias in node.names]
            targets = [(name if name in MODULES else base, True) for name in names]
        else:
            continue
        place = f"{file.relative_to(PACKAGE).as_posix()}:{node.lineno}"
        for name, inner in targets:
            yield Import(module, name, inner, id(node) in late, id(node) in typing, place)


def is_typing(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def is_late(node: ast.AST) -> bool:
    """Whether what is inside `node` does not run on import."""
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


ALL = [found for module, file in MODULES.items() for found in imports(module, file)]
INNER = [found for found in ALL if found.inner]
OUTER = [found for found in ALL if not found.inner and found.target.partition(".")[0] not in sys.stdlib_module_names]


def test_the_rooms_are_those_of_the_house() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders - {"templates"} == ROOMS


def why_not(found: Import) -> str:
    """Why the house forbids this import; "" if it does not."""
    source, target = found.room, room_of(found.target)
    if source == target:
        here, there = tool_of(found.source), tool_of(found.target)
        between_tools = source == "tools" and here != there and there != "shared"
        if source == "pflow" and is_of_an_older_engine(found.target) and not is_of_an_older_engine(found.source):
            return "who reads the present engine never meets an older one; install imports them by name"
        if between_tools and (here == "shared" or found.target.removeprefix("tools.") not in PUBLIC):
            return "tools do not know each other; what two need stands in tools/shared"
        return ""
    if not found.target:
        return ""  # the version
    if source == "runtime":
        return "generated code runs without the compiler"
    if found.target in GROUND_MODULES:
        return ""
    if source in GROUND:
        return "" if target in GROUND[: GROUND.index(source)] else "the ground knows no stage"
    if source in STAGES:
        allowed = {*GROUND, *STAGES[: STAGES.index(source)], *({"runtime"} if source == "emit" else ())}
        if found.target == "options":
            return ""
        return "" if target in allowed else "a stage knows the ground and earlier stages"
    if target in TOPS and source in TOPS:
        return "pflow and tools do not know each other"
    if not source and target in TOPS and (found.source, found.target) not in ASKED:
        return "commands are imported by their names, see ELSEWHERE in cli.py"
    return ""


def is_of_an_older_engine(module: str) -> bool:
    return module.startswith(("pflow.engine_0_8", "pflow.engine_0_15"))


ASKED = {("pipeline", "pflow.ask")}
"""What a module beside the rooms asks of a room that stands on the pipeline."""
PUBLIC = {"lint.findings", "plan.forecast"}
"""The modules of tools that other tools may ask."""


def test_no_import_goes_against_the_arrows() -> None:
    assert INNER
    wrong = [f"{found.place}: {found.target}: {why}" for found in INNER if (why := why_not(found))]
    assert not wrong, "\n".join(wrong)


def test_what_must_be_imported_before_pflow_is() -> None:
    """By `before_pflow`, and by whoever imports pflow through that; those below pflow/ have it from their package."""
    http = {found.source for found in ALL if found.target == "http.client"}
    assert http == {"before_pflow", "runtime.program_run"}
    ready = {found.source for found in INNER if found.target == "before_pflow"}
    there = {found.source for found in OUTER if found.target.partition(".")[0] == "pflow" and not found.typing}
    assert "pflow" in ready
    assert {module for module in there if not module.startswith("pflow.")} <= ready
    for folder in ("tests", "benchmarks"):
        for file in sorted((Path(__file__).parent.parent / folder).rglob("*.py")):
            if file.name != "before_pflow.py":
                assert not re.search(r"import http\.client.*#", file.read_text("utf-8")), file


def test_no_modules_import_each_other_in_a_circle() -> None:
    after = {
        module: {found.target for found in INNER if found.source == module and not found.typing} for module in MODULES
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done or module not in after:
            return
        for target in sorted(after[module]):
            visit(target, (*path, module))
        done.add(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("found", OUTER, ids=lambda found: found.place)
def test_a_library_is_imported_where_it_belongs_and_late(found: Import) -> None:
    library = found.target.partition(".")[0]
    assert found.room in LIBRARIES.get(library, set()), "inside the package use relative imports; or extend LIBRARIES"
    assert found.late or (found.room, library) in EAGER, "import it inside the function that needs it"


def test_the_package_costs_nothing_to_import() -> None:
    script = f"import sys, pflow_lower; print(sorted({set(LIBRARIES)!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_emit_looks_at_the_lowered_workflow_only() -> None:
    for file in sorted((PACKAGE / "emit").rglob("*.py")):
        names = {node.id for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Name)}
        assert not names & {"SourceIR", "SourceNode", "NodeTypes", "NodeType"}, file


def test_a_broad_except_has_its_reason_beside_it() -> None:
    """A reader must see at once why it does not say what it expects."""
    broad = re.compile(r"\s*except (Base)?Exception\b[^#]*:\s*(#.*)?$")
    bare = []
    for file in sorted(PACKAGE.rglob("*.py")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            found = broad.match(line)
            reason = "" if found is None else re.sub(r"#|noqa: BLE001", "", found[2] or "")
            if found is not None and len(reason.split()) < 2:
                bare.append(f"{file.relative_to(PACKAGE)}:{number}")
    assert bare == []
