"""Which module may import what: the arrows of the design, checked on the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pflow_lower

PACKAGE = Path(pflow_lower.__file__).parent

# From the ground up. A module imports from its own level and lower ones only: a stage never knows a later
# stage, and what generated code imports knows nothing of the compiler. A new module gets its place here.
LEVELS: dict[str, set[str]] = {
    "runtime, copied beside generated code": {"runtime"},
    "data and words": {
        *(
            "code_inputs",
            "diagnostics",
            "explanations",
            "evaluation",
            "expressions",
            "ir",
            "names",
            "plain",
            "positions",
            "replacing",
            "report",
            "spelling",
        ),
        *("surfaces", "translate"),
    },
    "load": {"files", "json_text", "load", "markdown", "markdown_positions"},
    "validate": {"rules", "schema_errors", "validate"},
    "analyse": {
        *("analyse", "node_sources", "node_table", "node_types"),
        *("scope", "scope_cache", "scope_code", "scope_names", "scope_values", "syntax"),
    },
    "lower": {"lowering"},
    "emit": {"class_body", "emit", "program", "verify"},
    "map": {"source_map"},
    "link": {"output"},
    "the driver": {"origin", "pipeline", "stage_dump"},
    "what users touch": {"__init__", "__main__", "api", "cli", "findings", "pflow", "review"},
}

# Who may import a library at all. All but `EAGER` do it inside a function: a start that does not need the
# library must not wait for it.
LIBRARIES: dict[str, set[str]] = {
    "click": {"cli", "findings", "pflow", "review"},
    "jinja2": {"emit", "review"},
    "jsonschema": {"schema_errors", "validate"},
    "lsprotocol": {"review"},
    "pflow": {"markdown", "pflow", "review"},
    "pocketflow": {"pflow", "runtime"},
    "pygls": {"review"},
    "pygments": {"cli", "review"},
    "tomli": {"node_table"},
    "tomllib": {"node_table"},  # no part of Python 3.10
}
EAGER = {
    ("cli", "click"),
    ("findings", "click"),
    ("pflow", "click"),
    ("pflow", "pflow"),
    ("pflow", "pocketflow"),
    ("review", "click"),
    ("review", "lsprotocol"),  # in review/lsp/server.py, which its command imports when it runs
    ("review", "pygls"),
    ("runtime", "pocketflow"),
}


@dataclass(frozen=True)
class Import:
    """One import statement: who imports what; `inner` names a module of this package."""

    unit: str
    name: str
    inner: bool
    lazy: bool
    place: str


def unit_of(file: Path) -> str:
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


FILES = sorted(PACKAGE.rglob("*.py"), key=str)
FILES = [file for file in FILES if "templates" not in file.relative_to(PACKAGE).parts]
UNITS = {unit_of(file) for file in FILES}
RANK = {unit: rank for rank, units in enumerate(LEVELS.values()) for unit in units}


def imports(file: Path) -> Iterator[Import]:
    tree = ast.parse(file.read_bytes())
    late = {id(node) for part in ast.walk(tree) if is_late(part) for node in ast.walk(part)}
    folder = file.relative_to(PACKAGE).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [(alias.name, False) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            targets = [(node.module or "", False)]
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1]
            paths = [[*base, node.module]] if node.module else [[*base, alias.name] for alias in node.names]
            targets = [(path[0], True) for path in paths]
        else:
            continue
        for name, inner in targets:
            place = f"{file.relative_to(PACKAGE).as_posix()}:{node.lineno}"
            head = name.partition(".")[0]
            if inner:
                head = head if head in UNITS else "__init__"  # `from . import __version__`
            yield Import(unit_of(file), head, inner, id(node) in late, place)


def is_late(node: ast.AST) -> bool:
    """Whether what is inside `node` does not run on import."""
    is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return is_typing or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


INNER = [found for file in FILES for found in imports(file) if found.inner]
OUTER = [
    found for file in FILES for found in imports(file) if not found.inner and found.name not in sys.stdlib_module_names
]


def test_every_module_has_a_level() -> None:
    assert not UNITS - RANK.keys(), "give the module a level in LEVELS, at the top of this file"


def test_no_module_imports_from_a_higher_level() -> None:
    assert INNER
    wrong = [f"{found.place}: {found.unit} imports {found.name}" for found in INNER if is_upward(found)]
    assert not wrong


def is_upward(found: Import) -> bool:
    if found.name == "__init__":  # the version; nothing else lives there
        return found.unit == "runtime"
    return RANK.get(found.name, 0) > RANK.get(found.unit, len(LEVELS))


def test_libraries_are_imported_only_where_they_belong() -> None:
    assert OUTER
    wrong = [f"{found.place}: {found.unit} imports {found.name}" for found in OUTER if found.unit not in homes(found)]
    assert not wrong, "inside the package use relative imports; for a new library extend LIBRARIES"


def homes(found: Import) -> set[str]:
    return LIBRARIES.get(found.name, set())


def test_libraries_are_imported_late() -> None:
    wrong = [found.place for found in OUTER if not found.lazy and (found.unit, found.name) not in EAGER]
    assert not wrong, "import it inside the function that needs it"


def test_the_package_costs_nothing_to_import() -> None:
    script = f"import sys, pflow_lower; print(sorted({set(LIBRARIES)!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
