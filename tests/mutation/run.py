"""Mutation testing by hand: what stays green when a line of the compiler is wrong.

    python tests/mutation/run.py [--tests FILE ...] [PATH ...]

Makes the mutants of the files of PATH (folders or files of the package; all of ROOMS unless given) with cosmic-ray and
tries every one of them. Prints the survivors as differences, and then how many mutants there were, killed and survived.
Nothing is written into the repository. Exit status: 0 all were killed, 1 some survived, 2 it could not run.

Every test is run once, in a process of its own, to see which lines it runs. For a mutant, a process that has collected
the tests and run none of them is forked: there the code of the mutated function is changed, and the tests that run
its line are run, those first that killed other mutants of the file. What is worked out on import cannot be changed
afterwards: for such a mutant the fork is that of a process which has not yet imported the package.

Left out, since no test could tell: annotations, docstrings, `if TYPE_CHECKING`, `__all__`, decorators that remember
results (`functools.cache`) or forbid changes (`frozen=True`).

cosmic-ray is not among the development tools, since it brings many packages; of those only two are needed here:
`pip install --no-deps cosmic-ray parso stevedore`. (mutmut takes the name of a package from its folder, and ours is
called compiler/.)
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import functools
import gc
import http.client  # noqa: F401  before pflow, as in tests/conftest.py
import importlib
import importlib.machinery
import inspect
import itertools
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from hypothesis import Phase, settings

try:
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names
except ImportError as missing:
    sys.exit(f"{missing}: pip install --no-deps cosmic-ray parso stevedore")

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "compiler"
ROOMS = ["analyse", "lowering", "emit", "tools/diff"]
REPLACED_BY_MANY = ("core/ReplaceBinaryOperator_", "core/ReplaceComparisonOperator_")
"""Operators that come in ten forms for each place: one of them, by chance, says as much."""
HEAVY = [
    "jinja2",
    "jsonschema",
    "rich.progress",
    "pflow.cli",
    "pflow.runtime.compilation.compiler",
    "pflow.execution.runner",
    "pyarrow.parquet",
    "pygls.lsp.server",
]
"""What tests import of others and takes long: imported once, before anything is forked."""
SECONDS = 20
"""What the tests that are asked about one mutant may take together, as measured without a mutant."""
FILES = 6
"""For a mutant of what is worked out on import: how many test files are collected anew."""
MEMORY = 4 << 30
"""Bytes that a forked process may have."""
BROKEN = 70
"""Exit status of a forked process when this script is at fault."""


@dataclass(frozen=True)
class Mutant:
    file: str
    lines: range
    operator: str
    source: str

    def difference(self) -> str:
        old = Path(self.file).read_text(encoding="utf-8").splitlines()
        lines = list(difflib.unified_diff(old, self.source.splitlines(), lineterm="", n=0))[2:]
        return "\n".join([f"{Path(self.file).relative_to(ROOT)}: {self.operator}", *lines])


@dataclass
class Known:
    """Of every test: how long it takes, what it runs, what it has killed."""

    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    on_import: set[tuple[str, int]] = field(default_factory=set)
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    became: Counter[str] = field(default_factory=Counter)

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that run its lines, in the order to ask them."""
        return self.ordered(mutant, set().union(*(self.tests.get((mutant.file, line), ()) for line in mutant.lines)))

    def tests_of_file(self, mutant: Mutant) -> list[str]:
        """The tests that run anything of its file (all tests if none does), from a few test files."""
        found = set().union(*(tests for (file, _), tests in self.tests.items() if file == mutant.file))
        order = self.ordered(mutant, found or set(self.seconds))
        files = list(dict.fromkeys(test.partition("::")[0] for test in order))[:FILES]
        return [test for test in order if test.partition("::")[0] in files]

    def ordered(self, mutant: Mutant, tests: set[str]) -> list[str]:
        order = sorted(tests, key=lambda test: (-self.kills[mutant.file, test], self.seconds[test], test))
        total = itertools.accumulate(self.seconds[test] for test in order)
        return [test for test, until_here in zip(order, total, strict=True) if until_here <= SECONDS]

    def judge(self, mutant: Mutant, tests: list[str], work: Callable[[Path], int]) -> None:
        """Have a mutant tried, and print it if it survives."""
        with forked(work) if tests else contextlib.nullcontext((0, Path())) as (status, folder):
            if status:
                self.kills[mutant.file, current(folder)] += 1
        self.became["killed" if status else "survived" if tests else "no test runs it"] += 1
        if not status:
            print(f"survived {len(tests)} tests: {mutant.difference()}\n", flush=True)


