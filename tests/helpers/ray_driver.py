"""A process that runs a batch on Ray, to be interrupted or killed, or, with "nodes", to lose one of its three nodes.

python ray_driver.py ADDRESS|""|nodes LEDGER ITEMS SECONDS
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pocketflow import Node

import pflow_lower
from pflow_lower.runtime.run import Run, running
from pflow_lower.runtime.signals import Terminated, ending_on_sigterm


class Noted(Node):  # type: ignore[misc]
    """Writes to a ledger that its item began, and takes its time."""

    def prep(self, shared: Any) -> Any:
        return self.params

    def exec(self, params: Any) -> int:
        with open(params["ledger"], "a") as file:
            file.write(f"{params['x']}\n")
        time.sleep(params["seconds"])
        return int(params["x"]) * 2

    def post(self, shared: Any, prep_res: Any, exec_res: int) -> None:
        shared["response"] = exec_res


def noted(address: str, ledger: str, items: int, seconds: float) -> Any:
    """The outcome of the batch."""
    params = {"x": "${item}", "seconds": "${seconds}", "ledger": "${ledger}"}
    settings = {"items": "${list}", "parallel": True, "max_concurrent": 2, "resume": True}
    inputs = {name: {"type": "any"} for name in ("list", "seconds", "ledger")}
    node = {"id": "b", "type": "noted", "params": params, "batch": settings}
    made = pflow_lower.lower({"ir_version": "0.1.0", "inputs": inputs, "nodes": [node], "edges": []}).load()["b"]
    shared = {"list": list(range(items)), "seconds": seconds, "ledger": ledger}
    with running(Run("driver", on=f"ray={address}")):
        made(Noted())._run(shared)
    return shared["b"]


def main() -> None:
    """Run, and print what the items gave."""
    where, ledger, items, seconds = sys.argv[1:]
    if where == "nodes":
        import ray
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        lost, _ = cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="FATAL")

        def lose() -> None:
            while not Path(ledger).exists() or len(Path(ledger).read_text().split()) < int(items) // 3:
                time.sleep(0.02)
            cluster.remove_node(lost, allow_graceful=False)

        threading.Thread(target=lose, daemon=True).start()
        where = cluster.address
    try:
        with ending_on_sigterm():
            found = noted(where, ledger, int(items), float(seconds))
    except Terminated:
        raise SystemExit(143) from None
    sys.stdout.write(json.dumps([result["response"] for result in found["results"]]) + "\n")
    sys.stdout.flush()
    if sys.argv[1] == "nodes":
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
