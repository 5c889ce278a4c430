"""Programs as one deploys them: real processes, run in every way, from several folders, with classes of the user's."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pocketflow
import pytest

import pflow_lower
from pflow_lower.files.generated_header import HEADER_BYTES, MARK
from pflow_lower.journals import journal_folder_of
from pflow_lower.runtime import start
from pflow_lower.runtime.visits import VISITS_VARIABLE

CLASSES = """
import asyncio
import os
import time

from pocketflow import AsyncNode, Node


class Shout(Node):
    def prep(self, shared):
        return self.params["say"]

    def exec(self, word):
        if os.environ.get("CALLS"):
            with open(os.environ["CALLS"], "a") as file:
                file.write(f"{word}\\\\n")
        if str(word) == os.environ.get("FAILS"):
            raise RuntimeError(f"no word {word}\\\\nand a second line")
        time.sleep(float(os.environ.get("SECONDS", "0")))
        while not os.path.exists(os.environ.get("UNTIL", ".")):
            time.sleep(0.01)
        return str(word).upper()

    def post(self, shared, word, loud):
        shared["said"] = loud
        shared["llm_usage"] = {"cost_usd": 1.0}


class AsyncShout(AsyncNode):
    async def prep_async(self, shared):
        return self.params["say"]

    async def exec_async(self, word):
        await asyncio.sleep(0.01)
        return Shout.exec(self, word)

    async def post_async(self, shared, word, loud):
        shared["said"] = loud


class Odd(Node):
    def exec(self, prepared):
        return eval(self.params["value"])

    def post(self, shared, prepared, value):
        shared["value"] = value


class Flaky(Node):
    tries = 0

    def exec(self, prepared):
        Flaky.tries += 1
        if Flaky.tries < 3:
            raise RuntimeError("not yet")
        return Flaky.tries

    def post(self, shared, prepared, tries):
        shared["tries"] = tries
