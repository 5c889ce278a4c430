"""golden/ok is alive: it compiles, is clean to formatter, linter and type checker, and runs as pflow does."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pocketflow
import pytest
from helpers import golden_echo

import pflow_lower
from pflow_lower.load.load import load

TESTS = Path(__file__).parent
GOLDEN = TESTS.parent / "golden" / "ok"
STORES = TESTS / "golden_stores"
HAS_PFLOW = importlib.util.find_spec("pflow") is not None
CASES = sorted(path.name for path in GOLDEN.iterdir() if HAS_PFLOW or (path / "workflow.json").exists())
GENERATED = sorted(GOLDEN.glob("*/*.py"))

INTERPRETED = {
    "batch-index-and-total": "pflow knows only __index__",
    "durable-keys": "pflow does not know the keys",
    "shared-rate": "pflow does not know the key",
    "item-before": "pflow does not know __previous__",
    "nested-batches": "pflow does not know batches inside each other",
    "sub-workflow": "pflow runs a child workflow itself, whatever the registry says",
    "warnings": "pflow finds no item outside a batch, and fails there",
}
"""Cases that pflow cannot run with stand-ins; their stores hold the parameters that each item must get."""


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


needs_pflow = pytest.mark.skipif(not HAS_PFLOW, reason="needs pflow-lower[pflow]")
needs_tools = pytest.mark.skipif(not (installed("ruff") and installed("mypy")), reason="needs pflow-lower[dev]")


def source(name: str) -> Path:
    return next(path for path in GOLDEN.joinpath(name).iterdir() if path.stem.partition(".")[0] == "workflow")


def store_of(name: str) -> Any:
    """What is in the store when the batches of the case begin."""
    file = STORES / f"{name}.json"
    assert file.exists(), (
        f"golden/ok/{name} has a batch: write the store that it finds into tests/golden_stores/{name}.json"
    )
    return json.loads(file.read_bytes())


def lower(name: str) -> pflow_lower.Lowered:
    case = GOLDEN / name
    command = case / "command.json"
    flags = json.loads(command.read_bytes())["flags"] if command.exists() else []
    nodes = case / "nodes.toml" if "--nodes" in flags else None
    return pflow_lower.lower(source(name), nodes=nodes, out=case, program="--program" in flags)


def tool(*arguments: object, cwd: Path | None = None) -> None:
    """Run a tool of Python's; it must have nothing to say."""
    run = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


# --- What the files are


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_module_compiles(path: Path) -> None:
    compile(path.read_bytes(), path, "exec", dont_inherit=True)