def mutants_of(file: Path) -> Iterator[Mutant]:
    """All of a file, but one, by chance, of those that only put another operator in the same place."""
    source = file.read_text(encoding="utf-8")
    tree, meaning, nodes = ast.parse(source), meaning_of(source), list(ast_nodes(get_ast(source)))
    forms: dict[Any, list[tuple[str, int, int]]] = defaultdict(list)
    for name in operator_names():
        if not get_operator(name).arguments():
            places = [place for node in nodes for place in get_operator(name)().mutation_positions(node)]
            for occurrence, place in enumerate(places):
                many = name.startswith(REPLACED_BY_MANY)
                kind = (name.rpartition("_")[0], place) if many else (name, occurrence)
                forms[kind].append((name, occurrence, place[0][0]))
    chance = random.Random(0)
    for name, occurrence, line in map(chance.choice, forms.values()):
        mutated = mutate_code(source, get_operator(name)(), occurrence)
        if mutated is not None and meaning_of(mutated) != meaning:
            yield Mutant(str(file), statement_around(tree, line), name, mutated)


def statement_around(tree: ast.AST, line: int) -> range:
    """The lines of the innermost statement that has the line; without its body, if it has one."""
    best = range(line, line + 1)
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.excepthandler):
            body = getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            if node.lineno <= line <= last:
                best = range(node.lineno, last + 1)
    return best


def meaning_of(source: str) -> str:
    """The syntax tree without what makes no difference to any test."""
    return ast.dump(Meaning().visit(ast.parse(source)))


