"""`pflow-lower plan` beyond its golden cases: its numbers against runs in pflow, and what it refuses."""

from __future__ import annotations

import copy
import json
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers.command import Run

from pflow_lower import pipeline
from pflow_lower.runtime.ray_place import NO_AUTO
from pflow_lower.tools.plan.amount import Amount, Range
from pflow_lower.tools.plan.clock import Times, from_trace, makespan, of_calls, seconds
from pflow_lower.tools.plan.cluster import Cluster, dealt
from pflow_lower.tools.plan.plan_text import as_text, money, shown
from pflow_lower.tools.plan.run import plan


@pytest.fixture
def command(run: Run, tmp_path: Path) -> Run:
    """The command, run in a folder that holds w.json."""
    (tmp_path / "w.json").write_text(json.dumps(batch("http")))
    return partial(run, "plan")


def batch(type_name: str, items: Any = "${rows}", retry: Any = None, **settings: Any) -> dict[str, Any]:
    key = {"http": "url", "llm": "prompt", "shell": "command", "code": "code", "read-file": "file_path"}[type_name]
    model = {"model": "openai/gpt-5"} if type_name == "llm" else {}
    node = {"id": "b", "type": type_name, "params": {key: "${item}"} | model, "batch": {"items": items, **settings}}
    return {
        "ir_version": "0.1.0",
        "inputs": {"rows": {"type": "array", "description": "items"}},
        "nodes": [node | ({"retry": retry} if retry else {})],
        "edges": [],
    }


# --- The numbers, against runs


class Seen(NamedTuple):
    """What a run did: how often the node worked, how many at once, in how many seconds."""

    calls: int
    most: int
    took: float


def ran(ir: dict[str, Any], items: list[Any], seconds_each: float, *, fails: bool) -> Seen:
    """Run the batch `b` in pflow, as the generated class, on a clock that nobody waits for.

    Its node is replaced by one that takes its time and then, with `fails`, raises; what becomes of that in the end is
    the affair of its type. With `fails` the last attempt of an item succeeds where there is one that can.
    """
    from pflow.core.node import Node
    from pflow.registry import Registry
    from pflow.runtime.compilation.compiler import compile_workflow
    from pflow.runtime.engine.batch_executor import execute_batch
    from pflow.runtime.engine.engine import WorkflowEngine

    from pflow_lower.pflow.engine_0_16.adapter import LoweredBatchConfig, compiled_with_classes, execute
    from pflow_lower.pflow.prove.virtual_time import virtual_time

    compiled = compiled_with_classes(
        compile_workflow, copy.deepcopy(ir), registry=Registry(), initial_params={"rows": items}
    )
    original, config = compiled.start_node, compiled.node_configs["b"]
    assert isinstance(config.batch_config, LoweredBatchConfig)
    log: list[int] = []
    under_way, most = [0], [0]

    with virtual_time() as made:

        class Worker(Node):  # type: ignore[misc]
            """Works as the original is repeated: its attempts, its waits, and its own word on the last failure."""

            def __deepcopy__(self, memo: object) -> Worker:
                twin = copy.copy(self)
                twin.params = dict(self.params)
                return twin

            def prep(self, shared: Any) -> int:
                return int(shared["__index__"])

            def exec(self, index: int) -> str:
                log.append(index)
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
                made.clock.sleep(seconds_each)
                under_way[0] -= 1
                if fails:
                    raise ValueError(f"item {index}")
                return "fine"

            def exec_fallback(self, index: int, error: Exception) -> str:
                if type(original).__name__ == "HttpNode":
                    raise error
                return "failed"  # as the others do: an answer

            def post(self, shared: Any, index: int, answer: str) -> str:
                shared["error" if answer == "failed" else "out"] = answer
                return "default"

        worker = Worker(original.max_retries, original.wait, original.backoff)
        worker.node_id = "b"
        shared: dict[str, Any] = {"rows": items, "__trace_collector__": object(), "_pflow_depth": 0}
        engine = WorkflowEngine.__new__(WorkflowEngine)
        try:
            execute(execute_batch, worker, config, shared, engine._execute_single_node)
        except Exception:  # noqa: BLE001  a batch in which every item fails ends in some exception
            assert fails
        made.join()
        return Seen(len(log), most[0], made.clock.now())


PLANS = {
    "in order": batch("http"),
    "in order, retried": batch("http", max_retries=3, retry_wait=5),
    "own attempts": batch("http", retry={"max": 4, "wait": 2}),
    "backoff": batch("http", retry={"max": 5, "wait": 3, "backoff": "exponential"}),
    "both": batch("http", max_retries=2, retry_wait=7, retry={"max": 2, "wait": 1}),
    "in threads": batch("http", parallel=True, max_concurrent=3),
    "in threads, both": batch("http", parallel=True, max_concurrent=2, max_retries=3, retry_wait=0.5),
    "a model, whose batch retries never happen": batch("llm", max_retries=5, retry_wait=9),
    "a model, in threads": batch("llm", parallel=True, max_concurrent=4, retry={"max": 2}),
    "files": batch("read-file", max_retries=2),
}


