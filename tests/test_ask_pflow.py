"""What pflow's own validator refuses is refused by `lower` and `lint`: PFL390, in its words, at our place."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from helpers import forked

pytest.importorskip("pflow")

STEPS = """# Rows

Handles rows.

## Steps

### source

Gives two rows.

- type: {kind}

```{fence} command
echo '["a", "b"]'
```

### handle

Handles one row.

- type: {then}
{more}
- batch:
    items: ${{source.stdout}}
"""
SHELL = '- env:\n    ROW: ${item}\n- command: echo "$ROW"\n'
CHILD = """# Child

Says something.

## Inputs

### name

Whom to greet.

- type: string
- required: true

## Steps

### say

Says it.

- type: shell
- env:
    NAME: ${name}

```shell command
echo "$NAME"
```
"""


def ask(folder: Path, text: str, command: str = "lower", name: str = "wf.pflow.md", *more: str) -> tuple[int, str]:
    home = folder / "a home"
    home.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    env = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "PYTHONUTF8": "1"}
    done = forked.run("pflow_lower", command, *(more or [name]), env=env, cwd=folder, stdin=text)
    assert list(home.iterdir()) == [], "nothing is written for a look"
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr + done.stdout


def workflow(kind: str = "shell", then: str = "shell", more: str = SHELL) -> str:
    return STEPS.format(kind=kind, then=then, more=more.rstrip("\n"), fence="shell")


COMMANDS = (["lower"], ["lint"], ["plan"], ["view", "--no-open", "-o", "page.html"])


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_right_workflow_is_none_the_worse_for_it(command: list[str], tmp_path: Path) -> None:
    status, said = ask(tmp_path, workflow(), command[0], "wf.pflow.md", *command[1:], "wf.pflow.md")
    assert (status, "PFL390" in said) == (0, False), said


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_an_unknown_type_is_refused_in_markdown(command: list[str], tmp_path: Path) -> None:
    status, said = ask(tmp_path, workflow(kind="shel"), command[0], "wf.pflow.md", *command[1:], "wf.pflow.md")
    assert status != 0
    assert "wf.pflow.md:11:" in said
    assert "error[PFL390] source: Unknown node type: 'shel'" in said


@pytest.mark.slow
def test_a_type_of_a_server_and_a_missing_key_are_not_the_workflows_fault(tmp_path: Path) -> None:
    assert ask(tmp_path, workflow(then="mcp-mail-send", more="- text: ${item}\n"))[0] == 0
    assert ask(tmp_path, workflow(then="llm", more="- model: gpt-5\n- prompt: Say ${item}\n"))[0] == 0


def test_json_is_left_alone(tmp_path: Path) -> None:
    node = {"id": "a", "type": "mine", "params": {"x": "${item}"}, "batch": {"items": ["1"]}}
    status, said = ask(tmp_path, json.dumps({"ir_version": "0.1.0", "nodes": [node], "edges": []}), name="wf.json")
    assert (status, "PFL390" in said) == (0, False), said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inputs", "refused"),
    [("name: ${item}", ""), ("nam: ${item}", "name"), ("name: ${item}\n    more: 1", "more"), (None, "child.pflow.md")],
)
def test_a_workflow_that_a_node_starts_is_looked_at(inputs: str | None, refused: str, tmp_path: Path) -> None:
    if inputs is not None:
        (tmp_path / "child.pflow.md").write_text(CHILD, encoding="utf-8")
    more = f"- workflow: ./child.pflow.md\n- inputs:\n    {inputs or 'name: ${item}'}\n"
    status, said = ask(tmp_path, workflow(then="workflow", more=more))
    assert (status != 0) == bool(refused), said
    assert not refused or ("error[PFL34" in said and refused in said)


def test_what_is_said_already_is_not_said_in_pflows_words(tmp_path: Path) -> None:
    (tmp_path / "child.md").write_text(CHILD, encoding="utf-8")
    for text, code in (
        (workflow(more=SHELL.replace("${item}", "${item} ${source.exit_code.z}")), "PFL334"),
        (workflow(then="workflow", more="- workflow: child.md\n- inputs:\n    name: ${item}\n"), "PFL340"),
    ):
        status, said = ask(tmp_path, text)
        assert (status, said.count("[PFL"), f"error[{code}] handle." in said) == (2, 1, True), said


@pytest.mark.slow
def test_check_refuses_what_lower_refuses(tmp_path: Path) -> None:
    assert ask(tmp_path, workflow(), "lower", "wf.pflow.md", "wf.pflow.md", "-o", "gen")[0] == 0
    assert ask(tmp_path, workflow(), "check", "wf.pflow.md", "gen")[0] == 0
    status, said = ask(tmp_path, workflow(kind="shel"), "check", "wf.pflow.md", "gen")
    assert (status, "PFL390" in said) == (2, True), said


OURS = CHILD.replace(
    "NAME: ${name}\n",
    """NAME: ${name} ${word} ${batch_index} of ${batch_total} after ${__previous__.stdout ?? ""}
- batch:
    items: [["a"], ["b"]]
    as: row
    key: ${batch_index}
    results: {file: "${name}.jsonl"}
    resume: true
    rate: 5/s
    batch:
      items: ${row}
      as: word
