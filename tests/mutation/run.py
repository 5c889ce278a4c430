"""Mutation testing by hand: what stays green when a line of the compiler is wrong.

    python tests/mutation/run.py --minutes 60 [--seed N] [ROOM ...]

Makes the mutants of the rooms (all of ROOMS unless named) with cosmic-ray, in a copy of the repository, and runs as
many of them as fit into the time, in an order that `--seed` decides, each against the tests of its room. Prints the
survivors as differences, and then how many mutants there were, were tried, killed and survived. Nothing here is
changed. Exit status: 0 all tried were killed, 1 some survived, 2 it could not run.

cosmic-ray is not among the development tools, since it brings many packages: `pip install cosmic-ray` in an
environment of its own, with its `cosmic-ray` on the PATH. (mutmut takes the name of a package from its folder, and
ours is called compiler/.)
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ["test_golden.py"]
ROOMS = {
    "analyse": [
        *GOLDEN,
        "test_invariance.py",
        "test_analyse.py",
        "test_foreseen.py",
        "test_golden_diff.py",
        "test_golden_plan.py",
        "test_golden_lint.py",
    ],
    "lowering": [*GOLDEN, "test_names.py", "test_lowering.py", "test_verify.py", "test_source_map.py"],
    "emit": [
        *GOLDEN,
        "test_python_text.py",
        "test_evaluation.py",
        "test_verify.py",
        "test_source_map.py",
        "test_check.py",
    ],
    "tools/diff": ["test_golden_diff.py", "test_diff.py"],
}
"""Folders of the package, and the test files that should fail when a line in one of them is wrong."""
NOT_A_FAULT = ("core/ReplaceBinaryOperator_BitOr_",)
"""Operators whose mutants are mostly annotations (`int | None`), which nothing evaluates."""
REPLACED_BY_MANY = ("core/ReplaceBinaryOperator_", "core/ReplaceComparisonOperator_")
"""Operators that come in ten forms for each place: one of them, by chance, says as much."""
LONGEST = 300
"""Seconds for the tests of one mutant: one that loops for ever is killed, too."""


def main() -> int:
    """Run the script; the exit status."""
    arguments = parsed()
    if not shutil.which("cosmic-ray"):
        print("cosmic-ray is not on the PATH: pip install cosmic-ray, in an environment of its own", file=sys.stderr)
        return 2
    end = time.monotonic() + arguments.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        rooms = arguments.rooms or list(ROOMS)
        for room in rooms:
            if not is_green(copy, room):
                print(f"{room}: its tests fail without a mutant", file=sys.stderr)
                return 2
        chance = random.Random(arguments.seed)
        mutants = [(room, mutant) for room in rooms for mutant in made(copy, room, chance)]
        if not mutants:
            print("cosmic-ray made no mutants", file=sys.stderr)
            return 2
        chance.shuffle(mutants)
        return report(len(mutants), tried(copy, mutants, end))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if unknown := set(arguments.rooms) - set(ROOMS):
        parser.error(f"no such room: {', '.join(sorted(unknown))}; there are {', '.join(ROOMS)}")
    return arguments


def copied(folder: Path) -> Path:
    """A copy of what is tracked, in which `pflow_lower` can be imported from packages/."""
    copy = folder / "copy"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    (copy / "packages").mkdir()
    (copy / "packages" / "pflow_lower").symlink_to("../compiler")
    (copy / "compiler" / "templates").symlink_to("../templates")
    return copy


def made(copy: Path, room: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    """The mutants of a room: where each is, and what it is."""
    session, config = copy / "session.sqlite", copy / "cosmic-ray.toml"
    session.unlink(missing_ok=True)
    config.write_text(
        f'[cosmic-ray]\nmodule-path = "compiler/{room}"\ntimeout = {LONGEST}\nexcluded-modules = []\n'
        'test-command = "true"\n[cosmic-ray.distributor]\nname = "local"\n'
    )
    subprocess.run(["cosmic-ray", "init", config.name, session.name], cwd=copy, check=True, capture_output=True)
    with contextlib.closing(sqlite3.connect(session)) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("select * from mutation_specs order by job_id")]
    chance.shuffle(rows)
    seen = set()
    for row in rows:
        operator = row["operator_name"]
        kind = operator.rpartition("_")[0] if operator.startswith(REPLACED_BY_MANY) else operator
        place = (row["module_path"], kind, row["start_pos_row"], row["start_pos_col"])
        if place not in seen and not operator.startswith(NOT_A_FAULT) and "{}" in row["operator_args"]:
            seen.add(place)
            yield row


def tried(
    copy: Path, mutants: list[tuple[str, dict[str, Any]]], end: float
) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Room, what became of it, mutant and difference of each that was tried until `end`."""
    for room, mutant in mutants:
        if time.monotonic() > end:
            return
        file = copy / mutant["module_path"]
        whole = file.read_text(encoding="utf-8")
        command = ["cosmic-ray", "apply", str(file), mutant["operator_name"], str(mutant["occurrence"])]
        applied = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        if applied.returncode or file.read_text(encoding="utf-8") == whole:
            yield room, "not made", mutant, applied.stderr
            continue
        try:
            difference = difference_of(file, whole)
            yield room, "survived" if is_green(copy, room) else "killed", mutant, difference
        finally:
            file.write_text(whole, encoding="utf-8")


def difference_of(file: Path, whole: str) -> str:
    new = file.read_text(encoding="utf-8")
    lines = difflib.unified_diff(whole.splitlines(), new.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++")))


def is_green(copy: Path, room: str) -> bool:
    """Whether the tests of a room pass in the copy."""
    tests = [f"tests/{name}" for name in ROOMS[room]]
    environment = {**os.environ, "PYTHONPATH": str(copy / "packages"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", *tests]
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def report(all_of_them: int, results: Iterator[tuple[str, str, dict[str, Any], str]]) -> int:
    """Print what became of the mutants as it becomes known; the exit status."""
    counts: Counter[str] = Counter()
    for room, became, mutant, difference in results:
        counts[became] += 1
        if became != "killed":
            print(f"{became}: {mutant['module_path']}: {mutant['operator_name']} ({room})\n{difference}\n", flush=True)
    tried_ones = counts["killed"] + counts["survived"]
    print(
        f"{all_of_them} mutants, {tried_ones} tried: {counts['killed']} killed, {counts['survived']} survived;"
        f" {counts['not made']} could not be made"
    )
    return 2 if not tried_ones else 1 if counts["survived"] else 0


if __name__ == "__main__":
    sys.exit(main())
