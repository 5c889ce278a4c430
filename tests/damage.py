"""Damaged workflows through every command: none answers 0 without a word where a run would fail or give less.

    python tests/damage.py --workflows 2000 --seed 1

A workflow of `golden/` or `conformance/` is damaged at random: keys, edges, names, files, types, the text itself, what
stands beside it, the inputs on a command line. It is lowered, linted, checked, planned, shown and compared with what it
was, and run in pflow as generated code, on nodes of the conformance cases. A command is silent if it has nothing to say
that it does not say of the sound workflow. Markdown is damaged line by line: whatever takes something out of what pflow
reads is to be said.
What is found is printed by kind; the exit status is 1 then. `tests/test_damage.py` does so for some hundred.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import itertools
import json
import os
import random
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fuzz_pflow

from pflow_lower import cli
from pflow_lower import lower as api_lower
from pflow_lower.runtime.arguments import read_inputs

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden"
CONFORMANCE = HERE / "conformance"

Json = dict[str, Any]
Place = tuple[Any, Any]
"""A container and the key or index of one thing in it."""

NOTHING = "nothing has changed that means anything"
"""What diff says where it has nothing to say."""

NOT_TOUCHED = {"command", "code", "description", "purpose", "ir_version"}
"""Parameters whose text is a program of its own, which a damage could make do anything; and prose."""


class Sound(NamedTuple):
    """A workflow as it should be. `inputs` are those that it can be run with, if it can."""

    name: str
    ir: Json
    folder: Path
    inputs: Json | None = None


class Finding(NamedTuple):
    """What a command did not say."""

    command: str
    damage: str
    symptom: str
    name: str
    seed: int


def corpus() -> list[Sound]:
    """Every sound workflow that is JSON."""
    found = []
    for file in sorted((CONFORMANCE / "batch").glob("*.json")):
        case = json.loads(file.read_bytes())
        if case["expected"]["status"] == "success":
            found.append(Sound(file.stem, case["ir"], CONFORMANCE / "files", case["inputs"]))
    files = [*sorted(GOLDEN.glob("*/*/workflow.json")), *sorted(GOLDEN.glob("diff/*/new.json"))]
    found += [
        Sound(f"{file.parent.parent.name}/{file.parent.name}", json.loads(file.read_bytes()), file.parent)
        for file in files
        if file.parent.parent.name != "bad" and file.parent.name != "invalid"
    ]
    return found


# --- Damages: each changes the workflow (or its folder) and says what it did, or answers "" where it cannot


def misspelt(rng: random.Random, word: str) -> str:
    """A word with one letter more, less, or in another place."""
    at = rng.randrange(len(word))
    made = rng.choice([word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:], word[:at] + "q" + word[at + 1 :]])
    return made if made and made != word else word + "x"


def places(value: Any) -> Iterator[Place]:
    """Every thing in a value, with what holds it."""
    if isinstance(value, dict):
        for key in value:
            if key not in NOT_TOUCHED:
                yield value, key
                yield from places(value[key])
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield value, index
            yield from places(inner)


def delete_key(rng: random.Random, ir: Json) -> str:
    found = [(holder, key) for holder, key in places(ir) if isinstance(key, str)]
    holder, key = rng.choice(found)
    del holder[key]
    return f"key {key} deleted"


def misspell_key(rng: random.Random, ir: Json) -> str:
    found = [(holder, key) for holder, key in places(ir) if isinstance(key, str)]
    holder, key = rng.choice(found)
    items = [(misspelt(rng, key) if name == key else name, value) for name, value in holder.items()]
    holder.clear()
    holder.update(items)
    return f"key {key} misspelt"


def change_type(rng: random.Random, ir: Json) -> str:
    holder, key = rng.choice(list(places(ir)))
    old = holder[key]
    others = [None, True, 7, -1, 0, 1.5, "", "text", [], {}, ["x"], {"x": 1}, str(old), [old]]
    holder[key] = rng.choice([value for value in others if type(value) is not type(old)])
    return f"{key if isinstance(key, str) else 'element'}: {type(old).__name__} -> {json.dumps(holder[key])[:30]}"


def change_number(rng: random.Random, ir: Json) -> str:
    found = [(h, k) for h, k in places(ir) if isinstance(h[k], int | float) and not isinstance(h[k], bool)]
    if not found:
        return ""
    holder, key = rng.choice(found)
    holder[key] = rng.choice([0, -1, 1000, 1.5, 10**9])
    return f"number {key} -> {holder[key]}"


def delete_edge(rng: random.Random, ir: Json) -> str:
    if not ir.get("edges"):
        return ""
    ir["edges"].remove(rng.choice(ir["edges"]))
    return "edge deleted"


def bend_edge(rng: random.Random, ir: Json) -> str:
    if not ir.get("edges"):
        return ""
    edge, ids = rng.choice(ir["edges"]), [node["id"] for node in ir["nodes"]]
    end = rng.choice(["from", "to"])
    edge[end] = rng.choice([*ids, misspelt(rng, edge[end])])
    return f"edge: {end} elsewhere"


def turn_edge(rng: random.Random, ir: Json) -> str:
    if not ir.get("edges"):
        return ""
    edge = rng.choice(ir["edges"])
    edge["from"], edge["to"] = edge["to"], edge["from"]
    return "edge turned"


def change_action(rng: random.Random, ir: Json) -> str:
    if not ir.get("edges"):
        return ""
    rng.choice(ir["edges"])["action"] = rng.choice(["error", "done", "defualt", ""])
    return "edge: another action"


def rename_node(rng: random.Random, ir: Json) -> str:
    node = rng.choice(ir["nodes"])
    node["id"] = misspelt(rng, node["id"])
    return "node renamed"


def rename_input(rng: random.Random, ir: Json) -> str:
    if not ir.get("inputs"):
        return ""
    key = rng.choice(list(ir["inputs"]))
    ir["inputs"][misspelt(rng, key)] = ir["inputs"].pop(key)
    return "input renamed"


def rename_alias(rng: random.Random, ir: Json) -> str:
    found = [node["batch"] for node in ir["nodes"] if "batch" in node]
    if not found:
        return ""
    batch = rng.choice(found)
    names = [*(node["id"] for node in ir["nodes"]), *ir.get("inputs", {}), misspelt(rng, batch.get("as", "item"))]
    batch["as"] = rng.choice(names)
    return "alias renamed"


def misspell_type(rng: random.Random, ir: Json) -> str:
    node = rng.choice(ir["nodes"])
    node["type"] = misspelt(rng, node["type"])
    return "node type misspelt"


def misspell_reference(rng: random.Random, ir: Json) -> str:
    found = [(h, k) for h, k in places(ir) if isinstance(h[k], str) and re.search(r"\$\{[^}]*\}", h[k])]
    if not found:
        return ""
    holder, key = rng.choice(found)
    inside = rng.choice(list(re.finditer(r"\$\{([^}]*)\}", holder[key])))
    words = list(re.finditer(r"\w+", inside[1]))
    if not words:
        return ""
    at = rng.randrange(len(words))
    word = words[at]
    text = inside[1][: word.start()] + misspelt(rng, word[0]) + inside[1][word.end() :]
    holder[key] = holder[key][: inside.start(1)] + text + holder[key][inside.end(1) :]
    return f"reference misspelt at word {min(at, 2)}"


def break_reference(rng: random.Random, ir: Json) -> str:
    found = [(h, k) for h, k in places(ir) if isinstance(h[k], str) and "${" in h[k]]
    if not found:
        return ""
    holder, key = rng.choice(found)
    text = holder[key]
    at = text.index("${")
    changed = ["$ {", "{", "${ ", "$(", "$${"]
    holder[key] = rng.choice([text.replace("}", "", 1), *(text[:at] + new + text[at + 2 :] for new in changed)])
    return "reference broken"


def misspell_file(rng: random.Random, ir: Json) -> str:
    found = [
        (h, k) for h, k in places(ir) if isinstance(h[k], str) and (h[k][:2] == "./" or h[k].endswith(".pflow.md"))
    ]
    if not found:
        return ""
    holder, key = rng.choice(found)
    holder[key] = f"./{misspelt(rng, holder[key].rpartition('/')[2])}"
    return "file misspelt"


def remove_node(rng: random.Random, ir: Json) -> str:
    ir["nodes"].remove(rng.choice(ir["nodes"]))
    return "node removed"


def misspell_model(rng: random.Random, ir: Json) -> str:
    found = [node["params"] for node in ir["nodes"] if "model" in node.get("params", {})]
    if not found:
        return ""
    rng.choice(found)["model"] = rng.choice([{"x": 1}, 5, ["gpt-5"], True])
    return "model: no text"


def change_code_input(rng: random.Random, ir: Json) -> str:
    found = [node["params"].get("inputs") for node in ir["nodes"] if node["type"] == "code"]
    found = [inputs for inputs in found if isinstance(inputs, dict) and inputs]
    if not found:
        return ""
    inputs = rng.choice(found)
    inputs[rng.choice(list(inputs))] = rng.choice([["x"], {"x": 1}, None, 1.5])
    return "input of code: another type"


def double_node(rng: random.Random, ir: Json) -> str:
    ir["nodes"].append(copy.deepcopy(rng.choice(ir["nodes"])))
    return "node doubled"


def move_node(rng: random.Random, ir: Json) -> str:
    if len(ir["nodes"]) < 2:
        return ""
    ir["nodes"].insert(0, ir["nodes"].pop(rng.randrange(1, len(ir["nodes"]))))
    return "node moved to the front"


DAMAGES: tuple[Callable[[random.Random, Json], str], ...] = (
    *(delete_key, misspell_key, change_type, change_number, delete_edge, bend_edge, turn_edge, change_action),
    *(rename_node, rename_input, rename_alias, misspell_type, misspell_reference, break_reference, misspell_file),
    *(remove_node, double_node, move_node, misspell_model, change_code_input),
)


def damaged(sound: Sound, rng: random.Random) -> tuple[Json, str]:
    """A damaged copy, and what was done to it."""
    ir = copy.deepcopy(sound.ir)
    done = ""
    while not done or ir == sound.ir:
        ir = copy.deepcopy(sound.ir)
        done = rng.choice(DAMAGES)(rng, ir)
    return ir, done


def delete_file(rng: random.Random, folder: Path, text: str) -> str:
    """Delete a file that the workflow mentions; "" if there is none."""
    found = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name in text]
    if not found:
        return ""
    file = rng.choice(found)
    file.unlink()
    return f"file {file.name} deleted"


# --- Damages of Markdown: each changes a line so that pflow reads something else than what stands there

_BULLET = re.compile(r"- (\w+):")


def double_bullet(rng: random.Random, lines: list[str], at: int) -> str:
    lines.insert(at, lines[at])
    return "bullet doubled"


def misspell_bullet(rng: random.Random, lines: list[str], at: int) -> str:
    found = _BULLET.match(lines[at])
    assert found is not None
    lines[at] = f"- {misspelt(rng, found[1])}{lines[at][found.end(1) :]}"
    return "key of a bullet misspelt"


def glue_bullet(rng: random.Random, lines: list[str], at: int) -> str:
    lines[at] = f"-{lines[at][2:]}"
    return "bullet without its space"


def outdent(rng: random.Random, lines: list[str], at: int) -> str:
    lines[at] = lines[at].lstrip()
    return "line out of its bullet"


def misspell_section(rng: random.Random, lines: list[str], at: int) -> str:
    lines[at] = f"## {misspelt(rng, lines[at][3:])}"
    return "section misspelt"


def misspell_language(rng: random.Random, lines: list[str], at: int) -> str:
    lines[at] = lines[at].replace("yaml", rng.choice(["yml", "yamml", "yal"]), 1)
    return "language of a block misspelt"


LINE_DAMAGES: tuple[tuple[Callable[[random.Random, list[str], int], str], re.Pattern[str]], ...] = (
    (double_bullet, _BULLET),
    (misspell_bullet, _BULLET),
    (glue_bullet, _BULLET),
    (outdent, re.compile(r" +(parallel|max_concurrent|error_handling): ")),
    (misspell_section, re.compile(r"## (Inputs|Steps|Outputs)$")),
    (misspell_language, re.compile(r"```yaml ")),
)
"""Each with the lines that it can damage."""


# --- What is said, and what a run gives


class Said(NamedTuple):
    """What a command answered."""

    status: int
    text: str


def command(*arguments: str) -> Said:
    """Run one of our commands in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.run(list(arguments))
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
    text = ""
    for stream in (out, err):
        stream.seek(0)
        text += stream.read()
    assert "Traceback" not in text, text
    return Said(status, text)


