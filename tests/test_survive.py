"""Batches that are killed: the campaigns of benchmarks/survive.py, in short."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "survive.py"

pytestmark = [
    pytest.mark.skipif(not SCRIPT.is_file(), reason="runs away from the repository"),
    pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL"),
]


@pytest.fixture(scope="module")
def survive() -> ModuleType:
    spec = importlib.util.spec_from_file_location("survive", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["survive"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("way", ["order", "threads", "tasks"])
def test_what_is_journalled_survives_a_kill(survive: ModuleType, way: str, tmp_path: Path) -> None:
    found = survive.campaign(way, 150, 4, tmp_path)
    assert found.is_good, str(found)
    assert found.kills == 4


@pytest.mark.slow
@pytest.mark.parametrize("way", ["order", "threads", "tasks", "pflow"])
def test_it_survives_many(survive: ModuleType, way: str, tmp_path: Path) -> None:
    if way == "pflow":
        pytest.importorskip("pflow")
    found = survive.campaign(way, 1000, 15, tmp_path, seed=1)
    assert found.is_good, str(found)
    assert found.kills == 15
