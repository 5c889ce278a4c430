"""Mutation testing by hand: what stays green when a line of the compiler is wrong.

    python tests/mutation/run.py [--tests FILE ...] [--] [PATH ...]

Makes the mutants of the files of PATH (folders or files of the package; all of ROOMS unless given) with cosmic-ray and
tries every one of them, in about an hour. Prints the survivors as differences, and then how many mutants there were and
what became of them. Writes nothing into the repository. Exit status: 0 all were killed, 1 some survived, 2 it could
not run.

Every test is run once, in a process of its own, to see which lines it runs. For a mutant, a process that has collected
the tests and run none of them is forked: there the code of the mutated function is changed, and the tests that run
its line are run, those first that killed other mutants of the file. What is worked out on import cannot be changed
afterwards: for such a mutant the fork is that of a process which has not yet imported the package.

Left out, since no test could tell: annotations, `if TYPE_CHECKING`, `__all__`, decorators that remember results
(`functools.cache`) or forbid changes (`frozen=True`). Docstrings and other texts are not changed at all.

cosmic-ray is not among the development tools, since it brings many packages; of those only two are needed here:
`pip install --no-deps cosmic-ray parso stevedore`. (mutmut takes the name of a package from its folder, and ours is
called compiler/.)
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import importlib
import importlib.machinery
import itertools
import os
import pickle
import signal
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from mutants import ROOT, Mutant, mutants_of
from processes import ENDLESS, Work, collect, file_of, forked, run, trace

PACKAGE = ROOT / "compiler"
ROOMS = ["analyse", "lowering", "emit", "tools/diff"]
TESTS = """analyse batch_keys check child_workflows diff evaluation explain foreseen formats generated_class golden
golden_diff golden_lint golden_plan hostile_names invariance lint lowering lsp mermaid names nested_batches node_types
outside pflow_interfaces plan programs prompt_cache python_text source_map validate verify view""".split()
"""Test files that have to do with the rooms and run them in their own process."""
HEAVY = """http.client
jinja2 jsonschema rich.progress pflow.cli pflow.runtime.compilation.compiler pygls.lsp.server""".split()
"""What tests import of others and takes long: imported once, before anything is forked. The first has to come before
pflow."""
WARM = ("_schema", "jinja")
"""What of our own takes long and is worked out once, with no word of a workflow in it."""
SECONDS = 5
"""What the tests that are asked about one mutant may take together."""
FILES = 3
"""For a mutant of what is worked out on import: how many test files are collected anew."""


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
        files = list(dict.fromkeys(map(file_of, order)))[:FILES]
        return [test for test in order if file_of(test) in files]

    def ordered(self, mutant: Mutant, tests: set[str]) -> list[str]:
        order = sorted(tests, key=lambda test: (-self.kills[mutant.file, test], self.seconds[test], test))
        total = itertools.accumulate(self.seconds[test] for test in order)
        return [test for test, until_here in zip(order, total, strict=True) if until_here <= SECONDS]

    def counts(self) -> str:
        return ", ".join(f"{count} {became}" for became, count in self.became.items())

    def judge(self, mutant: Mutant, tests: list[str], work: Work) -> None:
        """Have a mutant tried, and print it if it survives."""
        with forked(work) if tests else contextlib.nullcontext((0, Path())) as (status, folder):
            if status:
                last = folder / "test"
                self.kills[mutant.file, last.read_text() if last.exists() else ""] += 1
        became = "run by no test" if not tests else "survived" if not status else "killed" if status > 0 else "endless"
        self.became[became] += 1
        if not status:
            print(f"{became} ({len(tests)} tests): {mutant.difference()}\n", flush=True)


def measure(session: pytest.Session, files: set[str], known: Known) -> None:
    """Run every test once, without a mutant. Says which fail: they are not asked."""

    def work(folder: Path) -> int:
        measured = {}
        ours = caches()
        for test in [item.nodeid for item in session.items]:
            for each in ours:
                each.cache_clear()  # else a line would be run by the first test only
            ran, start = trace(files), sum(os.times()[:4])
            failed = run(session, [test], known.seconds, folder)
            sys.settrace(None)
            seconds = sum(os.times()[:4]) - start  # of processors: the machine may be busy
            measured[test] = None if failed else (seconds, ran)
            session.testsfailed = 0
        (folder / "measured").write_bytes(pickle.dumps(measured))
        return 0

    with forked(work) as (_, folder):
        measured = pickle.loads((folder / "measured").read_bytes())
    for test, found in measured.items():
        if found is None:
            print(f"fails without a mutant and is not asked: {test}")
            continue
        known.seconds[test], ran = found
        for place in ran:
            known.tests[place].add(test)
    print(f"{len(known.seconds)} tests of {sum(known.seconds.values()):.0f} seconds", flush=True)


def caches() -> list[Any]:
    """What our functions remember results in, but for WARM."""
    found = [each for each in gc.get_objects() if isinstance(each, functools._lru_cache_wrapper)]
    return [each for each in found if each.__module__.startswith("pflow_lower.") and each.__name__ not in WARM]


def warm_up() -> None:
    """Have everything imported, and what takes long and is worked out once worked out, as if it were on import."""
    for file in PACKAGE.rglob("[a-z]*.py"):
        with contextlib.suppress(ImportError):
            importlib.import_module(".".join(["pflow_lower", *file.relative_to(PACKAGE).with_suffix("").parts]))
    assert importlib.import_module("pflow_lower.validate.validate")._schema()
    environment = importlib.import_module("pflow_lower.emit.emit").jinja()
    for name in environment.list_templates(extensions=["jinja"]):
        environment.get_template(name)


def try_functions(session: pytest.Session, mutants: list[Mutant], known: Known) -> list[Mutant]:
    """Try those mutants whose function can be changed where it is; the others."""
    for each in caches():
        each.cache_clear()  # collecting the tests has called some
    functions: dict[tuple[str, int], list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if isinstance(each, FunctionType):
            functions[each.__code__.co_filename, each.__code__.co_firstlineno].append(each)
    gc.freeze()  # else a forked process copies all memory just because it collects garbage
    others = []
    for before, mutant in zip([mutants[0], *mutants], mutants, strict=False):
        if mutant.file != before.file:
            print(f"{before.name} is done, so far {known.counts()}\n", flush=True)
        changes = [
            [(each, new) for each in functions[mutant.file, old.co_firstlineno] if each.__code__ == old]
            for old, new in mutant.functions() or ()
        ]
        if not changes or not all(changes) or known.on_import & {(mutant.file, line) for line in mutant.lines}:
            others.append(mutant)
            continue

        def work(folder: Path, tests: list[str], changes: Any) -> int:
            for function, code in itertools.chain(*changes):
                function.__code__ = code
            return run(session, tests, known.seconds, folder)

        tests = known.tests_of(mutant)
        known.judge(mutant, tests, functools.partial(work, tests=tests, changes=changes))
    return others


def import_and_run(mutant: Mutant, tests: list[str], known: Known, folder: Path) -> int:
    """Import the package with the mutant in it, and run the tests."""
    get_code = importlib.machinery.SourceFileLoader.get_code

    def mutated(self: Any, name: str) -> CodeType | None:
        return mutant.code() if self.path == mutant.file else get_code(self, name)

    importlib.machinery.SourceFileLoader.get_code = mutated  # type: ignore[method-assign]
    status = 1  # if it cannot be imported

    def work(session: pytest.Session) -> None:
        nonlocal status
        status = run(session, tests, known.seconds, folder)

    signal.alarm(ENDLESS)
    collect(list(dict.fromkeys(map(file_of, tests))), work)
    return status


def main() -> int:
    """Run the script; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="*", metavar="PATH", default=ROOMS, help=f"of: {', '.join(ROOMS)}")
    parser.add_argument("--tests", nargs="+", metavar="FILE", help="ask these instead of TESTS")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    named = [PACKAGE / path for path in arguments.paths]
    files = [file for path in named for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    print(f"{len(mutants)} mutants of {len(files)} files", flush=True)
    few = settings(max_examples=20, phases=[Phase.explicit, Phase.generate], derandomize=True, database=None)
    settings.register_profile("few", few, deadline=None, suppress_health_check=list(HealthCheck))
    settings.load_profile("few")
    for name in HEAVY:
        importlib.import_module(name)

    def functions(folder: Path) -> int:
        known = Known(on_import=trace(set(map(str, files))))
        warm_up()
        sys.settrace(None)

        def work(session: pytest.Session) -> None:
            measure(session, set(map(str, files)), known)
            others = try_functions(session, mutants, known)
            (folder / "known").write_bytes(pickle.dumps((known, others)))

        return collect(arguments.tests or [f"tests/test_{name}.py" for name in TESTS], work)

    with forked(functions, silent=False) as (status, folder):
        if not (folder / "known").exists():
            print(f"the process that tries functions has ended with {status}: see above", file=sys.stderr)
            return 2
        known, others = pickle.loads((folder / "known").read_bytes())
    for mutant in others:
        tests = known.tests_of_file(mutant)
        known.judge(mutant, tests, functools.partial(import_and_run, mutant, tests, known))
    print(f"{len(mutants)} mutants: {known.counts()}")
    return 1 if known.became.keys() - {"killed", "endless"} else 0


if __name__ == "__main__":
    sys.exit(main())