"""

WORDS: dict[str, Any] = {
    "ir_version": "0.1.0",
    "inputs": {
        "words": {"type": "array", "description": "What to say"},
        "times": {"type": "integer", "required": False, "default": 4711, "description": "How often"},
    },
    "nodes": [
        {"id": "first", "type": "nodes:Shout", "params": {"say": "${times}"}},
        {
            "id": "shout",
            "type": "nodes:Shout",
            "params": {"say": "${word}"},
            "batch": {"items": "${words}", "as": "word"},
        },
    ],
    "edges": [{"from": "first", "to": "shout"}],
    "outputs": {"said": {"source": "${shout.results}"}, "times": {"source": "${first.said}"}},
}

Ended = subprocess.CompletedProcess[str]


def workflow(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    edges = [{"from": a["id"], "to": b["id"]} for a, b in itertools.pairwise(nodes)]
    return {"ir_version": "0.1.0", "nodes": list(nodes), "edges": edges} | more


def lower(ir: dict[str, Any], folder: Path, out: str, *, standalone: bool = False) -> Path:
    """The program of `ir`, which stands in `folder`/flows/wf.json, in `folder`/`out`."""
    (folder / "flows").mkdir(exist_ok=True)
    file = folder / "flows" / "wf.json"
    file.write_text(json.dumps(ir), encoding="utf-8")
    pflow_lower.lower(file, out=folder / out, program=True, standalone=standalone).write(folder / out)
    return folder / out / "flow.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's repository; its own module `nodes` stands beside the workflow."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "nodes.py").write_text(CLASSES.replace("\\\\n", "\\n"), encoding="utf-8")
    return tmp_path


def run(*arguments: object, cwd: Path, **environment: str) -> Ended:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PFLOW"))}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env={**kept, "PFLOW_LOWER_STATE": str(cwd / "state"), **environment},
        timeout=60,
        check=False,
    )


def outputs(ended: Ended) -> Any:
    assert ended.returncode == 0, ended.stderr

    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(ended.stdout, parse_constant=refuse)


# --- Every way to run one


@pytest.mark.parametrize("standalone", [False, True], ids=["installed", "standalone"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_a_program_runs_in_every_way(project: Path, tmp_path_factory: Any, standalone: bool, elsewhere: bool) -> None:
    flow = lower(WORDS, project, "gen/wf", standalone=standalone)
    cwd = tmp_path_factory.mktemp("elsewhere") if elsewhere else project
    on_path = {"PYTHONPATH": str(project)} if elsewhere else {}
    said = {"said": ["A", "B"], "times": "4711"}
    importing = "import json, sys; from gen.wf import flow; assert flow.INPUTS; sys.exit(flow.main(sys.argv[1:]))"
    for way, path in (
        ((os.path.relpath(flow, cwd),), {}),
        ((flow,), {}),
        (("-I", flow), {}),
        (("-m", "gen.wf.flow"), on_path),
        (("-c", importing), on_path),
    ):
        found = outputs(run(*way, 'words=["a", "b"]', cwd=cwd, **path))
        assert [result["said"] for result in found["said"]] == said["said"] and found["times"] == said["times"], way


@pytest.mark.parametrize("standalone", [False, True], ids=["installed", "standalone"])
def test_the_folder_itself_may_be_on_the_path(project: Path, standalone: bool) -> None:
    (project / "flows" / "nodes.py").rename(project / "flows" / "loud.py")
    ir = json.loads(json.dumps(WORDS).replace("nodes:Shout", "loud:Shout"))
    flow = lower(ir, project, "gen/wf", standalone=standalone)
    code = "import sys, flow, nodes; assert nodes.ShoutBatch is flow.ShoutBatch; sys.exit(flow.main(sys.argv[1:]))"
    found = outputs(run("-c", code, 'words=["a"]', cwd=project, PYTHONPATH=str(flow.parent)))
    assert found["said"][0]["said"] == "A"


@pytest.mark.parametrize("standalone", [False, True], ids=["installed", "standalone"])
def test_a_flow_that_is_called_has_the_inputs_that_a_command_line_would_give_it(
    project: Path, standalone: bool
) -> None:
    inputs = {
        "who": {"type": "array", "required": False, "default": ["you"]},
        "note": {"type": "string", "required": False},
        "word": {"type": "string", "description": "What to say"},
    }
    say = {"id": "say", "type": "nodes:Shout", "params": {"say": '${word} ${who} ${note ?? "no note"}'}}
    ir = {**workflow(say, inputs=inputs), "outputs": {"said": {"source": "${say.said}"}, "note": {"source": "${note}"}}}
    flow = lower(ir, project, "gen", standalone=standalone)
    as_command = outputs(run(flow, "word=hi", cwd=project))
    code = """if True:
        import json
        from gen import flow
        from pocketflow import Flow
        shared = {"word": "hi"}
        flow.build_flow().run(shared)
        print(json.dumps(flow.outputs(shared)))
        shared["who"].append("me")  # of this run alone
        other = {"word": "hi"}
        Flow(start=flow.build_flow()).run(other)
        print(other["who"], other["note"])
        given = {"word": "hi", "who": ["us"], "note": "n"}
        flow.build_flow().run(given)
        print(given["who"], given["note"])
        empty = {}
        try:
            flow.build_flow().run(empty)
        except ValueError as error:
            print(error, empty)
    """
    ended = run("-c", code, cwd=project)
    first, *rest = ended.stdout.splitlines()
    assert json.loads(first) == as_command, ended.stderr
    assert rest == [
        "['you'] None", "['us'] n", "the input word is missing: What to say; give it as shared['word'] {}"
    ]  # fmt: skip


def test_of_two_edges_for_one_action_the_last_counts(project: Path) -> None:
    """As in pflow: `tests/test_foreseen.py` asks it. And PocketFlow has nothing to warn of."""
    nodes = [{"id": name, "type": "nodes:Shout", "params": {"say": name}} for name in ("first", "never", "last")]
    edges = [{"from": "first", "to": "never"}, {"from": "first", "to": "last", "action": "default"}]
    gen = lower({"ir_version": "0.1.0", "nodes": nodes, "edges": edges}, project, "gen")
    ended = run("-W", "error::UserWarning", gen, cwd=project)
    assert outputs(ended).keys() == {"last"} and "Overwriting" not in ended.stderr


def test_an_asynchronous_flow_that_is_called_has_its_defaults(project: Path) -> None:
    ir = json.loads(json.dumps(ASYNC))
    ir["inputs"] = {"word": {"type": "string", "required": False, "default": "x"}}
    ir["nodes"][0]["params"]["say"] = "${word}"
    lower(ir, project, "gen")
    code = """if True:
        import asyncio
        from gen import flow
        shared = {}
        asyncio.run(flow.build_flow().run_async(shared))
        print(flow.outputs(shared)["one"], shared["word"])
    """
    ended = run("-c", code, cwd=project)
    assert ended.stdout == "X x\n", ended.stderr


@pytest.mark.parametrize("standalone", [False, True], ids=["installed", "standalone"])
def test_several_in_one_process(project: Path, standalone: bool) -> None:
    lower(WORDS, project, "gen/one", standalone=standalone)
    other = workflow({"id": "shout", "type": "nodes:Shout", "params": {"say": "x ${item}"}, "batch": {"items": ["y"]}})
    lower(other, project, "gen/two", standalone=standalone)
    code = """if True:
        from gen.one import flow as one
        from gen.two import flow as two
        import nodes
        first, second = {"words": ["a"], "times": 1}, {}
        one.build_flow().run(first)
        two.build_flow().run(second)
        print(first["shout"]["results"][0]["said"], second["shout"]["results"][0]["said"], nodes.Shout.__name__)
    """
    ended = run("-c", code, cwd=project)
    assert ended.stdout == "A X Y Shout\n", ended.stderr


def test_the_application_s_own_modules_come_first_where_it_imports_a_program(project: Path) -> None:
    (project / "json_tools.py").write_text("here = True\n")
    (project / "flows" / "json_tools.py").write_text("here = False\n")
    lower(WORDS, project, "gen/wf")
    ended = run("-c", "from gen.wf import flow; import json_tools; print(json_tools.here)", cwd=project)
    assert ended.stdout == "True\n", ended.stderr


@pytest.mark.parametrize("standalone", [False, True], ids=["installed", "standalone"])
def test_a_module_of_another_program_is_not_taken_for_its_own(project: Path, standalone: bool) -> None:
    """Python knows one module of a name. A copy of it is as good."""
    for folder, text in (("a", CLASSES), ("b", CLASSES), ("c", f"{CLASSES}\nOTHER = True\n")):
        (project / folder / "flows").mkdir(parents=True)
        (project / folder / "flows" / "nodes.py").write_text(text.replace("\\\\n", "\\n"), encoding="utf-8")
        lower(WORDS, project / folder, "gen", standalone=standalone)
    command = "import sys; from a.gen import flow; from b.gen import flow; print('copies'); from c.gen import flow"
    ended = run("-c", command, cwd=project)
    assert ended.stdout == "copies\n" and ended.returncode == 1
    said = f"the module nodes of this program is {project / 'c/flows/nodes.py'}, and in this process {project / 'a'}"
    assert said in ended.stderr and "run the program in a process of its own" in ended.stderr
    (project / "nodes.py").write_text("Shout = None\n")  # the application's own, which is not imported yet
    ended = run("-c", "from c.gen import flow", cwd=project)
    assert f"and in this process {project / 'nodes.py'} has that name" in ended.stderr


def two_projects(folder: Path, first: str, second: str, *, standalone: bool) -> None:
    """The programs a/gen and b/gen of the classes `first`:N and `second`:N, which say whose they are."""
    for name, module in (("a", first), ("b", second)):
        (folder / name / "flows").mkdir(parents=True)
        text = (
            f"from pocketflow import Node\nclass N(Node):\n    def post(self, shared, p, e): shared['by'] = {name!r}\n"
        )
        (folder / name / "flows" / f"{module}.py").write_text(text)
        step = {"id": "say", "type": f"{module}:N", "params": {"x": "${item}"}, "batch": {"items": [name]}}
        lower(
            workflow(step, outputs={"by": {"source": "${say.results[0].by}"}}),
            folder / name,
            "gen",
            standalone=standalone,
        )


def running_each(*names: str) -> str:
    """Code that runs the programs of `names` one after the other, as `python NAME/gen/flow.py` would."""
    return f"""if True:
        import runpy, sys
        sys.argv = ["flow.py"]
        for name in {names}:
            try:
                runpy.run_path(name + "/gen/flow.py", run_name="__main__")
            except SystemExit as end:
                print(end.code)
    """


@pytest.mark.parametrize("standalone", [False, True], ids=["installed", "standalone"])
def test_programs_that_run_one_after_the_other_in_one_process(project: Path, standalone: bool) -> None:
    """What was read for the first is not taken for what stands beside the second."""
    two_projects(project, "mine_a", "mine_b", standalone=standalone)
    code = running_each("a", "b", "a")
    ended = run("-c", code, cwd=project)
    assert re.findall(r'"by": "(.)"', ended.stdout) == ["a", "b", "a"] and ended.stderr == "", ended.stderr
    (project / "a" / "flows" / "lib.py").write_text("by = 'a'\n")
    file = project / "b" / "flows" / "mine_b.py"
    file.write_text(f"import lib\n{file.read_text()}")
    ended = run("-c", code, cwd=project)
    assert ended.stdout.count('"by": "a"') == 2 and "No module named 'lib'" in ended.stderr


@pytest.mark.parametrize("standalone", [False, True], ids=["installed", "standalone"])
def test_one_process_has_one_module_of_a_name(project: Path, standalone: bool) -> None:
    two_projects(project, "mine", "mine", standalone=standalone)
    ended = run("-c", running_each("a", "b"), cwd=project)
    assert '"by": "a"' in ended.stdout and ended.stdout.endswith("0\n1\n")
    assert f"error: the module mine of this program is {project}/b/flows/mine.py, and in this process" in ended.stderr
    assert "run the program in a process of its own" in ended.stderr


def test_a_copy_of_the_runtime_that_differs_is_not_taken_for_that_of_the_program(project: Path) -> None:
    two_projects(project, "mine_a", "mine_b", standalone=True)
    with (project / "b/gen/pflow_lower_runtime/values.py").open("a") as file:
        file.write("# of another version\n")
    ended = run("-c", running_each("a", "b"), cwd=project)
    assert ended.stdout.endswith("0\n1\n") and "the module pflow_lower_runtime of this program is" in ended.stderr
    assert "generate both with one version of pflow-lower" in ended.stderr


@pytest.mark.parametrize("standalone", [False, True], ids=["installed", "standalone"])
def test_outside_of_a_package_a_process_has_one_module_of_a_name(project: Path, standalone: bool) -> None:
    """The classes of the other program would run."""
    two_projects(project, "mine_a", "mine_b", standalone=standalone)
    by_file = """if True:
        import importlib.util
        for name in "ab":
            spec = importlib.util.spec_from_file_location("flow_" + name, name + "/gen/flow.py")
            flow = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(flow)
            flow.main([])
    """
    on_path = """if True:
        import sys
        for name in "ab":
            sys.path.insert(0, name + "/gen")
            sys.modules.pop("flow", None)
            import flow
            flow.main([])
    """
    for code in (by_file, on_path):
        if standalone and code is by_file:
            code = f"import sys; sys.path.append('a/gen')\n{code}"  # where its runtime is found
        ended = run("-c", code, cwd=project)
        assert json.loads(ended.stdout) == {"by": "a"} and ended.returncode == 1, ended.stderr
        said = f"ImportError: the module nodes of this program is {project}/b/gen/nodes.py, and in this process"
        assert said in ended.stderr and "as a part of its folder (from FOLDER import flow)" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("standalone", [False, True], ids=["installed", "standalone"])
def test_a_program_runs_through_links(project: Path, tmp_path_factory: Any, standalone: bool) -> None:
    """Whatever it names is seen from where it stands."""
    (project / "pyproject.toml").write_text('[tool.pflow-lower.journal]\ndir = "kept"\n')
    flow = lower(WORDS, project, "gen/wf", standalone=standalone)
    links = tmp_path_factory.mktemp("links")
    (links / "bin").mkdir()
    (links / "folder").symlink_to(flow.parent)
    (links / "bin" / "tool").symlink_to(flow)
    (links / "bin" / "tool.py").symlink_to(flow)
    (links / "bin" / "flow.py").symlink_to("tool")
    (links / "bin" / "nodes.py").write_text("a person's\n")
    (links / "json.py").write_text("raise SystemExit('where it was started is not where modules are looked for')\n")
    for way in ("folder/flow.py", "bin/tool", "bin/tool.py", "bin/flow.py", "folder/../wf/flow.py"):
        ended = run(way, 'words=["a"]', cwd=links)
        assert outputs(ended)["said"][0]["said"] == "A", way
    ended = run("folder/flow.py", 'words=["a", "b"]', "--resume", cwd=links, FAILS="b", PFLOW_LOWER_STATE="")
    assert ended.returncode == 1 and list((project / "kept").glob("*.db")), ended.stderr


def test_a_program_that_was_lowered_through_a_link_runs(project: Path, tmp_path_factory: Any) -> None:
    """What it names is seen from there, as its header does."""
    store = tmp_path_factory.mktemp("store") / "deep"
    store.mkdir()
    (project / "out").symlink_to(store)
    flow = lower(WORDS, project, "out", standalone=True)
    assert outputs(run(flow, 'words=["a"]', cwd=project))["said"][0]["said"] == "A"
    for number, file in enumerate(sorted(store.glob("*.py"))):  # as a store of files does it that keeps each once
        file.rename(store / f"{number}")
        file.symlink_to(f"{number}")
    assert outputs(run(flow, 'words=["a"]', cwd=project))["said"][0]["said"] == "A"


@pytest.mark.parametrize(("folder", "argument"), [("gen", "gen"), ("gen of words", "'gen of words'")])
def test_a_module_of_the_program_that_is_missing(project: Path, folder: str, argument: str) -> None:
    flow = lower(WORDS, project, folder)
    (flow.parent / "nodes.py").unlink()
    for command in ([flow], ["-m", f"{folder}.flow"]):
        ended = run(*command, "words=[]", cwd=project)
        assert ended.returncode == 1
        assert f"a part of the program is missing: pflow-lower check --update {argument}\n" in ended.stderr


def test_what_goes_round_for_ever_ends_as_in_pflow(project: Path) -> None:
    nodes = [
        {"id": "shout", "type": "nodes:Shout", "params": {"say": "${item}"}, "batch": {"items": ["y"]}},
        {"id": "again", "type": "nodes:Shout", "params": {"say": "z"}},
    ]
    edges = [{"from": "shout", "to": "again"}, {"from": "again", "to": "shout", "action": "default"}]
    flow = lower(workflow(*nodes, edges=edges), project, "gen")
    calls = project / "calls"
    ended = run(flow, cwd=project, CALLS=str(calls))
    assert ended.returncode == 1 and "step 'shout' has run 100 times" in ended.stderr
    assert Counter(calls.read_text().split()) == {"y": 100, "z": 100}
    calls.unlink()
    ended = run(flow, cwd=project, CALLS=str(calls), **{VISITS_VARIABLE: "3"})
    assert ended.returncode == 1 and Counter(calls.read_text().split()) == {"y": 3, "z": 3}
    code = (
        "from gen import flow\nfor _ in range(2):\n try: flow.build_flow().run({})\n except RuntimeError as e: print(e)"
    )
    ended = run("-c", code, cwd=project, **{VISITS_VARIABLE: "7"})
    assert ended.stdout.count("step 'shout' has run 7 times") == 2  # each run counts for itself


@pytest.mark.parametrize("name", ["my-folder", "json", "nodes", "v1.2", "ünï"])
def test_the_folder_may_have_any_name(project: Path, name: str) -> None:
    flow = lower(WORDS, project, name, standalone=True)
    assert outputs(run(flow, "words=[]", cwd=project))["said"] == []


def test_a_deployed_folder_runs_without_its_workflow(project: Path, tmp_path_factory: Any) -> None:
    flow = lower(WORDS, project, "gen", standalone=True)
    deployed = tmp_path_factory.mktemp("deployed") / "app"
    shutil.copytree(flow.parent, deployed)
    (project / "flows" / "nodes.py").rename(deployed.parent / "nodes.py")
    found = outputs(run(deployed / "flow.py", 'words=["a"]', cwd=deployed.parent, PYTHONPATH=str(deployed.parent)))
    assert found["said"][0]["said"] == "A"


def test_classes_where_the_table_stands_are_found(project: Path) -> None:
    (project / "app").mkdir()
    (project / "flows" / "nodes.py").rename(project / "app" / "loud.py")
    (project / "pyproject.toml").write_text('[tool.pflow-lower.nodes]\nshout = "app.loud:Shout"\n')
    ir = json.loads(json.dumps(WORDS).replace("nodes:Shout", "shout"))
    flow = lower(ir, project, "gen/deep/down")
    assert outputs(run(flow, 'words=["a"]', cwd=project / "app"))["said"][0]["said"] == "A"


CHILD = """# Child

