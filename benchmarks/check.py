"""`pflow-lower check` on a monorepo: 100 workflows, and ten times as many; one process, and all cores.

    python benchmarks/check.py [--short]

The repositories are made for the occasion, with files that nothing generates beside the generated ones. What
counts are the ratios: a thousand workflows should take ten times as long as a hundred.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pflow_lower import pipeline
from pflow_lower.options import Options
from pflow_lower.write.write import write


def repository(root: Path, workflows: int) -> Path:
    """A folder with `workflows` lowered workflows of five nodes, two of them batches."""
    for number in range(workflows):
        folder = root / f"team_{number % 20}" / f"flow_{number}"
        folder.mkdir(parents=True)
        file = folder / "workflow.json"
        file.write_text(json.dumps(workflow(number)))
        for name in ("README.md", "notes.txt", "helper.py"):
            (folder / name).write_text("Nothing generates this.\n")
        write(pipeline.run(str(file), Options(out=folder / "generated")).files, folder / "generated")
    return root


def workflow(number: int) -> dict[str, object]:
    """A workflow like those that people write."""
    shell = [{"id": f"step_{at}", "type": "shell", "params": {"command": f"echo {number}"}} for at in range(3)]
    batches = [
        {
            "id": name,
            "type": "llm",
            "params": {"prompt": f"In ${{style}} style ({number}): ${{{alias}.response}}"},
            "batch": {"items": source, "as": alias, "parallel": True, "max_concurrent": 5},
        }
        for name, alias, source in (("classify", "issue", "${step_1.stdout}"), ("answer", "one", "${classify.results}"))
    ]
    return {"ir_version": "0.1.0", "inputs": {"style": {"type": "string"}}, "nodes": [*shell, *batches]}


def seconds(root: Path, *, cores: int | None = None) -> float:
    """How long one whole process of `check` takes; with `cores`, on so many only."""
    code = "from pflow_lower.__main__ import main; main()"
    if cores is not None and hasattr(os, "sched_setaffinity"):
        code = f"import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{cores}]); {code}"
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, "check"], cwd=root, check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true", help="fewer workflows, one round")
    few, many, rounds = (20, 200, 1) if parser.parse_args().short else (100, 1000, 3)
    with tempfile.TemporaryDirectory() as scratch:
        small, large = repository(Path(scratch) / "small", few), repository(Path(scratch) / "large", many)
        times = [(seconds(small), seconds(large), seconds(large, cores=1)) for _ in range(rounds)]
    for name, at in ((f"{few} workflows", 0), (f"{many} workflows", 1), (f"{many} workflows, one core", 2)):
        print(f"{name:28} {statistics.median(one[at] for one in times):8.2f} s")
    print(f"{many // few} times as many: {statistics.median(b / a for a, b, _ in times):.1f} x as long")
    print(f"one core: {statistics.median(c / b for _, b, c in times):.1f} x as long as all cores")


if __name__ == "__main__":
    main()