class Meaning(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        node.decorator_list = [each for each in node.decorator_list if "cache" not in ast.unparse(each)]
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST | None:
        return None if node.arg == "frozen" else self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return None if ast.unparse(node.targets[0]) == "__all__" else self.generic_visit(node)


# Processes


@contextlib.contextmanager
def forked(work: Callable[[Path], int]) -> Iterator[tuple[int, Path]]:
    """What `work` ends with in a process of its own (below 0: the signal that killed it), and the folder it had."""
    folder = Path(tempfile.mkdtemp(prefix="mutant-"))
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            tempfile.tempdir = os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
            os._exit(work(folder))
        except BaseException:  # noqa: BLE001  printed, and the parent ends with it
            traceback.print_exc()
        finally:
            os._exit(BROKEN)
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what its tests have left behind
        if status == BROKEN:
            sys.exit("mutation testing itself has failed: see above")
        yield status, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Instead:
    """A pytest plugin that calls `work` with what was collected, instead of running it."""

    def __init__(self, work: Callable[[pytest.Session], None]) -> None:
        self.work = work

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("not all tests could be collected")
        session.config.pluginmanager.unregister(name="terminalreporter")
        self.work(session)
        return True


def collect(tests: list[str], work: Callable[[pytest.Session], None]) -> int:
    return pytest.main(
        ["-q", "--assert=plain", "-p", "no:faulthandler", "-p", "no:xdist", *tests], plugins=[Instead(work)]
    )


def run(session: pytest.Session, tests: list[str], known: Known, folder: Path) -> int:
    """Run tests until one fails; whether one did. One that takes ever so long is killed, and we with it."""
    items = {item.nodeid: item for item in session.items}
    for item, following in itertools.pairwise([*(items[test] for test in tests), None]):
        (folder / "test").write_text(item.nodeid)
        signal.alarm(10 + int(10 * known.seconds.get(item.nodeid, 5)))
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def current(folder: Path) -> str:
    """The test that was run last."""
    return (folder / "test").read_text() if (folder / "test").exists() else "import"


def silenced(work: Callable[[Path], int]) -> Callable[[Path], int]:
    def silent(folder: Path) -> int:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        return work(folder)

    return silent


# What each test runs


def traced(files: set[str], ran: set[tuple[str, int]]) -> None:
    """Have every line of the files that is run from now on written into `ran`."""

    def line(frame: FrameType, event: str, _: object) -> Any:
        ran.add((frame.f_code.co_filename, frame.f_lineno))
        return line

    def call(frame: FrameType, event: str, _: object) -> Any:
        return line if frame.f_code.co_filename in files else None

    threading.settrace(call)
    sys.settrace(call)


def measure(session: pytest.Session, files: set[str], known: Known) -> list[str]:
    """Run every test once; those that fail."""

    def measured(test: str, folder: Path) -> int:
        ran: set[tuple[str, int]] = set()
        traced(files, ran)
        start = time.perf_counter()
        status = run(session, [test], known, folder)
        took = time.perf_counter() - start
        sys.settrace(None)
        (folder / "measured").write_bytes(pickle.dumps((took, ran)))
        return status

    failed = []
    for item in session.items:
        with forked(silenced(functools.partial(measured, item.nodeid))) as (status, folder):
            if status:
                failed.append(item.nodeid)
                continue
            known.seconds[item.nodeid], ran = pickle.loads((folder / "measured").read_bytes())
        for place in ran:
            known.tests[place].add(item.nodeid)
    return failed


# Mutants of functions, and of what is worked out on import


def changed(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """The functions in which two modules differ; None if they differ elsewhere."""
    if old.co_flags & inspect.CO_OPTIMIZED:
        return [(old, new)] if old.co_freevars == new.co_freevars else None
    if without_inner(old) != without_inner(new):
        return None
    inner = [changed(*pair) for pair in zip(codes(old), codes(new), strict=True) if pair[0] != pair[1]]
    return None if None in inner else [pair for pairs in inner for pair in pairs or ()]


def without_inner(code: CodeType) -> CodeType:
    return code.replace(co_consts=tuple(None if isinstance(each, CodeType) else each for each in code.co_consts))


def codes(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def try_functions(session: pytest.Session, mutants: list[Mutant], known: Known) -> list[Mutant]:
    """Try those mutants whose function can be changed where it is; the others."""
    functions: dict[tuple[str, int], list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if isinstance(each, FunctionType):
            functions[each.__code__.co_filename, each.__code__.co_firstlineno].append(each)
    gc.freeze()  # no copies of memory just because a forked process collects garbage
    others = []
    for mutant in mutants:
        old = compile(Path(mutant.file).read_bytes(), mutant.file, "exec", dont_inherit=True)
        pairs = changed(old, compile(mutant.source, mutant.file, "exec", dont_inherit=True))
        swaps = [
            [(each, new) for each in functions[mutant.file, was.co_firstlineno] if each.__code__ == was]
            for was, new in pairs or ()
        ]
        if not swaps or not all(swaps) or known.on_import & {(mutant.file, line) for line in mutant.lines}:
            others.append(mutant)
            continue
        tests = known.tests_of(mutant)

        def work(folder: Path, swaps: Any = swaps, tests: list[str] = tests) -> int:
            for function, code in itertools.chain(*swaps):
                function.__code__ = code
            return run(session, tests, known, folder)

        known.judge(mutant, tests, silenced(work))
    return others


def imported(mutant: Mutant, tests: list[str], known: Known) -> Callable[[Path], int]:
    """Work for a process that has not imported the package: do so, with the mutant, and run the tests."""

    def work(folder: Path) -> int:
        get_code = importlib.machinery.SourceFileLoader.get_code

        def mutated(self: Any, name: str) -> CodeType | None:
            if self.path == mutant.file:
                return compile(mutant.source, mutant.file, "exec", dont_inherit=True)
            return get_code(self, name)

        importlib.machinery.SourceFileLoader.get_code = mutated  # type: ignore[method-assign]
        status = 1  # if they cannot be collected
        signal.alarm(60)

        def tried(session: pytest.Session) -> None:
            nonlocal status
            status = run(session, tests, known, folder)

        collect(list(dict.fromkeys(test.partition("::")[0] for test in tests)), tried)
        return status

    return silenced(work)


def warm_up() -> None:
    """Have everything imported, and what is worked out once and takes long worked out, as if it were on import."""
    for file in PACKAGE.rglob("[a-z]*.py"):
        with contextlib.suppress(ImportError):
            importlib.import_module(".".join(["pflow_lower", *file.relative_to(PACKAGE).with_suffix("").parts]))
    importlib.import_module("pflow_lower.validate.validate")._schema()
    environment = importlib.import_module("pflow_lower.emit.emit").jinja()
    for name in environment.list_templates():
        environment.get_template(name)


# The whole


def main() -> int:
    """Run the script; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="*", metavar="PATH", default=ROOMS, help=f"of: {', '.join(ROOMS)}")
    parser.add_argument("--tests", nargs="+", default=["tests"], metavar="FILE", help="ask only these tests")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    named = [PACKAGE / path for path in arguments.paths]
    files = [file for path in named for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    print(f"{len(mutants)} mutants of {len(files)} files", flush=True)
    settings.register_profile(
        "mutation", max_examples=20, phases=[Phase.explicit, Phase.generate], derandomize=True, database=None
    )
    settings.load_profile("mutation")
    for name in HEAVY:
        importlib.import_module(name)

    def all_of_functions(folder: Path) -> int:
        known = Known()
        ran: set[tuple[str, int]] = set()
        others = mutants

        def work(session: pytest.Session) -> None:
            nonlocal others
            warm_up()
            sys.settrace(None)
            known.on_import = ran
            failed = measure(session, set(map(str, files)), known)
            print(f"{len(known.seconds)} tests, {sum(known.seconds.values()):.0f} seconds")
            for test in failed:
                print(f"fails without a mutant, is not asked: {test}")
            others = try_functions(session, mutants, known)
            (folder / "known").write_bytes(pickle.dumps((known, others)))

        traced(set(map(str, files)), ran)
        return collect(arguments.tests, work)

    with forked(all_of_functions) as (status, folder):
        if status:
            return 2
        known, others = pickle.loads((folder / "known").read_bytes())
    print(f"{len(others)} mutants of what is worked out on import", flush=True)
    for mutant in others:
        tests = known.tests_of_file(mutant)
        known.judge(mutant, tests, imported(mutant, tests, known))
    print(f"{len(mutants)} mutants: {dict(known.became)}")
    return 1 if known.became.keys() - {"killed"} else 0


if __name__ == "__main__":
    sys.exit(main())
