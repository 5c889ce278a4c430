"""One dialect for the patterns of all tables: that of .gitignore."""

from __future__ import annotations

from pathlib import Path

import pytest

from pflow_lower.tools.shared.globs import Glob


def fail(error: OSError) -> None:
    raise error


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("flows/*.json", ["flows/a.json"], ["flows/x/a.json", "a.json", "x/flows/a.json"]),
        ("flows/**/*.json", ["flows/a.json", "flows/x/y/a.json"], ["a.json"]),
        ("*.json", ["a.json", "x/a.json"], ["a.jsonl"]),
        ("/*.json", ["a.json"], ["x/a.json"]),
        ("*", ["a.json", "x/y/a.md"], []),
        ("flows/*", ["flows/a", "flows/x/a"], ["a"]),
        ("flow?/[ab].json", ["flows/a.json"], ["flows/c.json", "flows/x/a.json"]),
        ("flows/a.json", ["flows/a.json"], ["x/flows/a.json"]),
        ("a.json", ["a.json"], ["x/a.json"]),
        (r"\!*.json", ["!a.json"], ["a.json"]),
        (r"\!a.json", ["!a.json"], ["a.json", "x/!a.json"]),
        ("!*.json", ["a.json", "x/a.json"], ["a.md"]),
        ("!flows/a.json", ["flows/a.json"], ["flows/b.json"]),
        ("#*.json", ["#a.json"], ["a.json"]),
        ("Flows/*.JSON", ["Flows/a.JSON"], ["flows/a.json"]),
    ],
)
def test_a_pattern(tmp_path: Path, pattern: str, hits: list[str], misses: list[str]) -> None:
    glob = Glob(pattern)
    assert [path for path in (*hits, *misses) if glob.matches(path)] == hits
    assert glob.takes_away is pattern.startswith("!")
    for name in (*hits, *misses):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert glob.files(tmp_path, fail) == sorted(tmp_path / name for name in hits)


@pytest.mark.parametrize("pattern", ["[", "a[b", "[z-a]", "[]*", "!", "![", ""])
def test_what_matches_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a pattern"):
        Glob(pattern)


def test_folders_of_tools_are_left_out(tmp_path: Path) -> None:
    for name in (".venv/a.json", "x/node_modules/a.json", ".hidden/a.json", "b.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert Glob("**/*.json").files(tmp_path, fail) == [tmp_path / ".hidden" / "a.json", tmp_path / "b.json"]
    assert Glob(".venv/*.json").files(tmp_path, fail) == []
