"""Journals, budgets and limits of runs inside pflow: real processes, a home and a state folder of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import forked

pytest.importorskip("pflow")
pytestmark = pytest.mark.slow

FLOW = """\
# Two batches

## Inputs

### folder

Where the calls are noted, and what is there to be found.

- type: string
- required: true

## Steps

### names

Ten names.

- type: code

```python code
result: list = [f"n{number}" for number in range(10)]
```

### first

Notes each name.

- type: shell
- batch:
    items: ${names.result}FIRST

```shell command
echo first-${item} >> ${folder}/calls; echo "first ${item}"
```

### second

Fails while a file is missing.

- type: shell
- batch:
    items: ${names.result}SECOND

```shell command
echo second-${item} >> ${folder}/calls
if test ${item} = n6; then test -e ${folder}/key || exit 3; fi
echo "second ${item}"
```

## Outputs

### said

All.

- type: array
- source: ${second.results}

### before

All.

- type: array
- source: ${first.results}
"""


class Place:
    """A folder with a workflow, and how to run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "home").mkdir()
        self.state = folder / "state"
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("PFLOW")}
        home = str(folder / "home")
        self.env |= {"HOME": home, "USERPROFILE": home, "PFLOW_LOWER_STATE": str(self.state), "PYTHONUTF8": "1"}

    def write(self, text: str = FLOW, name: str = "flow.pflow.md", first: Sequence[str] = (), second: Any = ()) -> None:
        for word, keys in (("FIRST", first), ("SECOND", second)):
            text = text.replace(word, "".join(f"\n    {key}" for key in keys))
        (self.folder / name).write_text(text)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd=self.folder,
            env=self.env | env,
        )

    def run(self, *arguments: str, **env: str) -> tuple[int, Any, str]:
        """Exit status, what a run gave, and stderr of `pflow-lower run`."""
        return self.command("pflow_lower", "run", *arguments, **env)

    def command(self, *arguments: str, **env: str) -> tuple[int, Any, str]:
        before = self.calls()
        flags = ["folder=.", "--output-format", "json"] if arguments[1] == "run" else []
        ended = forked.run(*arguments, *flags, env=self.env | env, cwd=self.folder)
        out = ended.stdout
        self.new = self.calls() - before
        return ended.returncode, json.loads(out).get("result", out) if out.startswith("{") else out, ended.stderr

    def calls(self) -> Counter[str]:
        file = self.folder / "calls"
        return Counter(file.read_text().split()) if file.exists() else Counter()

    def open_the_door(self) -> None:
        (self.folder / "key").write_text("")

    def journals(self) -> list[Path]:
        return sorted(self.state.rglob("*.db"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def names(word: str, *numbers: int) -> set[str]:
    return {f"{word}-n{number}" for number in numbers}


def comparable(result: Any) -> str:
    return json.dumps(result)


def undisturbed(place: Place, *arguments: str) -> str:
    place.open_the_door()
    _, result, _ = place.run("./flow.pflow.md", *arguments)
    return comparable(result)


def test_both_batches_survive_a_failure_of_the_second(place: Place) -> None:
    place.write(first=["resume: true"], second=["resume: true", "parallel: true", "max_concurrent: 2"])
    status, _, said = place.run("./flow.pflow.md")
    assert status == 1, said
    assert place.new.keys() >= names("first", *range(10)) | names("second", *range(7))
    assert "of flow.pflow.md that ended well are in the journal; run it again" in said
    assert [path.name.partition("-")[0] for path in place.journals()] == ["flow"]
    place.open_the_door()
    status, result, said = place.run("./flow.pflow.md")
    assert status == 0, said
    assert not place.new.keys() & (names("first", *range(10)) | names("second", *range(5)))
    assert "first: the journal of flow.pflow.md holds 10 answers of earlier runs" in said
    assert place.journals() == []
    assert comparable(result) == undisturbed(place)
    assert len(place.new) == 20  # it had ended well: the next run starts afresh


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk at hand")
def test_a_run_whose_results_could_not_be_printed_keeps_them(place: Place) -> None:
    place.write(first=["resume: true"], second=["resume: true"])
    place.open_the_door()
    command = [sys.executable, "-m", "pflow_lower", "run", "./flow.pflow.md", "folder=."]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=place.folder, env=place.env, check=False
        )
    assert ended.returncode != 0
    assert "20 items of flow.pflow.md that ended well are in the journal; run it again" in ended.stderr
    status, result, said = place.run("./flow.pflow.md")
    assert status == 0 and place.new == Counter(), said
    assert comparable(result) == undisturbed(place)


def test_a_run_of_other_inputs_leaves_what_a_failed_one_has_paid_for(place: Place) -> None:
    place.write(first=["resume: true"], second=["resume: true"])
    (place.folder / "other").mkdir()
    (place.folder / "other" / "key").touch()
    assert place.run("./flow.pflow.md")[0] == 1
    other = forked.run("pflow_lower", "run", "./flow.pflow.md", "folder=other", env=place.env, cwd=place.folder)
    assert other.returncode == 0 and "run it again" not in other.stderr, other.stderr
    assert len(place.journals()) == 1
    place.open_the_door()
    status, _, said = place.run("./flow.pflow.md")
    assert status == 0 and not place.new.keys() & names("second", *range(6)), said
    assert place.journals() == []


def test_an_option_resumes_what_says_nothing_and_another_one_starts_afresh(place: Place) -> None:
    place.write()
    assert place.run("./flow.pflow.md", "--resume")[0] == 1
    assert place.run("./flow.pflow.md", "--resume")[0] == 1
    assert place.new == Counter(names("second", 6))
    assert place.run("--resume", "--fresh", "./flow.pflow.md")[0] == 1
    assert len(place.new) == 17
    place.open_the_door()
    assert place.run("./flow.pflow.md", PFLOW_LOWER_RESUME="1")[0] == 0
    assert place.new == Counter(names("second", 6, 7, 8, 9))
    status, _, said = place.run("--resume", "./flow.pflow.md", PFLOW_LOWER="0")
    assert status == 2 and "PFLOW_LOWER=0 switches pflow-lower off" in said


def test_pflows_own_resume_goes_on_inside_the_batch(place: Place) -> None:
    place.write()
    assert place.run("./flow.pflow.md", "--resume")[0] == 1
    place.open_the_door()
    status, _, said = place.command("pflow_lower", "pflow", "resume", "./flow.pflow.md", "--force")
    assert status == 0, said
    assert place.new == Counter(names("second", 6, 7, 8, 9))
    assert place.journals() == []


ADVICE = re.compile(
    r"^pflow-lower: `pflow-lower pflow resume (\S+)` (.*); a plain `pflow resume` (.*) \(`pflow-lower enable` "
)


@pytest.mark.parametrize(
    ("keys", "option", "does", "plain"),
    [
        ([], "--resume", "goes on inside the batch", "would do finished items again"),
        (["resume: true"], "", "goes on inside the batch", "refuses the keys that only pflow-lower knows"),
        (["timeout: 50"], "", "resumes this run", "refuses the keys that only pflow-lower knows"),
    ],
)
def test_a_failed_run_says_how_it_is_resumed_below_what_pflow_says(
    place: Place, keys: list[str], option: str, does: str, plain: str
) -> None:
    place.write(first=keys, second=keys)
    run = ["run", *filter(None, [option]), "./flow.pflow.md", "folder=.", "--output-format", "json"]
    ended = forked.run("pflow_lower", *run, env=place.env, cwd=place.folder)
    out, said = ended.stdout, ended.stderr
    pflows, ours = said.splitlines()[-2:]
    found = ADVICE.match(ours)
    assert found is not None, said
    assert found.groups() == (json.loads(out)["execution_id"], does, plain)
    assert pflows == f"To resume from the failed step: pflow resume {found[1]}"

    place.open_the_door()
    status, _, said = place.command("pflow.cli", "resume", found[1], "--force")
    assert (
        (status == 1 and not place.new) if keys else (status == 0 and place.new == Counter(names("second", *range(10))))
    )
    if keys:
        status, _, said = place.command("pflow_lower", "pflow", "resume", found[1], "--force")
        left = (6, 7, 8, 9) if "resume: true" in keys else range(10)
        assert status == 0 and place.new == Counter(names("second", *left)), said


def test_a_failed_run_of_which_pflow_says_all_there_is_to_say_says_no_more(place: Place) -> None:
    place.write()
    assert "pflow-lower pflow resume" not in place.run("./flow.pflow.md")[2]
    assert "pflow-lower pflow resume" not in place.run("./flow.pflow.md", "--resume", "--no-trace")[2]


WAITS = "if test ${item} = n3; then while ! test -e ${folder}/key; do sleep 0.02; done; fi; echo first"
"""Before the first step's fourth item notes its call, it waits until the door is open."""


def test_a_journal_in_use_is_said_before_anything_runs(place: Place) -> None:
    place.write(FLOW.replace("echo first", WAITS), first=["resume: true"])
    process = place.start("pflow_lower", "run", "./flow.pflow.md", "folder=.")
    try:
        while not place.calls():
            time.sleep(0.02)
        status, failure, _ = place.run("./flow.pflow.md")
        said = json.dumps(failure)
        assert status == 1 and f"another run (process {process.pid}) is using the journal" in said
    finally:
        process.kill()
        process.communicate()
    done = set(place.calls())
    place.open_the_door()
    assert place.run("./flow.pflow.md")[0] == 0
    assert len(place.new.keys() & done) <= 1  # what was under way when it was killed


def test_ctrl_c_says_how_to_go_on(place: Place) -> None:
    place.write(FLOW.replace("echo first", WAITS), first=["resume: true"])
    process = place.start("pflow_lower", "run", "./flow.pflow.md", "folder=.")
    while len(place.calls()) < 3:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130 and "in the journal; run it again to do only the others" in said


def test_a_limit_takes_the_first_items_of_every_batch(place: Place) -> None:
    place.write()
    place.open_the_door()
    status, result, said = place.run("./flow.pflow.md", "--limit", "3")
    assert status == 0 and place.new == Counter(names("first", 0, 1, 2) | names("second", 0, 1, 2))
    assert [found["stdout"] for found in result["said"]] == ["second n0", "second n1", "second n2"]
    assert "only the first 3 items of 10 ran (limit)" in said
    place.write(
        FLOW.replace("- batch:\n    items: ${names.result}FIRST", "")
        .replace("${first.results}", "${first}")
        .replace("- batch:\n    items: ${names.result}SECOND", "")
        .replace("${second.results}", "${second}")
        .replace("${item}", "x")
    )
    status, _, said = place.run("./flow.pflow.md", "--limit=3")
    assert "no batch of flow.pflow.md ran, so --limit had no effect" in said
    assert place.run("--limit", "0", "./flow.pflow.md")[0] == 2
    status, _, err = place.run("--budget", "-1", "./flow.pflow.md")
    assert status == 2 and "'-1' is not an amount of dollars above 0" in err
    assert place.run("--budget", "nan", "./flow.pflow.md")[0] == 2


def test_no_command_of_pflow_minds_our_keys(place: Place) -> None:
    place.open_the_door()
    place.write(first=["resume: true", 'key: "${item}"'], second=["rate: 1000/s", "max_concurrent: auto"])
    flow = "./flow.pflow.md"
    for command in (
        ["run", flow, "folder=.", "--validate-only"],
        ["run", flow, "folder=.", "--dry-run"],
        ["run", flow, "folder=.", "--report"],
        ["run", flow, "folder=.", "--only", "first"],
        ["run", flow, "folder=."],  # it need not do `first` again
        ["report"],
        ["mermaid", flow],
        ["save", flow, "--name", "saved"],
        ["describe", "saved"],
        ["run", "saved", "folder=."],
    ):
        status, out, said = place.command("pflow_lower", "pflow", *command)
        assert status == 0, f"{command}: {out} {said}"
    assert place.calls()["second-n0"] == 3 and place.calls()["first-n0"] == 3 and place.journals() == []


def test_a_budget_that_no_cost_counted_against_is_said(place: Place) -> None:
    place.write()
    place.open_the_door()
    status, _, said = place.run("./flow.pflow.md", "--budget", "1")
    assert status == 0
    assert (
        said.count("no cost is known of the 20 items that ended well, so the budget of $1.00 has bounded nothing") == 1
    )


def test_what_only_one_step_did_is_kept_for_the_run_of_all(place: Place) -> None:
    keys = ["resume: true"]
    place.write(first=keys, second=keys)
    (place.folder / "key").touch()
    assert place.run("./flow.pflow.md")[0] == 0  # `--only` takes what the steps before have given from such a run
    assert place.journals() == []
    (place.folder / "key").unlink()
    assert place.run("./flow.pflow.md")[0] == 1
    (place.folder / "key").touch()
    status, _, said = place.run("./flow.pflow.md", "--only", "second")
    assert status == 0 and sorted(place.new) == ["second-n6", "second-n7", "second-n8", "second-n9"]
    assert "20 items of flow.pflow.md that ended well are in the journal; run all of it to do only the others" in said
    status, _, said = place.run("./flow.pflow.md")
    assert status == 0 and not place.new, "all of it was paid for"
    assert place.journals() == []


CHILD = """\
# Child

## Inputs

### name

A name.

- type: string
- required: true

### folder

A folder.

- type: string
- required: true

## Steps

### many

Three calls.

- type: shell
- batch:
    items: [a, b, c]
    resume: true

```shell command
echo ${name}-${item} >> ${folder}/calls
if test ${name}${item} = n1c; then test -e ${folder}/key || exit 3; fi
echo ${name}${item}
```

## Outputs

### said

All.

- type: array
- source: ${many.results}
"""

PARENT = """\
# Parent

## Inputs

### folder

A folder.

- type: string
- required: true

## Steps

### each

A sub-workflow each.

- type: workflow
- workflow: ./child.pflow.md
- inputs:
    name: ${item}
    folder: ${folder}
- batch:
    items: [n0, n1, n2]
KEYS
## Outputs

### said

All.

- type: array
- source: ${each.results}
"""


@pytest.mark.parametrize("keys", ["", "    parallel: true\n", "    resume: true\n    parallel: true\n"])
def test_sub_workflows_share_the_journal_of_the_run(place: Place, keys: str) -> None:
    (place.folder / "child.pflow.md").write_text(CHILD)
    (place.folder / "flow.pflow.md").write_text(PARENT.replace("KEYS\n", keys))
    status, _, said = place.run("./flow.pflow.md")
    assert status == 1 and [path.name.partition("-")[0] for path in place.journals()] == ["flow"], said
    done = set(place.calls())
    place.open_the_door()
    status, result, said = place.run("./flow.pflow.md")
    assert status == 0, said
    assert place.new.keys() & done == {"n1-c"}
    assert place.journals() == []
    disturbed = comparable(result)
    assert disturbed == undisturbed(place)


def test_a_sub_workflow_that_left_items_out_is_no_answer(place: Place) -> None:
    """Of the three items that each child has, the limit lets one run: the next run does the others."""
    (place.folder / "child.pflow.md").write_text(CHILD)
    (place.folder / "flow.pflow.md").write_text(PARENT.replace("KEYS\n", "    resume: true\n"))
    place.open_the_door()
    assert place.run("./flow.pflow.md", "--limit", "1")[0] == 0
    status, result, said = place.run("./flow.pflow.md")
    assert status == 0, said
    assert [len(found["said"]) for found in result["said"]] == [3, 3, 3]


def test_a_changed_sub_workflow_is_run_again(place: Place) -> None:
    (place.folder / "child.pflow.md").write_text(CHILD.replace("    resume: true\n", ""))
    (place.folder / "flow.pflow.md").write_text(PARENT.replace("KEYS\n", "    resume: true\n"))
    assert place.run("./flow.pflow.md")[0] == 1
    place.open_the_door()
    (place.folder / "child.pflow.md").write_text(CHILD.replace("echo ${name}${item}", "echo new-${name}${item}"))
    _, result, _ = place.run("./flow.pflow.md")
    assert next(child["stdout"] for found in result["said"] for child in found["said"]) == "new-n0a"


def test_workflows_that_several_nodes_start_are_read_a_few_times_only() -> None:
    """Ten workflows, each of which starts the next one in three of its nodes: 59,049 ways lead to the last."""
    from pflow_lower.runtime.started_workflow import child_of

    loads: Counter[int] = Counter()

    class Starts:
        """What is asked of pflow's node."""

        params: dict[str, Any] = {}  # noqa: RUF012  of one test

        def _compile_sub_workflow(self) -> None:
            raise AssertionError

        def _load_workflow(self, shared: Any, stack: Any) -> Any:
            number = int(self.params["workflow"])
            loads[number] += 1
            part = {"type": "workflow", "params": {"workflow": str(number + 1)}}
            return {"nodes": [part] * 3, "title": "old" if number < 9 else last}, f"/{number}.pflow.md", "", []

    last = "old"
    before = child_of(Starts(), {"workflow": "0"}, {}, {})
    assert max(loads.values()) == 3
    last = "new"
    assert child_of(Starts(), {"workflow": "0"}, {}, {}) != before


def test_a_named_rate_is_that_of_the_nearest_table(place: Place) -> None:
    place.open_the_door()
    place.write(first=["rate: disk"])
    status, said, _ = place.run("./flow.pflow.md")
    assert status == 1 and 'no budget is called \\"disk\\"' in said and "[tool.pflow-lower.rates]" in said, said
    (place.folder / "pyproject.toml").write_text('[tool.pflow-lower.rates]\nother = "5/s"\n')
    assert "the budgets are other" in json.dumps(place.run("./flow.pflow.md")[1])
    (place.folder / "pflow-lower.toml").write_text('[rates]\ndisk = { rate = "1000/s", max_concurrent = 1 }\n')
    assert place.run("./flow.pflow.md", PFLOW_LOWER_DUMP=str(place.folder / "dump"))[0] == 0
    assert 'shared_rate = "1000/s"' in (place.folder / "dump" / "flow" / "nodes.py").read_text()
    assert [path.name for path in place.state.rglob("*.budget")] == ["disk.budget"]


def test_a_table_says_where_journals_stand(place: Place) -> None:
    place.write(first=["resume: true"], second=["resume: true"])
    (place.folder / "pyproject.toml").write_text('[tool.pflow-lower.journal]\ndir = "kept"\n')
    assert place.run("./flow.pflow.md")[0] == 1
    assert [path.name.partition("-")[0] for path in (place.folder / "kept").glob("*.db")] == ["flow"]
    assert place.journals() == []
    (place.folder / "pyproject.toml").write_text('[tool.pflow-lower.journal]\ndri = "kept"\n')
    assert "did you mean dir?" in json.dumps(place.run("./flow.pflow.md")[1])


MEMORY = FLOW.replace("- type: shell\n", "- type: shell\n- cache: true\n").replace(
    'result: list = [f"n{number}" for number in range(10)]', 'import json\nresult: list = json.load(open("names"))'
)


def test_pflows_cache_knows_single_items(place: Place) -> None:
    def changed(*new: str) -> tuple[Counter[str], Any]:
        (place.folder / "names").write_text(json.dumps(new))
        status, result, said = place.run("./flow.pflow.md", *flags)
        assert status == 0, said
        return place.new, result

    flags: list[str] = []
    place.write(MEMORY, second=["parallel: true"])
    place.open_the_door()
    changed("n0", "n1", "n1", "n2")
    new, result = changed("n0", "n1", "n1", "x")
    assert new == Counter({"first-x": 1, "second-x": 1})
    new, result = changed("n1", "n1", "n1", "n0")  # equal items stay apart: two answers are there, the third is run
    assert new == Counter({"first-n1": 1, "second-n1": 1})
    assert [found["original_index"] for found in result["said"]] == [0, 1, 2, 3]
    flags = ["--no-cache"]
    assert sum(changed("n1", "n0")[0].values()) == 4
    flags = []
    trace = max((place.folder / "home" / ".pflow" / "debug").glob("*.json"), key=lambda file: file.stat().st_mtime)
    changed("n0", "y")
    trace = max((place.folder / "home" / ".pflow" / "debug").glob("*.json"), key=lambda file: file.stat().st_mtime)
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    items = [item["status"] for event in events for item in event.get("batch_items") or ()]
    assert items.count("cached") == 2 and items.count("success") == 2
    place.write(MEMORY.replace("- cache: true\n", ""))
    changed("n0", "y")
    assert sum(changed("n0", "y")[0].values()) == 4


def test_what_a_failed_run_has_cached_is_not_run_again(place: Place) -> None:
    place.write(FLOW.replace("- type: shell\n", "- type: shell\n- cache: true\n"))
    assert place.run("./flow.pflow.md")[0] == 1
    place.open_the_door()
    assert place.run("./flow.pflow.md")[0] == 0
    assert place.new == Counter(names("second", 6, 7, 8, 9))
    # What changes the outcome is part of what the cache goes by.
    assert place.run("./flow.pflow.md", "--limit", "2")[1]["said"][-1]["original_index"] == 1
    assert len(place.run("./flow.pflow.md")[1]["said"]) == 10
    assert place.new == Counter()
    place.write(FLOW.replace("- type: shell\n", "- type: shell\n- cache: true\n"), second=['key: "#${item}"'])
    assert place.run("./flow.pflow.md")[1]["said"][0]["key"] == "#n0"
    assert place.new == Counter()