_FINDING = re.compile(r"(?:error|warning)\[(PFL\d+)\][^\n]*")


def findings(said: Said) -> set[str]:
    """The findings that a command prints, without their places."""
    return {found[0] for found in _FINDING.finditer(said.text)}


class Run(NamedTuple):
    """What a run came to."""

    status: str
    completed: frozenset[str]
    results: int
    problem: str


def ran(bench: fuzz_pflow.Bench, ir: Json, inputs: Json) -> Run:
    """Run a workflow in pflow, its batches as generated code."""
    try:
        seen = bench.run(ir, inputs, lowered=True)
    except Exception as error:  # noqa: BLE001  whatever pflow raises of a workflow that it does not expect
        return Run("raised", frozenset(), 0, f"{type(error).__name__}: {error}"[:200])
    outcomes = [value for value in seen["nodes"].values() if isinstance(value, dict) and "results" in value]
    results = sum(len(value["results"]) for value in outcomes if isinstance(value["results"], list))
    problem = "; ".join(str(error["message"]) for error in seen.get("errors", ()))[:200]
    completed = frozenset(seen.get("execution", {}).get("completed_nodes", ()))
    return Run(seen["status"], completed, results, problem)


def less(before: Run, after: Run, ir: Json) -> str:
    """In what a run of the damaged workflow falls short of the run of the sound one; "" if it does not."""
    if after.status != before.status:
        return f"run: {after.status}: {after.problem}"
    missing = {node["id"] for node in ir["nodes"]} & before.completed - after.completed
    if missing:
        return "run: a node does not run any more"
    return ""


