"""Which results meet: the compiler says so of paths that are written out, the runtime of all, and both say the same."""

from __future__ import annotations

import itertools
from pathlib import Path

from pflow_lower import pipeline
from pflow_lower.diagnostics.diagnostic import LowerError
from pflow_lower.runtime.results_places import ResultsPlaces, Writer
from pflow_lower.runtime.stream_files import StreamError

NAMES = [
    "a.jsonl", "b.jsonl", "00000.jsonl", "*.jsonl", "0*.jsonl", "*.csv", "d/a.jsonl", "d/*.jsonl", "./a.jsonl",
    "[ab].jsonl", "[ab]-*.jsonl", "a-0.jsonl", "?.jsonl", "a\n.jsonl",
]  # fmt: skip


def refused(one: str, two: str) -> str:
    """What is advised where a workflow is refused in which two batches, one after the other, write these."""
    nodes = [
        {"id": name, "type": "shell", "params": {"command": "date"}, "batch": {"items": [1], "results": {"file": path}}}
        for name, path in (("first", one), ("then", two))
    ]
    try:
        pipeline.run({"nodes": nodes, "edges": [{"from": "first", "to": "then"}]})
    except LowerError as error:
        [finding] = error.diagnostics
        assert finding.code == "PFL219"
        return finding.help
    return ""


def stopped(one: Path, two: Path) -> str:
    """What is advised where a run stops at the second of two batches that write these."""
    places = ResultsPlaces()
    places.claim(str(one), Writer("first", ()))
    try:
        places.claim(str(two), Writer("then", ()))
    except StreamError as error:
        return str(error).rpartition("; ")[2]
    return ""


def test_both_say_the_same(tmp_path: Path) -> None:
    said = {}
    for one, two in itertools.product(NAMES, NAMES):
        said[one, two] = stopped(tmp_path / one, tmp_path / two), refused(one, two)
    assert {pair: both for pair, both in said.items() if len(set(both)) > 1} == {}
    assert said["a.jsonl", "b.jsonl"] == ("", "")
    assert said["a.jsonl", "./a.jsonl"][0] == "give each batch a file of its own for its results"
    # In a path of results nothing but a star stands for anything else: such files are not in the way of any others.
    assert said["a.jsonl", "[ab].jsonl"] == said["[ab]-*.jsonl", "a-0.jsonl"] == said["?.jsonl", "a.jsonl"] == ("", "")
    for pair in (("*.csv", "*.jsonl"), ("0*.jsonl", "00000.jsonl"), ("00000.jsonl", "*.jsonl")):
        assert said[pair][0] == "give each batch a folder of its own for its results"