## Inputs

### w

A word.

- type: string

## Steps

### upper

Upper case.

- type: code
- inputs:
    w: ${w}

```python code
w: str
result: str = w.upper()
```

## Outputs

### out

The word.

- source: ${upper.result}
"""


@pytest.mark.slow
def test_a_child_workflow_stands_beside_its_parent(project: Path) -> None:
    pytest.importorskip("pflow")
    (project / "flows" / "child.pflow.md").write_text(CHILD, encoding="utf-8")
    parent = workflow(
        {"id": "one", "type": "workflow", "params": {"workflow": "./child.pflow.md", "inputs": {"w": "solo"}}},
        {
            "id": "all",
            "type": "workflow",
            "params": {"workflow": "./child.pflow.md", "inputs": {"w": "${item}"}},
            "batch": {"items": ["a", "b"]},
        },
        outputs={"one": {"source": "${one.out}"}, "all": {"source": "${all.results}"}},
    )
    flow = lower(parent, project, "gen")
    found = outputs(run(flow, cwd=project / "gen", HOME=str(project)))
    assert found["one"] == "SOLO" and [result["out"] for result in found["all"]] == ["A", "B"]
    limited = run(flow, "--limit", "1", cwd=project / "gen", HOME=str(project))
    assert [result["out"] for result in outputs(limited)["all"]] == ["A"]
    said = [line for line in limited.stderr.splitlines() if "had no effect" in line]
    assert said == [f"warning: --limit had no effect in the workflow that '{step}' started" for step in ("one", "all")]


# --- What is not there


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: Any) -> Path:
    """A Python with nothing installed."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    return next(path for path in folder.glob("*/python*") if path.stem == "python")


def bare(python: Path, flow: Path, *arguments: str, way: tuple[str, ...] = ()) -> Ended:
    command = [str(python), *(way or (str(flow),)), *arguments]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PFLOW"))}
    return subprocess.run(command, capture_output=True, text=True, cwd=flow.parent.parent, env=kept, check=False)


def test_a_missing_package_is_a_message(project: Path, bare_python: Path) -> None:
    shell = {"id": "say", "type": "shell", "params": {"command": "echo ${item}"}, "batch": {"items": ["a"]}}
    flow = lower(workflow(shell), project, "out", standalone=True)
    for way in ((), ("-m", "out.flow")):
        ended = bare(bare_python, flow, way=way)
        assert ended.returncode == 1 and "Traceback" not in ended.stderr
        assert "No module named 'pocketflow': pip install -r requirements.txt" in ended.stderr
    site = next(bare_python.parents[1].glob("**/site-packages"))
    shutil.copytree(Path(pocketflow.__file__).parent, site / "pocketflow", dirs_exist_ok=True)
    try:
        for way in ((), ("-m", "out.flow")):
            ended = bare(bare_python, flow, way=way)
            assert ended.returncode == 1 and "Traceback" not in ended.stderr
            requirements = Path("out", "requirements.txt")
            assert ended.stderr.startswith(f"error: No module named 'pflow'\ninstall it: pip install -r {requirements}")
        installed = lower(workflow(shell), project, "installed")
        ended = bare(bare_python, installed)
        assert (ended.returncode, ended.stderr) == (
            1,
            "error: No module named 'pflow_lower': install pflow-lower, or use --standalone\n",
        )
    finally:
        shutil.rmtree(site / "pocketflow")


@pytest.mark.parametrize("way", [(), ("-m", "out.flow")])
@pytest.mark.parametrize("gone", ["", "__init__.py", "values.py", "program_run.py", "start.py"])
def test_a_missing_piece_of_the_runtime_comes_back_with_check_update(
    project: Path, way: tuple[str, ...], gone: str
) -> None:
    """It said `pip install -r requirements.txt`, which cannot help."""
    flow = lower(WORDS, project, "out", standalone=True)
    piece = project / "out" / "pflow_lower_runtime" / gone
    if gone:
        piece.unlink()
    else:
        shutil.rmtree(piece)
    ended = run(*(way or (flow,)), 'words=["a"]', cwd=project)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert "pflow-lower check --update" in ended.stderr, ended.stderr