@pytest.mark.parametrize("number", [0, 1, 2, 7])
@pytest.mark.parametrize("name", PLANS)
def test_the_numbers_are_those_of_a_run(name: str, number: int) -> None:
    pytest.importorskip("pflow")
    # With continue, every item gets all its attempts, however many fail.
    ir = copy.deepcopy(PLANS[name])
    ir["nodes"][0]["batch"]["error_handling"] = "continue"
    items = [f"https://example.com/{index}" for index in range(number)]
    node = plan(ir, [f"rows={json.dumps(items)}"], times=Times(each=2.0)).nodes[0]
    assert node.time is not None
    best, worst = (ran(ir, items, 2.0, fails=fails) for fails in (False, True))
    assert (node.calls.low.value, node.calls.high.value) == (best.calls, worst.calls)
    assert node.in_flight == best.most == worst.most or number == 0
    assert node.time.low == node.time.high == pytest.approx(best.took)
    assert node.time.worst == pytest.approx(worst.took)


def test_bounds_hold_in_whatever_order_the_items_stand() -> None:
    import heapq
    import itertools

    durations = [5.0, 1.0, 1.0, 4.0, 2.0, 2.5]
    for workers in (1, 2, 3, 6):
        low, high = makespan(durations, workers)
        for order in itertools.permutations(durations):
            free = [0.0] * workers
            for duration in order:
                heapq.heappush(free, heapq.heappop(free) + duration)
            assert low - 1e-9 <= max(free) <= high + 1e-9


def test_samples_of_another_number() -> None:
    span = of_calls([1.0, 3.0], 4, 2, 2, 0.5)
    assert (span.low, span.high) == (4.0, 5.5)
    assert span.worst == 2 * 5.5 + 0.5 * (4 / 2 + 1 / 2)
    assert of_calls([1.0], 0, 3, 1, 0) == (0, 0, 0)


# --- Ways


@pytest.mark.parametrize(
    ("edges", "skipped", "never"),
    [
        ("a-b b-c c-d", "", ""),
        ("a-b a-c b-d c-d", "b", "b"),  # the later edge of a replaces the one before
        ("a-b:error b-d c-d a-c:error", "bcd", "b"),
        ("a-b a-b b-c c-d", "", ""),
        ("a-b a-c:error b-d c-d", "bc", ""),
        ("a-b:error a-c:other b-d c-d", "bcd", ""),  # neither action: the run ends with a
        ("a-b b-c c-b:again c-d", "", ""),
        ("a-b c-d", "cd", "cd"),
        ("b-a", "bcd", "bcd"),
        ("a-b b-c b-d:error", "cd", ""),
        ("", "bcd", "bcd"),
    ],
)
def test_ways(edges: str, skipped: str, never: str) -> None:
    written = []
    for edge in edges.split():
        ends, _, action = edge.partition(":")
        written.append({"from": ends[0], "to": ends[2]} | ({"action": action} if action else {}))
    nodes = [{"id": name, "type": "shell", "params": {"command": "true"}} for name in "abcd"]
    ir = {"ir_version": "0.1.0", "nodes": nodes, "edges": written, "start_node": "a"}
    made = {node.path: node for node in plan(ir).nodes}
    assert "".join(name for name in "abcd" if made[name].calls.low == Amount()) == skipped
    assert "".join(name for name in "abcd" if made[name].calls.high == Amount()) == never


# --- Amounts


def test_amounts() -> None:
    n = Amount.unknown("n(a)")
    assert str(n.times(3).plus(Amount.of(1200))) == "3 x n(a) + 1,200"
    assert str(n.times(Amount.unknown("m")).plus(n)) == "m x n(a) + n(a)"
    assert n.times(0) == Amount() == Amount.of(0)
    assert n.times(0).value == 0 and n.value is None and Amount.of(7).value == 7
    assert str(Range.of(2)) == "2" and str(Range.of(0, 2)) == "0 to 2"


@pytest.mark.parametrize(
    ("value", "expected"), [(0.04, "0 s"), (2, "2 s"), (59.94, "59.9 s"), (60, "1 min"), (3725, "1 h 2 min 5 s")]
)
def test_durations_for_people(value: float, expected: str) -> None:
    assert shown(value) == expected


def test_money_for_people() -> None:
    assert [money(cost) for cost in (0, 1234.5, 0.25, 0.0012, 0.00001)] == [
        *("0.0000", "1,234.50", "0.2500", "0.0012", "less than 0.0001"),
    ]


@pytest.mark.parametrize(("text", "expected"), [("2s", 2), ("150ms", 0.15), ("1.5min", 90), ("3", 3), ("1 h", 3600)])
def test_times(text: str, expected: float) -> None:
    assert seconds(text) == expected