""",
).replace("## Steps", "## Outputs\n\n### told\n\nWhere.\n\n- source: ${say.file}\n\n## Steps")
"""A workflow that nodes start, with keys and names that pflow does not have."""
BETWEEN = CHILD.replace(
    "type: shell", "type: workflow\n- workflow: ./ours.pflow.md\n- inputs:\n    name: ${name}"
).replace('- env:\n    NAME: ${name}\n\n```shell command\necho "$NAME"\n```\n', "")


def of_child(folder: Path, ours: str, depth: int) -> str:
    (folder / "ours.pflow.md").write_text(ours, encoding="utf-8")
    (folder / "between.pflow.md").write_text(BETWEEN, encoding="utf-8")
    name = ("ours", "between")[depth]
    return workflow(then="workflow", more=f"- workflow: ./{name}.pflow.md\n- inputs:\n    name: ${{item}}\n")


@pytest.mark.slow
@pytest.mark.parametrize("depth", [0, 1])
def test_our_keys_in_a_workflow_that_a_node_starts_are_no_findings(depth: int, tmp_path: Path) -> None:
    text = of_child(tmp_path, OURS, depth)
    for command in (*COMMANDS, ["lower", "-o", "gen"]):
        status, said = ask(tmp_path, text, command[0], "wf.pflow.md", *command[1:], "wf.pflow.md")
        assert (status, "PFL390" in said) == (0, False), said
    assert ask(tmp_path, text, "check", "wf.pflow.md", "wf.pflow.md", "gen") == (0, "1 folder checked: 1 up to date\n")


def test_from_python_nothing_of_pflow_stays_changed(tmp_path: Path) -> None:
    from pflow.core.workflow.validator import WorkflowValidator

    import pflow_lower

    before = vars(WorkflowValidator)["validate"]
    (tmp_path / "wf.pflow.md").write_text(of_child(tmp_path, OURS, 1), encoding="utf-8")
    assert pflow_lower.lower(tmp_path / "wf.pflow.md") is not None
    assert vars(WorkflowValidator)["validate"] is before


@pytest.mark.slow
@pytest.mark.parametrize("depth", [0, 1])
def test_what_pflow_refuses_beside_our_keys_is_refused(depth: int, tmp_path: Path) -> None:
    ours = OURS.replace("- type: shell", "- type: shel")
    status, said = ask(tmp_path, of_child(tmp_path, ours, depth))
    assert status != 0
    assert "wf.pflow.md:22:13: error[PFL390] handle: In step 'handle' sub-workflow: " in said
    assert "Unknown node type: 'shel'" in said


@pytest.mark.slow
def test_a_type_of_a_server_in_a_workflow_that_a_node_starts_is_not_its_fault(tmp_path: Path) -> None:
    ours = OURS.replace("- type: shell", "- type: mcp-mail-send")
    said = ask(tmp_path, of_child(tmp_path, ours, 1))[1]
    assert "PFL390" not in said, said


@pytest.mark.slow
@pytest.mark.parametrize("depth", [0, 1])
def test_a_program_leaves_started_workflows_to_pflow_which_refuses_our_keys(depth: int, tmp_path: Path) -> None:
    text = of_child(tmp_path, OURS, depth)
    status, said = ask(tmp_path, text, "lower", "wf.pflow.md", "wf.pflow.md", "--program", "-o", "gen")
    assert status == 0
    assert "wf.pflow.md:22:13: warning[PFL450] handle.params.workflow: a program has pflow run the workflow " in said
    assert "refuses the batch key `results` of `say` in ours.pflow.md" in said
    assert "PFL450" not in ask(tmp_path, text)[1], "pflow-lower runs it"
    named = CHILD.replace("NAME: ${name}\n", "NAME: ${name} ${item} ${batch_index}\n- batch:\n    items: [a]\n")
    text = of_child(tmp_path, named, depth)
    said = ask(tmp_path, text, "lower", "wf.pflow.md", "wf.pflow.md", "--program", "-o", "gen")[1]
    assert "refuses ${batch_index} of `say` in ours.pflow.md" in said
    (tmp_path / "child.pflow.md").write_text(CHILD, encoding="utf-8")
    text = text.replace("./ours", "./child").replace("./between", "./child")
    assert "PFL450" not in ask(tmp_path, text, "lower", "wf.pflow.md", "wf.pflow.md", "--program", "-o", "gen")[1]


def test_standard_input_is_asked_about_but_for_what_would_stand_beside_it(tmp_path: Path) -> None:
    """`-` is where an editor or a pipe hands a workflow over."""

    def said(text: str) -> tuple[int, str]:
        return ask(tmp_path, text, "lower", "wf.pflow.md", "-")

    more = "- workflow: ./child.pflow.md\n- inputs:\n    name: ${item}\n"
    status, found = said(workflow(then="workflow", more=more))
    assert status == 0 and "PFL390" not in found, found
    assert "warning[PFL340] handle.params.workflow: the workflow ./child.pflow.md was not looked at" in found
    status, found = said(workflow(kind="shel"))
    assert status == 2 and "<stdin>:11:9: error[PFL390] source: Unknown node type: 'shel'" in found
    assert "name it: - workflow: ./child.pflow.md" in said(workflow(then="workflow", more=""))[1]