def test_requirements_are_those_of_the_package(project: Path) -> None:
    shell = {"id": "say", "type": "shell", "params": {"command": "echo"}}
    lower(workflow(shell, {"id": "x", "type": "nodes:Shout", "params": {"say": 1}}), project, "out", standalone=True)
    text = (project / "out" / "requirements.txt").read_text()
    assert text.startswith("# Generated by pflow-lower from ../flows/wf.json.")
    assert "\n# Besides: what has the modules nodes.\n" in text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    settings = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    assert lines == ["pflow-cli==0.16.*", *(line for line in settings["dependencies"] if line.startswith("pocketflow"))]
    assert "pflow-cli>=0.16,<0.17" in settings["optional-dependencies"]["pflow"]
    lower(workflow({"id": "x", "type": "nodes:Shout", "params": {"say": 1}}), project, "other", standalone=True)
    assert "pflow-cli" not in (project / "other" / "requirements.txt").read_text()


@pytest.mark.slow
def test_check_knows_requirements(project: Path) -> None:
    lower(WORDS, project, "out", standalone=True)
    file = project / "out" / "requirements.txt"

    def check() -> int:
        return run("-m", "pflow_lower", "check", "out", cwd=project).returncode

    assert check() == 0
    for text in (file.read_text() + "flask\n", "", None):
        file.unlink() if text is None else file.write_text(text)
        assert check() == 1
        lower(WORDS, project, "out", standalone=True)
    for path in [*file.parent.glob("*.py"), file.parent / "lowered.json"]:
        path.unlink()
    shutil.rmtree(file.parent / "pflow_lower_runtime")
    assert check() == 1  # all else of the lowering is gone, and this file says what it was made from
    file.write_text("flask\n")
    assert check() == 2  # somebody else's, and nothing of ours
    with pytest.raises(pflow_lower.LowerError, match="not pflow-lower's"):
        lower(WORDS, project, "out", standalone=True)
    assert file.read_text() == "flask\n"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("class Shout", "class Other", "error: cannot import name 'Shout' from 'nodes'"),
        ("import asyncio", "import no_such_module", "error: No module named 'no_such_module'\nput the module beside"),
    ],
)
def test_a_class_that_cannot_be_imported_is_a_message(project: Path, before: str, after: str, said: str) -> None:
    flow = lower(WORDS, project, "gen")
    file = project / "flows" / "nodes.py"
    file.write_text(file.read_text().replace(before, after))
    ended = run(flow, "words=[]", cwd=project)
    assert ended.returncode == 1 and ended.stderr.startswith(said), ended.stderr
    assert "Traceback" in run(flow, "words=[]", cwd=project, PFLOW_LOWER_TRACEBACK="1").stderr


# --- The command line


def test_help_lists_the_inputs(project: Path) -> None:
    flow = lower(WORDS, project, "gen")
    for way in ("--help", "-h"):
        ended = run(flow, way, cwd=project)
        assert ended.returncode == 0 and ended.stderr == ""
        assert ended.stdout.startswith("usage: flow.py [-h] [--resume] [--fresh] [--budget DOLLARS] [--limit N]")
        for said in ("words=...  array, required", "What to say", "times=...  integer, default 4711", "How often"):
            assert said in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["words"], "the input words needs a value: words=..."),
        (["words="], "the input words needs a value of type array: words=..."),
        (["word=[]"], "'word=[]' is not an input of this workflow; its inputs: words=..., times=..."),
        (["words=[]", "x"], "'x' is not an input of this workflow"),
        ([], "the input words is missing: What to say; give it as words=..."),
        (["words=[]", "--limt", "3"], "unrecognized arguments: --limt"),
        (["--limit", "0", "words=[]"], "argument --limit: '0' is not a number of items, 1 or more"),
        (["words=[]", "words=[1]"], "the input words is given twice, as '[]' and '[1]'; only one of them can be meant"),
        (["words=[]", "--budget=nan"], "argument --budget: 'nan' is not an amount of dollars"),
        (["words=[]", "--limit"], "argument --limit: expected one argument"),
    ],
)
def test_wrong_arguments(project: Path, arguments: list[str], said: str) -> None:
    ended = run(lower(WORDS, project, "gen"), *arguments, cwd=project)
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.startswith(f"error: {said}"), ended.stderr


# --- How it ends


def test_failing_steps_and_items_are_named(project: Path) -> None:
    ir = json.loads(json.dumps(WORDS))
    ir["nodes"][1]["batch"] |= {"error_handling": "continue", "key": "${word}"}
    flow = lower(ir, project, "gen")
    words = json.dumps(["a", "c"])
    ended = run(flow, f"words={words}", cwd=project, FAILS="c")
    assert [result["said"] for result in outputs(ended)["said"]] == ["A"]
    assert ended.stderr == (
        "warning: Batch 'shout': 1 error(s) out of 2 items\nshout: 1 of 2 items that ran failed:\n  [1] c: no word c\n"
    )
    ended = run(flow, "words=[]", "times=13", cwd=project, FAILS="13")
    assert ended.returncode == 1 and ended.stderr.startswith("error: step 'first': no word 13\n")


@pytest.mark.parametrize("error", ["TimeoutError()", "MemoryError", "BrokenPipeError(32)", "OSError(' ')"])
@pytest.mark.parametrize("parallel", [False, True])
def test_an_error_without_a_text_is_named_by_its_kind(project: Path, error: str, parallel: bool) -> None:
    value = "(_ for _ in ()).throw(${item})"
    step = {"id": "go", "type": "nodes:Odd", "params": {"value": value}}
    batch = {"items": [error], "error_handling": "continue", "parallel": parallel}
    flow = lower(workflow({**step, "batch": batch}), project, "gen")
    ended = run(flow, cwd=project)
    said = "32" if "32" in error else error.partition("(")[0]
    first, _, item, _ = ended.stderr.splitlines()
    assert first.endswith(f" Errors: [0] {said}") and item.endswith(f": {said}"), ended.stderr


ENDING = """
import asyncio
import sys

from pocketflow import AsyncNode, Node


class Stop(BaseException):
    pass


class End(Node):
    def exec(self, prepared):
        if self.params["x"] == 2:
            exec(self.params["end"])
        return self.params["x"]

    def post(self, shared, prepared, x):
        shared["x"] = x


class AsyncEnd(AsyncNode):
    async def exec_async(self, prepared):
        return End.exec(self, prepared)

    async def post_async(self, shared, prepared, x):
        shared["x"] = x
"""


ENDS = {
    "sys.exit()": (1, "the program was ended by what it runs: SystemExit"),
    "sys.exit(0)": (1, "the program was ended by what it runs: SystemExit: 0"),
    "sys.exit(256)": (1, "the program was ended by what it runs: SystemExit: 256"),
    "sys.exit(7)": (7, "the program was ended by what it runs: SystemExit: 7"),
    "sys.exit('no key')": (1, "the program was ended by what it runs: SystemExit: no key"),
    "raise Stop('enough')": (1, "Stop: enough"),
    "raise asyncio.CancelledError": (1, "CancelledError"),
    "raise GeneratorExit": (1, "GeneratorExit"),
}
SHAPES_OF_ENDS = {
    "in order": ("End", {}),
    "in threads": ("End", {"parallel": True, "max_concurrent": 1}),
    "as tasks": ("AsyncEnd", {"parallel": True, "max_concurrent": 1}),
    "in order, asynchronous": ("AsyncEnd", {}),
    "a step": ("End", None),
    "an asynchronous step": ("AsyncEnd", None),
}