# --- The command


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rows"], "the input rows needs a value: rows=..."),
        (["row=[]"], "'row=[]' is not an input of this workflow; its inputs: rows=..."),
        (["rows=[1]", "rows=[2]"], "the input rows is given twice, as '[1]' and '[2]'"),
        (["rows=3"], "of type array"),
        (["rows=[1"], "of type array"),
        (["--item-time", "soon"], "is not a duration"),
        (["--item-time", "9" * 400], "is not a duration"),
        (["--item-time", "c=2s"], "no such node"),
        (["--times", "missing.jsonl"], "cannot read missing.jsonl"),
        (["--times", "w.json"], "is not a trace of pflow"),
        (["--price", "2"], "--price 2"),
        (["--price", "a/b"], "--price a/b"),
        (["--price", "nan/1"], "--price nan/1"),
    ],
)
def test_what_is_refused(command: Run, arguments: list[str], expected: str) -> None:
    result = command("w.json", *arguments)
    assert (result.status, result.out) == (2, "")
    assert expected in result.err


def test_an_invalid_workflow(command: Run) -> None:
    result = command("-", stdin='{"nodes": []}')
    assert result.status == 2 and "<stdin>" in result.err


def test_items_that_are_no_list(command: Run, tmp_path: Path) -> None:
    workflow = batch("http", items="${rows.list}")
    workflow["inputs"]["rows"] = {"type": "object", "description": "d", "default": {"list": 3}}
    result = command("-", stdin=json.dumps(workflow))
    assert result.status == 2 and "the run will fail here" in result.out


def of_file() -> dict[str, Any]:
    return {**batch("http", items={"file": "in.jsonl"}), "inputs": {}}


@pytest.mark.parametrize(
    ("before", "status", "said"),
    [
        ([], 2, "cannot read in.jsonl: No such file"),
        ([{"id": "a", "type": "llm", "params": {"prompt": "hi"}}], 2, "cannot read in.jsonl: No such file"),
        ([{"id": "a", "type": "shell", "params": {"command": "make"}}], 0, "a step before may write it"),
        (
            [{"id": "a", "type": "write-file", "params": {"file_path": "./in.jsonl", "content": "1"}}],
            0,
            "a step before",
        ),
        ([{"id": "a", "type": "write-file", "params": {"file_path": "out.jsonl", "content": "1"}}], 2, "cannot read"),
    ],
)
def test_items_in_a_file_that_is_not_there(command: Run, before: list[dict[str, Any]], status: int, said: str) -> None:
    """Nobody can count them: it is said, and so does the status, but where the run itself may make the file."""
    workflow = of_file()
    workflow["edges"] = [{"from": "a", "to": workflow["nodes"][0]["id"]} for _ in before]
    workflow["nodes"] = [*before, *workflow["nodes"]]
    result = command("-", stdin=json.dumps(workflow))
    assert (result.status, said in result.out) == (status, True), result


def test_a_file_of_items_that_is_broken(command: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("1\n2,\n")
    result = command("-", stdin=json.dumps(of_file()))
    assert result.status == 2 and "in.jsonl:2" in result.out


def test_a_file_of_items_that_the_step_writes_which_starts_the_workflow(command: Run, tmp_path: Path) -> None:
    child = of_file()
    (tmp_path / "child.json").write_text(json.dumps(child))
    save = {"id": "save", "type": "write-file", "params": {"file_path": "in.jsonl", "content": "1"}}
    start = {"id": "start", "type": "workflow", "params": {"workflow": "./child.json"}}
    edges = [{"from": "save", "to": "start"}]
    assert command("-", stdin=json.dumps({"nodes": [start]})).status == 2
    assert command("-", stdin=json.dumps({"nodes": [save, start], "edges": edges})).status == 0


def test_nothing_is_written_or_asked(command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))
    before = sorted(tmp_path.iterdir())
    assert command("w.json", 'rows=["a"]', "--item-time", "1s", "--price", "1/2").status == 0
    assert sorted(tmp_path.iterdir()) == before


def starts(*names: str, **more: Any) -> str:
    """A workflow whose nodes start the workflows `names`, one after the other."""
    nodes = [
        {"id": f"s{at}", "type": "workflow", "params": {"workflow": name}, **more} for at, name in enumerate(names)
    ]
    edges = [{"from": f"s{at}", "to": f"s{at + 1}"} for at in range(len(names) - 1)]
    return json.dumps({"nodes": nodes, "edges": edges})


def test_a_workflow_that_starts_itself_is_said_and_not_followed(command: Run, tmp_path: Path) -> None:
    (tmp_path / "again.json").write_text(starts(*["./again.json"] * 3))
    result = command("again.json")
    assert result.status == 0
    assert result.out.count("the workflow ./again.json starts itself") == 3
    # Also through another one, and by another name.
    (tmp_path / "first.json").write_text(starts("./second.json"))
    (tmp_path / "second.json").write_text(starts("sub/../first.json"))
    (tmp_path / "sub").mkdir()
    result = command("first.json")
    assert result.status == 0 and "the workflow sub/../first.json starts itself" in result.out


