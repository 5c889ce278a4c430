"""What pflow's validator never sees of a workflow is refused before its first step, by pflow's own command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import forked

pytest.importorskip("pflow")
pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which pflow finds nobody's settings."""
    return {**os.environ, "HOME": str(tmp_path), "PFLOW_LOWER_STATE": str(tmp_path / "state")}


def pflow_lower(home: dict[str, str], *arguments: str) -> tuple[int, str]:
    shown = forked.run("pflow_lower", *arguments, env=home, cwd=home["HOME"])
    return shown.returncode, shown.stdout + shown.stderr


PAID = """\
# Paid

Pays, then goes on.

## Inputs

### word

Said with each.

- type: string
- required: false
- default: so

## Steps

### paid

Gives the items.

- type: shell

```shell command
touch paid; echo '["a", "b"]'
```

### get

Says each.

- type: shell

```yaml batch
BATCH
```

```shell command
echo "${x}"
```

### last

Says what there is.

- type: shell

```shell command
echo "END ${word}"
```
"""
OF_TWO = "items: ${paid.stdout}\nas: x\n"
BEFORE_THE_RUN = {
    "a key of nothing": (f'{OF_TWO}key: "${{y.id}}"', "", "[PFL301] get.batch.key: ${y.id} names no node or input"),
    "a key of the batch": (f'{OF_TWO}key: "${{get.stdout}}"', "", "[PFL304] get.batch.key: ${get.stdout} is this"),
    "a key of no output": (f'{OF_TWO}key: "${{paid.nix}}"', "", "[PFL334] get.batch.key: ${paid.nix} is not an output"),
    "inner items of nothing": (
        'items: ${paid.stdout}\nas: f\nbatch: {items: "${z.p}", as: x}', "",
        "[PFL301] get.batch.batch.items: ${z.p} names no node or input",
    ),
    "a path of nothing": (f'{OF_TWO}results: {{file: "${{z}}.jsonl"}}', "", "[PFL301] get.batch.results.file: ${z} "),
    "items of nothing": ('items: {file: "${z}.jsonl"}\nas: x', "", "[PFL301] get.batch.items.file: ${z} names no node"),
    "results in a file": (f"{OF_TWO}results: {{file: r.jsonl}}", "${get.results}", "[PFL309] last.params.command: "),
    "our names": ("items: {file: in.jsonl}\nas: x\nkey: ${batch_total}", "", "[PFL301] get.batch.key: ${batch_total} "),
    "one name": (f'{OF_TWO}key: "${{paid.stdout}}"', "", "[PFL329] get.batch.key: every item gets the same key"),
    "a path of an item": (f'{OF_TWO}results: {{file: "${{x}}.jsonl"}}', "", "[PFL321] get.batch.results.file: ${x} is"),
    "a value": (f"{OF_TWO}timeout: -1", "", "[PFL204] get.batch.timeout: must be more than 0, not -1"),
    "a budget": (f"{OF_TWO}rate: apii", "", '[PFL335] get.batch.rate: no budget is called "apii"'),
    "a bound": (f"{OF_TWO}tolerated_failures: 1", "", "with `fail_fast`, the first failure ends the batch"),
}  # fmt: skip
CHILD_OF_PAID = """\
# Child

Says each.

## Inputs

### n

The items.

- type: array

## Steps

### get

Says each.

- type: shell

```yaml batch
items: ${n}
as: x
BATCH
```

```shell command
echo "${x}"
```
"""
STARTS = "- type: workflow\n- workflow: ./child.pflow.md\n- inputs:\n    n: ${x}\n\n```yaml"
PARENT_OF_PAID = PAID.replace("- type: shell\n\n```yaml", STARTS).replace('```shell command\necho "${x}"\n```\n', "")


def refused_before_the_run(home: dict[str, str], message: str) -> None:
    for options in (["--validate-only"], ["--dry-run"], []):
        status, said = pflow_lower(home, "run", "paid.pflow.md", *options)
        assert status == 1 and message in said and ".pflow.md:" in said, (options, said)
    assert not Path(home["HOME"], "paid").exists()