@pytest.mark.parametrize("shape", SHAPES_OF_ENDS)
def test_a_node_that_ends_the_program_is_named_and_it_does_not_end_well(project: Path, shape: str) -> None:
    (project / "flows" / "ending.py").write_text(ENDING)
    kind, batch = SHAPES_OF_ENDS[shape]
    step = {"id": "go", "type": f"ending:{kind}", "params": {"x": "${x}", "end": "${end}"}}
    inputs = {"end": {"type": "string"}}
    if batch is not None:
        step["batch"] = {"items": [1, 2, 3], "as": "x", "resume": True, **batch}
    else:
        step["params"]["x"] = 2
    flow = lower(workflow(step, inputs=inputs), project, "gen", standalone=shape == "in order")
    for code, (status, said) in ENDS.items():
        ended = run(flow, "--fresh", f"end={code}", cwd=project)
        assert (ended.returncode, ended.stdout) == (status, ""), ended.stderr
        first, *more = ended.stderr.splitlines()
        assert first == f"error: step 'go': {said}" and "Traceback" not in ended.stderr
        assert more[-1] == "(set PFLOW_LOWER_TRACEBACK=1 to see where)"
        if batch is None:
            continue
        assert any(line.startswith("what is done is kept") for line in more)
        if sys.version_info >= (3, 11):
            assert any("go: item [1], attempt 1 of 1" in line for line in more), more
            assert any(line.startswith("go: interrupted when 1 of 3 items was done") for line in more), more
    for code in ("sys.exit()", "raise Stop"):
        ended = run(flow, f"end={code}", cwd=project, PFLOW_LOWER_TRACEBACK="1")
        assert ended.returncode == 1 and "Traceback" in ended.stderr and "ending.py" in ended.stderr


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise OSError('gone')", "OSError: gone"),
        ("def x(:", "SyntaxError: invalid syntax"),
    ],
)
def test_a_module_that_ends_the_program_when_it_is_imported(project: Path, statement: str, said: str) -> None:
    flow = lower(WORDS, project, "gen")
    file = project / "flows" / "nodes.py"
    file.write_text(f"{file.read_text()}\n{statement}\n")
    ended = run(flow, "words=[]", cwd=project)
    line = len(file.read_text().splitlines())
    first, last = ended.stderr.splitlines()
    assert first == f"error: {file}:{line} ended the program when it was imported: {said}"
    assert ended.returncode == 1 and last == "(set PFLOW_LOWER_TRACEBACK=1 to see where)"


def test_at_most_ten_items_are_named(project: Path) -> None:
    ir = json.loads(json.dumps(WORDS))
    ir["nodes"][1]["batch"] |= {"error_handling": "continue"}
    words = json.dumps([*["c"] * 12, "a"])
    ended = run(lower(ir, project, "gen"), f"words={words}", cwd=project, FAILS="c")
    assert ended.stderr.count("no word c") == 10 and ended.stderr.endswith("  ... and 2 more\n")
    ended = run(project / "gen" / "flow.py", 'words=["c", "c"]', cwd=project, FAILS="c")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: Batch 'shout': all 2 items failed")
    assert "\n  [1] 'c': no word c\n" in ended.stderr


ODD = {
    "[float('nan'), float('inf'), 1.5]": [None, None, 1.5],
    "{(1, 2): 'a', '(1, 2)': 'b'}": {"(1, 2)": "a", "(1, 2)'": "b"},
    "(lambda x: x.append(x) or x)([1])": [1, None],
    "{1, }": "{1}",
    "'\\ud800 \\u00e9'": "\ud800 \u00e9",
    "type('Bad', (), {'__str__': lambda self: 1 / 0})()": "<Bad>",
    "{'a': {None: 1, True: 2, 3: float('nan')}}": {"a": {"null": 1, "true": 2, "3": None}},
    "[10 ** 5000]": [hex(10**5000)],
}


@pytest.mark.parametrize("value", ODD)
def test_what_it_prints_is_json(project: Path, value: str) -> None:
    odd = {"id": "odd", "type": "nodes:Odd", "params": {"value": value}}
    ended = run(lower(workflow(odd), project, "gen"), cwd=project, PYTHONIOENCODING="utf-8")
    assert outputs(ended) == {"odd": {"value": ODD[value]}}
    assert ended.stderr.startswith("warning: ") == (value not in ("{1, }", "'\\ud800 \\u00e9'"))


def test_data_of_any_depth_is_printed(project: Path) -> None:
    code = "__import__('functools').reduce(lambda x, _: [x], range(20000), 1)"
    odd = {"id": "odd", "type": "nodes:Odd", "params": {"value": code}}
    ended = run(lower(workflow(odd), project, "gen"), cwd=project)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("[") == ended.stdout.count("]") == 20000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_outputs_that_cannot_be_written_are_kept(project: Path) -> None:
    flow = lower(WORDS, project, "gen")
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, flow, 'words=["a"]'], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 2 and "Traceback" not in ended.stderr and "Exception ignored" not in ended.stderr
    kept = Path(ended.stderr.rpartition(" ")[2].strip())
    assert json.loads(kept.read_text())["said"][0]["said"] == "A"
    kept.unlink()