@pytest.mark.slow
@pytest.mark.parametrize("batch", [None, {"items": list(range(30))}])
def test_sub_workflows_in_sub_workflows_come_to_an_end(
    command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: dict[str, Any] | None
) -> None:
    """However many there are in all: each file is read once, and what is not counted is said."""
    read: list[str] = []
    run = pipeline.run
    monkeypatch.setattr(pipeline, "run", lambda name, *rest, **more: read.append(str(name)) or run(name, *rest, **more))
    more = {"batch": batch} if batch else {}
    for level in range(9):
        (tmp_path / f"l{level}.json").write_text(starts(*[f"./l{level + 1}.json"] * 4, **more))
    (tmp_path / "l9.json").write_text(
        json.dumps({"nodes": [{"id": "x", "type": "shell", "params": {"command": "ls"}}], "edges": []})
    )
    result = command("l0.json")
    assert result.status == 0
    assert "sub-workflows have more than 10,000 nodes in all" in result.out
    assert len(read) <= 10 == len(set(read) | {"l0.json"})


def test_sub_workflows_are_followed_as_deep_as_pflow_goes(command: Run, tmp_path: Path) -> None:
    for level in range(12):
        (tmp_path / f"l{level}.json").write_text(starts(f"./l{level + 1}.json"))
    (tmp_path / "l12.json").write_text(starts())
    result = command("l0.json")
    assert result.status == 0 and "nested more than 10 deep" in result.out