def without_hands_off(path: Path) -> str:
    """A generated file without the comments that tell formatters and linters to leave it alone."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n# ruff: noqa\n# fmt: off\n") == 1
    return text.replace("\n# ruff: noqa\n# fmt: off\n", "\n")


@needs_tools
@pytest.mark.parametrize("command", [("format", "--diff"), ("check",)], ids=lambda command: command[0])
def test_ruff_has_nothing_to_say_even_if_it_is_asked(command: tuple[str, ...], tmp_path: Path) -> None:
    options = [*command, "--isolated", "--no-cache"]
    for path in GENERATED:
        copy = tmp_path / path.parent.name / path.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(without_hands_off(path), encoding="utf-8")
    tool("ruff", *options, "--exclude", "flow.py", tmp_path)
    for path in GENERATED:
        if path.name == "flow.py":  # it imports its neighbour `nodes`, which ruff knows as such only in its folder
            tool("ruff", *options, ".", cwd=tmp_path / path.parent.name)


@needs_tools
@pytest.mark.parametrize("width", [60, 88, 200])
def test_no_formatter_and_no_fixer_changes_a_file(width: int, tmp_path: Path) -> None:
    """From any folder, with any line length, and with rules that are not the defaults."""
    for path in GENERATED:
        copy = tmp_path / path.parent.name / path.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    options = ["--isolated", "--no-cache", "--line-length", width]
    tool("ruff", "check", *options, tmp_path)
    tool("ruff", "check", *options, "--extend-select", "E501,I,Q,COM,D,UP", "--fix", tmp_path)
    tool("ruff", "format", *options, tmp_path)
    for path in GENERATED:
        assert (tmp_path / path.parent.name / path.name).read_bytes() == path.read_bytes()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all generated files under names of their own, beside an environment where all is installed.

    The package is copied as its wheel has it; what `flow.py` imports besides is there too, and is not typed.
    """
    folder = tmp_path_factory.mktemp("project")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    (site,) = folder.glob("env/[Ll]ib/**/site-packages")
    shutil.copytree(Path(pflow_lower.__file__).parent, site / "pflow_lower")
    shutil.copytree(Path(pocketflow.__file__).parent, site / "pocketflow")
    there = set()
    for path in GENERATED:
        prefix = re.sub(r"\W", "_", path.parent.name)
        text = re.sub(r"(\n +from \.?)nodes import", rf"\1{prefix}_nodes import", path.read_text(encoding="utf-8"))
        folder.joinpath("project").mkdir(exist_ok=True)
        folder.joinpath("project", f"{prefix}_{path.name}").write_text(text, encoding="utf-8")
        there |= set(NODE_IMPORT.findall(text))
    for module, class_name in sorted(there):
        file = site.joinpath(*module.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"import pocketflow\n\n\nclass {class_name}(pocketflow.Node):\n    pass\n")
    return folder


NODE_IMPORT = re.compile(r"^from (?!pflow_lower|pocketflow|typing|\w*nodes import)(\S+) import (\w+)", re.M)


def python_of(project: Path) -> Path:
    return next(path for path in project.glob("env/*/python*") if path.stem == "python")


@needs_tools
def test_mypy_has_nothing_to_say(project: Path) -> None:
    """`mypy --strict` as it stands, in a project that has pflow-lower installed."""
    settings = project / "none.ini"  # or mypy would look for settings above the folder
    settings.write_text("[mypy]\n")
    options = ["--strict", "--python-executable", python_of(project), "--cache-dir", project / "cache"]
    tool("mypy", "--config-file", settings, *options, ".", cwd=project / "project")


