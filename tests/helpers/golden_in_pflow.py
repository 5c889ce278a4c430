"""Run golden cases in the installed pflow, which interprets their batches itself.

    python golden_in_pflow.py < REQUESTS

REQUESTS is a JSON list of {"name", "ir", "store"}. Every node type is replaced by a stand-in that
gives what the store says for its node, or else echoes its parameters. Prints {name: {node id: what the
node wrote, output: its value}, or a string: why the workflow failed}. pflow lives under $HOME: use a
scratch one.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import before_pflow  # noqa: F401
from golden_echo import comparable, echo, forget
from pflow.core.node import Node
from pflow.registry import Registry

STORE: dict[str, Any] = {}


class StandIn(Node):  # type: ignore[misc]
    """In place of every node of a case."""

    def prep(self, shared: Any) -> Any:
        return dict(self.params)

    def exec(self, params: Any) -> Any:
        return STORE["nodes"].get(self.node_id) or echo(params)

    def post(self, shared: Any, params: Any, outputs: Any) -> str:
        for key, value in outputs.items():
            shared[key] = value
        return "default"


def register(types: set[str]) -> None:
    """Let every one of `types` be a stand-in; what pflow knows of its parameters and outputs stays."""
    unknown = {"docstring": "", "interface": {"inputs": [], "outputs": [], "params": [], "actions": []}}
    registry = Registry()
    nodes = registry.load(include_filtered=True)
    for name in types - {"workflow"}:
        known = nodes.get(name, unknown)
        nodes[name] = {**known, "module": "golden_in_pflow", "class_name": "StandIn", "type": "stand-in"}
    registry.save(nodes)


def run(ir: dict[str, Any]) -> dict[str, Any] | str:
    from pflow.execution.result import RunnerConfig
    from pflow.execution.runner import WorkflowRunner

    forget()
    config = RunnerConfig(trace_enabled=False, cache_enabled=False)
    result = WorkflowRunner().run(ir, dict(STORE["inputs"]), config)
    if not result.success and result.errors:
        return "\n".join(str(error.message) for error in result.errors)
    names = [*(node["id"] for node in ir["nodes"]), *ir.get("outputs", ())]
    return {name: comparable(result.shared_after[name]) for name in names if name in result.shared_after}


def main() -> None:
    logging.disable(logging.CRITICAL)
    requests = json.load(sys.stdin)
    register({node["type"] for request in requests for node in request["ir"]["nodes"]})
    answers = {}
    for request in requests:
        STORE.clear()
        STORE.update(request["store"])
        answers[request["name"]] = run(request["ir"])
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    sys.modules["golden_in_pflow"] = sys.modules["__main__"]
    sys.path.append(str(Path(__file__).parent))
    main()
