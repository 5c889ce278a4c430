"""Which results meet: the compiler says so of paths that are written out, the runtime of all, and both say the same."""

from __future__ import annotations

import itertools
from pathlib import Path

from pflow_lower import pipeline
from pflow_lower.diagnostics.diagnostic import LowerError
from pflow_lower.runtime.results_places import ResultsPlaces, Writer

NAMES = ["a.jsonl", "b.jsonl", "00000.jsonl", "*.jsonl", "0*.jsonl", "*.csv", "d/a.jsonl", "d/*.jsonl", "./a.jsonl"]


def refused(one: str, two: str) -> bool:
    """Whether a workflow is refused in which two batches, one after the other, write these."""
    nodes = [
        {"id": name, "type": "shell", "params": {"command": "date"}, "batch": {"items": [1], "results": {"file": path}}}
        for name, path in (("first", one), ("then", two))
    ]
    try:
        pipeline.run({"nodes": nodes, "edges": [{"from": "first", "to": "then"}]})
    except LowerError as error:
        return [finding.code for finding in error.diagnostics] == ["PFL219"]
    return False


def test_both_say_the_same(tmp_path: Path) -> None:
    said = {}
    for one, two in itertools.product(NAMES, NAMES):
        places = ResultsPlaces()
        assert places.taken_by(str(tmp_path / one), Writer("first", ())) is None
        meets = places.taken_by(str(tmp_path / two), Writer("then", ())) is not None
        said[one, two] = meets, refused(one, two)
    assert {pair: both for pair, both in said.items() if len(set(both)) > 1} == {}
    assert 0 < sum(meets for meets, _ in said.values()) < len(said)
