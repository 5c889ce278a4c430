"""node_types: where a type is found, what is known of it, and what must not happen on the way."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.command import Run

from pflow_lower import lower, pipeline
from pflow_lower.diagnostics.diagnostic import Diagnostic, LowerError, Severity
from pflow_lower.node_types.class_search import Looked
from pflow_lower.node_types.declared_type import meaning_of
from pflow_lower.node_types.lookup import NodeTypes, TypeSource
from pflow_lower.options import Options

HAS_PFLOW = importlib.util.find_spec("pflow") is not None
needs_pflow = pytest.mark.skipif(not HAS_PFLOW, reason="pflow is not installed")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own: nobody's ~/.pflow may decide a test."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    return home


@pytest.fixture
def with_pflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if pflow were installed; it is never imported, so finding it is all it takes."""
    monkeypatch.setattr("pflow_lower.node_types.lookup.pflow_is_installed", lambda: True)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_registry(home: Path, nodes: object, version: str = "0.16.0") -> None:
    write(home / ".pflow" / "registry.json", json.dumps({"version": version, "nodes": nodes}))


def registered(module: str, class_name: str, **more: Any) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, **more}


def interface(params: dict[str, str], inputs: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "params": [{"key": key, "type": declared} for key, declared in params.items()],
        "inputs": [{"key": key, "type": declared} for key, declared in (inputs or {}).items()],
    }


def refused(folder: Path | None, nodes_file: Path | None = None) -> list[str]:
    with pytest.raises(LowerError) as caught:
        NodeTypes.for_workflow(folder, nodes_file)
    return [f"{found.code} {found.where}: {found.message}" for found in caught.value.diagnostics]


class TestOrder:
    def test_a_class_named_in_the_ir_needs_no_table(self) -> None:
        found = NodeTypes.for_workflow(None).resolve("shop.nodes:Shout")
        assert (found.module, found.class_name, found.origin) == ("shop.nodes", "Shout", TypeSource.IR)
        assert not found.is_async
        assert found.param_types == {}

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ":",
            "a:",
            ":B",
            "a:b:c",
            "a b:C",
            "a..b:C",
            "class:C",
            "a:None",
            "a:B.C",
            "a-b:C",
            "ａ:B",
            "a:B\n",
            '"a:B"',
        ],
    )
    def test_what_an_import_cannot_name_is_unknown(self, name: str) -> None:
        found = NodeTypes.for_workflow(None).resolve(name)
        assert (found.module, found.class_name, found.origin) == (None, None, TypeSource.UNKNOWN)

    def test_the_table_goes_before_the_registry_and_that_before_the_core_types(
        self, tmp_path: Path, home: Path, with_pflow: None
    ) -> None:
        write(tmp_path / "pyproject.toml", '[tool.pflow-lower.nodes]\nshell = "mine:Shell"\n')
        write_registry(home, {name: registered("theirs", "Node") for name in ("shell", "http")})
        types = NodeTypes.for_workflow(tmp_path)
        found = {name: (types.resolve(name).module, types.resolve(name).origin) for name in ("shell", "http", "llm")}
        assert found == {
            "shell": ("mine", TypeSource.CONFIG),
            "http": ("theirs", TypeSource.REGISTRY),
            "llm": ("pflow.nodes.llm.llm", TypeSource.CORE),
        }

    def test_a_type_is_looked_up_once(self, tmp_path: Path) -> None:
        types = NodeTypes.for_workflow(tmp_path)
        assert types.resolve("shell") is types.resolve("shell")

    def test_names_lists_every_source(self, tmp_path: Path, home: Path, with_pflow: None) -> None:
        write_registry(home, {"from-registry": registered("a", "B")})
        names = NodeTypes.for_workflow(None, write(tmp_path / "n.toml", 'from-table = "a:B"')).names()
        assert {"from-registry", "from-table", "shell"} <= set(names)
        assert names == sorted(names)


class TestTable:
    def test_the_nearest_pyproject_with_the_table_counts(self, tmp_path: Path) -> None:
        write(tmp_path / "pyproject.toml", '[tool.pflow-lower.nodes]\na = "outer:A"\nb = "outer:B"\n')
        write(tmp_path / "x" / "pyproject.toml", "[tool.pflow-lower.nodes]\na = 'inner:A'\n")
        write(tmp_path / "x" / "y" / "pyproject.toml", "[project]\nname = 'no-table-here'\n")
        types = NodeTypes.for_workflow(tmp_path / "x" / "y" / "z")
        assert types.resolve("a").module == "inner"
        assert types.resolve("b").origin is TypeSource.UNKNOWN

    def test_a_broken_pyproject_that_is_not_about_us_is_nobodys_business(self, tmp_path: Path) -> None:
        write(tmp_path / "pyproject.toml", "= broken")
        assert NodeTypes.for_workflow(tmp_path).resolve("shell").origin is TypeSource.CORE

    @pytest.mark.parametrize("header", ["", "[nodes]\n"])
    def test_a_nodes_file_wins_over_pyproject(self, tmp_path: Path, header: str) -> None:
        write(tmp_path / "pyproject.toml", '[tool.pflow-lower.nodes]\na = "project:A"\nb = "project:B"\n')
        types = NodeTypes.for_workflow(tmp_path, write(tmp_path / "nodes.toml", header + 'a = "file:A"\n'))
        assert [types.resolve(name).module for name in "ab"] == ["file", "project"]

    def test_a_nodes_file_may_start_with_a_byte_order_mark(self, tmp_path: Path) -> None:
        types = NodeTypes.for_workflow(None, write(tmp_path / "nodes.toml", '\ufeffa = "file:A"\n'))
        assert types.resolve("a").module == "file"

    def test_a_type_may_be_called_nodes(self, tmp_path: Path) -> None:
        file = write(tmp_path / "nodes.toml", 'nodes = { class = "file:A" }\nb = "file:B"\n')
        types = NodeTypes.for_workflow(None, file)
        assert [types.resolve(name).class_name for name in ("nodes", "b")] == ["A", "B"]

    def test_the_long_form_says_asynchrony_and_parameter_types(self, tmp_path: Path) -> None:
        file = write(
            tmp_path / "nodes.toml",
            '[fetch]\nclass = "m:Fetch"\nasync = true\n'
            'params = { url = "str", tags = "list[str]", body = "dict|str", n = "int" }\n',
        )
        found = NodeTypes.for_workflow(None, file).resolve("fetch")
        assert found.is_async
        assert found.param_types == {"url": "str", "tags": "list"}

    @pytest.mark.parametrize(
        ("text", "finding"),
        [
            ("a = 1", "PFL411 a: a node type is a string or a table"),
            ('a = "no-class"', "PFL411 a: 'no-class' names no class"),
            ('a = "m:x y"', "PFL411 a: 'm:x y' names no class"),
            ('my.type = "m:A"', "PFL411 my: the class is missing"),
            ('a = { class = "m:A", asinc = true }', "PFL411 a.asinc: unknown key 'asinc'"),
            ('a = { class = "m:A", async = "yes" }', "PFL411 a.async: 'yes' is neither true nor false"),
            ('a = { class = "m:A", params = ["x"] }', "PFL411 a.params: not a table"),
            ('a = { class = "m:A", params = { x = "strr" } }', "PFL411 a.params.x: 'strr' is not a parameter type"),
            ('a = { class = "m:A", params = { x = 1 } }', "PFL411 a.params.x: 1 is not a parameter type"),
            ('other = "m:A"\n[nodes]\na = "m:A"', "PFL411 : beside [nodes] there is other"),
        ],
    )
    def test_wrong_entries_are_named(self, tmp_path: Path, text: str, finding: str) -> None:
        assert finding in refused(None, write(tmp_path / "nodes.toml", text))

    def test_every_wrong_entry_is_reported(self, tmp_path: Path) -> None:
        assert len(refused(None, write(tmp_path / "nodes.toml", 'a = 1\nb = 2\nc = "m:C"\n'))) == 2

    def test_the_section_of_pyproject_is_in_the_address(self, tmp_path: Path) -> None:
        write(tmp_path / "pyproject.toml", "[tool.pflow-lower]\nnodes = 3\n")
        assert refused(tmp_path) == ["PFL411 tool.pflow-lower.nodes: not a table of node types"]

    def test_a_syntax_error_has_its_place(self, tmp_path: Path) -> None:
        file = write(tmp_path / "nodes.toml", 'a = "m:A"\nb = = 1\n')
        with pytest.raises(LowerError) as caught:
            NodeTypes.for_workflow(None, file)
        (found,) = caught.value.diagnostics
        assert found.code == "PFL410"
        assert found.position is not None
        assert (found.position.line, found.position.column) == (2, 5)

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "latin.toml").write_bytes(b'a = "\xe9:A"')
        assert refused(None, tmp_path / "latin.toml") == ["PFL410 : byte 0xe9 is not UTF-8"]
        (missing,) = refused(None, tmp_path / "nowhere.toml")
        assert missing.startswith("PFL410 : cannot be read:")


