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
def test_a_command_that_is_silent_is_found(tmp_path: Path) -> None:
    sound = next(one for one in damage.corpus() if one.name == "alias_custom")
    with fuzz_pflow.bench() as bench, mock.patch.object(damage, "command", return_value=damage.Said(0, "")):
        found = [one for seed in range(8) for one in damage.examine(sound, seed, bench, tmp_path / "work")]
    assert {"lower", "lint"} <= {one.command for one in found}


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
