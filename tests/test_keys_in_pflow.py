"""Keys and names of ours inside pflow, by its own command line: pflow is shown a workflow that it knows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import forked

FLOWS = Path(__file__).parent / "pflow_flows"
FILES = [{"name": "a", "pages": [1, 2]}, {"name": "b", "pages": [3]}]


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which pflow finds nobody's settings."""
    return {**os.environ, "HOME": str(tmp_path), "PFLOW_LOWER_STATE": str(tmp_path / "state")}


def run(home: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pflow_lower", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=home, timeout=120, check=False)


@pytest.mark.slow
def test_batches_inside_each_other_and_the_item_before(home: dict[str, str]) -> None:
    pytest.importorskip("pflow")
    shown = run(
        home, "run", "--output-format", "json", str(FLOWS / "nested.pflow.md"), f"files={json.dumps(FILES)}"
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    said = json.loads(shown.stdout)["result"]["said"]
    assert [result["stdout"] for result in said] == [
        "start > a 1 0",
        "start > a 1 0 > a 2 1",
        "start > a 1 0 > a 2 1 > b 3 2",
    ]
    assert [result["item"]["key"] for result in said] == ["a-1", "a-2", "b-3"]
    assert said[2]["item"]["item"] == {"file": FILES[1], "page": 3}


def test_pflow_alone_refuses_the_keys(home: dict[str, str]) -> None:
    pytest.importorskip("pflow")
    shown = run({**home, "PFLOW_LOWER": "0"}, "run", str(FLOWS / "nested.pflow.md"), f"files={json.dumps(FILES)}")
    assert shown.returncode != 0 and "key" in shown.stdout + shown.stderr


WRONG = """\
# Wrong

## Steps

### a

Says each number.

- type: shell

```yaml batch
items: [1, 2]
KEYS
```

```shell command
touch ran; echo ${item}
```

### b

Says each number again.

- type: shell

```yaml batch
items: [1, 2]
results: {file: same.jsonl}
```

```shell command
echo ${item}
```
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("results: out.jsonl", 'a.batch.results: must be an object, not "out.jsonl"'),
        ('resume: "no"', 'a.batch.resume: must be true or false, not "no"'),
        ("retry_backoff: linear", 'a.batch.retry_backoff: must be "fixed" or "exponential", not "linear"'),
        ('timeout: "5"', 'a.batch.timeout: must be a number, not "5"'),
        ("tolerated_failures: 1", "with `fail_fast`, the first failure ends the batch"),
        ("results: {file: ./same.jsonl}", 'the results would replace those of "a"'),
    ],
)
def test_a_run_refuses_what_lower_refuses_of_our_keys(
    home: dict[str, str], tmp_path: Path, keys: str, message: str
) -> None:
    pytest.importorskip("pflow")
    (tmp_path / "wrong.pflow.md").write_text(WRONG.replace("KEYS", keys))
    shown = forked.run("pflow_lower", "run", "wrong.pflow.md", env=home, cwd=tmp_path)
    assert shown.returncode == 1 and message in shown.stdout + shown.stderr, shown
    assert not (tmp_path / "ran").exists()
