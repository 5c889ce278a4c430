"""Which files a path stands for: what the compiler foresees is what reading and writing them does."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest
from helpers.command import Run

from pflow_lower.ir.file_patterns import may_read
from pflow_lower.runtime.stream_files import StreamError
from pflow_lower.runtime.streams import ItemsFile, ResultsFile, is_one_file

ITEMS = [
    "out/*.jsonl", "out/0*.jsonl", "out/a*.jsonl", "out/1*.jsonl", "out/*-done.jsonl", "out/00003.jsonl", "out/*.csv",
    "out/00003-done.jsonl", "*/*.jsonl", "*.jsonl", "**/*.jsonl", "out/**/*.jsonl", "out/**", "**/out/*done*", "o*",
    "*/x/*.jsonl", "out/[0-4]????*", "out/[!0]*", "out/[[]*", "out/?*-[cd]*", "out/?.js*", "out/a?.jsonl",
    "out/a.jsonl", "out/[ab]-*.jsonl", "out/[*.jsonl", "out/é*", "*é*/*", "out/***.jsonl", "out/0*0*0*.jsonl",
    "out/[a-z].jsonl",
]  # fmt: skip
RESULTS = [
    "out/*.jsonl", "out/*-done.jsonl", "out/a-*.jsonl", "out/[ab]-*.jsonl", "out/x/*.jsonl", "*.jsonl", "out/é*.jsonl",
    "out/a.jsonl", "out/[ab].jsonl", "out/00003.jsonl", "out/1*.csv",
]  # fmt: skip


@pytest.mark.parametrize("results", RESULTS)
def test_items_come_from_the_files_that_results_go_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: str
) -> None:
    monkeypatch.chdir(tmp_path)
    made = ResultsFile(results)
    (tmp_path / "out/x").mkdir(parents=True)
    (tmp_path / "out/more.jsonl").touch()  # a pattern that finds nothing is an error
    foreseen = {items: _is_refused(items, results) for items in ITEMS}
    shutil.rmtree(tmp_path / "out")
    for number in (0, 3, 10_000, 54_321) if "*" in results else (0,):
        made.part(number).parent.mkdir(parents=True, exist_ok=True)
        made.part(number).touch()
    for items in ITEMS:
        try:
            found = any(file.is_file() for file in ItemsFile(items).files())
        except StreamError:
            found = False
        assert may_read(items, results, are_results=True) == found, items
        if "*" not in results and "*" in items:  # of many files, what the first of them is called
            assert foreseen[items] in (found, None), items


def _is_refused(items: str, results: str) -> bool | None:
    """What a run says before its first item, when no earlier one has left any results; None if it has no items."""
    try:
        return is_one_file(ItemsFile(items), ResultsFile(results))
    except StreamError:
        return None


def test_no_star_finds_what_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").touch()
    for items, is_found in {"*.jsonl": False, ".*.jsonl": True, "**/*.jsonl": False}.items():
        assert may_read(items, ".out.jsonl", are_results=True) == is_found, items
        assert _is_refused(items, ".out.jsonl") in (is_found, None), items


def test_another_step_writes_a_star_as_it_is() -> None:
    for items, written in itertools.product(["out/*.jsonl", "out/0*.jsonl", "**"], ["out/*.jsonl", "out/0.jsonl"]):
        expected = (items, written) != ("out/0*.jsonl", "out/*.jsonl")
        assert may_read(items, written, are_results=False) == expected


@pytest.mark.parametrize(
    ("items", "is_found"), [("out/0*.jsonl", False), ("out/*.jsonl", False), ("out/a*.jsonl", True), ("*.jsonl", True)]
)
def test_lint_knows_what_an_earlier_batch_writes(run: Run, tmp_path: Path, items: str, is_found: bool) -> None:
    nodes = [
        {"id": name, "type": "llm", "params": {"prompt": "${item}"}, "batch": batch}
        for name, batch in {
            "a": {"items": ["x"], "results": {"file": "out/*-done.jsonl"}},
            "b": {"items": {"file": items}},
        }.items()
    ]
    file = tmp_path / "w.json"
    file.write_text(json.dumps({"nodes": nodes, "edges": [{"from": "a", "to": "b"}]}))
    assert ("PFL517" in run("lint", str(file)).out) == is_found
