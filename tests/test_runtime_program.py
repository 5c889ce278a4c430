"""Steps of a generated program, its inputs, and how it ends."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pocketflow
import pytest
from helpers.command import Run
from helpers.scripted import Script, Scripted, lowered_class, store

from pflow_lower.runtime import (
    AsyncWorkflow,
    Shared,
    Step,
    Unresolved,
    Workflow,
    find,
    no_class,
    retrying,
    run_program,
    text,
)
from pflow_lower.runtime.arguments import dollars, read_inputs
from pflow_lower.runtime.batch_nodes import ThreadedBatchNode
from pflow_lower.runtime.ray_place import NO_AUTO
from pflow_lower.runtime.run import STATE_VARIABLE


class Echo(pocketflow.Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["said"] = self.params.get("say")
        shared["read"] = shared.get("topic")
        if "fail" in self.params:
            shared["error"] = self.params["fail"]
        return self.params.get("action")


class AsyncEcho(pocketflow.AsyncNode):
    async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        await asyncio.sleep(0)
        shared["said"] = self.params["say"]


# --- Steps


def test_a_step_writes_under_its_own_id() -> None:
    shared: dict[str, Any] = {"topic": "rain"}
    pocketflow.Flow(start=Step("one", Echo(), lambda shared: {"say": shared["topic"]})).run(shared)
    assert shared == {"topic": "rain", "one": {"said": "rain", "read": "rain"}}


def test_a_step_without_parameters() -> None:
    shared: dict[str, Any] = {}
    Step("one", Echo()).run(shared)
    assert shared["one"]["said"] is None


def test_an_asynchronous_step_in_both_kinds_of_flow() -> None:
    step = Step("one", AsyncEcho(), lambda shared: {"say": 1})
    shared: dict[str, Any] = {}
    pocketflow.Flow(start=step).run(shared)
    assert shared["one"] == {"said": 1}
    shared = {}
    asyncio.run(pocketflow.AsyncFlow(start=step).run_async(shared))
    assert shared["one"] == {"said": 1}


def test_a_step_that_runs_again_starts_afresh() -> None:
    shared: dict[str, Any] = {"one": {"left": "over"}}
    Step("one", Echo()).run(shared)
    assert "left" not in shared["one"]


@pytest.mark.parametrize(
    ("params", "edges", "error"),
    [
        ({"action": "error"}, [], "step 'one' failed: the node returned an error action"),
        ({"action": "error", "fail": "no network"}, ["default"], "step 'one' failed: no network"),
        ({"action": "error_x", "fail": "odd"}, ["error"], "step 'one' failed: odd"),
        ({"action": "maybe"}, ["yes", "no"], "step 'one' answered 'maybe', and its edges are for: yes, no"),
        ({}, ["yes"], "step 'one' answered None, and its edges are for: yes"),
    ],
)
def test_an_answer_that_no_edge_takes(params: dict[str, Any], edges: list[str], error: str) -> None:
    step = Step("one", Echo(), lambda shared: params)
    for edge in edges:
        step.next(Step("two", Echo()), edge)
    with pytest.raises(RuntimeError) as caught:
        pocketflow.Flow(start=step).run({})
    assert str(caught.value) == error


@pytest.mark.filterwarnings("ignore:Flow ends")
@pytest.mark.parametrize(
    ("params", "edges", "next_runs"),
    [
        ({"action": "error"}, ["error"], True),
        ({"action": "maybe"}, ["maybe"], True),
        ({}, ["default"], True),
        ({"action": "end"}, ["default"], False),
        ({"action": "maybe"}, ["error"], False),
        ({"action": "maybe"}, [], False),
    ],
)
def test_edges(params: dict[str, Any], edges: list[str], next_runs: bool) -> None:
    step = Step("one", Echo(), lambda shared: params)
    for edge in edges:
        step.next(Step("two", Echo()), edge)
    shared: dict[str, Any] = {}
    pocketflow.Flow(start=step).run(shared)
    assert ("two" in shared) is next_runs


def test_a_reference_that_finds_nothing_is_named() -> None:
    step = Step("one", Echo(), lambda shared: {"say": text(find(shared, "list", "items", 3, "x"))})
    with pytest.raises(Unresolved) as caught:
        step.run({"list": {"items": [1]}})
    assert str(caught.value) == "step 'one': ${list.items[3].x}: no [3] in a list of 1"


def test_retrying() -> None:
    node = retrying(Echo(), max_retries=4, wait=0.5, backoff="exponential")
    assert (node.max_retries, node.wait) == (4, 0.5)
    assert not hasattr(node, "backoff")  # PocketFlow has none


def test_no_class() -> None:
    with pytest.raises(LookupError, match=r"no class is known for the type 'odd' of step 'one'"):
        no_class("one", "odd")


# --- Inputs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())


@pytest.mark.parametrize(
    ("declared", "given", "value"),
    [
        ("string", "5", "5"), ("string", "a=b", "a=b"), ("string", "", ""), ("any", "[1]", [1]), (None, "x", "x"),
        ("any", "5", 5), ("any", "-1.5e3", -1500.0), (None, "TRUE", True), ("any", '"x"', '"x"'),
        ("any", "[1", "[1"), ("any", "nan", "nan"), (None, '{"a": 1}', {"a": 1}),
        ("integer", "-5", -5), ("number", "1e3", 1000.0), ("boolean", "Yes", True), ("boolean", "0", False),
        ("array", "[1, 2]", [1, 2]), ("object", '{"a": 1}', {"a": 1}),
    ],
)  # fmt: skip
def test_inputs_are_typed(declared: str | None, given: str, value: Any) -> None:
    spec = {"required": True} if declared is None else {"type": declared}
    assert read_inputs({"x": spec}, [f"x={given}"]) == {"x": value}


DEFAULTS: list[Any] = [None, "5", "1.5", "yes", "", "[1]", '{"a": 1}', "[", 5, 1.5, True, [1, "x"], {"a": None}, "text"]


@pytest.mark.parametrize("declared", ["string", "integer", "number", "boolean", "array", "object", "any", None])
@pytest.mark.parametrize("default", DEFAULTS, ids=repr)
def test_a_default_of_another_type_becomes_what_pflow_makes_of_it(declared: str | None, default: Any) -> None:
    pytest.importorskip("pflow")
    from pflow.core.param_coercion import coerce_workflow_input

    spec = {"default": default} if declared is None else {"type": declared, "default": default}
    made = read_inputs({"x": spec}, [])["x"]
    theirs = None if default is None else coerce_workflow_input(default, declared)
    assert (made, type(made)) == (theirs, type(theirs))


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        ("integer", "1.5"), ("number", "x"), ("boolean", "maybe"),
        ("array", '{"a": 1}'), ("object", "[1]"), ("array", "["),
    ],
)  # fmt: skip
def test_inputs_of_a_wrong_type(declared: str, given: str) -> None:
    with pytest.raises(ValueError, match=f"^the input x must be of type {declared}, not "):
        read_inputs({"x": {"type": declared}}, [f"x={given}"])


def test_inputs_that_are_not_given() -> None:
    inputs = {
        "style": {"type": "string", "default": "terse"},
        "limit": {"type": "integer", "required": False, "default": 3},
        "note": {"type": "string", "required": False},
    }
    assert read_inputs(inputs, []) == {"style": "terse", "limit": 3, "note": None}
    with pytest.raises(ValueError, match=r"^the input repo is missing: owner/name; give it as repo=\.\.\.$"):
        read_inputs({"repo": {"type": "string", "description": "owner/name"}}, [])


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("What to\nshout", "What to shout"),
        ("What to\n  shout. Loudly, please.\n\nOr not.", "What to shout. Loudly, please"),
        ("The name, e.g. Alice.", "The name, e.g. Alice"),
        ("Names of files, e.g. a.md, vs. folders.", "Names of files, e.g. a.md, vs. folders"),
        ("Ready?\nGo", "Ready? Go"),
        ("  \n", "words"),
        (None, "words"),
    ],
)
def test_an_input_that_is_missing_is_told_of_on_one_line(description: str | None, said: str) -> None:
    with pytest.raises(ValueError, match="is missing") as raised:
        read_inputs({"words": {"type": "string", "description": description}}, [])
    assert str(raised.value) == f"the input words is missing: {said}; give it as words=..."


@pytest.mark.parametrize("argument", ["limt=3", "limt", "=3"])
def test_arguments_that_are_no_inputs(argument: str) -> None:
    with pytest.raises(ValueError, match=r"is not an input of this workflow; its inputs: limit=\.\.\."):
        read_inputs({"limit": {}}, [argument])
    with pytest.raises(ValueError, match="its inputs: none"):
        read_inputs({}, [argument])


def test_an_input_without_its_value() -> None:
    with pytest.raises(ValueError, match=r"^the input limit needs a value: limit=\.\.\.$"):
        read_inputs({"limit": {}}, ["limit"])


def test_an_input_that_is_given_twice() -> None:
    with pytest.raises(ValueError, match=r"^the input limit is given twice, as '1' and '2'"):
        read_inputs({"limit": {}}, ["limit=1", "limit=2"])
    with pytest.raises(ValueError, match="given twice"):
        read_inputs({"limit": {}}, ["limit=1", "limit=1"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--budget", "0"], "'0' is not an amount of dollars above 0"),
        (["--budget", "$0.0"], "'$0.0' is not an amount of dollars above 0"),
        (["--budget=-1"], "'-1' is not an amount of dollars above 0"),
        (["--budget", "inf"], "'inf' is not an amount of dollars above 0"),
        (["--on", "rya"], "'rya' is not a place where batches run"),
        (["--limit", "0"], "limit"),
        (["k=1", "k=2"], "the input k is given twice, as '1' and '2'"),
    ],
)
def test_programs_and_pflow_lower_run_refuse_the_same(
    run: Run, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    status, out, err = run("run", "w.pflow.md", *options)
    assert (status, out) == (2, "")
    assert said in err
    inputs: Any = {"k": {"required": False}}
    flow = Workflow(start=Step("one", pocketflow.Node()))
    assert run_program(lambda: flow, inputs, lambda shared: {}, options) == 2
    assert said in capsys.readouterr().err


class Paid(pocketflow.Node):  # type: ignore[misc]
    """A step that must not run."""

    def exec(self, prep_res: Any) -> None:
        raise AssertionError("it has run")


@pytest.mark.parametrize("place", ["ray", "ray=10.0.0.1:6379"])
def test_ray_that_is_not_installed_is_said_before_the_first_step(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.setattr("pflow_lower.runtime.run.find_spec", lambda name: None)

    status, _, err = run("run", "w.pflow.md", "--on", place)
    assert status == 2 and "running on Ray needs ray: pip install ray" in err
    flow = Workflow(start=Step("one", Paid()))
    assert run_program(lambda: flow, {}, lambda shared: {}, ["--on", place]) == 2
    assert capsys.readouterr().err == "error: running on Ray needs ray: pip install ray\n"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_cluster_that_does_not_answer_is_said_before_the_first_step(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.setattr("pflow_lower.runtime.run.find_spec", lambda name: True)

    said = f"no Ray cluster answers at {address}: "
    status, _, err = run("run", "w.pflow.md", "--on", f"ray={address}")
    assert status == 2 and said in err
    flow = Workflow(start=Step("one", Paid()))
    assert run_program(lambda: flow, {}, lambda shared: {}, ["--on", f"ray={address}"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert run_program(lambda: flow, {}, lambda shared: {}, ["--on", "ray"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_a_port_at_which_something_else_listens_is_not_a_cluster(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.setattr("pflow_lower.runtime.run.find_spec", lambda name: True)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        flow = Workflow(start=Step("one", pocketflow.Node()))
        assert run_program(lambda: flow, {}, lambda shared: {}, ["--on", f"ray={address}"]) == 2
        thread.join()
    assert f"no Ray cluster answers at {address}: what listens there is not Ray's head" in capsys.readouterr().err


def test_what_ray_cannot_do_is_said_before_the_first_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pflow_lower.runtime.run.find_spec", lambda name: True)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    class Found(ThreadedBatchNode):
        node_id = "found"
        max_concurrent = "auto"

    paid = Step("paid", Paid())
    paid >> Found(pocketflow.Node())
    assert run_program(lambda: Workflow(start=paid), {}, lambda shared: {}, ["--on", "ray"]) == 2
    assert capsys.readouterr().err == f"error: found: {NO_AUTO}\n"


def test_a_budget_is_an_amount_with_or_without_its_sign() -> None:
    assert dollars("2.50") == dollars("$2.50") == 2.5


def test_an_input_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {"text": {"type": "string", "stdin": True}}
    monkeypatch.setattr(sys, "stdin", io.StringIO("piped\n"))
    assert read_inputs(inputs, []) == {"text": "piped\n"}
    assert read_inputs(inputs, ["text=given"]) == {"text": "given"}
    monkeypatch.setattr(sys, "stdin", Terminal("never read"))
    with pytest.raises(ValueError, match="the input text is missing"):
        read_inputs(inputs, [])


# --- Programs


def program(action: Any, arguments: list[str]) -> int:
    class Acting(pocketflow.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["out"] = action(shared)

    def outputs(shared: Shared) -> dict[str, Any]:
        return {"said": shared["one"]["out"]}

    inputs = {"word": {"type": "string"}}
    return run_program(lambda: Workflow(start=Step("one", Acting())), inputs, outputs, arguments)


def test_a_program_prints_its_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    def act(shared: Any) -> Any:
        shared["__warnings__"] = {"one": "odd"}
        return {"é": shared["word"], "type": int}

    assert program(act, ["word=hello"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"said": {"é": "hello", "type": "<class 'int'>"}}
    assert "é" in out
    assert err == "warning: odd\n"


def test_outputs_that_the_terminal_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, said in (("ascii", "\u00e9 \u2014"), ("utf-8", "\ud800")):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, write_through=True))
        assert program(lambda shared, said=said: said, ["word=x"]) == 0
        assert json.loads(written.getvalue()) == {"said": said}


def test_outputs_that_are_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert program(lambda shared: {(1, 2): "a tuple as key"}, ["word=x"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"said": {"(1, 2)": "a tuple as key"}}
    assert err == "warning: a key that JSON does not have is written as text (said.(1, 2))\n"


def test_an_end_beside_an_error_edge_is_no_warning() -> None:
    def build_flow() -> Any:
        first, second = Step("one", pocketflow.Node()), Step("two", pocketflow.Node())
        first - "error" >> second
        return Workflow(start=first)

    assert run_program(build_flow, {}, lambda shared: {}, []) == 0  # any warning is an error in these tests


def test_pflow_scans_its_nodes_beside_the_library_s_own_http() -> None:
    code = """if True:
        import sys
        import pocketflow
        from pflow_lower.runtime import Workflow, run_program
        assert "http.client" not in sys.modules
        sys.modules["pflow"] = sys
        run_program(lambda: Workflow(start=pocketflow.Node()), {}, lambda shared: {}, [])
        assert "http.client" in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wrong_setting_of_a_later_batch_is_said_before_the_first_step(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    batch = lowered_class(resume=True)(Scripted(Script([["ok"]])))
    batch.max_retries = 0
    first = Step("one", Echo())
    first >> batch
    shared: dict[str, Any] = store(["a"])
    said = "BBatch.max_retries must be a whole number between 1 and 10"
    for flow in (Workflow(start=first), Workflow(start=first, file="workflow.json")):
        with pytest.raises(ValueError, match=said):
            flow.run(shared)
    with pytest.raises(ValueError, match=said):
        asyncio.run(AsyncWorkflow(start=first).run_async(shared))
    assert run_program(lambda: Workflow(start=first), {}, lambda shared: {}, ["--fresh"]) == 1
    assert said in capsys.readouterr().err
    assert "one" not in shared and not list(tmp_path.iterdir())


def test_a_program_with_wrong_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert program(None, ["wrd=x"]) == 2
    assert capsys.readouterr().err == "error: 'wrd=x' is not an input of this workflow; its inputs: word=...\n"


def test_a_step_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    """What a batch says of itself begins with its name."""

    def act(shared: Any) -> Any:
        raise ValueError(f"{shared['word']}the items [0] and [1] have the same key, '1'")

    for word in ("", "one: ", "step 'one': ", "one: step 'one': "):
        assert program(act, [f"word={word}"]) == 1
        said = capsys.readouterr().err.splitlines()[0]
        assert said == "error: step 'one': the items [0] and [1] have the same key, '1'"


def test_a_program_that_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def act(shared: Any) -> Any:
        error = ValueError("no such city" if shared["word"] == "x" else "")
        if sys.version_info >= (3, 11):
            error.add_note("forecast: item [3], attempt 2 of 2")
        raise error

    assert program(act, ["word=x"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: step 'one': no such city\n")
    assert err.endswith("(set PFLOW_LOWER_TRACEBACK=1 to see where)\n")
    assert ("forecast: item [3], attempt 2 of 2\n" in err) == (sys.version_info >= (3, 11))
    assert program(act, ["word=y"]) == 1
    assert capsys.readouterr().err.startswith("error: step 'one': ValueError\n")
    monkeypatch.setenv("PFLOW_LOWER_TRACEBACK", "1")
    with pytest.raises(ValueError, match="no such city"):
        program(act, ["word=x"])


def test_a_program_that_is_called_in_a_task_is_cancelled_with_it() -> None:
    """What nobody has asked for, a node's own, is a failure: `tests/test_programs.py`."""

    def act(shared: Any) -> Any:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        raise asyncio.CancelledError

    async def call() -> int:
        return program(act, ["word=x"])

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(call())


def test_a_program_that_is_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    def act(shared: Any) -> Any:
        raise KeyboardInterrupt

    assert program(act, ["word=x"]) == 130
    assert capsys.readouterr().err.startswith("interrupted\n")