@pytest.mark.usefixtures("with_pflow")
class TestRegistry:
    def test_the_registry_declares_parameter_types(self, home: Path) -> None:
        declared = {"a": "list[str]", "b": "any", "c": "dict|str", "d": "Str", "default": "30)"}
        write_registry(home, {"x": registered("m", "X", interface=interface(declared, {"a": "str", "e": "dict"}))})
        assert NodeTypes.for_workflow(None).resolve("x").param_types == {"a": "list", "e": "dict", "d": "Str"}

    def test_a_later_declaration_hides_an_earlier_one(self, home: Path) -> None:
        write_registry(home, {"x": registered("m", "X", interface=interface({"a": "any"}, {"a": "str"}))})
        assert NodeTypes.for_workflow(None).resolve("x").param_types == {}

    def test_a_missing_or_empty_registry_is_nothing_to_speak_of(self, home: Path) -> None:
        for make in (lambda: None, lambda: write(home / ".pflow" / "registry.json", "")):
            make()
            types = NodeTypes.for_workflow(None)
            assert types.resolve("shell").origin is TypeSource.CORE
            assert types.warnings == ()

    @pytest.mark.parametrize("text", ["{", "[]", '{"nodes": []}', "[" * 100_000, "\x00", '"x"'])
    def test_a_broken_registry_is_a_warning(self, home: Path, text: str) -> None:
        write(home / ".pflow" / "registry.json", text)
        types = NodeTypes.for_workflow(None)
        assert types.resolve("shell").origin is TypeSource.CORE
        assert types.resolve("http").origin is TypeSource.CORE
        assert [found.code for found in types.warnings] == ["PFL412"]

    @pytest.mark.parametrize("entry", [None, [], {}, {"module": "m"}, {"module": 1, "class_name": "C"}])
    def test_a_broken_entry_is_no_entry(self, home: Path, entry: object) -> None:
        write_registry(home, {"shell": entry, "mine": entry})
        types = NodeTypes.for_workflow(None)
        assert types.resolve("shell").origin is TypeSource.CORE
        assert types.resolve("mine").origin is TypeSource.UNKNOWN

    @pytest.mark.parametrize("shape", [{"params": 1}, {"params": [1, {}, {"key": 1, "type": "str"}]}, 1, None])
    def test_a_broken_interface_declares_nothing(self, home: Path, shape: object) -> None:
        write_registry(home, {"x": registered("m", "X", interface=shape)})
        assert NodeTypes.for_workflow(None).resolve("x").param_types == {}

    def test_a_module_that_cannot_be_imported_by_name_is_left_out(self, home: Path) -> None:
        write_registry(home, {"x": registered("os; evil()", "X", interface=interface({"a": "str"}))})
        found = NodeTypes.for_workflow(None).resolve("x")
        assert (found.module, found.class_name, found.origin) == (None, None, TypeSource.REGISTRY)
        assert found.param_types == {"a": "str"}

    def test_the_old_flat_registry_is_read_too(self, home: Path) -> None:
        flat = {"x": registered("m", "X"), "__metadata__": {"version": "0.1"}}
        write(home / ".pflow" / "registry.json", json.dumps(flat))
        assert NodeTypes.for_workflow(None).resolve("x").origin is TypeSource.REGISTRY

    def test_core_types_that_another_pflow_wrote_are_stale(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.metadata.version", lambda _name: "0.16.0")
        nodes = {"shell": registered("shell", "ShellNode", type="core"), "x": registered("m", "X", type="user")}
        write_registry(home, nodes, version="0.8.0")
        types = NodeTypes.for_workflow(None)
        assert types.resolve("shell").module == "pflow.nodes.shell.shell"
        assert types.resolve("x").origin is TypeSource.REGISTRY

    def test_the_registry_of_a_newer_installed_pflow_is_not_stale(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("importlib.metadata.version", lambda _name: "0.16.9")
        write_registry(home, {"shell": registered("pflow.nodes.new", "ShellNode", type="core")}, version="0.16.9")
        assert NodeTypes.for_workflow(None).resolve("shell").module == "pflow.nodes.new"

    def test_a_user_node_is_read_from_its_file(self, home: Path, tmp_path: Path) -> None:
        file = write(tmp_path / "far" / "fetch.py", "class Fetch(AsyncNode): pass\nclass Plain(Node): pass\n")
        nodes = {
            name: registered("fetch", class_name, type="user", file_path=str(file))
            for name, class_name in (("fetch", "Fetch"), ("plain", "Plain"))
        }
        write_registry(home, nodes)
        types = NodeTypes.for_workflow(None)
        assert [types.resolve(name).is_async for name in ("fetch", "plain")] == [True, False]

    def test_an_mcp_tool_has_pflows_own_parameter_too(self, home: Path) -> None:
        tool = registered("pflow.nodes.mcp.node", "MCPNode", type="mcp", interface=interface({"title": "str"}))
        write_registry(home, {"mcp-git-hub-create": tool})
        found = NodeTypes.for_workflow(None).resolve("mcp-git-hub-create")
        assert found.param_types == {"result_format": "str", "title": "str"}


class TestCore:
    def test_without_pflow_its_registry_is_not_read(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pflow", None)
        write(home / ".pflow" / "registry.json", "broken")
        types = NodeTypes.for_workflow(None)
        assert types.resolve("shell").origin is TypeSource.CORE
        assert types.warnings == ()

    def test_sub_workflows_are_never_looked_up(self, home: Path, with_pflow: None) -> None:
        write_registry(home, {"workflow": registered("theirs", "Workflow")})
        found = NodeTypes.for_workflow(None).resolve("workflow")
        assert (found.module, found.class_name) == ("pflow.runtime.workflow_executor", "WorkflowExecutor")

    @pytest.mark.parametrize(("name", "is_core"), [("mcp-a-b", True), ("mcp-a-b-c", True), ("mcp-a", False)])
    def test_an_unsynced_mcp_tool_is_the_mcp_node(self, name: str, is_core: bool) -> None:
        found = NodeTypes.for_workflow(None).resolve(name)
        assert found.origin is (TypeSource.CORE if is_core else TypeSource.UNKNOWN)
        assert found.class_name == ("MCPNode" if is_core else None)

    @needs_pflow
    def test_the_shipped_table_is_what_pflow_declares(self, home: Path) -> None:
        script = (
            "import json\n"
            "from pflow_lower import before_pflow\n"
            "from pflow.registry import Registry\n"
            "from pflow.runtime.engine.template_resolution import build_type_cache\n"
            "nodes = Registry().load(include_filtered=True)\n"
            "print(json.dumps({name: [node['module'], node['class_name'], build_type_cache(node['interface'])]"
            " for name, node in nodes.items()}))\n"
        )
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        before, after = NodeTypes({}), NodeTypes({})
        before._registry = {}
        seen = json.loads(run.stdout)
        assert seen
        for name, (module, class_name, declared) in seen.items():
            shipped, found = before.resolve(name), after.resolve(name)
            acted_on = {key: kind for key, kind in declared.items() if meaning_of(kind) is not None}
            assert (shipped.module, shipped.class_name, shipped.param_types) == (module, class_name, acted_on)
            assert (found.module, found.class_name, found.param_types) == (module, class_name, acted_on)
            assert (shipped.origin, found.origin) == (TypeSource.CORE, TypeSource.REGISTRY)


class TestAsynchrony:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("class N:\n async def exec_async(self, x): ...", True),
            ("class N:\n async def prep_async(self, x): ...", True),
            ("class N:\n async def other(self, x): ...", False),
            ("class N:\n def exec_async(self, x): ...", False),
            ("class N:\n if True:\n  async def post_async(self, s, p, e): ...", True),
            ("class N(Node): ...", False),
            ("from pocketflow import AsyncNode\nclass N(AsyncNode): ...", True),
            ("import pocketflow\nclass N(pocketflow.AsyncParallelBatchNode): ...", True),
            ("from pocketflow import AsyncBatchNode as Base\nclass N(Base): ...", True),
            ("class N(AsyncFlow[int]): ...", True),
            ("class Base:\n async def exec_async(self, x): ...\nclass N(Mixin, Base): ...", True),
            ("try:\n from pocketflow import AsyncNode as B\nexcept ImportError:\n B = object\nclass N(B): ...", True),
            ("if True:\n class N(AsyncNode): ...", True),
            ("from base import Slow\nclass N(Slow): ...", True),
            ("import base\nclass N(base.Slow): ...", True),
            ("import kit.deep.nodes\nclass N(kit.deep.nodes.Slow): ...", True),
            ("import kit.deep.nodes as k\nclass N(k.Slow): ...", True),
            ("from kit.deep import nodes\nclass N(nodes.Slow): ...", True),
            ("from kit.deep import Slow\nclass N(Slow): ...", True),
            ("from kit.deep.nodes import Quick\nclass N(Quick): ...", False),
            ("from kit import *\nclass N(Slow): ...", True),
            ("from base import Slow as N", True),
            ("from base import *", False),
            ("class N(N): ...", False),
            ("from m import N", False),
            ("class N(make()): ...", False),
            ("from nowhere import Base\nclass N(Base): ...", False),
            ("class N(AsyncNode) ...", False),
            ("N = 1", False),
            ("x = '\\d'\nraise RuntimeError('user code was run')\nclass N(AsyncNode): ...", True),
        ],
    )
    def test_it_is_read_from_the_source(self, tmp_path: Path, source: str, expected: bool) -> None:
        write(tmp_path / "m.py", source)
        write(tmp_path / "base.py", "class Slow:\n async def exec_async(self, x): ...\n")
        write(tmp_path / "kit" / "__init__.py", "from .deep import *\nraise RuntimeError('a package was imported')\n")
        write(tmp_path / "kit" / "deep" / "__init__.py", "from .nodes import Slow\n")
        write(
            tmp_path / "kit" / "deep" / "nodes.py",
            "from ...base import X\nclass Slow(AsyncNode): ...\nclass Quick: ...",
        )
        assert NodeTypes.for_workflow(tmp_path).resolve("m:N").is_async is expected
        assert not {"m", "base", "kit"} & set(sys.modules)

    def test_the_table_has_the_last_word(self, tmp_path: Path) -> None:
        write(tmp_path / "m.py", "class N(AsyncNode): ...")
        file = write(tmp_path / "n.toml", 'a = "m:N"\nb = { class = "m:N", async = false }\n')
        types = NodeTypes.for_workflow(tmp_path, file)
        assert [types.resolve(name).is_async for name in "ab"] == [True, False]

    def test_modules_are_found_beside_the_table_and_on_the_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path / "pyproject.toml", '[tool.pflow-lower.nodes]\na = "src.m:N"\nb = "on_path.m:N"\n')
        write(tmp_path / "src" / "m.py", "class N(AsyncNode): ...")  # a folder without __init__.py
        write(tmp_path / "lib" / "on_path" / "m.py", "class N(AsyncNode): ...")
        monkeypatch.syspath_prepend(tmp_path / "lib")
        types = NodeTypes.for_workflow(tmp_path / "flows" / "today")
        assert [types.resolve(name).is_async for name in "ab"] == [True, True]

    @pytest.mark.parametrize("content", [b"\x00", b"\xff\xfe", b"(" * 10_000, b"# -*- coding: nonsense -*-\n"])
    def test_a_file_that_is_no_python_is_not_asynchronous(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "m.py").write_bytes(content)
        assert not NodeTypes.for_workflow(tmp_path).resolve("m:N").is_async

    @pytest.mark.parametrize("name", ["sys:N", "math:N", "json.decoder.deeper:N", "__main__:N", "os.path:N"])
    def test_modules_without_such_a_class(self, name: str) -> None:
        assert not NodeTypes.for_workflow(None).resolve(name).is_async

    def test_pocketflows_own_classes(self) -> None:
        types = NodeTypes.for_workflow(None)
        assert types.resolve("pocketflow:AsyncNode").is_async
        assert not types.resolve("pocketflow:Node").is_async


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    """pflow above all: importing it takes seconds, and a .json workflow has no need of it."""
    write(tmp_path / "pyproject.toml", '[tool.pflow-lower.nodes]\nshout = "m:Shout"\n')
    write(tmp_path / "m.py", "class Shout(AsyncNode): ...")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pflow_lower.node_types.lookup import NodeTypes\n"
        "early = {'tomllib', 'tomli', 'ast', 'difflib', 'importlib.util'} & set(sys.modules)\n"
        "types = NodeTypes.for_workflow(Path('.'))\n"
        "print([types.resolve(name).is_async for name in ('shell', 'shout', 'no-such')])\n"
        "print(sorted({'pflow', 'pocketflow', 'm', 'jinja2', 'jsonschema', 'click'} & set(sys.modules)))\n"
        "print(sorted(early))\n"
    )
    environment = {**os.environ, "PYTHONPATH": ""}
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    answers, loaded, _early = run.stdout.splitlines()
    assert (answers, loaded) == ("[False, True, False]", "[]")


