"""A hundred damaged workflows: no command is silent; and one that is would be found."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

pytest.importorskip("pflow")

import damage
import fuzz_pflow


@pytest.mark.slow
def test_a_hundred_damaged_workflows() -> None:
    assert list(damage.search(100, 1)) == []


@pytest.mark.slow
def test_markdown_of_which_something_is_taken() -> None:
    assert list(damage.search_markdown(60, 1)) == []


@pytest.mark.slow
def test_a_command_that_is_silent_is_found(tmp_path: Path) -> None:
    sound = next(one for one in damage.corpus() if one.name == "alias_custom")
    with fuzz_pflow.bench() as bench, mock.patch.object(damage, "command", return_value=damage.Said(0, "")):
        found = [one for seed in range(8) for one in damage.examine(sound, seed, bench, tmp_path / "work")]
    assert {"lower", "lint"} <= {one.command for one in found}


def test_silence_about_markdown_is_found(tmp_path: Path) -> None:
    file = next(file for file in damage.markdown() if file.name == "greet.pflow.md")
    with mock.patch.object(damage, "findings", return_value=set()):
        found = [one for seed in range(12) for one in damage.examine_markdown(file, seed, tmp_path / "work")]
    assert found


def test_every_damage_of_a_line_has_lines_to_damage() -> None:
    lines = [line for file in damage.markdown() for line in file.read_text("utf-8").split("\n")]
    rng = random.Random(1)
    for hurt, which in damage.LINE_DAMAGES:
        at = next(at for at, line in enumerate(lines) if which.match(line))
        hurt_lines = list(lines)
        assert hurt(rng, hurt_lines, at) and hurt_lines != lines


@pytest.mark.parametrize("hurt", damage.DAMAGES, ids=lambda hurt: hurt.__name__)
def test_every_damage_does_something(hurt: Callable[..., str]) -> None:
    rng = random.Random(1)
    done = []
    for sound in damage.corpus():
        ir, said = damage.damaged(sound, rng)
        assert ir != sound.ir
        assert said
        copy = damage.copy.deepcopy(sound.ir)
        done.append(bool(hurt(rng, copy)) and copy != sound.ir)
    assert any(done)