def refused(ir: Json, file: Path) -> list[str]:
    """What pflow's own validator says of a workflow."""
    from pflow.core.validation_utils import generate_dummy_parameters
    from pflow.core.workflow.validator import WorkflowValidator
    from pflow.registry import Registry

    data = copy.deepcopy(ir)
    try:
        given = {**generate_dummy_parameters(data.get("inputs") or {}), "_pflow_workflow_file": str(file)}
        found = WorkflowValidator.validate(data, given, Registry(), workflow_file=file)
    except Exception as error:  # noqa: BLE001  pflow looks at the form first, elsewhere
        return [f"{type(error).__name__}: {error}"[:200]]
    return [str(said.message)[:200] for said in found if said.severity.value == "error"]


def examine(sound: Sound, seed: int, bench: fuzz_pflow.Bench, work: Path) -> Iterator[Finding]:
    """Damage a workflow once and go through the commands."""
    rng = random.Random(f"{sound.name} {seed}")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(sound.folder, work, ignore=lambda folder, names: [n for n in names if n.endswith((".py", ".json"))
                    and n != "chapter.json"])  # fmt: skip
    text = json.dumps(sound.ir, indent=1).replace("{files}", ".").replace("{children}", ".").replace("{tmp}", "tmp")
    ir, done = copy.deepcopy(sound.ir), ""
    here = Path.cwd()
    os.chdir(work)
    try:
        Path("wf.json").write_text(text)
        Path("old.json").write_text(text)
        flags = ["--nodes", "nodes.toml"] if Path("nodes.toml").exists() else []
        sound_said = command("wf.json", "-o", "gen", *flags)
        if sound_said.status:
            return
        known = findings(sound_said) | findings(command("lint", "wf.json", *flags))
        yield from _with_wrong_inputs(sound, rng, seed)
        before = refused(json.loads(text), Path("old.json").absolute())
        if rng.random() < 0.1:
            done = delete_file(rng, Path(), text)
        if not done:
            ir, done = damaged(sound, rng)
        torn = json.dumps(ir, indent=1).replace("{files}", ".").replace("{children}", ".").replace("{tmp}", "tmp")
        Path("wf.json").write_text(torn)
        lower = command("wf.json", "--emit", "ir", *flags)
        said = {
            "lower": lower,
            "lint": command("lint", "wf.json", *flags),
            "check": command("check"),
            "plan": command("plan", "wf.json"),
            "view": command("view", "wf.json", "--no-open", "-o", "page.html"),
            "diff": command("diff", "old.json", "wf.json"),
        }
        expected = refused(json.loads(torn), Path("wf.json").absolute())
        why = next((f"pflow refuses: {line}" for line in expected if line not in before), "") if not before else ""
        if not why and sound.inputs is not None and lower.status == 0 and not findings(lower) - known:
            sound_run = ran(bench, sound.ir, sound.inputs)
            why = less(sound_run, ran(bench, ir, sound.inputs), ir)
        for name, answer in said.items():
            silent = answer.status == 0 and not findings(answer) - known
            if name in ("lower", "lint") and silent and why:
                yield Finding(name, done, why, sound.name, seed)
            if name in ("plan", "view", "check") and answer.status == 0 and lower.status:
                yield Finding(name, done, f"lower refuses: {lower.text.splitlines()[0][:160]}", sound.name, seed)
            if name == "plan" and not flags and answer.status == 0 and not findings(lower) <= findings(answer):
                unsaid = min(findings(lower) - findings(answer))
                yield Finding(name, done, f"lower says: {unsaid[:160]}", sound.name, seed)
            if name == "diff" and why and ir != sound.ir and answer.status == 0 and NOTHING in answer.text:
                yield Finding(name, done, f"nothing has changed, although {why}", sound.name, seed)
    finally:
        os.chdir(here)