class TestWhatCannotBeLookedAt:
    """The same code is generated wherever that is done, or a finding says what to declare."""

    def resolved(self, folder: Path, text: str, name: str = "m:N") -> Looked:
        write(folder / "m.py", text)
        found = NodeTypes.for_workflow(folder).resolve(name).looked
        assert found is not None
        return found

    @pytest.mark.parametrize(
        ("source", "unknown"),
        [
            ("from nowhere import Base\nclass N(Base): ...", "the module nowhere cannot be found or read"),
            ("from nowhere import *", "the module nowhere cannot be found or read"),
            ("from nowhere import N", "the module nowhere cannot be found or read"),
            ("class N(make()): ...", "a base class of N is the result of a call"),
            ("N = make()", "N of m is not a class statement"),
            ("def __getattr__(name): ...", "N of m is not a class statement"),
        ],
    )
    def test_is_said(self, tmp_path: Path, source: str, unknown: str) -> None:
        write(tmp_path / "base.py", "class Slow: ...")
        assert self.resolved(tmp_path, source).unknown == unknown

    @pytest.mark.parametrize(
        "source",
        [
            "from pocketflow import Node\nclass N(Node): ...",
            "import pocketflow as p\nclass N(p.BatchNode): ...",
            "from pocketflow import Node\nfrom typing import Generic\nclass N(Generic[Node], Node): ...",
            "from pocketflow import Node\nfrom abc import ABC\nclass N(ABC, Exception, Node): ...",
            "from pflow.core.node import Node\nclass N(Node): ...",
            "from pocketflow import *\nclass N(Node): ...",
            "from pocketflow import *\nfrom typing import *\nclass N(Generic[TypeVar('T')], Node, Exception): ...",
            "from pocketflow import Node\nclass Node(Node): ...\nclass N(Node): ...",
            "from pocketflow import Node, AsyncNode\nclass N(AsyncNode): ...\nclass N(Node): ...",
            "from pocketflow import Node\nclass N(AsyncNode): ...\nN = Node",
            "try:\n from pocketflow import Node\nexcept ImportError:\n Node = None\nclass N(Node): ...",
        ],
    )
    def test_what_everybody_has_is_known(self, tmp_path: Path, source: str) -> None:
        assert self.resolved(tmp_path, source)._replace(base="") == Looked(found=True)

    @pytest.mark.parametrize(
        ("source", "looked"),
        [
            ("class Ask(AsyncNode): ...\nN = Ask", Looked(is_async=True)),
            ("from pocketflow import *\nclass Ask(AsyncNode): ...\nN = Ask", Looked(is_async=True, base="AsyncNode")),
            ("from pocketflow import *\nN = AsyncNode", Looked(is_async=True, base="AsyncNode")),
            (
                "from typing import *\nfrom pocketflow import *\nN = make()",
                Looked(unknown="N of m is not a class statement"),
            ),
            (
                "from pocketflow import AsyncNode\nN = AsyncNode\nN = make()",
                Looked(unknown="N of m is not a class statement"),
            ),
            ("class N(AsyncNode): ...\nN = register(N)", Looked(is_async=True)),
            ("from stars import *\nclass N(Slow): ...", Looked(is_async=True)),
            ("from stars import *\nN = _Hidden", Looked(missing="the module m has no class _Hidden, which m:N needs")),
            ("from told import *\nN = _Slow", Looked(is_async=True)),
            ("from told import *\nN = Quick", Looked(missing="the module m has no class Quick, which m:N needs")),
            ("from added import *\nN = Slow", Looked(is_async=True)),
            ("from circle import *", Looked(missing="the module m has no class N")),
            ("globals()['N'] = 1", Looked(unknown="N of m is not a class statement")),
            ("def f():\n global N\n N = 1", Looked(unknown="N of m is not a class statement")),
            ("for N in (): ...", Looked(unknown="N of m is not a class statement")),
            ("from math import *", Looked(unknown="the module math cannot be found or read")),
        ],
    )
    def test_names_mean_what_the_source_says_in_the_end(self, tmp_path: Path, source: str, looked: Looked) -> None:
        write(tmp_path / "stars.py", "from told import _Slow as Slow\nclass _Hidden: ...\nHidden = 1")
        write(tmp_path / "told.py", "__all__ = ['_Slow']\nclass _Slow(AsyncNode): ...\nclass Quick: ...")
        write(tmp_path / "added.py", "from told import __all__, _Slow as Slow\n__all__ = [*__all__, 'Slow']")
        write(tmp_path / "circle.py", "from m import *\nfrom circle import *")
        found = self.resolved(tmp_path, source)
        assert (found.is_async, found.missing, found.unknown) == (looked.is_async, looked.missing, looked.unknown)
        assert found.base == looked.base

    @pytest.mark.parametrize(
        ("source", "name", "missing", "near"),
        [
            ("from pocketflow import *\nclass Ask(AsyncNode): ...", "m:Asks", "the module m has no class Asks", "Ask"),
            ("from typing import *\nclass Ask(AsyncNode): ...", "m:Asks", "the module m has no class Asks", "Ask"),
            ("from pocketflow import *", "m:AsyncNod", "the module m has no class AsyncNod", "AsyncNode"),
            ("", "os:path", "the module os has no class path: it is a module", ""),
            ("import os", "m:os", "the module m has no class os: it is a module", ""),
            ("from os import path as p", "m:p", "the module os has no class path, which m:p needs: it is a module", ""),
            ("", "xml:dom", "the module xml has no class dom: it is a module", ""),
            ("def ask(): ...", "m:ask", "the module m has no class ask: it is a function", ""),
            (
                "from base import Gone\nclass N(Gone): ...",
                "m:N",
                "the module base has no class Gone, which m:N needs",
                "",
            ),
            (
                "import pocketflow\nclass N(pocketflow.AsyncNod): ...",
                "m:N",
                "the module pocketflow has no class AsyncNod, which m:N needs",
                "AsyncNode",
            ),
            ("class N(B): ...\nclass B(N): ...", "m:N", "the module m has no class B, which m:N needs", ""),
        ],
    )
    def test_a_class_that_there_is_not(self, tmp_path: Path, source: str, name: str, missing: str, near: str) -> None:
        write(tmp_path / "base.py", "class Slow: ...")
        looked = self.resolved(tmp_path, source, name)
        assert (looked.missing, looked.near, looked.unknown) == (missing, near, "")

    @pytest.mark.parametrize("star", ["", "from pocketflow import *", "from typing import *"])
    def test_a_star_changes_nothing_of_what_is_said(self, tmp_path: Path, star: str) -> None:
        write(tmp_path / "m.py", f"from pocketflow import AsyncNode\n{star}\nclass Ask(AsyncNode): ...\nAlias = Ask\n")
        table = '[tool.pflow-lower.nodes]\nask = "m:Askk"\nalias = "m:Alias"\n'
        write(tmp_path / "pyproject.toml", table)
        for name, codes in (("ask", ["PFL332"]), ("alias", []), ("m:Asks", ["PFL332"]), ("m:Alias", [])):
            node = {"id": "a", "type": name, "params": {}, "batch": {"items": [1], "parallel": True}}
            write(tmp_path / "wf.json", json.dumps({"nodes": [node]}))
            lowered = lower(tmp_path / "wf.json")
            assert [(one.code, one.help) for one in lowered.diagnostics] == [
                (code, "did you mean Ask?") for code in codes
            ]
            assert ("ConcurrentBatchNode" in lowered.files["nodes.py"]) is (codes == [])

    @pytest.mark.parametrize(
        ("source", "is_other"),
        [
            ("class N: ...", True),
            ("class N(object): ...", True),
            ("from abc import ABC\nclass N(ABC, Exception): ...", True),
            ("from fractions import Fraction as N", True),
            ("from pocketflow import *\nfrom enum import *\nclass N(Enum): ...", True),
            ("class N:\n def _run(self, shared): ...", False),
            ("class N:\n async def exec_async(self, item): ...", False),
            ("@node\nclass N: ...", False),
            ("class N(metaclass=Nodes): ...", False),
            ("class N: ...\nN = node(N)", False),
            ("from nowhere import Base\nclass N(Base): ...", False),
            ("from pocketflow import *\nclass N(Node): ...", False),
        ],
    )
    def test_a_class_that_is_not_a_node(self, tmp_path: Path, source: str, is_other: bool) -> None:
        assert self.resolved(tmp_path, source).is_other is is_other
        write(tmp_path / "wf.json", json.dumps({"nodes": [{"id": "a", "type": "m:N", "params": {}}]}))
        assert ("PFL339" in [one.code for one in lower(tmp_path / "wf.json").diagnostics]) is is_other

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ("class Outer:\n class Fetch(AsyncNode): ...\nN = Outer.Fetch", "AsyncNode"),
            ("class Outer:\n Base = AsyncNode\n class Fetch(Base): ...\nclass N(Outer.Fetch): ...", "AsyncNode"),
            ("class Outer:\n class In:\n  class Fetch(Node): ...\nN = Outer.In.Fetch", "Node"),
            ("class Fetch(Node): ...\nclass Outer:\n Fetch = Fetch\nOther = Outer\nN = Other.Fetch", "Node"),
            ("class Outer:\n class Fetch(AsyncNode): ...\nimport m as mine\nN = mine.Outer.Fetch", "AsyncNode"),
            ("from other import Outer\nN = Outer.Fetch", "AsyncNode"),
            ("import other\nN = other.Outer.Fetch", "AsyncNode"),
            (
                "class Fetch(Node): ...\nclass Outer: ...\nN = Outer.Fetch",
                "the class m.Outer has no class Fetch, which m:N needs",
            ),
            (
                "class Outer:\n class Fech(Node): ...\nN = Outer.Fetch",
                "the class m.Outer has no class Fetch, which m:N needs",
            ),
            (
                "class Base:\n class Fetch(Node): ...\nclass Outer(Base): ...\nN = Outer.Fetch",
                "Fetch of m.Outer is not a class statement",
            ),
            ("outer = make()\nN = outer.Fetch", "outer of m is not a class statement"),
            ("import nowhere\nN = nowhere.outer.Fetch", "the module nowhere.outer cannot be found or read"),
        ],
    )
    def test_a_class_inside_another(self, tmp_path: Path, source: str, says: str) -> None:
        write(tmp_path / "other.py", "from pocketflow import *\nclass Outer:\n class Fetch(AsyncNode): ...\n")
        looked = self.resolved(tmp_path, f"from pocketflow import AsyncNode, Node\n{source}")
        assert (looked.base or looked.missing or looked.unknown) == says

    @pytest.mark.parametrize(
        ("source", "needs", "abstract"),
        [
            ("class N(Node):\n def __init__(self, client): ...", ["client"], []),
            ("class N(Node):\n def __init__(self, a, b=1, *, c, d=2, **more): ...", ["a", "c"], []),
            ("class B(Node):\n def __init__(self, client): ...\nclass N(B): ...", ["client"], []),
            ("class M:\n def __init__(self, a): ...\nclass N(M, Node): ...", ["a"], []),
            ("class N(AsyncNode):\n def __init__(self, a): ...", ["a"], []),
            ("@dataclass\nclass N(Node):\n a: int\n b: int = 1\n c: ClassVar[int]", ["a"], []),
            ("@dataclass(eq=False)\nclass N(Node):\n a: int = field(repr=False)\n b: list = field()", ["a", "b"], []),
            ("@dataclass\nclass B(Node):\n a: int\n@dataclass\nclass N(B):\n b: int", ["a", "b"], []),
            ("@dataclass\nclass B(Node):\n a: int\nclass N(B): ...", ["a"], []),
            ("class N(Node, ABC):\n @abstractmethod\n def ask(self): ...", [], ["ask"]),
            ("class N(ABC, Node):\n @abc.abstractmethod\n def exec(self, x): ...", [], ["exec"]),
            ("class N(Node, metaclass=ABCMeta):\n @abstractmethod\n async def ask(self): ...", [], ["ask"]),
            ("class B(Node, ABC):\n @abstractmethod\n def exec(self, x): ...\nclass N(B): ...", [], ["exec"]),
            ("class N(Node): ...", [], []),
            ("class N(Node):\n def __init__(self, a=1, *b, c=2, **d): ...", [], []),
            ("class B(Node):\n def __init__(self, a): ...\nclass N(B):\n def __init__(self): ...", [], []),
            ("class M:\n def __init__(self, a): ...\nclass N(Node, M): ...", [], []),
            ("class N(Node):\n @filled\n def __init__(self, a): ...", [], []),
            ("class N(Node):\n def __init__(self, a): ...\n __init__ = Node.__init__", [], []),
            ("class N(Node):\n if not Node:\n  def __init__(self, a): ...", [], []),
            ("class N(Node):\n def __init__(self, a): ...\nN = lambda: None", [], []),
            ("class N(Node):\n def __init__(self, a): ...\nN = filled(N)", [], []),
            ("@filled\nclass N(Node):\n def __init__(self, a): ...", [], []),
            ("if not Node:\n class N(Node):\n  def __init__(self, a): ...\nelse:\n class N(Node): ...", [], []),
            ("@dataclass\nclass N(Node):\n a: int = 1\n b: list = field(default_factory=list)", [], []),
            ("@dataclass\nclass B(Node):\n a: int\n@dataclass\nclass N(B):\n a: int = 2", [], []),
            ("@dataclass(init=False)\nclass N(Node):\n a: int", [], []),
            ("@dataclass\nclass N(Node):\n a: int\n def __init__(self): ...", [], []),
            ("@dataclass\nclass B(Node):\n a: int = 5\n@dataclass\nclass N(B):\n a: int", [], []),
            ("@dataclass\nclass B(Node):\n a: int = field(default=5)\n@dataclass\nclass N(B):\n a: int", [], []),
            (
                "@dataclass\nclass B(Node):\n a: set = field(default_factory=set)\n@dataclass\nclass N(B):\n a: set",
                ["a"],
                [],
            ),
            ("class B(Node):\n a = 3\n@dataclass\nclass N(B):\n a: int\n b: int = 1", [], []),
            ("class B(Node):\n def a(self): ...\n@dataclass\nclass N(B):\n a: int", [], []),
            ("class M:\n a = 3\n@dataclass\nclass N(Node, M):\n a: int", [], []),
            ("class B(Node):\n a: int\n@dataclass\nclass N(B):\n a: int", ["a"], []),
            ("@dataclass\nclass N(Node):\n a: int\n a = 3", [], []),
            ("@dataclass\nclass B(Node):\n a: int\n@dataclass\nclass N(B):\n a: ClassVar[int] = 3", [], []),
            ("@dataclass\nclass N(Node):\n exec: object", [], []),
            ("@dataclass\nclass N(Node):\n exec_async: object", ["exec_async"], []),
            ("@dataclass\nclass N(AsyncNode):\n exec_async: object", [], []),
            ("@dataclass\nclass N(Flow):\n start: object", [], []),
            ("@dataclass\nclass N(Node, ABC):\n register: object\n mro: object", [], []),
            ("class N(Node):\n def __init__(self, a): ...\n __init__ = filled(__init__)", [], []),
            ("class N(Node, ABC):\n @abstractmethod\n def ask(self): ...\n ask = filled(ask)", [], []),
            ("class N(Node):\n @abstractmethod\n def exec(self, x): ...", [], []),
            ("class B(Node, ABC):\n @abstractmethod\n def x(self): ...\nclass N(B):\n def x(self): ...", [], []),
            ("class B(ABC):\n @abstractmethod\n def exec(self, x): ...\nclass N(Node, B): ...", [], []),
            ("class B(ABC):\n @abstractmethod\n def x(self): ...\nclass N(B, Node):\n x = print", [], []),
        ],
    )
    @pytest.mark.parametrize("program", [True, False])
    def test_a_class_of_which_no_node_can_be_made(
        self, tmp_path: Path, source: str, needs: list[str], abstract: list[str], program: bool
    ) -> None:
        """As Python itself says, which makes one."""
        names = "import abc\nfrom abc import *\nfrom dataclasses import dataclass, field\nfrom typing import ClassVar\n"
        names += "from pocketflow import AsyncNode, Flow, Node\ndef filled(one): return lambda *given: None\n"
        looked = self.resolved(tmp_path, names.replace("import *", "import ABC, ABCMeta, abstractmethod") + source)
        assert ([*looked.needs], [*looked.abstract]) == (needs, abstract)
        defined: dict[str, Any] = {"__name__": __name__}  # of a module that there is
        code = compile((tmp_path / "m.py").read_text(), "m.py", "exec", dont_inherit=True)
        exec(code, defined)  # noqa: S102  a source of ours
        if needs or abstract:
            with pytest.raises(TypeError, match=r"missing|abstract"):
                defined["N"]()
        else:
            defined["N"]()
        write(tmp_path / "wf.json", json.dumps({"nodes": [{"id": "a", "type": "m:N", "batch": {"items": [1]}}]}))
        said = [one.code for one in lower(tmp_path / "wf.json", program=program).diagnostics]
        assert ("PFL346" in said) is bool(abstract or (needs and program))

    @pytest.mark.parametrize(
        ("source", "unheard"),
        [
            ("class N(Node):\n async def exec_async(self, x): ...", "exec_async"),
            ("class N(Node):\n async def exec(self, x): ...", "exec"),
            ("class N(Node):\n async def prep(self, s): ...", "prep"),
            ("class B(Node):\n async def exec_async(self, x): ...\nclass N(B): ...", "exec_async"),
            ("class N(AsyncNode):\n async def exec(self, x): ...", "exec"),
            ("class N(AsyncNode):\n async def exec_async(self, x): ...", ""),
            (
                "class N(AsyncNode):\n async def exec_async(self, x): return await self.exec(x)\n"
                " async def exec(self, x): ...",
                "",
            ),
            ("class N(AsyncNode):\n async def exec_async(self, x): ...\n async def exec(self, x): ...", ""),
            ("class N(Node):\n def exec(self, x): ...\n async def exec_async(self, x): ...", ""),
            (
                "class N(Node):\n def post(self, s, *_): run(self.exec_async(1))\n async def exec_async(self, x): ...",
                "",
            ),
            ("class N(Node):\n async def exec(self, x): ...\n def post(self, s, p, r): asyncio.run(r)", ""),
            ("class N(Node):\n def _exec(self, x): return run(super()._exec(x))\n async def exec(self, x): ...", ""),
            ("class N(Node):\n @in_a_loop\n async def exec(self, x): ...", ""),
            ("class N(Node):\n async def exec(self, x): ...\n exec = in_a_loop(exec)", ""),
            (
                "class N(Node):\n async def exec(self, x): ...\n def post(self, s, p, r): loop().run_until_complete(r)",
                "",
            ),
            ("class N(Node):\n async def exec(self, x): ...\n def post(self, s, p, r): s['r'] = waits(r)", ""),
            ("class N(Node):\n async def exec(self, x): ...\n def post(self, s, p, r): waits(s, all=[r])", ""),
            ("class N(Node):\n async def exec(self, x): ...\n def post(self, s, p, r): r.send(None)", ""),
            ("class N(Node):\n async def exec(self, x): ...\n def post(self, s, *rest): waits(*rest)", ""),
            ("class N(Node):\n async def exec(self, x): ...\n @waits\n def post(self, s, p, r): ...", ""),
            ("class N(Node):\n async def prep(self, s): ...\n def exec(self, x): return waits(x)", ""),
            (
                "class N(BatchNode):\n async def exec(self, x): ...\n"
                " def post(self, s, p, rs):\n  for r in rs: s['r'] = waits(r)",
                "",
            ),
            ("class B(Node):\n def post(self, s, p, r): waits(r)\nclass N(B):\n async def exec(self, x): ...", ""),
            ("class N(Node):\n async def exec(self, x): return ask(x)\n def post(self, s, p, r): s['r'] = r", "exec"),
            ("class N(Node):\n async def exec(self, x): ...\n def post(self, s, p, r): s.update(p=p)", "exec"),
            ("from nowhere import B\nclass N(B, Node):\n async def exec(self, x): ...", ""),
            ("class M:\n async def exec_async(self, x): ...\nclass N(M, AsyncNode): ...", ""),
            ("class N:\n async def exec_async(self, x): ...", ""),
        ],
    )
    def test_an_asynchronous_method_that_nobody_waits_for(self, tmp_path: Path, source: str, unheard: str) -> None:
        looked = self.resolved(tmp_path, f"from pocketflow import AsyncNode, BatchNode, Node\n{source}")
        assert looked.unheard == unheard
        node = {"id": "a", "type": "m:N", "batch": {"items": [1], "parallel": True}}
        write(tmp_path / "wf.json", json.dumps({"nodes": [node]}))
        lowered = lower(tmp_path / "wf.json")
        assert ("PFL347" in [one.code for one in lowered.diagnostics]) is bool(unheard)
        runs_async = looked.runs_async if looked.runs_async is not None else looked.is_async
        assert ("ConcurrentBatchNode" in lowered.files["nodes.py"]) is runs_async  # the other would fail for every item

    @pytest.mark.parametrize(
        ("base", "better"),
        [
            ("Node", "AsyncNode"),
            ("BatchNode", "AsyncBatchNode"),
            ("Flow", "AsyncFlow"),
            ("BaseNode", "AsyncNode"),  # there is no AsyncBaseNode
        ],
    )
    def test_help_for_an_asynchronous_method_that_nobody_waits_for(
        self, tmp_path: Path, base: str, better: str
    ) -> None:
        source = f"from pocketflow import {base}\nclass N({base}):\n async def post_async(self, s, p, r): ..."
        write(tmp_path / "m.py", source)
        write(tmp_path / "wf.json", json.dumps({"nodes": [{"id": "a", "type": "m:N", "batch": {"items": [1]}}]}))
        (found,) = [one for one in lower(tmp_path / "wf.json").diagnostics if one.code == "PFL347"]
        assert found.help == f"let the class inherit from {better} of pocketflow"

    @pytest.mark.parametrize(
        ("name", "missing", "near"),
        [("m:Ecko", "the module m has no class Ecko", "Echo"), ("m:Qqqq", "the module m has no class Qqqq", "")],
    )
    def test_a_class_that_its_module_does_not_have(self, tmp_path: Path, name: str, missing: str, near: str) -> None:
        looked = self.resolved(tmp_path, "class Echo: ...", name)
        assert (looked.missing, looked.near) == (missing, near)

    @pytest.mark.parametrize(
        ("name", "help"),
        [("m:Ecko", "did you mean Echo?"), ("m:Qqqq", "whoever makes the node will get an error")],
    )
    def test_help_for_a_class_that_its_module_does_not_have(self, tmp_path: Path, name: str, help: str) -> None:
        write(tmp_path / "m.py", "class Echo: ...")
        write(tmp_path / "wf.json", json.dumps({"nodes": [{"id": "a", "type": name, "batch": {"items": [1]}}]}))
        (found,) = lower(tmp_path / "wf.json").diagnostics
        assert (found.code, found.help) == ("PFL332", help)

    def test_with_and_without_the_application_the_same_or_a_finding(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        node = {"id": "a", "type": "asking:Ask", "params": {}, "batch": {"items": [1], "parallel": True}}
        write(tmp_path / "wf.json", json.dumps({"nodes": [node]}))
        write(tmp_path / "lib" / "asking.py", "class Ask:\n async def exec_async(self, x): ...")
        alone = lower(tmp_path / "wf.json")
        assert [found.code for found in alone.diagnostics] == ["PFL331"]
        monkeypatch.syspath_prepend(tmp_path / "lib")
        together = lower(tmp_path / "wf.json")
        assert not together.diagnostics and together.files["nodes.py"] != alone.files["nodes.py"]
        table = '[tool.pflow-lower.nodes]\n"asking:Ask" = { class = "asking:Ask", async = true }\n'
        write(tmp_path / "pyproject.toml", table)
        settled = lower(tmp_path / "wf.json")
        monkeypatch.undo()
        assert lower(tmp_path / "wf.json").files == settled.files == together.files
        assert not lower(tmp_path / "wf.json").diagnostics


class TestWhatTheTableSaysOfAClass:
    """It is held against the source of the class, where that leads to a class of PocketFlow's or pflow's own."""

    @pytest.mark.parametrize(
        ("source", "is_async", "base"),
        [
            ("from pocketflow import Node\nclass N(Node): ...", "true", "Node"),
            ("import pocketflow as p\nclass B(p.Node): ...\nclass N(B):\n def exec(self, x): ...", "true", "Node"),
            ("from pocketflow import Node\nclass N(Node):\n async def exec_async(self, x): ...", "true", "Node"),
            ("from pflow.nodes.shell.shell import ShellNode\nclass N(ShellNode): ...", "true", "ShellNode"),
            ("from pocketflow import AsyncNode\nclass N(AsyncNode): ...", "false", "AsyncNode"),
            ("from base import Slow\nclass N(Slow): ...", "false", "AsyncNode"),
            ("from base import AsyncNode\nclass N(AsyncNode): ...", "false", "AsyncNode"),
            (
                "from nowhere import Mixin\nfrom pocketflow import AsyncNode\nclass N(Mixin, AsyncNode): ...",
                "false",
                "AsyncNode",
            ),
        ],
    )
    @pytest.mark.parametrize("batch", [None, {"items": [1]}, {"items": [1], "parallel": True}])
    def test_is_refuted(self, tmp_path: Path, source: str, is_async: str, base: str, batch: Any) -> None:
        (found,) = self.said(tmp_path, source, is_async, batch)
        assert (found.code, found.severity) == ("PFL338", Severity.WARNING)
        assert (Path(found.file).name, found.where) == ("pyproject.toml", "tool.pflow-lower.nodes.mine.async")
        assert found.position == (3, 1)
        is_not = "is not" if is_async == "true" else "is"
        says = f"the table says async = {is_async}, but the class m:N {is_not} asynchronous: it inherits from {base}"
        assert found.message == says

    @pytest.mark.parametrize(
        ("source", "is_async"),
        [
            ("from pocketflow import AsyncNode\nclass N(AsyncNode): ...", "true"),
            ("from pocketflow import Node\nclass N(Node): ...", "false"),
            ("class N: ...", "true"),
            ("class N:\n async def exec_async(self, x): ...", "false"),
            ("from nowhere import Base\nclass N(Base): ...", "true"),
            ("from nowhere import AsyncNode\nclass N(AsyncNode): ...", "false"),
            ("from nowhere import Mixin\nfrom pocketflow import Node\nclass N(Mixin, Node): ...", "true"),
            ("from pocketflow import Node\nclass N(make(), Node): ...", "true"),
            ("from pocketflow import Node\nclass N(Node):\n async def _run_async(self, shared): ...", "true"),
            ("from pocketflow import Node\nclass N(Node):\n _run_async = runs", "true"),
            ("from pocketflow import Node\n@better\nclass N(Node): ...", "true"),
            ("from pocketflow import Node\nclass N(Node, metaclass=Meta): ...", "true"),
            ("from pocketflow import Node\nclass N(Node): ...\nN = better(N)", "true"),
            ("", "true"),
        ],
    )
    def test_is_right_or_cannot_be_refuted(self, tmp_path: Path, source: str, is_async: str) -> None:
        batch = {"items": [1], "parallel": True}
        assert "PFL338" not in [found.code for found in self.said(tmp_path, source, is_async, batch)]

    def said(self, folder: Path, source: str, is_async: str, batch: Any) -> Sequence[Diagnostic]:
        write(folder / "base.py", "from pocketflow import AsyncNode\nclass Slow(AsyncNode): ...")
        write(folder / "m.py", source)
        table = f'[tool.pflow-lower.nodes.mine]\nclass = "m:N"\nasync = {is_async}\n'
        write(folder / "pyproject.toml", table)
        node = {"id": "a", "type": "mine", **({} if batch is None else {"batch": batch})}
        write(folder / "wf.json", json.dumps({"nodes": [node]}))
        return lower(folder / "wf.json").diagnostics


def test_check_without_the_application_could_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    node = {"id": "a", "type": "asking:Ask", "params": {}, "batch": {"items": [1], "parallel": True}}
    write(tmp_path / "wf.json", json.dumps({"nodes": [node]}))
    write(tmp_path / "lib" / "asking.py", "class Ask:\n async def exec_async(self, x): ...")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path / "lib")
        run("wf.json", "-o", "out")
        assert run("check", ".").status == 0
    shown = run("check", ".")
    assert shown.status == 2 and "the class asking:Ask could not be looked at" in shown.out


