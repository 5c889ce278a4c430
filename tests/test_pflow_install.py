"""pflow-lower inside pflow's own command line and in programs: nothing changes but how batches run."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pflow")

from helpers.pflow_sessions import FLOWS, Commands, compare

import pflow_lower.pflow
from pflow_lower.files.generated_header import header_of, is_dumped

REPORT = "report.pflow.md"

# --- pflow's command line, byte by byte

SESSIONS: dict[str, Commands] = {
    "run": [
        (0, [REPORT, "--dry-run"]),
        (0, [REPORT, "--validate-only"]),
        (0, [REPORT]),
        (0, [REPORT, "style=calm", "--output-format", "json"]),
        (0, [REPORT, "--only", "greet"]),
        (0, [REPORT, "--only", "spell", "--output-format", "json"]),
        (0, [REPORT, "-p", "-o", "page"]),
        (0, ["-v", REPORT, "--no-cache"]),
        (0, [REPORT, "--dry-run", "--output-format", "json"]),
        (0, ["run", REPORT, "people=[]", "--output-format", "json"]),
        (1, [REPORT, "people=nonsense"]),
        (1, ["no-such-file.pflow.md"]),
        (0, ["--version"]),
    ],
    "report": [
        (0, [REPORT, "--no-cache", "--report"]),
        (0, ["report"]),
        (0, [REPORT, "--no-trace"]),
        (0, ["mermaid", REPORT]),
        (0, ["analyze-cache", REPORT]),
    ],
    "saved": [
        (0, ["save", REPORT, "--name", "greetings"]),
        (0, ["greetings", "style=odd", "--output-format", "json"]),
        (0, ["greetings", "style=odd", "--only", "count"]),
        (0, ["history", "greetings"]),
        (0, ["describe", "greetings"]),
    ],
    "resume": [
        (1, ["fails.pflow.md", "key={tmp}/key"]),
        (1, ["fails.pflow.md", "key={tmp}/key", "--output-format", "json"]),
        (1, ["resume", "fails.pflow.md"]),
        (1, ["resume", "fails.pflow.md", "--force"]),
        (0, ["fails.pflow.md", "key=/", "--output-format", "json"]),
        (0, ["fails.pflow.md", "key=/", "--output-format", "json"]),  # cached, where it may be
        (0, ["fails.pflow.md", "key=/", "--dry-run"]),
    ],
}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork makes this fast")
@pytest.mark.parametrize("name", SESSIONS)
def test_pflow_commands_give_the_same(name: str, tmp_path: Path) -> None:
    compare(SESSIONS[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["pflow", "run"])
def test_the_commands(start: str, tmp_path: Path) -> None:
    """`pflow-lower pflow` and `pflow-lower run` as they are typed; JSON output is the same, times aside."""
    home = tmp_path / "home"
    home.mkdir()
    env = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "PYTHONUTF8": "1"}
    arguments = [REPORT, "style=calm", "--output-format", "json"]
    printed = []
    for command in (["pflow.cli"], ["pflow_lower", start]):
        done = subprocess.run(
            [sys.executable, "-m", *command, *arguments],
            capture_output=True,
            encoding="utf-8",
            cwd=FLOWS,
            env={**env, "PFLOW_LOWER_DUMP": str(tmp_path / "dump")},
            check=True,
        )
        printed.append([re.sub(r'("[\w-]+": )\d+\.\d+', r"\1<number>", line) for line in done.stdout.splitlines()])
    assert printed[0] == printed[1]
    written = sorted(path.relative_to(tmp_path / "dump").as_posix() for path in (tmp_path / "dump").rglob("*.py"))
    assert written == ["letter/nodes.py", "report/nodes.py", "spell/nodes.py"]
    assert "class GreetBatch(" in (tmp_path / "dump" / "report" / "nodes.py").read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["--limt", "3"], 2, r"No such option\W+--limt\W+Did you mean \W*limit\W"),
        (["--budjet=3"], 2, r"No such option\W+--budjet\W+Did you mean \W*budget\W"),
        (["-resume"], 2, r"No such option\W+-resume\W+Did you mean \W*resume\W"),
        (["--nothing-alike"], 1, "Unknown option '--nothing-alike'"),  # pflow's to say
        (["--", "--limt"], 1, "Unknown option '--limt'"),
        (["--only", "greet"], 1, "then retry --only"),  # nearly `--on`; there is no run whose results it could take
        (["style=--limt"], 0, ""),
    ],
)
def test_a_misspelt_option_of_run_is_told_before_anything_runs(
    arguments: list[str], status: int, expected: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pflow_lower", "run", REPORT, "--dry-run", *arguments],
        capture_output=True,
        check=False,
        encoding="utf-8",
        cwd=FLOWS,
        env={**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONUTF8": "1"},
    )
    assert done.returncode == status and re.search(expected, done.stderr), done  # click's words vary with its versions


def test_run_tells_of_a_table_that_nobody_reads(tmp_path: Path) -> None:
    shutil.copy(FLOWS / "spell.pflow.md", tmp_path / "spell.pflow.md")
    (tmp_path / "pflow-lower.toml").write_text("[rate]\nall = '1/s'\n")
    done = subprocess.run(
        [sys.executable, "-m", "pflow_lower", "run", "spell.pflow.md", "--dry-run"],
        capture_output=True,
        check=False,
        encoding="utf-8",
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONUTF8": "1"},
    )
    assert (
        done.stderr.count("pflow-lower.toml:1:1: warning[PFL413] rate: unknown key 'rate'\n  did you mean [rates]?")
        == 1
    )


def test_usage_is_pflows() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pflow_lower", "pflow", "--help"], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.startswith("Usage: pflow [OPTIONS] COMMAND")


# --- In process


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anything in it; and whatever a test switches on is off after it."""
    folder = tmp_path / "a home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return folder


