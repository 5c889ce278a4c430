"""A golden case: what was made of it beside what stands in its folder, byte for byte."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest


def settle(
    case: Path, made: Mapping[str, bytes], config: pytest.Config, test: str, is_given: Callable[[str], bool]
) -> None:
    """Fail with all differences between `made` and the case; with --update-golden, write them into it.

    `is_given` says which files are written by hand; everything else in the folder is expected to be made. `test` is
    the test file that refreshes the case.
    """
    found = {path.relative_to(case).as_posix(): path.read_bytes() for path in case.rglob("*") if path.is_file()}
    expected = {path: content for path, content in found.items() if not is_given(path)}
    if config.getoption("--update-golden"):
        for path in expected.keys() - made.keys():
            (case / path).unlink()
        for path, content in made.items():
            (case / path).write_bytes(content)
    elif made != expected:
        difference = "".join(_unified(path, expected.get(path), made.get(path)) for path in sorted({*made, *expected}))
        refresh = f"pytest tests/{Path(test).name} --update-golden -k {case.name}"
        pytest.fail(f"{difference}\nrefresh with: {refresh}", pytrace=False)


def _unified(path: str, expected: bytes | None, made: bytes | None) -> str:
    """The difference between what stands in golden/ and what was made; None stands for a missing file."""
    if expected == made:
        return ""
    old, new = ((content or b"").decode("utf-8", "replace").splitlines(keepends=True) for content in (expected, made))
    names = path if expected is not None else "(no file)", path if made is not None else "(no file)"
    lines = difflib.unified_diff(old, new, f"golden: {names[0]}", f"made: {names[1]}")
    return "".join(lines) or f"{path}: the bytes differ, the text does not\n"
