"""Lowering beyond what the golden cases show: what a generated class cannot keep is said."""

from __future__ import annotations

from typing import Any

import pytest

import pflow_lower

PROMPT_CACHE: dict[str, dict[str, Any]] = {
    "prewarm": {"prewarm": True, "params": {"prompt": "Greet ${item}"}},
    "prompt_cache": {"prompt_cache": ["rules"], "params": {"prompt": "Greet ${item}"}},
}


@pytest.mark.parametrize("key", PROMPT_CACHE)
def test_a_key_that_only_the_interpreter_honours_is_told(key: str) -> None:
    node = {"id": "greet", "type": "llm", "batch": {"items": ["Ann"]}, **PROMPT_CACHE[key]}
    told: dict[str, Any] = {
        "cache": {"items": [{"name": "rules", "var": "rules", "prose_before": ""}]},
        "inputs": {"rules": {"type": "string"}},
    }
    found = pflow_lower.lower({"nodes": [node], **told}).diagnostics
    assert [(one.code, one.where) for one in found] == [("PFL401", f"greet.{key}")]
    assert f"{key} is not carried over" in found[0].message