@pytest.fixture
def step(home: Path) -> Iterator[None]:
    pflow_lower.pflow.install()
    yield
    pflow_lower.pflow.uninstall()


def run(ir: Any, cache: bool = False, **inputs: Any) -> Any:
    from pflow.execution.result import RunnerConfig
    from pflow.execution.runner import WorkflowRunner

    if isinstance(ir, dict):
        ir = json.loads(json.dumps(ir))
    return WorkflowRunner().run(ir, inputs, RunnerConfig(trace_enabled=False, cache_enabled=cache))


def batch(params: dict[str, Any], type: str = "shell", **node: Any) -> dict[str, Any]:
    """A workflow of one batch node, `b`."""
    node = {"id": "b", "type": type, "params": params, "batch": {"items": ["x", "y"]}, **node}
    return {"nodes": [node], "edges": []}


def told(result: Any) -> list[Any]:
    return [found["stdout"] for found in result.shared_after["b"]["results"]]


def test_a_pflow_that_was_imported_before_is_watched_everywhere(home: Path) -> None:
    script = (
        "from pflow_lower import before_pflow\n"
        "from pflow.runtime import workflow_executor\n"
        "from pflow.execution import runner\n"
        "from pflow_lower.pflow import is_installed\n"
        "from pflow_lower.pflow.lazy_install import install_when_imported\n"
        "before = workflow_executor.compile_workflow\n"
        "install_when_imported()\n"
        "assert workflow_executor.compile_workflow is not before and not is_installed()\n"
        "try:\n    workflow_executor.compile_workflow({}, None)\nexcept Exception:\n    pass\n"
        "print(is_installed())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_install_is_idempotent(home: Path) -> None:
    from pflow.core.workflow.validator import WorkflowValidator
    from pflow.runtime import workflow_executor
    from pflow.runtime.compilation import compiler

    def functions() -> list[Any]:
        return [compiler.compile_workflow, workflow_executor.compile_workflow, vars(WorkflowValidator)["validate"]]

    before = functions()
    assert not pflow_lower.pflow.is_installed()
    pflow_lower.pflow.install()
    once = functions()
    pflow_lower.pflow.install()
    assert functions() == once and pflow_lower.pflow.is_installed()
    assert not any(one is other for one, other in zip(before, once, strict=True))
    pflow_lower.pflow.uninstall()
    pflow_lower.pflow.uninstall()
    assert functions() == before and not pflow_lower.pflow.is_installed()


def test_install_refuses_another_pflow(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pflow.runtime.engine import batch_executor

    monkeypatch.delattr(batch_executor, "execute_batch")
    with pytest.raises(
        pflow_lower.pflow.Unsupported, match=r"pflow 0\.16.* has no .*execute_batch; .*supports pflow .*0\.16"
    ):
        pflow_lower.pflow.install()
    assert not pflow_lower.pflow.is_installed()


def test_nothing_is_written_to_the_users_home(home: Path) -> None:
    """What pflow itself writes there, the same with pflow-lower as without, and none of it is of ours."""

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in home.rglob("*") if path.suffix == ".json"}

    assert run(batch({"command": "echo ${item}"})).success
    before = files()
    pflow_lower.pflow.install()
    try:
        assert run(batch({"command": "echo ${item}"})).success
    finally:
        pflow_lower.pflow.uninstall()
    assert files() == before
    assert not any(b"pflow_lower" in content or b"Batch(BatchNode)" in content for content in before.values())


# --- The memo cache

STYLED = {
    "inputs": {"style": {"type": "string", "required": True}},
    **batch({"command": "echo '${style}: ${item}'"}, cache=True),
}


def test_the_stale_answers_of_pflows_cache_are_gone(home: Path) -> None:
    """pflow keys a cached batch on the template's text and the items: not on what else the text refers to."""
    assert told(run(STYLED, True, style="odd")) == ["odd: x", "odd: y"]
    assert told(run(STYLED, True, style="calm")) == ["odd: x", "odd: y"]  # pflow's own: stale

    pflow_lower.pflow.install()
    try:
        assert told(run(STYLED, True, style="odd")) == ["odd: x", "odd: y"]
        assert told(run(STYLED, True, style="calm")) == ["calm: x", "calm: y"]
        for style in ("odd", "calm"):  # what did not change does come from the cache
            again = run(STYLED, True, style=style)
            assert told(again) == [f"{style}: x", f"{style}: y"]
            assert again.shared_after["__cache_hits__"] == ["b"]
    finally:
        pflow_lower.pflow.uninstall()


def key_of(ir: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **inputs: Any) -> Any:
    """The key under which pflow looks for the outcome of `b`."""
    from pflow.runtime.engine import instrumentation

    keys: list[Any] = []
    compute = instrumentation._compute_memo_cache_key

    def noted(*arguments: Any, **keywords: Any) -> Any:
        keys.append(compute(*arguments, **keywords))
        return keys[-1]

    with monkeypatch.context() as patch:
        patch.setattr(instrumentation, "_compute_memo_cache_key", noted)
        run(ir, True, **inputs)
    assert keys
    return keys[0]


def test_the_cache_key_covers_what_stands_beside_inputs_given_by_a_reference(
    step: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = {**STYLED["nodes"][0], "params": {**STYLED["nodes"][0]["params"], "inputs": "${item}"}}
    given: dict[str, Any] = {**STYLED, "nodes": [{**node, "batch": {"items": [{"x": 1}]}}]}
    assert key_of(given, monkeypatch, style="odd") not in (None, key_of(given, monkeypatch, style="calm"))


def test_the_cache_key_covers_all_that_matters(step: None, monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(STYLED, monkeypatch, style="odd")
    assert key is not None
    assert key_of(STYLED, monkeypatch, style="odd") == key
    node = STYLED["nodes"][0]
    changes: list[dict[str, Any]] = [
        {
            "type": "code",
            "params": {"code": "a: str\nb: str\nresult: str = a", "inputs": {"a": "${style}", "b": "${item}"}},
        },
        {"params": {"command": "echo '${style}: ${item}!'"}},  # the text
        {"params": {**node["params"], "timeout": 7}},  # a parameter without a template
        {"params": {"command": "echo '${style}: ${item} ${batch_index}'"}},
        {"params": {"command": "echo '${style}: ${item} ${batch_total}'"}},
        {"batch": {"items": ["x"]}},
        {"batch": {"items": ["x", "y"], "max_retries": 2}},
        {"batch": {"items": ["x", "y"], "error_handling": "continue"}},
    ]
    others = [key_of({**STYLED, "nodes": [{**node, **change}]}, monkeypatch, style="odd") for change in changes]
    others.append(key_of(STYLED, monkeypatch, style="calm"))
    assert len({key, *others}) == 1 + len(others)


# --- Names of ours


def test_batch_index_and_batch_total(step: None) -> None:
    result = run(str(FLOWS / "numbers.pflow.md"))
    assert [one["stdout"] for one in result.shared_after["number"]["results"]] == [
        f"{name} is {index} of 3" for index, name in enumerate("abc")
    ]
    children = [child["said"] for child in result.shared_after["child"]["results"]]
    assert [[one["result"] for one in child] for child in children] == [
        [f"{index}/3 0", f"{index}/3 1"] for index in range(3)
    ]


def test_without_the_step_pflow_refuses_them(home: Path) -> None:
    assert not run(str(FLOWS / "numbers.pflow.md")).success


@pytest.mark.parametrize("owner", ["input", "alias", "node"])
def test_declared_names_win(step: None, owner: str) -> None:
    ir = batch({"command": "printf '%s' '${batch_total}'"})
    node, inputs = ir["nodes"][0], {}
    if owner == "input":
        ir["inputs"] = {"batch_total": {"type": "string", "required": True}}
        inputs = {"batch_total": "mine"}
    elif owner == "alias":
        node["batch"] = {"items": ["mine", "mine"], "as": "batch_total"}
    else:
        ir["nodes"].insert(0, {"id": "batch_total", "type": "shell", "params": {"command": "printf mine"}})
        ir["edges"] = [{"from": "batch_total", "to": "b"}]
        node["params"]["command"] = "printf '%s' '${batch_total.stdout}'"
    assert told(run(ir, **inputs)) == ["mine", "mine"]


def test_missing_values_beside_our_names(step: None) -> None:
    """pflow's own resolver, which is asked about a value that is missing, knows them too."""
    ir = batch({"command": "printf '%s' '${batch_index}/${batch_total} ${item.name}'"})
    ir["nodes"][0]["batch"] = {"items": [{"name": "a"}, {}], "error_handling": "continue"}
    assert told(run(ir)) == ["0/2 a"]
    error = run(ir).shared_after["b"]["errors"][0]["error"]
    assert "${item.name}" in error and "batch_index" not in error.partition("\n\n")[2].partition("\n")[0]
    ir["template_resolution_mode"] = "permissive"
    assert told(run(ir)) == ["0/2 a", "1/2 ${item.name}"]


def test_outside_a_batch_they_mean_nothing(step: None) -> None:
    ir = batch({"command": "echo ${batch_index}"})
    del ir["nodes"][0]["batch"]
    assert "${batch_index}" in run(ir).errors[0].message


def test_names_of_ours_that_cannot_be_lowered(step: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from pflow_lower.lowering import lower as lowering

    def broken(*_: Any) -> Any:
        raise RuntimeError("no way")

    monkeypatch.setattr(lowering, "lower", broken)
    error = run(batch({"command": "echo unheard ${batch_index}"})).errors[0]
    assert error.node_id == "b"
    assert "${batch_index} is known in lowered batch nodes only" in error.message
    assert "no way" in error.message


def test_workflows_without_them_are_handed_on_untouched() -> None:
    from pflow_lower.pflow.batch_names import as_pflow_knows_it

    plain = batch({"command": 'echo $${batch_index} ${item.batch_index} ${item ?? "batch_total"} batch_index'})
    assert as_pflow_knows_it(plain) is plain
    ours = batch(
        {"command": 'a ${batch_index} ${item[${batch_index}]} ${batch_total ?? "batch_total"} $${batch_index}'}
    )
    known = as_pflow_knows_it(ours)["nodes"][0]["params"]["command"]
    assert known == 'a ${__index__} ${item[${__index__}]} ${__index__ ?? "batch_total"} $${batch_index}'


# --- Left to the interpreter


@pytest.mark.parametrize("kind", ["prompt_cache", "prewarm", "## Cache"])
def test_prompt_caches_stay_with_the_interpreter(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    ir: dict[str, Any] = {
        "inputs": {"text": {"type": "string", "required": True}},
        **batch({"prompt": "say ${item}${text}", "model": "gpt-4o"}, type="llm"),
    }
    node = ir["nodes"][0]
    if kind != "prewarm":
        ir["cache"] = {"items": [{"name": "text", "var": "text", "prose_before": ""}]}
        node["params"]["prompt"] = "say ${item}"
    if kind == "prompt_cache":
        node["prompt_cache"] = ["text"]
    elif kind == "prewarm":
        node["prewarm"] = True
    else:
        node["params"]["prompt"] += "${text}"
    from pflow.registry import Registry
    from pflow.runtime.compilation import compiler

    said = {
        "prompt_cache": "it uses prompt_cache",
        "prewarm": "it uses prewarm",
        "## Cache": "it is an llm node in a workflow with a ## Cache block",
    }
    pflow_lower.pflow.install()
    try:
        for _ in range(2):  # told once in a run, not once in a compile
            compiled = compiler.compile_workflow(json.loads(json.dumps(ir)), Registry(), {"text": "t"})
    finally:
        pflow_lower.pflow.uninstall()
    assert type(compiled.node_configs["b"].batch_config).__name__ == "BatchConfig"
    assert capsys.readouterr().err == f"pflow-lower: b runs interpreted: {said[kind]}\n"


def test_every_run_is_told(step: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from pflow_lower.lowering import lower as lowering

    def broken(*_: Any) -> Any:
        raise RuntimeError("no way")

    monkeypatch.setattr(lowering, "lower", broken)
    ir = batch({"command": "printf told"})
    assert told(run(ir)) == ["told", "told"]
    assert told(run(ir)) == ["told", "told"]
    expected = "pflow-lower: the workflow runs interpreted, since it could not be lowered: no way\n"
    assert capsys.readouterr().err.count(expected) == 2


# --- What a node finds in its store


def test_a_missing_key_is_missed_in_pflows_words(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pflow.nodes.shell.shell import ShellNode

    def post(self: Any, shared: Any, *_: Any) -> str:
        if "${" in repr(shared) or shared["item"] == "x":
            del shared["nothing"]
        return str(shared["nowhere"])

    monkeypatch.setattr(ShellNode, "post", post)
    ir = batch({"command": "true"})
    ir["nodes"][0]["batch"]["error_handling"] = "continue"
    said = [[error["error"] for error in run(ir).shared_after["__failures__"]["b"]["data"]["errors"]]]
    pflow_lower.pflow.install()
    try:
        said.append([error["error"] for error in run(ir).shared_after["__failures__"]["b"]["data"]["errors"]])
    finally:
        pflow_lower.pflow.uninstall()
    assert said[0] == said[1]
    assert "nothing" in said[0][0] and "nowhere" in said[0][1]


def test_an_output_called_item_is_logged(step: None, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """pflow's command line shows this warning."""
    caplog.set_level(logging.WARNING)
    (tmp_path / "child.pflow.md").write_text(
        "# Child\n\nChild.\n\n## Inputs\n\n### v\n\nIt.\n\n- type: any\n\n## Steps\n\n### s\n\nSays.\n\n- type: shell\n"
        "- command: printf '%s' '${v}'\n\n## Outputs\n\n### item\n\nIt.\n\n- source: ${s.stdout}\n"
    )
    ir = batch({"workflow": str(tmp_path / "child.pflow.md"), "inputs": {"v": "${item}"}}, type="workflow")
    assert run(ir).success
    warned = [record for record in caplog.records if "overwriting" in record.message]
    assert [record.existing_item for record in warned] == ["x", "y"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
@pytest.mark.parametrize("parallel", ["true", "false"])
def test_ctrl_c_says_what_was_done(tmp_path: Path, parallel: str) -> None:
    mark = tmp_path / "mark"
    flow = tmp_path / "slow.pflow.md"
    flow.write_text(
        "# Slow\n\nSlow.\n\n## Steps\n\n### go\n\nWaits.\n\n- type: code\n- inputs:\n    n: ${item}\n"
        f"- batch:\n    items: [0, 0, 0, 1, 1]\n    parallel: {parallel}\n    max_concurrent: 1\n\n"
        f"```python code\nn: int\nimport pathlib, time\nif n:\n    pathlib.Path({str(mark)!r}).touch()\n"
        "    for _ in range(60):\n        time.sleep(0.05)\nresult: int = n\n```\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-m", "pflow_lower", "pflow", flow.name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONUTF8": "1"},
    )
    while not mark.exists() and started.poll() is None:
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    done = 4 if parallel == "true" else 3  # a thread cannot be stopped: what was under way has ended
    assert f"pflow-lower: slow.pflow.md:7: go: interrupted when {done} of 5 items were done\n" in said


# --- Diagnosis


def test_an_exception_names_its_place(step: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pflow.nodes.shell.shell import ShellNode

    def post(self: Any, shared: Any, *_: Any) -> str:
        raise ValueError(f"not {shared['n']}" if shared["n"] else "none")

    monkeypatch.setattr(ShellNode, "post", post)
    flow = tmp_path / "breaks.pflow.md"
    flow.write_text(
        "# Breaks\n\nBreaks.\n\n## Steps\n\n### tell\n\nBreaks.\n\n- type: shell\n"
        "- batch:\n    items: [1, 0]\n    as: n\n    max_retries: 2\n    error_handling: continue\n\n"
        "```shell command\nprintf '%s' ${n}\n```\n"
    )
    records = run(str(flow)).shared_after["__failures__"]["tell"]["data"]["errors"]
    assert [record["error"] for record in records] == ["not 1", "none"]
    for index, record in enumerate(records):
        text = "".join(traceback.format_exception(record["exception"]))
        assert "return self.run_inner(call, params)" in text  # the generated line
        if sys.version_info >= (3, 11):
            assert f"breaks.pflow.md:7: tell: item [{index}], attempt 2 of 2" in text


def test_the_dump_keeps_workflows_apart(step: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = tmp_path / "dump"
    monkeypatch.setenv("PFLOW_LOWER_DUMP", str(dump))
    for word in ("one", "two"):
        assert run(batch({"command": f"echo {word} ${{item}}"})).success
    texts = [file.read_text() for file in sorted(dump.glob("workflow*/nodes.py"))]
    assert all(is_dumped(header_of(text) or "") for text in texts), "so that check tells them from what is committed"
    assert [word in text for word, text in zip(("one", "two"), texts, strict=True)] == [True, True]


def test_a_dump_that_cannot_be_written_is_no_failure(
    step: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dump").write_text("a file")
    monkeypatch.setenv("PFLOW_LOWER_DUMP", str(tmp_path / "dump"))
    assert told(run(batch({"command": "printf dumped"}))) == ["dumped", "dumped"]
    assert "pflow-lower: PFLOW_LOWER_DUMP: " in capsys.readouterr().err
