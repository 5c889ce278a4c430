"""`--budget` where the cost of every call is known: pflow's `llm` and a provider on this machine, the real commands."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import forked
from helpers.documents import surroundings
from helpers.provider import serving

pytest.importorskip("pflow")
pytestmark = pytest.mark.slow

FLOW = """\
# Rate words

## Inputs

### words

What to rate.

- type: array
- required: true

## Steps
STEPS
### rate

Says something about each word.

- type: llm
- model: gpt-4o-mini
- prompt: Rate the word ${word}.
- batch:
    items: ${words}
    as: word
    resume: true
    KEYS

## Outputs

### said

All.

- type: array
- source: ${rate.results}
"""
COST = 5.55e-06
"""What pflow says that one of these calls costs, in dollars."""
WORDS = [f"w{number}" for number in range(8)]


class Place:
    """A folder with a workflow, and a provider who notes what is asked."""

    def __init__(self, folder: Path, address: str, prompts: list[str]) -> None:
        self.folder = folder
        self.prompts = prompts
        (folder / "home").mkdir()
        home = str(folder / "home")
        self.env = surroundings(address)
        self.env |= {"HOME": home, "USERPROFILE": home, "PFLOW_LOWER_STATE": str(folder / "state"), "PYTHONUTF8": "1"}

    def write(
        self, text: str = FLOW, name: str = "flow.pflow.md", steps: str = "", keys: str = "max_retries: 1"
    ) -> None:
        (self.folder / name).write_text(text.replace("STEPS", steps).replace("KEYS", keys))

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, stdout, stderr; `asked` is what the provider was asked meanwhile."""
        before = len(self.prompts)
        ended = forked.run(*arguments, env=self.env, cwd=self.folder, models=True)
        self.asked = sorted(prompt.removeprefix("Rate the word ").rstrip(".") for prompt in self.prompts[before:])
        return ended.returncode, ended.stdout, ended.stderr

    def in_pflow(self, *options: str) -> tuple[int, Any, str]:
        words = f"words={json.dumps(WORDS)}"
        flags = ["--no-cache", "--output-format", "json"]
        status, out, err = self.run("pflow_lower", "run", *options, "./flow.pflow.md", words, *flags)
        return status, json.loads(out), err

    def journalled(self) -> list[str]:
        _, out, _ = self.run("pflow_lower", "journal", "export", "flow.pflow.md")
        return sorted(json.loads(line)["result"]["response"].split()[-1].rstrip(".") for line in out.splitlines())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    prompts: list[str] = []
    with serving(prompts) as address:
        yield Place(tmp_path, address, prompts)


def said_of(found: Any) -> list[str]:
    return [result["response"] for result in found["result"]["said"]]


def test_in_pflow_no_item_starts_once_the_budget_is_reached(place: Place) -> None:
    place.write()
    budget = f"{2.5 * COST:.9f}"
    status, found, err = place.in_pflow("--budget", budget)
    assert status == 1
    assert place.asked == WORDS[:3]  # after two of them it is not reached
    [error] = found["errors"]
    assert error["message"].startswith("Batch 'rate' ended early: the budget of $0.000013875 is reached ($0.00001665")
    assert error["message"].endswith("3 of 8 items were done, 5 never ran, and the next run goes on from there")
    assert "3 items of flow.pflow.md that ended well are in the journal" in err
    assert place.journalled() == WORDS[:3]

    status, found, _ = place.in_pflow("--budget", budget)  # of each run, not of all
    assert status == 1 and place.asked == WORDS[3:6] and place.journalled() == WORDS[:6]
    status, found, _ = place.in_pflow("--budget", budget)
    assert status == 0 and place.asked == WORDS[6:]
    assert said_of(found) == [f"gpt-4o-mini on Rate the word {word}." for word in WORDS]
    assert not list((place.folder / "state").rglob("*.db"))


def test_in_pflow_what_is_under_way_comes_on_top(place: Place) -> None:
    place.write(keys="parallel: true\n    max_concurrent: 3")
    status, _, _ = place.in_pflow("--budget", f"{1.9 * COST:.9f}")
    assert status == 1
    assert set(WORDS[:2]) <= set(place.asked) and len(place.asked) <= 2 + 2
    asked = place.asked
    assert place.journalled() == asked
    status, _, _ = place.in_pflow()
    assert status == 0 and place.asked == [word for word in WORDS if word not in asked]


def test_a_program_keeps_to_it_too(place: Place) -> None:
    place.write()
    status, _, err = place.run("pflow_lower", "flow.pflow.md", "--program", "-o", "out")
    assert status == 0, err
    program, words = os.path.join("out", "flow.py"), f"words={json.dumps(WORDS)}"
    status, out, err = place.run(program, "--budget", f"{2.5 * COST:.9f}", words)
    assert status == 1 and out == ""
    assert place.asked == WORDS[:3]
    assert "Batch 'rate' ended early: the budget of $0.000013875 is reached" in err
    assert "what is done is kept: run the same command again" in err
    status, out, err = place.run(program, words)
    assert status == 0 and place.asked == WORDS[3:]
    assert len(json.loads(out)["said"]) == 8


CHILD = """\
# Rate one word

## Inputs

### word

What to rate.

- type: string
- required: true

## Steps

### one

Says something about it.

- type: llm
- model: gpt-4o-mini
- prompt: Rate the word ${word}.

## Outputs

### said

What.

- source: ${one.response}
"""
IN_CHILDREN = FLOW.replace(
    "- type: llm\n- model: gpt-4o-mini\n- prompt: Rate the word ${word}.",
    "- type: workflow\n- workflow: ./child.pflow.md\n- inputs:\n    word: ${word}",
)
BEFORE = """
### before

Costs something, too.

- type: llm
- model: gpt-4o-mini
- prompt: Rate the word wx.
"""


def test_what_steps_and_sub_workflows_cost_counts(place: Place) -> None:
    place.write(IN_CHILDREN, steps=BEFORE)
    place.write(CHILD, "child.pflow.md")
    budget = f"{2.5 * COST:.9f}"
    status, found, _ = place.in_pflow("--budget", budget)
    assert status == 1 and place.asked == ["w0", "w1", "wx"]
    assert "the budget of $0.000013875 is reached ($0.00001665 known)" in found["errors"][0]["message"]
    assert place.in_pflow()[0] == 0
    status, _, _ = place.in_pflow("--budget", budget, "--only", "rate")
    assert status == 1 and place.asked == WORDS[:3]  # the step before is restored: it was paid for then


def test_what_a_program_s_steps_cost_counts(place: Place) -> None:
    place.write(steps=BEFORE)
    assert place.run("pflow_lower", "flow.pflow.md", "--program", "-o", "out")[0] == 0
    words = f"words={json.dumps(WORDS)}"
    status, _, _ = place.run(os.path.join("out", "flow.py"), "--budget", f"{2.5 * COST:.9f}", words)
    assert status == 1 and place.asked == ["w0", "w1", "wx"]
