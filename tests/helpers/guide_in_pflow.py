"""Run workflows in the installed pflow: a JSON list of {"ir", "inputs"} on stdin, a list of what nodes gave on stdout.

    python guide_in_pflow.py < WORKFLOWS

Each answer is {node id: outputs, output: its value}, or a string: why the workflow failed. pflow lives under
$HOME: use a scratch one.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import before_pflow  # noqa: F401


def run(ir: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any] | str:
    from pflow.execution.result import RunnerConfig
    from pflow.execution.runner import WorkflowRunner

    result = WorkflowRunner().run(ir, inputs, RunnerConfig(trace_enabled=False, cache_enabled=False))
    if not result.success and result.errors:
        return "\n".join(str(error.message) for error in result.errors)
    outputs = {name: result.shared_after.get(name) for name in ir.get("outputs", {})}
    return {**{node["id"]: result.shared_after.get(node["id"]) for node in ir["nodes"]}, **outputs}


def main() -> None:
    logging.disable(logging.CRITICAL)
    answers = [run(request["ir"], request["inputs"]) for request in json.load(sys.stdin)]
    json.dump(answers, sys.stdout, default=str)


if __name__ == "__main__":
    main()
