"""What is installed: everything the package needs, and nothing else. Some tests need the repository."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

import pflow_lower

ROOT = Path(__file__).parent.parent
FOLDERS = {"pflow_lower": ROOT / "compiler", "pflow_lower.templates": ROOT / "templates"}

needs_repository = pytest.mark.skipif(not (ROOT / "compiler").is_dir(), reason="runs away from the repository")


def is_installed_from_a_wheel() -> bool:
    return "site-packages" in Path(pflow_lower.__file__).parts


@pytest.fixture
def project() -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@needs_repository
def test_every_sub_package_is_listed(project: dict[str, Any]) -> None:
    found = {
        ".".join([name, *file.parent.relative_to(folder).parts])
        for name, folder in FOLDERS.items()
        for file in folder.rglob("*.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == found


@needs_repository
def test_every_data_file_is_listed(project: dict[str, Any]) -> None:
    listed = project["tool"]["setuptools"]["package-data"]
    missing = [
        file.relative_to(ROOT).as_posix()
        for name, folder in FOLDERS.items()
        for file in folder.rglob("*")
        if file.is_file() and not {".py", ".pyc"} & {file.suffix} and not is_listed(listed, name, folder, file)
    ]
    assert not missing


def is_listed(listed: dict[str, list[str]], name: str, folder: Path, file: Path) -> bool:
    """Whether the nearest package above `file`, `name` being that of `folder`, lists it."""
    home = next(parent for parent in file.parents if (parent / "__init__.py").is_file())
    package = ".".join([name, *home.relative_to(folder).parts])
    return any(fnmatch(file.relative_to(home).as_posix(), pattern) for pattern in listed.get(package, []))


@needs_repository
def test_the_version_is_said_once(project: dict[str, Any]) -> None:
    assert project["project"]["version"] == pflow_lower.__version__


@needs_repository
def test_pre_commit_runs_the_same_ruff(project: dict[str, Any]) -> None:
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    pinned = re.search(r"ruff-pre-commit\s+rev: v(\S+)", config)
    assert pinned is not None
    assert f"ruff=={pinned[1]}" in project["project"]["optional-dependencies"]["dev"]


def test_the_installed_version_is_that_of_the_code() -> None:
    assert importlib.metadata.version("pflow-lower") == pflow_lower.__version__


@pytest.mark.skipif(
    not is_installed_from_a_wheel() or (ROOT / "compiler").is_dir(),
    reason="not a wheel, or not away from the repository",
)
def test_the_wheel_installs_one_package_and_a_command() -> None:
    files = importlib.metadata.files("pflow-lower")
    assert files
    tops = {file.parts[0] for file in files if file.parts[0] != ".." and not file.parts[0].endswith(".dist-info")}
    assert tops == {"pflow_lower"}
    assert importlib.util.find_spec("compiler") is None
