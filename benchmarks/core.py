"""The compiler's own speed: expressions beside pflow's resolver, lowering at scale, start-up.

    python benchmarks/core.py [--short]

Both sides run in one process, in turn, and what counts is the ratio of medians: the machines are
noisy, and absolute times say little. Start-up is measured in processes, in turn as well.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pflow_lower
from pflow_lower import before_pflow  # noqa: F401

PROMPT = "Classify in ${config.style} style: ${issue.title}"


def paired(one: Callable[[], float], other: Callable[[], float], rounds: int) -> tuple[float, float, float]:
    """Median seconds of `one` and of `other`, run in turn, and the median of their ratios per round."""
    pairs = [(one(), other()) for _ in range(rounds)]
    ratios = [first / second for first, second in pairs]
    return (
        statistics.median(first for first, _ in pairs),
        statistics.median(second for _, second in pairs),
        statistics.median(ratios),
    )


def timed(call: Callable[[], Any], repeat: int) -> Callable[[], float]:
    """A function that gives the seconds of one call, over `repeat` calls."""

    def measure() -> float:
        begun = time.perf_counter()
        for _ in range(repeat):
            call()
        return (time.perf_counter() - begun) / repeat

    return measure


def expressions(rounds: int) -> None:
    """A prompt with one item reference and one invariant: what the loop runs, and pflow's resolver."""
    from pflow.core.templates import resolve

    workflow = {
        "ir_version": "0.1.0",
        "inputs": {"config": {"type": "object"}, "issues": {"type": "array"}},
        "nodes": [
            {
                "id": "classify",
                "type": "llm",
                "params": {"prompt": PROMPT},
                "batch": {"items": "${issues}", "as": "issue"},
            }
        ],
    }
    issue = {"id": 4, "title": "It crashes when the list is empty"}
    store = {"config": {"style": "terse"}, "issues": [issue]}
    context = {**store, "issue": issue}
    node = pflow_lower.lower(workflow).load()["classify"]
    source, names = compiled_prompt(node, store)
    assert eval(source, names) == resolve(PROMPT, context).value  # noqa: S307  our own spelling
    ours, theirs, ratio = paired(
        statement(source, names, 20_000),
        statement("resolve(PROMPT, context)", {"resolve": resolve, "PROMPT": PROMPT, "context": context}, 5_000),
        rounds,
    )
    print(f"expression in the loop    {ours * 1e6:8.3f} us   pflow {theirs * 1e6:8.2f} us   {1 / ratio:6.1f} x faster")
    whole = timed(lambda: pflow_lower.evaluate(PROMPT, context), 5_000)
    ours, theirs, ratio = paired(whole, timed(lambda: resolve(PROMPT, context), 5_000), rounds)
    print(f"pflow_lower.evaluate      {ours * 1e6:8.3f} us   pflow {theirs * 1e6:8.2f} us   {1 / ratio:6.1f} x faster")


def statement(source: str, names: dict[str, Any], repeat: int) -> Callable[[], float]:
    """A function that gives the seconds of `source`, standing in a loop of `repeat` rounds, as it stands in `exec`."""
    timer = timeit.Timer(source, globals=names)
    return lambda: timer.timeit(repeat) / repeat


def compiled_prompt(node_class: type, store: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The prompt expression of the generated `exec`, cut out of its source and nothing else; and what it refers to."""
    import ast
    import inspect
    import textwrap

    from pflow_lower import runtime

    method = ast.parse(textwrap.dedent(inspect.getsource(node_class.exec))).body[0]  # type: ignore[attr-defined]
    assigned = (node.value for node in ast.walk(method) if isinstance(node, ast.Assign))
    shown = next(value for value in assigned if isinstance(value, ast.Dict))
    batch = node_class(None).prep(store)
    call = runtime.Call(batch, 0, batch.items[0])
    names = {name: getattr(runtime, name) for name in runtime.__all__}
    names |= {"issue": call.item, "given": call.given}
    return ast.unparse(shown.values[0]), names


def workflow_of(count: int) -> dict[str, Any]:
    """A chain of `count` batch nodes."""
    nodes = [
        {
            "id": f"step{n}",
            "type": "llm",
            "params": {"model": "m", "prompt": f"Classify {n} in ${{style}} style: ${{item.response}}"},
            "batch": {"items": f"${{step{n - 1}.results}}" if n else "${issues}", "parallel": n % 2 == 0},
        }
        for n in range(count)
    ]
    edges = [{"from": f"step{n}", "to": f"step{n + 1}"} for n in range(count - 1)]
    inputs = {"style": {"type": "string"}, "issues": {"type": "array"}}
    return {"ir_version": "0.1.0", "inputs": inputs, "nodes": nodes, "edges": edges}


def lowering(rounds: int, counts: tuple[int, int]) -> None:
    """Lowering and emitting ten times as many batch nodes."""
    small, large = (workflow_of(count) for count in counts)
    gc.collect()
    one, ten, ratio = paired(
        timed(lambda: pflow_lower.lower(large), 1), timed(lambda: pflow_lower.lower(small), 1), rounds
    )
    print(f"lowering {counts[1]:6} nodes {one:10.2f} s    {counts[0]:6} nodes {ten:8.2f} s    {ratio:6.1f} x as long")
    files = pflow_lower.lower(large).files
    compiling = timed(lambda: [compile(text, name, "exec") for name, text in files.items() if name.endswith(".py")], 1)
    print(f"Python compiles them in {compiling() / counts[1] * 1e3:10.2f} ms a class, in {len(files) - 1} modules")


def start_up(rounds: int) -> None:
    """A whole process on five nodes, beside one that only imports the three libraries."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "workflow.json"
        file.write_text(json.dumps(workflow_of(5)))
        imports = process([sys.executable, "-c", "import click, jinja2, jsonschema"])
        command = [str(Path(sys.executable).with_name("pflow-lower"))]
        for name, arguments in (("WORKFLOW.json", [str(file)]), ("--help", ["--help"]), ("--version", ["--version"])):
            ours, theirs, ratio = paired(process([*command, *arguments]), imports, rounds)
            print(f"pflow-lower {name:14}{ours * 1e3:8.0f} ms   imports {theirs * 1e3:6.0f} ms   {ratio:6.2f} x")


def process(command: list[str]) -> Callable[[], float]:
    """A function that gives the seconds of one run of `command`, with its bytecode compiled before."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)

    def measure() -> float:
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        return time.perf_counter() - begun

    return measure


def main() -> None:
    """Run everything and print one line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--short", action="store_true", help="fewer rounds, smaller workflows")
    short = parser.parse_args().short
    expressions(3 if short else 7)
    lowering(1 if short else 3, (100, 1_000) if short else (1_000, 10_000))
    start_up(3 if short else 15)


if __name__ == "__main__":
    main()