@pytest.mark.slow
@pytest.mark.skipif(not installed("pyright"), reason="needs pflow-lower[dev]")
def test_pyright_has_nothing_to_say(project: Path) -> None:
    (project / "project/pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    tool("pyright", "--pythonpath", python_of(project), "-p", ".", cwd=project / "project")


@pytest.mark.slow
@needs_tools
@pytest.mark.skipif(not installed("pyright"), reason="needs pflow-lower[dev]")
def test_a_copy_of_the_runtime_disturbs_nobody(project: Path) -> None:
    """With --standalone it is part of the project, and so of what formatters, linters and type checkers see."""
    folder = project / "standalone"
    workflow = GOLDEN / "issue-classifier-program" / "workflow.json"
    for name, text in pflow_lower.lower(workflow, out=folder, program=True, standalone=True).files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    (project / "none.ini").write_text("[mypy]\n")
    for line_length in (60, 88):
        tool("ruff", "check", "--isolated", "--no-cache", "--line-length", line_length, folder)
        tool("ruff", "format", "--check", "--isolated", "--no-cache", "--line-length", line_length, folder)
    options = ["--strict", "--python-executable", python_of(project), "--cache-dir", project / "cache"]
    tool("mypy", "--config-file", project / "none.ini", *options, ".", cwd=folder)
    (folder / "__init__.py").touch()  # a user's own: then the folder is a package for mypy, too
    tool("mypy", "--config-file", project / "none.ini", *options, folder.name, cwd=project)
    tool("pyright", "--pythonpath", python_of(project), "-p", ".", cwd=folder)


@pytest.mark.parametrize("name", [name for name in CASES if name != "warnings"])  # refers to items outside batches
def test_the_expanded_ir_has_no_batch_and_lowers_to_itself(name: str) -> None:
    path = GOLDEN / name / "lowered.json"
    ir = json.loads(path.read_bytes())
    assert not [node["id"] for node in ir["nodes"] if "batch" in node]
    again = pflow_lower.lower(ir)  # as data: the file is refused, since it is generated (PFL118)
    assert again.ir == ir
    assert again.files["lowered.json"].encode() == path.read_bytes()


@needs_pflow
@pytest.mark.parametrize("name", CASES)
def test_the_expanded_ir_is_valid_for_pflow(name: str) -> None:
    from pflow.core.ir_schema import validate_ir

    validate_ir(json.loads((GOLDEN / name / "lowered.json").read_bytes()))


SCRIPT = """
import json, sys, pflow_lower
for path, nodes, flags in json.load(sys.stdin):
    out = path.rpartition("/")[0]
    print(json.dumps(pflow_lower.lower(path, nodes=nodes, out=out, **flags).files))
"""


def test_hash_seed_and_folder_do_not_matter(tmp_path: Path) -> None:
    """In another folder, and with a seed that another process does not share."""
    requests = []
    for name in CASES:
        case = GOLDEN / name
        nodes = case / "nodes.toml"
        flags = {"program": (case / "flow.py").exists(), "maps": (case / "nodes.py.map.json").exists()}
        requests.append((source(name).as_posix(), nodes.as_posix() if nodes.exists() else None, flags))
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "1"},
        check=True,
    )
    for name, line in zip(CASES, run.stdout.splitlines(), strict=True):
        for path, text in json.loads(line).items():
            assert text.encode() == (GOLDEN / name / path).read_bytes(), f"{name}/{path}"


# --- What the classes do


class Echo(pocketflow.Node):  # type: ignore[misc]
    def prep(self, shared: Any) -> Any:
        return dict(self.params)

    def exec(self, params: Any) -> Any:
        return golden_echo.echo(params)

    def post(self, shared: Any, params: Any, outputs: Any) -> str:
        for key, value in outputs.items():
            shared[key] = value
        return "default"


class AsyncEcho(pocketflow.AsyncNode):  # type: ignore[misc]
    async def prep_async(self, shared: Any) -> Any:
        return dict(self.params)

    async def exec_async(self, params: Any) -> Any:
        await asyncio.sleep(0)
        return golden_echo.echo(params)

    async def post_async(self, shared: Any, params: Any, outputs: Any) -> str:
        for key, value in outputs.items():
            shared[key] = value
        return "default"


def run_lowered(name: str, store: Mapping[str, Any], *, in_a_loop: bool) -> dict[str, Any]:
    """What each batch node of the case writes, run one after the other over the case's store."""
    lowered = lower(name)
    ir = load(source(name)).data
    shared = {key: spec["default"] for key, spec in ir.get("inputs", {}).items() if "default" in spec}
    shared |= {**store["inputs"], **store["nodes"]}
    golden_echo.forget()
    for cls in lowered.load().values():
        is_async = issubclass(cls, pocketflow.AsyncNode)
        node = cls(AsyncEcho() if is_async else Echo())
        if is_async and in_a_loop:
            asyncio.run(node.run_async(shared))
        else:
            node.run(shared)
    return {node_id: golden_echo.comparable(shared[node_id]) for node_id in lowered.load()}


OF_FILES = {"files"}
"""Cases that want files where they run; tests/test_batches_of_files.py runs such batches."""

BATCHES = [
    name for name in CASES if name not in OF_FILES and any("batch" in node for node in load(source(name)).data["nodes"])
]