@pytest.mark.parametrize(("batch", "end", "message"), BEFORE_THE_RUN.values(), ids=BEFORE_THE_RUN)
def test_what_pflow_never_sees_is_refused_before_the_first_step(
    home: dict[str, str], tmp_path: Path, batch: str, end: str, message: str
) -> None:
    (tmp_path / "paid.pflow.md").write_text(PAID.replace("BATCH", batch).replace("END", end))
    refused_before_the_run(home, message)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("timeout: -1", "In step 'get' sub-workflow: [PFL204] get.batch.timeout: must be more than 0"),
        ('key: "${y}"', "In step 'get' sub-workflow: [PFL301] get.batch.key: ${y} names no node or input"),
        ("rate: apii", "In step 'get' sub-workflow: [PFL335] get.batch.rate: no budget is called"),
        ("results: {file: out.jsonl}", "[PFL219] get.params.workflow: each item starts a workflow whose results"),
    ],
)
def test_so_is_that_of_a_workflow_that_a_step_starts(
    home: dict[str, str], tmp_path: Path, keys: str, message: str
) -> None:
    (tmp_path / "child.pflow.md").write_text(CHILD_OF_PAID.replace("BATCH", keys))
    (tmp_path / "paid.pflow.md").write_text(PARENT_OF_PAID.replace("BATCH", OF_TWO).replace("END", ""))
    refused_before_the_run(home, message)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[tool.pflow-lower.rates]\napi = 1", "[PFL413] tool.pflow-lower.rates.api: a budget is a rate or a table"),
        ("[tool.pflow-lower.on]\nget = 1", "[PFL413] tool.pflow-lower.on.get: says nothing of what a node needs"),
        ("[tool.pflow-lower.journal]\ndir = 1", "[PFL413] tool.pflow-lower.journal.dir: names no folder"),
    ],
)
@pytest.mark.parametrize("of_a_child", [False, True])
def test_so_is_a_faulty_table_at_its_place_which_is_no_node(
    home: dict[str, str], tmp_path: Path, table: str, message: str, of_a_child: bool
) -> None:
    (tmp_path / "pyproject.toml").write_text(table)
    (tmp_path / "child.pflow.md").write_text(CHILD_OF_PAID.replace("BATCH", "timeout: 5"))
    text = PARENT_OF_PAID.replace("BATCH", OF_TWO) if of_a_child else PAID.replace("BATCH", f"{OF_TWO}timeout: 5")
    (tmp_path / "paid.pflow.md").write_text(text.replace("END", ""))
    for options in (["--validate-only"], []):
        status, said = pflow_lower(home, "run", "paid.pflow.md", *options)
        assert status == 1 and message in said and "node 'tool'" not in said, said
        assert "At: pyproject.toml:2" in said or of_a_child, said
    assert not (tmp_path / "paid").exists()


@pytest.mark.parametrize(
    "batch",
    [f'{OF_TWO}key: "${{x}}-${{word}}"', f'{OF_TWO}results: {{file: "${{word}}.jsonl"}}',
     'items: ${paid.stdout}\nas: f\nbatch: {items: ["${word}"], as: x}'],
)  # fmt: skip
def test_an_input_that_only_a_key_of_ours_reads_counts_as_used(
    home: dict[str, str], tmp_path: Path, batch: str
) -> None:
    (tmp_path / "paid.pflow.md").write_text(PAID.replace("BATCH", batch).replace("END ${word}", ""))
    assert pflow_lower(home, "run", "paid.pflow.md")[0] == 0
    assert pflow_lower(home, "paid.pflow.md")[0] == 0, "pflow's validator is asked here, too"


def test_pflow_names_the_place_of_items_as_it_was_written(home: dict[str, str], tmp_path: Path) -> None:
    batch = 'items: ${yy.stdout}\nas: x\nresults: {file: "${word}.jsonl"}'
    (tmp_path / "paid.pflow.md").write_text(PAID.replace("BATCH", batch).replace("END", ""))
    status, said = pflow_lower(home, "run", "paid.pflow.md", "--validate-only")
    assert status == 1 and "'batch.items'" in said and "batch.items[" not in said, said


def test_a_workflow_without_anything_of_ours_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    from pflow_lower.pflow import only_lowered

    def looked(*_: object, **__: object) -> None:
        raise AssertionError("looked at")

    monkeypatch.setattr(only_lowered, "_only_in", looked)
    plain = {"nodes": [{"id": "a", "type": "shell", "params": {}, "batch": {"items": ["${nothing}"]}}]}
    assert only_lowered.wrong_with_ours(plain, {}) == []
