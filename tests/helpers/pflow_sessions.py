"""Sessions of `pflow` commands in a home of their own, with and without pflow-lower: what is printed and what is left.

Times, ids and the order in which parallel items end are masked; everything else is compared as it is.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FLOWS = Path(__file__).parent.parent / "pflow_flows"

Commands = Sequence[tuple[int, list[str]]]
"""Exit statuses and arguments."""

TIMES = [
    (r"\b\d{8}-\d{6}(-\d+)?\b", "<stamp>"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:[\d.]+)?(Z|\+00:00)?", "<time>"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<id>"),
    (r'("[\w-]*(duration|_ms|_sec|time)[\w-]*": )[\d.e-]+', r"\1<number>"),
    (r'("[\w-]+": )\d+\.\d{4,}', r"\1<number>"),
    (r'("cache_key": )"\w+"', r"\1<key>"),  # a batch's covers more with pflow-lower than without
    (r"(_seconds: )[\d.]+", r"\1<number>"),
    (r"\b\d+(\.\d+)?(ms|s)\b", "<duration>"),
    (r"\w{3}, \d+ \w{3} \d{4} [\d:]+ GMT", "<date>"),
]
LEAD_IN = re.compile(r"(?<![\w-])[\w-]+\.\.\.(?!\.)")
HOW_FAR = re.compile(r"\s*[\w-]+: \d+/\d+ \(\d+ %\).*")  # pflow-lower says it of batches that take seconds
CLOCKS = {
    *("timestamp", "start_time", "end_time", "seq", "id", "parent_id", "parent_seq", "run_id", "execution_id"),
    *("response_time", "node_timings", "timing", "pid", "cache_key", "age_sec", "created_at"),
}


def compare(commands: Commands, folder: Path, models: bool = False, **env: str) -> None:
    """Run `commands` both ways; with `models`, what asks a model is imported once for all of them.

    Raises: AssertionError, if anything differs, or if a command does not end as it should.
    """
    plain, plain_files = session(commands, "plain", folder, env, models)
    lowered, lowered_files = session(commands, "lowered", folder, env, models)
    for (expected, command), one, other in zip(commands, plain, lowered, strict=True):
        assert one[0] == expected, f"{command}: {one}"
        for wanted, got in zip(one[1:], other[1:], strict=True):
            agree(wanted, got, command)
        assert other[0] == expected, f"{command}: {other}"
    agree(list(plain_files), list(lowered_files), "files")
    for name, wanted in plain_files.items():
        agree(wanted, lowered_files[name], name)


def agree(one: list[str], other: list[str], what: object) -> None:
    """Raises: AssertionError with the lines that differ."""
    other = [line for line in other if not HOW_FAR.fullmatch(line)]
    if one != other:
        found = difflib.unified_diff(one, other, "plain", "lowered", lineterm="", n=1)
        raise AssertionError("\n".join([str(what), *found]))


def session(
    commands: Commands, how: str, folder: Path, env: dict[str, str], models: bool = False
) -> tuple[list[Any], dict[str, list[str]]]:
    """What each of the `commands` printed, and the files that are there then.

    Both ways run in the same place, one after the other: pflow's names and ids depend on it.
    """
    home = folder / "home"
    home.mkdir()
    filled = [[argument.replace("{tmp}", str(home)) for argument in command] for _, command in commands]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("pflow_commands.py")), how, *(["models"] if models else [])],
        input=json.dumps(filled),
        capture_output=True,
        encoding="utf-8",
        cwd=FLOWS,
        env={**os.environ, "HOME": str(home), "USERPROFILE": str(home), "NO_COLOR": "1", "PYTHONUTF8": "1", **env},
        check=True,
    )
    printed = [
        [status, lines(out, home), without_lead_ins(lines(err, home))] for status, out, err in json.loads(done.stdout)
    ]
    files = {}
    for number, path in enumerate(sorted(path for path in home.rglob("*") if path.is_file())):
        name = masked(path.relative_to(home).as_posix(), home)
        files[f"{number} {name}"] = list(content(path, home))
    shutil.rmtree(home)
    return printed, files


def content(path: Path, home: Path) -> Iterator[str]:
    """The lines of a file; of a database, none."""
    if path.suffix == ".md":
        yield from lines(path.read_text(encoding="utf-8"), home)
    elif path.suffix in (".json", ".jsonl"):
        text = path.read_text(encoding="utf-8")
        try:
            documents = [json.loads(text)]
        except ValueError:
            documents = [json.loads(line) for line in text.splitlines()]
        for document in documents:
            yield from masked(json.dumps(timeless(document), indent=1), home).splitlines()


def timeless(value: Any) -> Any:
    """`value` without clocks and ids, the items of a batch in their order."""
    if isinstance(value, dict):
        # What a model was asked last, when several were asked at once.
        hidden = {"llm_prompt"} if "batch_items" in value else set()
        return {
            key: None if key in CLOCKS or "duration" in key else timeless(inner)
            for key, inner in value.items()
            if key not in hidden
        }
    if isinstance(value, list):
        made = [timeless(inner) for inner in value]
        if all(isinstance(inner, dict) and "index" in inner and "status" in inner for inner in made):
            made.sort(key=lambda inner: int(inner["index"]))
        return made
    return value


def lines(text: str, home: Path) -> list[str]:
    """The lines of `text` without times, sorted: what runs in parallel is listed as it ends."""
    return sorted(masked(text, home).splitlines())


def without_lead_ins(said: list[str]) -> list[str]:
    """Lines of live progress without the `name...` that begins one: only how a node ended is left, or what it said.

    pflow knows of one line that is begun, whatever is under way: when nodes of sub-workflows run at the same time,
    chance decides which of them begin a line anew, and which end the line of another.
    """
    return sorted(line for line in (LEAD_IN.sub("", line).strip() for line in said) if line)


def masked(text: str, home: Path) -> str:
    text = text.replace(str(home), "~")
    for pattern, instead in TIMES:
        text = re.sub(pattern, instead, text)
    return text