def test_a_trace_that_pflow_has_written(command: Run, tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    from pflow.execution.result import RunnerConfig
    from pflow.execution.runner import WorkflowRunner

    workflow = batch("shell", items=["true", "true", "true"])
    del workflow["inputs"]
    result = WorkflowRunner().run(copy.deepcopy(workflow), {}, RunnerConfig(cache_enabled=False))
    assert result.success
    trace = max((Path.home() / ".pflow" / "debug").glob("*.json"), key=lambda path: path.stat().st_mtime)
    (tmp_path / "w.json").write_text(json.dumps(workflow))
    said = json.loads(command("w.json", "--times", str(trace), "--format", "json").out)
    event = next(event for line in trace.read_text().splitlines() if "batch_items" in (event := json.loads(line)))
    total = sum(item["duration_ms"] for item in event["batch_items"]) / 1000
    assert said["total"]["time"]["at_least"] == said["total"]["time"]["at_most"] == pytest.approx(total, abs=0.001)


def started(name: str, *steps: str) -> str:
    """A Markdown workflow with one input; `steps` are those of its nodes."""
    return "\n\n".join(
        [f"# {name}", "A workflow.", "## Inputs", "### x", "A text.", "- type: string", "## Steps", *steps]
    )


def test_a_trace_of_workflows_that_start_others(command: Run, tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    from pflow.execution.result import RunnerConfig
    from pflow.execution.runner import WorkflowRunner

    leaf, middle = tmp_path / "leaf.pflow.md", tmp_path / "middle.pflow.md"
    leaf.write_text(started("Leaf", "### say", "Say it.", "- type: shell", "```shell command\necho ${x}\n```"))
    starts = f"- type: workflow\n- workflow: {leaf}\n- inputs:\n    x: ${{x}}"
    middle.write_text(started("Middle", "### inner", "Start it.", starts))
    params = {"workflow": str(middle), "inputs": {"x": "text"}}
    nodes: list[dict[str, Any]] = [{"id": name, "type": "workflow", "params": params} for name in ("one", "each")]
    nodes[1]["batch"] = {"items": [1, 2, 3]}
    workflow = {"ir_version": "0.1.0", "nodes": nodes, "edges": [{"from": "one", "to": "each"}]}
    assert WorkflowRunner().run(copy.deepcopy(workflow), {}, RunnerConfig(cache_enabled=False)).success
    trace = max((Path.home() / ".pflow" / "debug").glob("*.json"), key=lambda path: path.stat().st_mtime)
    found = from_trace(trace)
    assert {path: len(durations) for path, durations in found.items() if path.endswith("say")} == {
        "one/inner/say": 1,
        "each/inner/say": 3,
    }
    (tmp_path / "w.json").write_text(json.dumps(workflow))
    said = json.loads(command("w.json", "--times", str(trace), "--format", "json").out)
    assert said["total"]["time"] is not None


def test_durations_that_are_none(tmp_path: Path) -> None:
    event = {"kind": "event", "node_id": "a", "status": "success"}
    odd = [{"duration_ms": 1e999}, {"duration_ms": -1}, {"duration_ms": "5"}, {"duration_ms": 2, "ancestor_path": 5}]
    (tmp_path / "run.jsonl").write_text("\n".join(json.dumps(event | more) for more in odd))
    assert from_trace(tmp_path / "run.jsonl") == {"a": (0.002,)}


# --- Ways that exclude each other


def chain(*pairs: str, **more: Any) -> dict[str, Any]:
    """A workflow of model calls, and of a command for each name in capitals; edges as a>b or a>b!action."""
    ids = dict.fromkeys(name for pair in pairs for name in pair.partition("!")[0].split(">"))
    nodes = [
        {"id": name, "type": "shell", "params": {"command": "date"}}
        if name.isupper()
        else {"id": name, "type": "llm", "params": {"prompt": "four" * 5}, "retry": {"max": 2}}
        for name in ids
    ]
    edges = []
    for pair in pairs:
        way, _, action = pair.partition("!")
        first, then = way.split(">")
        edges.append({"from": first, "to": then, **({"action": action} if action else {})})
    return {"ir_version": "0.1.0", "nodes": nodes, "edges": edges, **more}


@pytest.mark.parametrize(
    ("pairs", "calls", "tokens"),
    [
        (["A>b!error", "A>c"], "1 to 2", "5 to 10"),
        (["A>b!error", "A>c", "b>d", "c>d"], "2 to 4", "10 to 20"),
        (["A>b!error", "A>c", "c>d"], "1 to 4", "5 to 20"),
        (["A>b!x", "A>c!y", "b>d", "c>d"], "0 to 4", "0 to 20"),
        (["A>b!x", "A>c!y", "A>D"], "0 to 2", "0 to 10"),
        (["a>b", "b>c"], "3 to 6", "15 to 30"),
        (["A>b!x", "A>C", "b>C", "C>d!x", "C>e"], "1 to 4", "5 to 20"),
    ],
)
def test_of_ways_that_exclude_each_other_one_counts(pairs: list[str], calls: str, tokens: str) -> None:
    made = plan(chain(*pairs))
    assert str(made.kinds()["model call"]) == calls
    assert made.tokens is not None and str(made.tokens.input) == tokens


def test_in_a_loop_both_ways_may_be_taken() -> None:
    made = plan(chain("A>b!x", "A>c", "b>A!again"))
    assert str(made.kinds()["model call"]) == "0 to 2 x rounds + 2"


def test_ways_with_unknown_numbers_are_bounded_by_both() -> None:
    data = chain("A>b!x", "A>c")
    data["nodes"][1]["batch"] = {"items": "${A.stdout}"}
    data["nodes"][1]["params"] = {"prompt": "${item}"}
    assert str(plan(data).kinds()["model call"]) == "0 to 2 x n(b) + 2"


def test_ways_inside_a_sub_workflow_count_for_each_item(tmp_path: Path) -> None:
    (tmp_path / "child.json").write_text(json.dumps(chain("A>b!error", "A>c")))
    node = {"id": "each", "type": "workflow", "params": {"workflow": "./child.json"}, "batch": {"items": [1, 2, 3]}}
    (tmp_path / "wf.json").write_text(json.dumps({"ir_version": "0.1.0", "nodes": [node]}))
    made = plan(str(tmp_path / "wf.json"))
    assert str(made.kinds()["model call"]) == "3 to 6"


def test_the_keys_of_a_batch_count_where_its_node_starts_a_workflow(tmp_path: Path) -> None:
    (tmp_path / "child.json").write_text(json.dumps(chain("A>B")))
    keys = {"rate": "1/min", "resume": True, "timeout": 90}
    node = {"id": "each", "type": "workflow", "params": {"workflow": "./child.json"}}
    node["batch"] = {"items": [1, 2, 3], "parallel": True, **keys}
    (tmp_path / "wf.json").write_text(json.dumps({"ir_version": "0.1.0", "nodes": [node]}))
    made = plan(str(tmp_path / "wf.json"), times=Times(each=2.0))
    text = as_text(made)
    assert "calls start at most as often as 1/min" in text and "an attempt is given up after 90 s" in text
    assert "after a failure, the next run does only the items that are left" in text
    assert "takes 2 min" in text, "the third item starts two minutes after the first"


@pytest.mark.parametrize("kind", ["shell", "llm", "code", "mcp-mail-list", "read-file"])
def test_what_a_timeout_gives_up_is_repeated_whatever_the_type(tmp_path: Path, kind: str) -> None:
    """Types that answer errors are repeated by nothing else, so that worst cases counted one attempt."""
    node = {"id": "a", "type": kind, "params": {}, "retry": {"max": 1}}
    batch = {"items": [1, 2], "max_retries": 3}
    (tmp_path / "w.json").write_text(json.dumps({"nodes": [{**node, "batch": batch}]}))
    once = plan(str(tmp_path / "w.json"), times=Times(each=1.0))
    (tmp_path / "w.json").write_text(json.dumps({"nodes": [{**node, "batch": {**batch, "timeout": 0.2}}]}))
    often = plan(str(tmp_path / "w.json"), times=Times(each=1.0))
    assert (str(once.calls), str(often.calls)) == ("2", "2 to 6")
    assert "takes 2 s\n" in as_text(once) and "takes 0.4 s, 1.2 s with every retry" in as_text(often)


@pytest.mark.parametrize("items", [[1, 2], "${rows}"])
def test_a_workflow_that_a_timeout_gives_up_is_started_again(tmp_path: Path, items: Any) -> None:
    ask = {"id": "ask", "type": "llm", "params": {"prompt": "hi"}, "retry": {"max": 3}}
    (tmp_path / "child.json").write_text(json.dumps({"nodes": [ask]}))
    batch = {"items": items, "max_retries": 3, "timeout": 5, "retry_wait": 1, "rate": "6/min"}
    node = {"id": "each", "type": "workflow", "params": {"workflow": "./child.json"}, "batch": batch}
    inputs = {"rows": {"type": "array", "description": "d"}} if items == "${rows}" else {}
    (tmp_path / "wf.json").write_text(json.dumps({"inputs": inputs, "nodes": [node]}))
    made = plan(str(tmp_path / "wf.json"), times=Times(each=4.0))
    asked = {"[1, 2]": "2 to 18", "${rows}": "n(each) to 9 x n(each)"}[json.dumps(items).strip('"')]
    assert str(made.calls) == asked and str(made.nodes[0].inner[0].calls) == asked
    if made.time is not None:
        assert made.time == (10, 10, 50), "six starts, ten seconds apart"
    node["batch"] = {**batch, "rate": "6000/min"}
    (tmp_path / "wf.json").write_text(json.dumps({"inputs": inputs, "nodes": [node]}))
    made = plan(str(tmp_path / "wf.json"), times=Times(each=4.0))
    if made.time is not None:
        assert made.time == (8, 8, 2 * (3 * 5 + 2 * 1)), "no attempt takes longer than the timeout"


RATES = '[tool.pflow-lower.rates]\napi = { rate = "1/min", max_concurrent = 3 }\nslow = "1/min"\n'


def limited(folder: Path, ids: str = "b", *, to: str = "api", parallel: bool = True) -> str:
    """A workflow in `folder` whose nodes, one after the other, have six items each under the budget `to`."""
    folder.mkdir(exist_ok=True)
    keys = {"items": [1, 2, 3, 4, 5, 6], "parallel": parallel, "rate": to}
    nodes = [{"id": name, "type": "shell", "params": {"command": "echo ${item}"}, "batch": keys} for name in ids]
    edges = [{"from": one, "to": other} for one, other in pairwise(ids)]
    (folder / "w.json").write_text(json.dumps({"nodes": nodes, "edges": edges}))
    return str(folder / "w.json")


def test_the_numbers_of_a_named_budget_count(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(RATES)
    made = plan(limited(tmp_path), times=Times(each=0.01))
    text = as_text(made)
    assert made.nodes[0].in_flight == 3 and "3 at a time" in text
    assert made.time is not None and made.time.low == 5 * 60, "the sixth starts five minutes after the first"
    assert "calls start at most as often as 1/min, shared by all that name the budget api" in text
    assert "at most 3 at a time, shared by all that name the budget api" in text
    made = plan(limited(tmp_path), times=Times(each=1000))
    assert made.time is not None and made.time.low == 2000


def test_nodes_under_one_budget_share_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(RATES)
    made = plan(limited(tmp_path, "abc", to="slow"), times=Times(each=0.01))
    assert made.time is not None and made.time.low == 17 * 60


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("to", ["slow", "1/min"])
def test_a_limit_is_shared_by_what_the_items_of_a_batch_start(tmp_path: Path, parallel: bool, to: str) -> None:
    (tmp_path / "pyproject.toml").write_text(RATES)
    limited(tmp_path / "sub", to=to)
    keys = {"items": [1, 2, 3], "parallel": parallel}
    node = {"id": "each", "type": "workflow", "params": {"workflow": "sub/w.json"}, "batch": keys}
    (tmp_path / "wf.json").write_text(json.dumps({"nodes": [node]}))
    made = plan(str(tmp_path / "wf.json"), times=Times(each=0.01))
    assert made.time is not None and made.time.low == made.time.high == 17 * 60


def test_a_workflow_below_has_the_budgets_of_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(RATES)
    limited(tmp_path / "sub", to="slow")
    (tmp_path / "sub/pyproject.toml").write_text(RATES.replace("1/min", "1/h"))
    node = {"id": "one", "type": "workflow", "params": {"workflow": "sub/w.json"}}
    (tmp_path / "wf.json").write_text(json.dumps({"nodes": [node]}))
    made = plan(str(tmp_path / "wf.json"), times=Times(each=0.01))
    assert made.time is not None and made.time.low == 5 * 3600


def test_a_limit_of_what_may_be_skipped_makes_only_the_longest_way_longer(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(RATES)
    limited(tmp_path, "bc", to="slow")
    written = json.loads((tmp_path / "w.json").read_text())
    first = {"id": "a", "type": "shell", "params": {"command": "true"}}
    edges = [{"from": "a", "to": "b"}, {"from": "a", "to": "c", "action": "error"}]
    (tmp_path / "w.json").write_text(json.dumps({"nodes": [first, *written["nodes"]], "edges": edges}))
    made = plan(str(tmp_path / "w.json"), times=Times(each=0.01, of_node={"a": (1.0,)}))
    assert made.time is not None and round(made.time.low) == round(made.time.high) == 301


def test_a_required_input_that_is_not_given_is_named() -> None:
    inputs = {"a": {"type": "array"}, "b": {"required": False}, "c": {"default": 1}, "d": {}}
    node = {"id": "x", "type": "shell", "params": {"command": "date", "stdin": "${a} ${b} ${c} ${d}"}}
    data = {"ir_version": "0.1.0", "inputs": inputs, "nodes": [node]}
    assert plan(data).missing == ("a", "d")
    assert "  not given, and a run needs them: a=... d=..." in as_text(plan(data)).splitlines()
    assert plan(data, ["a=[1]", "d=2"]).missing == ()
    assert "not given" not in as_text(plan(data, ["a=[1]", "d=2"]))


# --- On a cluster


def on_ray(**batch: Any) -> dict[str, Any]:
    settings = {"items": "${rows}", "parallel": True, "max_concurrent": 6, **batch}
    node = {"id": "b", "type": "shell", "params": {"command": "echo ${item}"}, "batch": settings}
    return {"ir_version": "0.1.0", "inputs": {"rows": {"type": "array"}}, "nodes": [node], "edges": []}


@pytest.mark.parametrize(
    ("nodes", "processors", "most", "workers", "threads", "rounds", "utilisation"),
    [
        (3, 2, 6, 6, 1, 4, 24 / 24),
        (3, 2, 12, 6, 2, 2, 24 / 24),
        (2, 1, 6, 2, 3, 4, 24 / 24),
        (10, 1, 5, 5, 1, 5, 24 / 50),  # five of the ten have nothing to do
        (1, 1, 1, 1, 1, 24, 24 / 24),
    ],
)
def test_long_items_on_a_cluster_go_out_one_by_one(
    nodes: int, processors: int, most: int, workers: int, threads: int, rounds: int, utilisation: float
) -> None:
    found = dealt(Cluster(nodes, processors), "b", 24, 60.0, most)
    assert (found.workers, found.threads, found.seconds) == (workers, threads, rounds * 60)
    assert found.utilisation == pytest.approx(utilisation)


def test_short_items_go_out_in_chunks_that_shrink_towards_the_end() -> None:
    found = dealt(Cluster(4), "b", 100_000, 0.001, 4)
    assert 100_000 / 500 <= found.chunks <= 100_000 / 500 + 60
    assert found.seconds == pytest.approx(25, rel=0.01)


def test_what_the_items_need_bounds_the_workers() -> None:
    needs = {"*": {"num_cpus": 2}, "b": {"num_cpus": 4}}
    assert dealt(Cluster(2, 8, needs=needs), "b", 40, 60.0, 100).workers == 4
    assert dealt(Cluster(2, 8, needs=needs), "c", 40, 60.0, 100).workers == 8


def test_a_cluster_has_a_makespan_and_costs_something() -> None:
    made = plan(on_ray(), ["rows=" + json.dumps(list(range(25)))], times=Times(each=60.0), cluster=Cluster(3, 2, 1.5))
    assert made.nodes[0].dealt is not None and made.nodes[0].dealt.seconds == 300
    said = as_text(made)
    assert "25 chunks on 6 workers, the cluster is busy 83% of that time" in said
    assert "takes 5 min" in said and "3 nodes cost 0.3750 for as long" in said
    assert "say --item-time" in as_text(plan(on_ray(), ["rows=[1]"], cluster=Cluster(3)))


def test_the_times_that_are_missing_are_those_of_steps_without_a_batch(command: Run) -> None:
    """What is said already is not asked for again."""
    workflow = on_ray()
    first = {"id": "first", "type": "shell", "params": {"command": "ls"}}
    workflow = {**workflow, "nodes": [first, *workflow["nodes"]], "edges": [{"from": "first", "to": "b"}]}
    cluster = Cluster(3)

    def said(rows: list[str], times: Times = Times()) -> str:  # noqa: B008  has no state
        return as_text(plan(workflow, rows, times=times, cluster=cluster))

    assert "is not known: say --item-time first=TIME --item-time TIME" in said(["rows=[1]"])
    assert said(["rows=[1]"], Times(2.0)).endswith("is not known: say --item-time first=TIME")
    both = Times(2.0, {"first": (1.0,)})
    assert "for how long" not in said(["rows=[1]"], both)
    assert "for how long depends on what is not known yet" in said([], both)
    assert "say --node-price" in as_text(plan(on_ray(), ["rows=[1]"], times=Times(each=1.0), cluster=Cluster(3)))


def test_a_batch_in_order_stays_where_it_is() -> None:
    made = plan(on_ray(parallel=False), ["rows=[1, 2]"], times=Times(each=60.0), cluster=Cluster(3))
    assert made.nodes[0].dealt is None and made.nodes[0].time == (120, 120, 120)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--nodes", "3"], "add --on ray"),
        (["--node-price", "3"], "add --on ray"),
        (["--on", "ray"], "say with --nodes"),
        (["--on", "dask", "--nodes", "3"], "'dask'"),
        (["--on", "ray", "--nodes", "3", "--node-price", "nan"], "nan is not an amount, 0 or more"),
        (["--on", "ray", "--nodes", "3", "--node-price", "inf"], "inf is not an amount, 0 or more"),
        (["--on", "ray", "--nodes", "3", "--node-price", "-1"], "-1.0 is not an amount, 0 or more"),
    ],
)
def test_what_is_said_of_a_cluster_is_whole(command: Run, options: list[str], said: str) -> None:
    ended = command("w.json", *options)
    assert ended.status == 2 and said in ended.err


@pytest.mark.parametrize(
    ("type", "batch", "is_said"),
    [
        ("http", {"rate": "60/min"}, True),
        ("llm", {"parallel": True, "max_concurrent": "auto"}, True),
        ("http", {"timeout": 5}, False),
        ("shell", {"rate": "60/min"}, False),
    ],
)
def test_refused_calls_that_come_on_top_are_said(
    run: Run, tmp_path: Path, type: str, batch: dict[str, Any], is_said: bool
) -> None:
    params = {"http": {"url": "${item}"}, "llm": {"prompt": "${item}"}, "shell": {"command": "${item}"}}[type]
    node = {"id": "a", "type": type, "params": params, "batch": {"items": ["x", "y"], **batch}}
    (tmp_path / "w.json").write_text(json.dumps({"nodes": [node]}))
    shown = run("plan", "w.json")
    assert ("429 or 503 comes on top" in shown.out) == is_said, shown


def test_auto_is_said_to_begin_with_few() -> None:
    rows = ["rows=" + json.dumps(list(range(200)))]
    text = as_text(plan(on_ray(max_concurrent="auto"), rows))
    assert "4 at a time at first, more as it goes well, 100 at most" in text
    assert "3 at a time" in as_text(plan(on_ray(max_concurrent="auto"), ["rows=[1, 2, 3]"]))


def test_what_ray_refuses_is_said_and_ends_with_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text(json.dumps(on_ray(max_concurrent="auto")))
    ray = ["--on", "ray", "--nodes", "2", "--item-time", "1s"]
    status, out, _ = run("plan", "w.json", "rows=[1, 2]", *ray)
    assert status == 2 and f"a run is refused: {NO_AUTO}" in out and "worker" not in out
    assert run("plan", "w.json", "rows=[1, 2]").status == 0
    (tmp_path / "w.json").write_text(json.dumps(on_ray(max_concurrent="auto", parallel=False)))
    assert run("plan", "w.json", "rows=[1, 2]", *ray).status == 0, "one item at a time runs here"


@pytest.mark.parametrize(
    ("docs", "more", "said"),
    [
        (
            [{"id": 1, "text": "a"}, {"id": 1, "text": "b"}],
            {},
            "items[0] and items[1] get the same key: the run will fail",
        ),
        (
            [{"id": 1, "text": "a"}, {"text": "b"}],
            {},
            "${doc.id} is not there in items[1]: it has no name, and the run",
        ),
        ([{"id": 1, "text": "a"}, {"id": 2}], {}, "${doc.text} is not there in items[1]: the run will fail here"),
        ([{"id": 1, "text": "a"}, {"id": 2}], {"error_handling": "continue"}, ""),
        ([{"id": 1, "text": "a"}, {"id": 2, "text": "b"}], {}, ""),
    ],
)
@pytest.mark.parametrize("given", [True, False])
def test_items_that_are_known_are_looked_at(
    docs: Any, more: Any, said: str, given: bool, run: Run, tmp_path: Path
) -> None:
    batch = {"items": "${docs}", "as": "doc", "key": "${doc.id}", **more}
    node = {"id": "say", "type": "llm", "params": {"model": "m", "prompt": "Say ${doc.text}"}, "batch": batch}
    declared = {"type": "array", "required": True} if given else {"type": "array", "default": docs}
    (tmp_path / "w.json").write_text(json.dumps({"inputs": {"docs": declared}, "nodes": [node]}))
    done = run("plan", str(tmp_path / "w.json"), *([f"docs={json.dumps(docs)}"] if given else []))
    assert (done.status == 2) == bool(said) and said in done.out, done.out