def _with_wrong_inputs(sound: Sound, rng: random.Random, seed: int) -> Iterator[Finding]:
    """Give the inputs of the sound workflow wrongly: under another name, or twice."""
    if not sound.ir.get("inputs"):
        return
    name = rng.choice(list(sound.ir["inputs"]))
    wrong = misspelt(rng, name)
    for given in ([f"{name}=1", f"{name}=2"], *([[f"{wrong}=1"]] if wrong not in sound.ir["inputs"] else [])):
        for words in (["plan", "wf.json"], ["prove", "wf.json"], ["run", "wf.pflow.md"]):
            if (len(given) == 2 or words[0] != "run") and command(*words, *given).status != 2:
                yield Finding(words[0], f"inputs {' '.join(given)}", "taken", sound.name, seed)
        try:
            read_inputs(sound.ir["inputs"], given)
        except ValueError:
            continue
        yield Finding("flow.py", f"inputs {' '.join(given)}", "taken", sound.name, seed)


def examine_markdown(file: Path, seed: int, work: Path) -> Iterator[Finding]:
    """Damage a line of a Markdown workflow; that pflow reads something else then has to be said."""
    rng = random.Random(f"{file.name} {seed}")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(file.parent, work, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    text = file.read_text("utf-8")
    here = Path.cwd()
    os.chdir(work)
    try:
        Path("wf.pflow.md").write_text(text, "utf-8")
        sound, known = _read(Path("wf.pflow.md"))
        if sound is None:
            return
        lines = text.split("\n")
        can = [(hurt, at) for hurt, which in LINE_DAMAGES for at, line in enumerate(lines) if which.match(line)]
        hurt, at = rng.choice(can)
        done = hurt(rng, lines, at)
        Path("wf.pflow.md").write_text("\n".join(lines), "utf-8")
        read, said = _read(Path("wf.pflow.md"))
        if read is not None and (read != sound or hurt is double_bullet) and said <= known:
            yield Finding("lower and lint", f"{done}: {lines[at]}", "pflow reads something else", file.name, seed)
    finally:
        os.chdir(here)


def _read(file: Path) -> tuple[Json | None, set[str]]:
    """What is lowered of a Markdown workflow without its prose, None if it is refused; and what is said of it."""
    lowered, linted = command(str(file), "--emit", "ir"), command("lint", str(file))
    said = findings(lowered) | findings(linted)
    if lowered.status:
        return None, said
    return dict(_without_prose(api_lower(file).ir)), said


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_prose(inner) for key, inner in value.items() if key not in ("description", "purpose")}
    return [_without_prose(inner) for inner in value] if isinstance(value, list) else value