def test_a_module_is_read_only_if_it_is_a_file_of_bounded_size(tmp_path: Path) -> None:
    (tmp_path / "m.py").symlink_to("/dev/zero")
    looked = NodeTypes.for_workflow(tmp_path).resolve("m:N").looked
    assert looked is not None and looked.unknown


@pytest.mark.parametrize(
    ("declared", "made"),
    [
        ("str", "as_text"),
        ("list", "as_list"),
        ("dict", "as_dict"),
        ("int", ""),
        ("float", ""),
        ("bool", ""),
        ("any", ""),
    ],
)
def test_what_a_declared_type_converts(tmp_path: Path, declared: str, made: str) -> None:
    """As the guide says: containers to text, and text to containers."""
    (tmp_path / "nodes.toml").write_text(
        f'mine = {{ class = "m:C", async = false, params = {{ p = "{declared}" }} }}\n'
    )
    node = {"id": "a", "type": "mine", "params": {"p": "${item.x}"}, "batch": {"items": [{"x": 1}]}}
    (tmp_path / "w.json").write_text(json.dumps({"nodes": [node]}))
    text = pipeline.run(str(tmp_path / "w.json"), Options(nodes_file=tmp_path / "nodes.toml")).files["nodes.py"]
    assert {name for name in ("as_text", "as_list", "as_dict") if f"{name}(" in text} == ({made} if made else set())


@pytest.mark.parametrize(
    ("more", "said"),
    [("def x(:", "shop.py:4: invalid syntax"), ("<<<<<<< HEAD", "shop.py:4: invalid syntax"), ("\0", "shop.py: ")],
)
def test_a_module_that_is_not_python_is_missing_whatever_is_declared(tmp_path: Path, more: str, said: str) -> None:
    (tmp_path / "shop.py").write_text(f"from pocketflow import Node\nclass Sell(Node):\n    pass\n{more}\n")
    table = '[tool.pflow-lower.nodes]\nsell = { class = "shop:Sell", async = false }\n'
    for declared in ("", table):
        (tmp_path / "pyproject.toml").write_text(declared)
        node = {"id": "a", "type": "sell" if declared else "shop:Sell", "batch": {"items": [1], "parallel": True}}
        (tmp_path / "w.json").write_text(json.dumps({"nodes": [node]}))
        found = lower(tmp_path / "w.json").diagnostics
        (one,) = [one.message for one in found if one.code == "PFL332"]
        assert one.startswith(f"the module shop cannot be imported: {said}")