@pytest.fixture(scope="session")
def in_pflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What pflow's own batches write in every case that it can run."""
    home = str(tmp_path_factory.mktemp("pflow"))
    requests = [
        {"name": name, "ir": load(source(name)).data, "store": store_of(name)}
        for name in BATCHES
        if name not in INTERPRETED
    ]
    run = subprocess.run(
        [sys.executable, TESTS / "helpers" / "golden_in_pflow.py"],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": home, "USERPROFILE": home, "OPENAI_API_KEY": "looked for, never used"},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return cast("dict[str, Any]", json.loads(run.stdout))


@needs_pflow
@pytest.mark.parametrize("name", [name for name in BATCHES if name not in INTERPRETED])
def test_results_are_those_of_pflow(name: str, in_pflow: dict[str, Any]) -> None:
    store = store_of(name)
    expected = in_pflow[name]
    assert isinstance(expected, dict), expected
    for in_a_loop in (False, True):
        found = json.loads(json.dumps(run_lowered(name, store, in_a_loop=in_a_loop)))
        assert found == {node_id: expected[node_id] for node_id in found}


@pytest.mark.parametrize("name", BATCHES)
def test_every_item_gets_its_parameters(name: str) -> None:
    """As a plain loop over the items would do it; this needs no pflow."""
    store = store_of(name)
    found = run_lowered(name, store, in_a_loop=False)
    for node_id, expected in store.get("expected", {}).items():
        assert [result["params"] for result in found[node_id]["results"]] == expected
    assert (name in INTERPRETED) <= ("expected" in store)
    for outcome in found.values():
        assert outcome["success_count"] + outcome["error_count"] == outcome["count"] > 0


PROGRAMS = [path.parent.name for path in GENERATED if path.name == "flow.py"]


@pytest.mark.slow
@needs_pflow
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "hostile-strings" and name in BATCHES])
def test_programs_do_what_pflow_does(
    name: str, in_pflow: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = store_of(name)
    flow = load_program(name, store, monkeypatch)
    shared: dict[str, Any] = {key: spec["default"] for key, spec in flow.INPUTS.items() if "default" in spec}
    shared |= store["inputs"]
    golden_echo.forget()
    flow.build_flow().run(shared)
    outputs = flow.outputs(shared)
    found = {key: golden_echo.comparable(outputs[key] if key in outputs else shared[key]) for key in in_pflow[name]}
    assert json.loads(json.dumps(found)) == in_pflow[name]

    golden_echo.forget()
    arguments = [f"{key}={v if isinstance(v, str) else json.dumps(v)}" for key, v in store["inputs"].items()]
    assert flow.main(arguments) == 0
    assert json.loads(capsys.readouterr().out).keys() == outputs.keys()


def test_a_program_says_which_class_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = load_program("hostile-strings", {}, monkeypatch)
    with pytest.raises(LookupError, match="no class is known for the type"):
        flow.build_flow()


def load_program(name: str, store: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module `flow` of a case. Instead of real nodes it imports one that gives what the store says."""

    class StandIn(Echo):
        def exec(self, params: Any) -> Any:
            return store["nodes"].get(self.name) or golden_echo.echo(params)

        def prep(self, shared: Any) -> Any:
            self.name = shared._name
            return super().prep(shared)

    text = (GOLDEN / name / "flow.py").read_text(encoding="utf-8")
    for module, class_name in re.findall(
        r"^from (?!pflow_lower|pocketflow|typing|nodes)(\S+) import (\w+)$", text, re.M
    ):
        parts = module.split(".")
        for n in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:n]), types.ModuleType(".".join(parts[:n])))
        setattr(sys.modules[module], class_name, StandIn)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for module in ("nodes", "flow"):
        loaded = types.ModuleType(module)
        loaded.__file__ = str(GOLDEN / name / f"{module}.py")
        exec(compile((GOLDEN / name / f"{module}.py").read_bytes(), module, "exec"), loaded.__dict__)  # noqa: S102
        monkeypatch.setitem(sys.modules, module, loaded)
    return sys.modules["flow"]


def test_every_store_has_its_case() -> None:
    assert sorted(path.stem for path in STORES.iterdir() if path.stem in CASES or HAS_PFLOW) == BATCHES
