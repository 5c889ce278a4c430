"""One workflow by the real command line: here, on three nodes of a cluster, and through the death of one of them.

    python benchmarks/ray_anywhere.py [--short]

Nothing changes but a word of the command; the results must be the same, byte for byte. The exit status is 1 if they are
not, or if an item was lost. Needs `pip install ray pflow-cli`; without them it says so and does nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

WORKFLOW = """\
# Digests

Take the digest of every page, slowly.

## Inputs

### pages

The numbers of the pages.

- type: array
- required: true

### ledger

The file in which each page says that it begins.

- type: string
- required: true

## Steps

### digest

Take one digest.

- type: code
- inputs: {page: "${page}", ledger: "${ledger}"}

```yaml batch
items: ${pages}
as: page
parallel: true
max_concurrent: 3
```

```python code
import hashlib
import time

page: int
ledger: str

with open(ledger, "a") as file:
    file.write(f"{page}\\n")
end = time.thread_time() + 0.02
digest = str(page).encode()
while time.thread_time() < end:
    digest = hashlib.sha256(b"page").digest()
result: str = hashlib.sha256(f"page {page}".encode()).hexdigest()
```

## Outputs

### digests

One for each page.

- source: ${digest.results}
"""


def run(folder: Path, name: str, words: list[str], pages: int) -> bytes:
    """The results of one run, as bytes of JSON."""
    command = ["pflow-lower", "run", *words, "--output-format", "json", "digests.pflow.md"]
    print(f"$ {shlex.join(command)} pages=[0..{pages - 1}] ledger={name}", flush=True)
    given = [f"pages={json.dumps(list(range(pages)))}", f"ledger={folder / name}"]
    program = [sys.executable, "-m", "pflow_lower", *command[1:], *given]
    home = {**os.environ, "HOME": str(folder), "PFLOW_LOWER_STATE": str(folder / "state")}
    begun = time.perf_counter()
    ended = subprocess.run(program, cwd=folder, env=home, capture_output=True, check=False)
    if ended.returncode:
        sys.exit(f"status {ended.returncode}: {ended.stderr.decode()}{ended.stdout.decode()}")
    result = json.loads(ended.stdout)["result"]["digests"]
    started = Counter((folder / name).read_text().split())
    made = json.dumps(result).encode()
    print(
        f"  {len(result)} results, {len(made)} bytes, {len(started)} pages begun, "
        f"{sum(started.values()) - pages} of them again, {time.perf_counter() - begun:.1f} s",
        flush=True,
    )
    return made


def main() -> None:
    """Run three times, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--short", action="store_true")
    pages = 150 if parser.parse_args().short else 600
    if any(importlib.util.find_spec(name) is None for name in ("ray", "pflow")):
        print("not run: it needs ray and pflow")
        return
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "digests.pflow.md").write_text(WORKFLOW)
        here = run(folder, "here", [], pages)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        try:
            on = ["--on", f"ray={cluster.address}"]
            there = run(folder, "there", on, pages)
            killer = threading.Thread(target=kill, args=(cluster, nodes[0], folder / "dying", pages // 3))
            killer.start()
            dying = run(folder, "dying", on, pages)
            killer.join()
        finally:
            cluster.shutdown()
    print(f"the three are {'equal' if here == there == dying else 'DIFFERENT'}, byte for byte")
    sys.exit(here != there or here != dying)


def kill(cluster: Any, node: Any, ledger: Path, after: int) -> None:
    """Let a node die once so many items have begun."""
    while not ledger.exists() or len(ledger.read_text().split()) < after:
        time.sleep(0.02)
    cluster.remove_node(node, allow_graceful=False)
    print(f"  a node is dead, after {len(ledger.read_text().split())} pages had begun", flush=True)


if __name__ == "__main__":
    main()