@pytest.mark.skipif(os.name != "posix", reason="a shell")
def test_a_reader_that_has_enough(project: Path) -> None:
    flow = lower(WORDS, project, "gen")
    words = json.dumps(["a"] * 2000)
    for pipe in ("| head -1", "| true", "2>&1 | true", ">&-"):
        command = f"{sys.executable} {flow} 'words={words}' {pipe}"
        ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert "Traceback" not in ended.stderr and "Exception ignored" not in ended.stderr, (pipe, ended.stderr)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("number", "status", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
@pytest.mark.parametrize("standalone", [False, True], ids=["installed", "standalone"])
def test_a_signal_ends_it_with_the_count(project: Path, number: int, status: int, said: str, standalone: bool) -> None:
    flow = lower(WORDS, project, "gen", standalone=standalone)
    calls = project / "calls"
    made = subprocess.Popen(
        [sys.executable, flow, f"words={json.dumps(list('abcdefgh'))}"],
        env={**os.environ, "SECONDS": "1", "CALLS": str(calls)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509  one thread
    )
    wait_until(lambda: calls.exists() and calls.read_text().count("\n") > 2)
    made.send_signal(number)
    _, err = made.communicate(timeout=30)
    assert made.returncode == status and err.startswith(f"{said}\n"), err
    if sys.version_info >= (3, 11):
        assert re.search(r"of 8 items (was|were) done", err)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# --- Outputs that are not there


MADE: list[dict[str, Any]] = [
    {"id": "mk", "type": "code", "params": {"code": 'result: dict = {"total": 3, "none": None}\nnext: str = "yes"'}},
    {"id": "yes", "type": "code", "params": {"code": "result: list = [1, 2]"}},
    {"id": "no", "type": "code", "params": {"code": "result: int = 0"}},
    {"id": "other", "type": "code", "params": {"code": "result: int = 0"}},
    {
        "id": "each",
        "type": "shell",
        "params": {"command": "echo ${item}"},
        "batch": {"items": "${yes.result}"},
    },
]
BRANCHES: list[dict[str, str]] = [
    {"from": "mk", "to": "yes", "action": "yes"},
    {"from": "mk", "to": "no", "action": "no"},
    {"from": "mk", "to": "other", "action": "other"},
    {"from": "yes", "to": "each"},
]

GIVEN: dict[str, dict[str, str]] = {
    "found": {"one": "${mk.result.total}", "two": "mk.result.total", "three": "sum: ${mk.result.total}"},
    "null": {"one": "${mk.result.none}", "two": "<${mk.result.none}>"},
    "typo": {"bad": "${mk.result.totl}"},
    "typo without the signs": {"bad": "mk.result.totl"},
    "typo beside what is found": {"good": "${mk.result.total}", "bad": "${mk.result.totl}"},
    "several": {"bad": "${mk.result.totl}", "good": "${mk.result.total}", "worse": "${yes.result[7]}"},
    "text around": {"bad": "sum: ${mk.result.totl}!"},
    "text of several lines": {"bad": "sum:\n${mk.result.total}\n${mk.result.totl}\n"},
    "index": {"good": "${each.results[1].stdout}"},
    "index out of range": {"bad": "${each.results[5].stdout}"},
    "an index that is looked up": {"good": "${yes.result[${yes.result[0]}]}", "bad": "${yes.result[${mk.result}]}"},
    "a branch left out": {"bad": "${no.result}"},
    "all of it left out": {"bad": "${no}"},
    "text of a branch left out": {"bad": "it is ${no.result}"},
    "?? of which one ran": {"good": "${no.result ?? mk.result.total}"},
    "?? of which none ran": {"left": "${no.result ?? other.result}", "good": "${mk.result.total}"},
    "?? of one that never ran": {"left": "${no.result ?? no.other}"},
    "?? without what it reads": {"bad": "${no.result ?? mk.result.totl}"},
    "?? with a literal": {"good": '${no.result ?? "none"}', "too": "${mk.result.totl ?? 5}"},
    "?? of none in text": {"bad": "it is ${no.result ?? other.result}"},
}
"""Outputs by what they show."""


@pytest.fixture(scope="module")
def given_by_pflow(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    """What pflow gives for each of `GIVEN`, or says, by what it shows and the mode of templates."""
    home = str(tmp_path_factory.mktemp("pflow"))
    asked = [(name, mode) for name in GIVEN for mode in ("strict", "permissive")]
    ended = subprocess.run(
        [sys.executable, Path(__file__).parent / "helpers" / "guide_in_pflow.py"],
        input=json.dumps([{"ir": with_outputs(*each), "inputs": {}} for each in asked]),
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": home, "USERPROFILE": home},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return dict(zip(asked, json.loads(ended.stdout), strict=True))


def with_outputs(name: str, mode: str) -> dict[str, Any]:
    outputs = {output: {"source": source} for output, source in GIVEN[name].items()}
    more = {} if mode == "strict" else {"template_resolution_mode": mode}
    return {"ir_version": "0.1.0", "nodes": MADE, "edges": BRANCHES, "outputs": outputs, **more}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pflow") is None, reason="compares with pflow")
@pytest.mark.parametrize("mode", ["strict", "permissive"])
@pytest.mark.parametrize("name", GIVEN)
def test_outputs_are_those_of_pflow(
    project: Path, given_by_pflow: dict[tuple[str, str], Any], name: str, mode: str
) -> None:
    ended = run(lower(with_outputs(name, mode), project, "gen"), cwd=project, HOME=str(project))
    expected = given_by_pflow[name, mode]
    if not isinstance(expected, str):
        assert outputs(ended) == {output: expected[output] for output in GIVEN[name]}
        return
    assert (ended.returncode, ended.stdout) == (1, "")
    named = re.findall(r"'(\w+)'", expected)
    assert re.findall(r"output '(\w+)': ", ended.stderr) == named
    assert {output for output in GIVEN[name] if output in ("bad", "worse")} == set(named)


@pytest.mark.parametrize("text", ["plain", '{"name": "Bob"}'])
def test_inputs_of_a_step_that_are_not_an_object_add_no_names(project: Path, text: str) -> None:
    """As in pflow, which gives `hi Ann` for both."""
    steps = [
        {"id": "a", "type": "shell", "params": {"command": "cat", "stdin": text}},
        {"id": "b", "type": "shell", "params": {"inputs": "${a.stdout}", "stdin": "hi ${name}", "command": "cat"}},
    ]
    given = {"inputs": {"name": {"type": "string", "default": "Ann"}}, "outputs": {"said": {"source": "${b.stdout}"}}}
    pytest.importorskip("pflow")
    flow = lower({**given, "nodes": steps, "edges": [{"from": "a", "to": "b"}]}, project, "gen")
    assert outputs(run(flow, cwd=project, HOME=str(project))) == {"said": "hi Ann"}


def test_an_output_that_is_not_there_is_named(project: Path) -> None:
    ir = {**WORDS, "outputs": {"said": {"source": "${shout.results[1].said}"}, "x": {"source": "is ${first.sad}"}}}
    flow = lower(ir, project, "gen")
    ended = run(flow, 'words=["a"]', cwd=project)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-3:] == [
        "error: output 'said': ${shout.results[1].said}: no [1] in a list of 1",
        "output 'x': ${first.sad}: no 'sad' among llm_usage, said",
        "(set PFLOW_LOWER_TRACEBACK=1 to see where)",
    ]


def test_a_run_that_lacks_an_output_keeps_its_journal(project: Path) -> None:
    flow = lower({**WORDS, "outputs": {"said": {"source": "${shout.results[1].said}"}}}, project, "gen")
    calls = project / "calls"
    ended = run(flow, "--resume", 'words=["a"]', cwd=project, CALLS=str(calls))
    assert ended.returncode == 1 and "what is done is kept" in ended.stderr
    assert calls.read_text().split() == ["4711", "a"]
    flow = lower({**WORDS, "outputs": {"said": {"source": "is ${shout.results[0].said}"}}}, project, "gen")
    assert outputs(run(flow, "--resume", 'words=["a"]', cwd=project, CALLS=str(calls))) == {"said": "is A"}
    assert calls.read_text().split() == ["4711", "a", "4711"]
    assert not list((project / "state").rglob("*.db"))


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_run_that_is_killed_while_it_prints_has_lost_nothing(project: Path) -> None:
    flow = lower({**WORDS, "outputs": {"said": {"source": "${shout.results[0].said}"}}}, project, "gen")
    calls, word = project / "calls", "a" * 100_000  # more than a pipe takes
    environment = {**os.environ, "CALLS": str(calls), "PFLOW_LOWER_STATE": str(project / "state")}
    command = [sys.executable, str(flow), "--resume", f'words=["{word}"]']
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=project, env=environment) as process:
        assert process.stdout is not None and process.stdout.read(1) == b"{"
        process.kill()
    before = calls.read_text().split()
    again = run(flow, "--resume", f'words=["{word}"]', cwd=project, CALLS=str(calls))
    assert outputs(again) == {"said": word.upper()}
    assert [call for call in calls.read_text().split()[len(before) :] if call != "4711"] == []
    assert not list((project / "state").rglob("*.db"))


# --- Resume, budget, limit


@pytest.mark.parametrize("asked", ["--resume", "PFLOW_LOWER_RESUME"])
def test_a_run_goes_on_where_it_failed(project: Path, asked: str) -> None:
    flow = lower(WORDS, project, "gen")
    calls = project / "calls"
    flags = [asked] if asked.startswith("-") else []
    environment = {"CALLS": str(calls), **({} if flags else {asked: "1"})}
    words = 'words=["a", "b", "c"]'
    ended = run(flow, *flags, words, cwd=project, FAILS="c", **environment)
    assert ended.returncode == 1 and "what is done is kept" in ended.stderr
    calls.unlink()
    ended = run(flow, words, *flags, cwd=project, **environment)
    assert [result["said"] for result in outputs(ended)["said"]] == ["A", "B", "C"]
    assert calls.read_text().split() == ["4711", "c"]
    calls.unlink()
    outputs(run(flow, words, *flags, cwd=project, **environment))
    assert calls.read_text().split() == ["4711", "a", "b", "c"]  # what has ended well begins afresh


def test_a_run_that_has_done_nothing_does_not_say_that_what_is_done_is_kept(project: Path) -> None:
    """It did where the journal held what a run of other inputs had done."""
    flow = lower(WORDS, project, "gen")
    assert "is kept" in run(flow, "--resume", 'words=["a", "c"]', cwd=project, FAILS="c").stderr
    ended = run(flow, "--resume", 'words=["z"]', cwd=project, FAILS="z")
    assert ended.returncode == 1 and "is kept" not in ended.stderr
    assert "is kept" in run(flow, "--resume", 'words=["a", "c"]', cwd=project, FAILS="c").stderr


def test_a_run_of_other_inputs_leaves_what_a_failed_one_has_paid_for(project: Path) -> None:
    flow = lower(WORDS, project, "gen")
    calls, words = project / "calls", 'words=["a", "b", "c"]'
    assert run(flow, "--resume", words, cwd=project, FAILS="c").returncode == 1
    ended = run(flow, "--resume", 'words=["z"]', cwd=project)
    assert len(outputs(ended)["said"]) == 1 and "kept" not in ended.stderr
    outputs(run(flow, "--resume", words, cwd=project, CALLS=str(calls)))
    assert calls.read_text().split() == ["4711", "c"]
    assert not list((project / "state").rglob("*.db"))


TWO_BATCHES = workflow(
    *(
        {
            "id": node_id,
            "type": "nodes:Shout",
            "params": {"say": f"{node_id}-${{word}}"},
            "batch": {"items": "${words}", "as": "word", "resume": True},
        }
        for node_id in ("one", "two")
    ),
    inputs={"words": {"type": "array"}},
)


def test_a_failed_run_says_which_results_it_could_not_keep(project: Path) -> None:
    node = {"id": "odd", "type": "nodes:Odd", "params": {"value": "${v}"}, "batch": {"items": ["1", "{2}", "1 / 0"]}}
    flow = lower(workflow({**node, "batch": {**node["batch"], "as": "v"}}), project, "gen")
    ended = run(flow, "--resume", cwd=project)
    assert ended.returncode == 1
    assert "warning: Batch 'odd': 1 result(s) are not JSON, so they were not journalled" in ended.stderr
    assert "what is done is kept" in ended.stderr


@pytest.mark.parametrize("fresh", [False, True])
def test_after_a_success_a_run_starts_afresh_whatever_other_inputs_have_left(project: Path, fresh: bool) -> None:
    """Whoever mends a bad item runs other inputs: what the failed run has left is used once, and not for ever."""
    flow, calls = lower(WORDS, project, "gen"), project / "calls"

    def called(words: str, *flags: str, **environment: str) -> list[str]:
        before = len(calls.read_text().split()) if calls.exists() else 0
        ended = run(flow, "--resume", f"words={words}", *flags, cwd=project, CALLS=str(calls), **environment)
        assert ended.returncode == (1 if environment else 0), ended.stderr
        return [call for call in calls.read_text().split()[before:] if call != "4711"]

    assert called('["a", "c"]', FAILS="c") == ["a", "c"]
    assert called('["a", "b"]', *(["--fresh"] if fresh else [])) == (["a", "b"] if fresh else ["b"])
    assert called('["a", "b"]') == ["a", "b"]
    assert called('["a", "b"]') == ["a", "b"]
    assert called('["a", "c"]') == ["c"], "the failed run goes on"
    assert not list((project / "state").rglob("*.db"))


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("keeps_its_workflow", [False, True])
def test_all_batches_of_a_flow_that_is_called_share_one_journal_with_the_command_line(
    project: Path, is_async: bool, keeps_its_workflow: bool
) -> None:
    ir = json.loads(json.dumps(TWO_BATCHES).replace("nodes:Shout", "nodes:AsyncShout" if is_async else "nodes:Shout"))
    flow = lower(ir, project, "gen")
    if not keeps_its_workflow:
        (project / "flows" / "wf.json").unlink()
    calls = project / "calls"
    called = 'from gen import flow; flow.build_flow().run({"words": ["a", "b"]})'
    assert run("-c", called, cwd=project, FAILS="two-b").returncode == 1
    (journal,) = (project / "state").rglob("*.db")
    assert journal.name.startswith("wf-")
    assert run(flow, 'words=["a", "b"]', cwd=project, FAILS="two-b", CALLS=str(calls)).returncode == 1
    assert calls.read_text().split() == ["two-b"]
    calls.unlink()
    ended = run("-c", called, cwd=project, CALLS=str(calls))
    assert ended.returncode == 0, ended.stderr
    assert calls.read_text().split() == ["two-b"]
    assert not list((project / "state").rglob("*.db"))


@pytest.mark.slow
@pytest.mark.parametrize("called", ["program", "build_flow"])
@pytest.mark.parametrize("table", ["[tool.pflow-lower.journal]\ndir = 'kept'\n", ""])
def test_a_program_has_its_journal_where_the_table_says(project: Path, called: str, table: str) -> None:
    """As `pflow-lower run` has it; the environment comes first, there and here."""
    (project / "pyproject.toml").write_text(table)
    flow = lower(TWO_BATCHES, project, "gen")
    words = json.dumps(["a", "b"])
    call = f'from gen import flow; flow.build_flow().run({{"words": {words}}})'
    command = [flow, f"words={words}"] if called == "program" else ["-c", call]
    assert run(*command, cwd=project, FAILS="two-b").returncode == 1
    (journal,) = (project / ("kept" if table else "state")).rglob("*.db")
    assert journal_folder_of(str(project / "flows" / "wf.json")) == journal.parent or not table
    assert run(*command, cwd=project, FAILS="two-b", PFLOW_LOWER_JOURNAL=str(project / "own")).returncode == 1
    assert len(list((project / "own").rglob("*.db"))) == 1
    assert run(*command, cwd=project).returncode == 0
    assert not journal.exists()


def test_a_class_called_like_the_generated_one_tries_again_and_an_output_of_several_parts(project: Path) -> None:
    (project / "flows" / "own.py").write_text(
        "from pocketflow import Node\n\nclass ShoutBatch(Node):\n"
        "    def prep(self, shared): return self.params['w']\n"
        "    def exec(self, word):\n"
        "        if self.cur_retry < self.max_retries - 1: raise RuntimeError('not yet')\n"
        "        return f'{word}, try {self.cur_retry + 1}'\n"
        "    def post(self, shared, word, said): shared['said'] = said\n"
    )
    node = {"type": "own:ShoutBatch", "params": {"w": "${item}"}, "retry": {"max": 3}}
    batch = {**node, "id": "shout", "batch": {"items": ["a", "b"]}}
    last = {**node, "id": "last", "params": {"w": "c"}, "retry": {"max": 2}}
    output = "${last.said}; ${shout.count} more"
    ir = {
        "nodes": [batch, last],
        "edges": [{"from": "shout", "to": "last"}],
        "outputs": {"all": {"source": output}, "said": {"source": "${shout.results[1].said}"}},
    }
    printed = outputs(run(lower(ir, project, "gen"), cwd=project))
    assert printed == {"all": "c, try 2; 2 more", "said": "b, try 3"}


@pytest.mark.slow
def test_a_program_says_that_answers_of_an_earlier_run_are_there(project: Path) -> None:
    """Somebody may have mended the class in between, and must not wonder where its old answers come from."""
    flow = lower(WORDS, project, "gen")
    words = 'words=["a", "b"]'
    first = run(flow, "--resume", words, cwd=project, FAILS="b")
    assert first.returncode == 1 and "earlier runs" not in first.stderr
    quiet = run(flow, "--resume", "--quiet", words, cwd=project, FAILS="b")
    assert quiet.returncode == 1 and "earlier runs" not in quiet.stderr
    again = run(flow, "--resume", words, cwd=project)
    assert again.returncode == 0
    assert "holds 1 answer of earlier runs; an item that asks the same is not run again\n" in again.stderr


@pytest.mark.slow
def test_items_that_start_a_workflow_are_other_ones_when_that_has_changed(project: Path) -> None:
    pytest.importorskip("pflow")
    child = (
        "# Child\n\nC.\n\n## Inputs\n\n### n\n\nN.\n\n- type: number\n\n## Steps\n\n### x\n\nX.\n\n- type: shell\n\n"
        "```shell command\ntest ${n} -lt 3 && echo $((${n} * 10))\n```\n\n"
        "## Outputs\n\n### out\n\nO.\n\n- source: ${x.stdout}\n"
    )
    node = {"id": "each", "type": "workflow", "params": {"workflow": "./child.pflow.md", "inputs": {"n": "${it}"}}}
    node["batch"] = {"items": [1, 2, 3], "as": "it", "resume": True}
    file = project / "flows" / "child.pflow.md"
    file.write_text(child)
    flow = lower({"nodes": [node], "outputs": {"said": {"source": "${each.results}"}}}, project, "gen")
    failed = run(flow, cwd=project)
    assert failed.returncode == 1 and "1 of 3 items that ran failed" in failed.stderr, failed.stderr
    file.write_text(child.replace("test ${n} -lt 3 && ", "").replace("* 10", "* 100"))
    said = outputs(run(flow, cwd=project))["said"]
    assert [str(found["out"]) for found in said] == ["100", "200", "300"]


@pytest.mark.slow
def test_fresh_forgets(project: Path) -> None:
    flow = lower(WORDS, project, "gen")
    words, calls = 'words=["a", "b"]', project / "calls"
    assert run(flow, "--resume", words, cwd=project, FAILS="b").returncode == 1
    outputs(run(flow, "--resume", "--fresh", words, cwd=project, CALLS=str(calls)))
    assert calls.read_text().split() == ["4711", "a", "b"]


@pytest.mark.slow
def test_fresh_leaves_what_runs_of_other_inputs_have_journalled(project: Path) -> None:
    """Their answers are not used, either: an item that asks the same is run again."""
    flow = lower(WORDS, project, "gen")
    one, two, calls = 'words=["a", "b"]', 'words=["a", "c"]', project / "calls"
    assert run(flow, "--resume", one, cwd=project, FAILS="b").returncode == 1
    assert run(flow, "--resume", two, cwd=project, FAILS="c").returncode == 1
    outputs(run(flow, "--resume", "--fresh", two, cwd=project, CALLS=str(calls)))
    assert calls.read_text().split() == ["4711", "a", "c"]
    calls.unlink()
    outputs(run(flow, "--resume", one, cwd=project, CALLS=str(calls)))
    assert calls.read_text().split() == ["4711", "b"]
    assert not list((project / "state").rglob("*.db"))


def test_a_journal_that_cannot_be_read_is_not_called_the_way_on(project: Path) -> None:
    flow = lower(WORDS, project, "gen")
    words, state = 'words=["a", "b"]', project / "state"
    assert run(flow, "--resume", words, cwd=project, FAILS="b", PFLOW_LOWER_JOURNAL=str(state)).returncode == 1
    (journal,) = state.glob("*.db")
    for beside in state.glob("*.db-*"):
        beside.unlink()
    journal.write_text("damaged")
    ended = run(flow, "--resume", words, cwd=project, PFLOW_LOWER_JOURNAL=str(state))
    assert ended.returncode == 2 and "cannot use the journal" in ended.stderr
    assert "what is done is kept" not in ended.stderr


@pytest.mark.slow
def test_a_budget_that_no_cost_counted_against_is_said(project: Path) -> None:
    flow = lower(WORDS, project, "gen")
    file, words = project / "flows" / "nodes.py", 'words=["a", "b"]'
    priced = file.read_text()
    file.write_text(priced.replace('shared["llm_usage"] = {"cost_usd": 1.0}', "pass"))
    for fails, status, items in (("", 0, "the 2 items"), ("b", 1, "the one item")):
        ended = run(flow, "--budget", "3.00", words, cwd=project, FAILS=fails)
        said = f"warning: no cost is known of {items} that ended well, so the budget of $3.00 has bounded nothing\n"
        assert ended.returncode == status and ended.stderr.count(said) == 1, ended.stderr
    assert "no cost is known" not in run(flow, words, cwd=project).stderr
    file.write_text(priced)
    assert "no cost is known" not in run(flow, "--budget", "9.00", words, cwd=project).stderr


def test_a_budget_ends_the_run_and_says_how_to_go_on(project: Path) -> None:
    flow = lower(WORDS, project, "gen")
    words, calls = 'words=["a", "b", "c"]', project / "calls"
    ended = run(flow, "--budget", "3.00", words, cwd=project, CALLS=str(calls))
    assert ended.returncode == 1 and ended.stdout == ""
    assert "Batch 'shout' ended early: the budget of $3.00 is reached" in ended.stderr
    assert calls.read_text().split() == ["4711", "a", "b"]  # the first step costs as much
    assert "--resume" in ended.stderr  # nothing is kept without it
    ended = run(flow, "--resume", "--budget", "3.00", words, cwd=project)
    assert ended.returncode == 1 and "what is done is kept" in ended.stderr
    assert len(outputs(run(flow, "--resume", "--budget", "3.00", words, cwd=project))["said"]) == 3


def test_a_limit_is_said(project: Path) -> None:
    ended = run(lower(WORDS, project, "gen"), "--limit=2", 'words=["a", "b", "c"]', cwd=project)
    assert len(outputs(ended)["said"]) == 2
    assert "only the first 2 items of 3 ran" in ended.stderr


def test_two_runs_at_once_with_one_journal(project: Path) -> None:
    flow = lower(WORDS, project, "gen")
    calls = project / "calls"
    over = project / "over"  # until that is there, the first run has not ended
    environment = {"CALLS": str(calls), "UNTIL": str(over), "PFLOW_LOWER_STATE": str(project / "state")}
    first = subprocess.Popen(
        [sys.executable, flow, "--resume", 'words=["a"]'],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: calls.exists() and "4711" in calls.read_text().split())
    ended = run(flow, "--resume", 'words=["b"]', cwd=project, CALLS=str(project / "others"))
    over.touch()
    first.communicate(timeout=60)
    assert ended.returncode == 2 and not (project / "others").exists(), ended.stderr  # before anything was run


def test_options_that_have_no_effect_say_so(project: Path) -> None:
    flow = lower(workflow({"id": "x", "type": "nodes:Shout", "params": {"say": "a"}}), project, "gen")
    ended = run(flow, "--limit", "3", "--resume", cwd=project)
    assert outputs(ended)["x"]["said"] == "A"
    assert ended.stderr == "warning: no batch ran, so --resume and --limit had no effect\n"


def test_a_journal_that_cannot_be_had_is_said_before_anything_runs(project: Path) -> None:
    flow = lower(WORDS, project, "gen")
    (project / "file").write_text("")
    environment = {"PFLOW_LOWER_STATE": str(project / "file"), "CALLS": str(project / "calls")}
    ended = run(flow, "--resume", 'words=["a"]', cwd=project, **environment)
    assert ended.returncode == 2 and ended.stderr.startswith("error: ") and not (project / "calls").exists()
    assert "step '" not in ended.stderr


# --- What build_flow gives


ASYNC = workflow(
    {"id": "one", "type": "nodes:AsyncShout", "params": {"say": "x"}},
    {
        "id": "many",
        "type": "nodes:AsyncShout",
        "params": {"say": "${item}"},
        "batch": {"items": ["a", "b"], "parallel": True},
    },
    {"id": "last", "type": "nodes:Shout", "params": {"say": "${one.said}${many.count}"}},
    outputs={
        "one": {"source": "${one.said}"},
        "many": {"source": "${many.results}"},
        "last": {"source": "${last.said}"},
    },
)


def test_an_asynchronous_workflow_can_be_awaited(project: Path) -> None:
    flow = lower(ASYNC, project, "gen")
    found = outputs(run(flow, cwd=project))
    assert found["one"] == "X" and found["last"] == "X2" and [r["said"] for r in found["many"]] == ["A", "B"]
    code = """if True:
        import asyncio
        from pocketflow import AsyncFlow
        from gen import flow

        async def main():
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    ticks += 1
                    await asyncio.sleep(0.001)

            ticking = asyncio.create_task(tick())
            built = flow.build_flow()
            assert isinstance(built, AsyncFlow)
            shared = {}
            await built.run_async(shared)
            ticking.cancel()
            assert ticks > 3, ticks
            print(flow.outputs(shared)["last"])

        asyncio.run(main())
        shared = {}
        flow.build_flow().run(shared)
        print(flow.outputs(shared)["last"])
    """
    ended = run("-c", code, cwd=project)
    assert ended.stdout == "X2\nX2\n", ended.stderr


def test_retry_of_a_node_is_that_of_its_class(project: Path) -> None:
    retry = {"max": 4, "wait": 0}
    batch = {"id": "try_it", "type": "nodes:Flaky", "retry": retry, "params": {}, "batch": {"items": ["a"]}}
    flow = lower(workflow(batch), project, "gen")
    assert outputs(run(flow, cwd=project))["try_it"]["results"][0]["tries"] == 3
    code = """if True:
        import sys
        sys.path.insert(0, "flows")
        from gen.nodes import Try_ItBatch
        import nodes
        shared = {}
        Try_ItBatch(nodes.Flaky()).run(shared)
        print(shared["try_it"]["results"][0]["tries"])
    """
    ended = run("-c", code, cwd=project)
    assert ended.stdout == "3\n", ended.stderr


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("(('a', 1), ('b', 2))", ["A", "B"]),
        ("(pair for pair in [('a', 1), ('b', 2)])", ["A", "B"]),
        ("{'a': 1, 'b': 2}.items()", ["A", "B"]),
        ("__import__('collections').deque([['a'], ['b']])", ["A", "B"]),
    ],
)
def test_items_may_be_any_iterable(project: Path, value: str, said: list[str]) -> None:
    source = {"id": "src", "type": "nodes:Odd", "params": {"value": value}}
    shout = {
        "id": "shout",
        "type": "nodes:Shout",
        "params": {"say": "${item[0]}"},
        "batch": {"items": "${src.value}"},
    }
    found = outputs(run(lower(workflow(source, shout), project, "gen"), cwd=project))
    assert [result["said"] for result in found["shout"]["results"]] == said


