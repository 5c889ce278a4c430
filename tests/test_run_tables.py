"""Tables that say how workflows are run: each wrong entry is found where it stands, by what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pflow_lower.diagnostics.diagnostic import LowerError
from pflow_lower.node_types import run_tables
from pflow_lower.runtime import RayOptions


def test_a_table_and_a_generated_class_know_the_same_needs() -> None:
    assert set(run_tables._ON_KEYS) == RayOptions.__annotations__.keys()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("b = { num_cpu = 2 }", "unknown key 'num_cpu'"),
        ("b = {}", "says nothing of what a node needs"),
        ("b = 2", "says nothing of what a node needs"),
        ('b = { num_cpus = "2" }', "'2' is not an amount"),
        ("b = { memory = -1 }", "-1 is not an amount"),
        ("b = { num_gpus = 1.5 }", "Ray has no 1.5"),
        ('b = { runtime_env = "small" }', "not a table of Ray's"),
    ],
)
def test_what_a_node_cannot_need_on_ray_is_a_finding(tmp_path: Path, entry: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.pflow-lower.on]\n{entry}\n")
    with pytest.raises(LowerError) as caught:
        run_tables.ray_options_for(tmp_path)
    [found] = caught.value.diagnostics
    assert message in found.message and found.code == "PFL413"
    assert found.file and "pyproject.toml" in found.file
    assert found.position is not None and found.position.line == 2