def markdown() -> list[Path]:
    """Every workflow in Markdown that stands in golden/ and beside the tests."""
    return sorted({*GOLDEN.glob("*/*/*.pflow.md"), *(HERE / "pflow_flows").rglob("*.pflow.md")})


def search_markdown(number: int, seed: int) -> Iterator[Finding]:
    """Damage `number` Markdown workflows, each in one line, from `seed` on."""
    files = markdown()
    with tempfile.TemporaryDirectory() as folder:
        for n in range(number):
            yield from examine_markdown(files[(seed + n) % len(files)], seed + n, Path(folder) / "work")


def search(number: int, seed: int) -> Iterator[Finding]:
    """Damage `number` workflows, each in one way, from `seed` on."""
    sound = corpus()
    with tempfile.TemporaryDirectory() as folder, fuzz_pflow.bench() as bench:
        for n in range(number):
            which = sound[(seed + n) % len(sound)]
            yield from examine(which, seed + n, bench, Path(folder) / "work")


def main() -> int:
    """Search and print what was found, by kind; answers the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workflows", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    kinds: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    found_in_markdown = search_markdown(arguments.workflows // 4, arguments.seed)
    for found in itertools.chain(search(arguments.workflows, arguments.seed), found_in_markdown):
        kinds[found.command, re.sub(r"'[^']*'|\"[^\"]*\"|\S*\d\S*", "*", found.symptom)[:90]].append(found)
    for (name, _), group in sorted(kinds.items(), key=lambda entry: -len(entry[1])):
        sys.stdout.write(f"{len(group):4} {name}\n")
        for one in group[:4]:
            sys.stdout.write(f"       {one.damage} | {one.symptom} | {one.name} {one.seed}\n")
    return 1 if kinds else 0


if __name__ == "__main__":
    raise SystemExit(main())