@pytest.mark.parametrize("value", ["{'a': 1}", "5", "b'ab'"])
def test_what_cannot_be_gone_through_is_refused(project: Path, value: str) -> None:
    source = {"id": "src", "type": "nodes:Odd", "params": {"value": value}}
    shout = {"id": "shout", "type": "nodes:Shout", "params": {"say": "x"}, "batch": {"items": "${src.value}"}}
    ended = run(lower(workflow(source, shout), project, "gen"), cwd=project)
    assert ended.returncode == 1 and "batch items must be an array" in ended.stderr


def test_one_flow_from_several_threads(project: Path) -> None:
    lower(workflow({"id": "x", "type": "nodes:Shout", "params": {"say": "${who}"}}, inputs={"who": {}}), project, "gen")
    code = """if True:
        import threading
        from gen import flow
        built = flow.build_flow()
        wrong = []

        def go(who):
            for _ in range(50):
                shared = {"who": who}
                built.run(shared)
                if shared["x"]["said"] != who.upper():
                    wrong.append(shared)

        threads = [threading.Thread(target=go, args=(c,)) for c in "abcd"]
        [t.start() for t in threads]
        [t.join() for t in threads]
        print(len(wrong))
    """
    ended = run("-c", code, cwd=project, SECONDS="0.001")
    assert ended.stdout == "0\n", ended.stderr + ended.stdout


def test_a_program_knows_generated_files_as_the_compiler_does() -> None:
    """The runtime may import nothing of the compiler, so it says both once more."""
    assert (MARK.encode(), HEADER_BYTES) == (start._MARK, start._HEADER_BYTES)
