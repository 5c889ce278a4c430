"""The outcome of a batch: against pflow's own batch executor, and by example."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import re
import sys
from typing import Any

import pocketflow
import pytest
from helpers.scripted import (
    ABORTS,
    ACTIONS,
    ANSWERS,
    FAILURES,
    NODE_ID,
    PARAMS,
    AsyncScripted,
    Overloaded,
    Script,
    Scripted,
    lowered_class,
    store,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pflow_lower.runtime import Engine
from pflow_lower.runtime.summary import summarise

# --- Against pflow

pytestmark = pytest.mark.usefixtures("quiet_pflow")

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(-2, 2), st.text(max_size=8), st.just("x" * 100),
    st.lists(st.integers(), max_size=2), st.just({"name": "n", "password": "p", "v": [1], "w": {}, "id": 7, "z": 1.5}),
    st.dictionaries(st.sampled_from(["title", "label", "api_key", "k", "long"]), st.text(max_size=300), max_size=3),
)  # fmt: skip
STEPS = st.sampled_from([*FAILURES, *ANSWERS, *ACTIONS])
STEPS_AND_ABORTS = st.one_of(STEPS, STEPS, STEPS, STEPS, st.sampled_from([*ABORTS]))
SCRIPTS = st.lists(st.tuples(VALUES, st.lists(STEPS, min_size=1, max_size=3)), max_size=6)
SCRIPTS_WITH_ABORTS = st.lists(
    st.tuples(VALUES, st.lists(STEPS_AND_ABORTS, min_size=1, max_size=3)), min_size=1, max_size=6
)
SCRIPT_OF_ALL = [(n, [step]) for n, step in enumerate([*FAILURES, *ANSWERS, *ACTIONS])]

Scripts = list[tuple[Any, list[str]]]


class Run:
    """What a batch left behind."""

    def __init__(self, shared: dict[str, Any], raised: Exception | None, progress: list[Any], script: Script) -> None:
        self.shared = shared
        self.raised = said(raised)
        self.progress = progress
        self.outcome: Any = said(self.shared.pop(NODE_ID, None))
        if self.outcome is not None:
            self.timing = self.outcome["batch_metadata"].pop("timing")
        warning = self.shared.pop("__warnings__", {}).get(NODE_ID)
        self.warning = getattr(warning, "message", warning)
        self.attempts = dict(sorted(script.attempts.items()))


def said(value: Any) -> Any:
    """`value` with exceptions as text, and the failures of a batch in the order of its items."""
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, list):
        return [said(item) for item in value]
    if isinstance(value, dict):
        value = {key: said(item) for key, item in value.items()}
        if "batch_metadata" in value:
            value["errors"].sort(key=lambda error: error["index"])
    return value


def set_up(items: Scripts, *, depth: int) -> tuple[dict[str, Any], Script, list[Any]]:
    progress: list[Any] = []

    def listen(node_id: str, event: str, ms: float, at: int, **more: Any) -> None:
        progress.append((node_id, event, at, more))
        if len(progress) == 2:
            raise OSError("a screen that is gone")

    shared = store([copy.deepcopy(value) for value, _ in items], __progress_callback__=listen, _pflow_depth=depth)
    return shared, Script([steps for _, steps in items]), progress


def params_for(alias: str) -> dict[str, str]:
    """The parameters of the node. An alias that is something else too cannot always be referred to."""
    if alias in (NODE_ID, "src", "__warnings__"):
        return {"at": PARAMS["at"], "text": PARAMS["text"]}
    return {key: template.replace("${item}", f"${{{alias}}}") for key, template in PARAMS.items()}


def ours(items: Scripts, *, node: str = "Scripted", depth: int = 0, alias: str = "item", **options: Any) -> Run:
    shared, script, progress = set_up(items, depth=depth)
    inner = {"Scripted": Scripted, "AsyncScripted": AsyncScripted}[node](script)
    raised = None
    try:
        made = lowered_class(node=node, alias=alias, params=tuple(params_for(alias).items()), **options)
        assert made(inner)._run(shared) == "default"
    except Exception as error:  # noqa: BLE001  whatever it is, it is compared
        raised = error
    return Run(shared, raised, progress, script)


def theirs(items: Scripts, *, namespacing: bool = True, depth: int = 0, alias: str = "item", **batch: Any) -> Run:
    """The same run by pflow 0.16."""
    from pflow.core.node import Node
    from pflow.runtime.engine.batch_executor import execute_batch
    from pflow.runtime.engine.engine import WorkflowEngine
    from pflow.runtime.engine.types import BatchConfig, NodeConfig, TemplateConfig

    shared, script, progress = set_up(items, depth=depth)

    class Theirs(Node):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.script = script

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["_params"] = self.params
            return self.script.act(self.params["at"], shared)

    config = NodeConfig(
        NODE_ID, "Theirs", TemplateConfig(params_for(alias), {}, {}, "strict"),
        BatchConfig(items_template="${src.list}", item_alias=alias, **batch), namespacing, None,
    )  # fmt: skip
    engine = WorkflowEngine.__new__(WorkflowEngine)
    raised = None
    try:
        assert execute_batch(Theirs(), config, shared, engine._execute_single_node) == "default"
    except Exception as error:  # noqa: BLE001  whatever it is, it is compared
        raised = error
    shared.pop("_batch_trace", None)
    shared.pop("__template_errors__", None)
    if items == [] and shared.get("__warnings__"):
        del shared["__warnings__"]  # pflow's remark on an empty batch is not a warning, and its Engine's to make
    run = Run(shared, raised, progress, script)
    if run.raised is not None:  # an error without a text is named by its kind here; pflow says nothing
        run.raised = re.sub(r"(\[\d+\] )(?=;|$| \(\+)", r"\1RuntimeError", run.raised)
    return run


def compare(our: Run, their: Run) -> None:
    assert our.raised == their.raised
    assert our.outcome == their.outcome
    assert our.warning == their.warning
    assert our.progress == their.progress
    assert our.attempts == their.attempts
    our.shared.pop("__progress_callback__"), their.shared.pop("__progress_callback__")
    assert our.shared == their.shared


@settings(max_examples=300, deadline=None)
@given(
    SCRIPTS,
    st.sampled_from(["fail_fast", "continue"]),
    st.integers(1, 3),
    st.sampled_from([0, 0.001]),
    st.booleans(),
    st.integers(0, 2),
)
@example(SCRIPT_OF_ALL, "continue", 1, 0, True, 0)
@example([], "continue", 1, 0, True, 0)
def test_in_order(
    items: Scripts, error_handling: str, max_retries: int, retry_wait: float, namespacing: bool, depth: int
) -> None:
    pytest.importorskip("pflow")
    options: dict[str, Any] = {
        "error_handling": error_handling, "max_retries": max_retries, "retry_wait": retry_wait,
        "namespacing": namespacing, "depth": depth,
    }  # fmt: skip
    compare(ours(items, **options), theirs(items, **options))


def compare_parallel(our: Run, their: Run) -> None:
    """As `compare`, but for the order in which pflow happens to look at what has finished."""
    if our.raised and their.raised and "items failed" in our.raised:  # it names three of them
        their.raised = our.raised
    for run in (our, their):
        assert [more["batch_current"] for *_, more in run.progress] == list(range(1, len(run.progress) + 1))
        run.progress = [] if run.outcome is None else sorted(more["batch_success"] for *_, more in run.progress)
    compare(our, their)


@settings(max_examples=150, deadline=None)
@given(SCRIPTS_WITH_ABORTS, st.sampled_from(["fail_fast", "continue"]), st.integers(1, 2))
def test_what_aborts_a_batch(items: Scripts, error_handling: str, max_retries: int) -> None:
    pytest.importorskip("pflow")
    options: dict[str, Any] = {"error_handling": error_handling, "max_retries": max_retries}
    compare(ours(items, **options), theirs(items, **options))


@settings(max_examples=150, deadline=None)
@given(SCRIPTS_WITH_ABORTS, st.integers(1, 3), st.integers(1, 4), st.sampled_from(["Scripted", "AsyncScripted"]))
@example(SCRIPT_OF_ALL, 2, 1, "AsyncScripted")
@example(SCRIPT_OF_ALL, 2, 4, "Scripted")
@example([], 1, 1, "Scripted")
def test_parallel(items: Scripts, max_retries: int, max_concurrent: int, node: str) -> None:
    pytest.importorskip("pflow")
    options: dict[str, Any] = {
        "error_handling": "continue", "max_retries": max_retries, "parallel": True, "max_concurrent": max_concurrent,
    }  # fmt: skip
    our, their = ours(items, node=node, **options), theirs(items, **options)
    if their.outcome is None:
        # pflow goes on with its queue until it notices, and raises what it happens to look at first.
        their.attempts = our.attempts
        assert our.raised == their.raised == "Refused: never"
    compare_parallel(our, their)


@settings(max_examples=100, deadline=None)
@given(SCRIPTS, st.integers(1, 3), st.integers(1, 4), st.sampled_from(["Scripted", "AsyncScripted"]))
def test_parallel_fail_fast_reports_the_failed_item_with_the_lowest_index(
    items: Scripts, max_retries: int, max_concurrent: int, node: str
) -> None:
    """One of the two deliberate differences: pflow reports whichever fails first, and counts what never ran."""
    pytest.importorskip("pflow")
    their = theirs(items, max_retries=max_retries)  # in order, where the first failure is the lowest index
    our = ours(items, node=node, max_retries=max_retries, parallel=True, max_concurrent=max_concurrent)
    if our.raised != their.raised:  # what was cancelled is not what the batch failed of, if there is more
        assert their.raised == "Cancelled: cancelled"
        real = next(error for error in our.outcome["errors"] if error["exception"] != their.raised)
        assert our.raised == real["exception"] or f"failed at item [{real['index']}]" in our.raised
    assert our.outcome["errors"][:1] == their.outcome["errors"][:1]
    assert our.outcome["count"] == our.outcome["success_count"] + our.outcome["error_count"] == len(our.attempts)
    assert our.attempts.keys() >= their.attempts.keys()
    if max_concurrent == 1:
        assert our.outcome["results"] == their.outcome["results"]


@settings(max_examples=60, deadline=None)
@given(SCRIPTS, st.sampled_from(["b", "style", "src", "__index__", "x", "__warnings__"]), st.booleans())
def test_an_alias_that_hides_something(items: Scripts, alias: str, parallel: bool) -> None:
    pytest.importorskip("pflow")
    options: dict[str, Any] = {"alias": alias, "error_handling": "continue"}
    if parallel:
        options.update(parallel=True, max_concurrent=1)
    with contextlib.suppress(RecursionError):  # alias "b": results that hold themselves
        (compare_parallel if parallel else compare)(ours(items, **options), theirs(items, **options))


ITEMS = st.recursive(
    st.one_of(VALUES, st.text(max_size=400), st.binary(max_size=4), st.integers(), st.just({1}), st.just((1, "x"))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["label", "id", "title", "path", "workflow", "apiKey", "auth", "author", "", "x" * 60]),
                st.text(max_size=5), st.integers(),
            ),
            inner, max_size=7,
        ),
    ),
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(ITEMS)
@example("\x00" * 80)
@example({"a": "\x00" * 80, "b": 1})
@example({1: "x", "a": "y"})
def test_an_item_is_described_as_pflow_does(item: Any) -> None:
    pytest.importorskip("pflow")
    from pflow.runtime.engine.batch_item_summary import summarize_batch_item

    assert summarise(item) == summarize_batch_item(item)


def test_an_item_that_cannot_be_described() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise OSError("no")

    assert summarise([Broken()])["summary"] == "<unrepresentable>"


# --- By example


def run(items: Scripts, **options: Any) -> dict[str, Any]:
    shared, script, _ = set_up(items, depth=0)
    with contextlib.suppress(Exception):
        lowered_class(**options)(Scripted(script))._run(shared)
    return shared


def test_items_that_are_none() -> None:
    node = lowered_class()(Scripted(Script([])))
    with pytest.raises(ValueError, match=r"^Node 'b': batch items template '\$\{src.list\}' resolved to None"):
        node._run({"src": {}})
    with pytest.raises(TypeError, match=r"^Node 'b': batch items must be an array, got int. Template"):
        node._run({"src": {"list": 3}})


def test_items_as_json_text() -> None:
    shared = {"style": "s", "src": {"list": "[1, 2]\n"}}
    lowered_class()(Scripted(Script([["ok"], ["ok"]])))._run(shared)
    assert [result["item"] for result in shared["b"]["results"]] == [1, 2]  # type: ignore[index]


def test_timing() -> None:
    timing = run([(1, ["ok"]), (2, ["ok"])])["b"]["batch_metadata"]["timing"]
    assert timing.keys() == {"total_items_ms", "avg_item_ms", "min_item_ms", "max_item_ms"}
    assert timing["min_item_ms"] <= timing["avg_item_ms"] <= timing["max_item_ms"] <= timing["total_items_ms"]
    assert run([])["b"]["batch_metadata"]["timing"] is None


def test_a_failure_says_where_it_comes_from() -> None:
    shared = run([(1, ["ok"]), (2, ["raise"])], error_handling="continue", max_retries=3)
    exception = shared["b"]["errors"][0]["exception"]
    if sys.version_info >= (3, 11):
        assert exception.__notes__ == ["b: item [1], attempt 3 of 3"]


def test_one_exception_object_for_all_items_is_noted_once() -> None:
    error = ValueError("the same")

    class Failing(pocketflow.Node):
        def exec(self, _: Any) -> Any:
            raise error

    with pytest.raises(RuntimeError, match="all 3 items failed"):
        lowered_class(error_handling="continue")(Failing())._run(store([1, 2, 3]))
    assert len(getattr(error, "__notes__", [0])) == 1


def test_an_exception_that_takes_no_notes() -> None:
    class Frozen(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    class Failing(pocketflow.Node):
        def exec(self, _: Any) -> Any:
            raise Frozen("still itself")

    with pytest.raises(Frozen, match="still itself"):
        lowered_class()(Failing())._run(store([1]))


@pytest.mark.parametrize(
    ("template", "items", "shared", "error"),
    [
        ("${item.title}", [{"id": 1, "body": 2}], {}, "${item.title}: no 'title' among body, id"),
        ("<${item.a[2].b}>", [{"a": [1]}], {}, "${item.a[2].b}: no [2] in a list of 1"),
        ("${style.x}", [1], {}, "${style.x}: nothing was found"),
        ("<${src.nothing}>", [1], {}, "${src.nothing}: nothing was found"),
        ("${src.nothing.more}", [1], {}, "${src.nothing.more}: nothing was found"),
        (
            "${src.byid[${item.n}]}",
            [{"n": "x"}],
            {"byid": [1]},
            "${src.byid[${item.n}]}: the index is not a whole number",
        ),
        ("${src.byid[${item.n}]}", [{"n": 3}], {"byid": [1]}, "${src.byid[${item.n}]}: no [3] in a list of 1"),
        ("${item.a ?? item.b}", [{"c": 1}], {}, "${item.a ?? item.b}: nothing was found"),
        ("<${item.a ?? src.nothing}>", [{"c": 1}], {}, "${item.a ?? src.nothing}: nothing was found"),
        ("${src.one.x}", ["t"], {"one": "t"}, "${src.one.x}: nothing was found"),
    ],
)
def test_a_reference_that_finds_nothing_is_named(
    template: str, items: list[Any], shared: dict[str, Any], error: str
) -> None:
    node = lowered_class(
        params=(("at", "${__index__}"), ("p", template), ("style", "${style}")), error_handling="continue"
    )
    with pytest.raises(RuntimeError, match="all 1 items failed"):
        node(Scripted(Script([["ok"]])))._run(state := store(items, src={"list": items, **shared}))
    assert state["b"]["errors"][0]["error"] == error
    assert str(state["b"]["errors"][0]["exception"]) == error


def test_a_fallback_answers_for_the_item() -> None:
    class Falling(lowered_class(max_retries=2, error_handling="continue")):  # type: ignore[misc]
        def exec_fallback(self, call: Any, exc: Exception) -> Any:
            if call.index == 2:
                raise exc
            return {"out": str(exc)} if call.index == 0 else None

    shared = store(["a", "b", "c"])
    Falling(Scripted(Script([["raise"]] * 3)))._run(shared)
    assert shared["b"]["results"] == [
        {"out": "bad value", "item": "a", "original_index": 0},
        {"item": "b", "original_index": 1},
    ]
    assert [error["index"] for error in shared["b"]["errors"]] == [2]


def test_what_the_node_does_to_its_store_stays_there() -> None:
    shared = run([(1, ["seen"]), (2, ["ok"])], error_handling="continue")
    assert shared.keys() == {"style", "src", "__progress_callback__", "_pflow_depth", "b"}
    assert [result["_before"] for result in shared["b"]["results"]] == [[None, None, {}]] * 2


def test_a_captured_value_that_changes_reads_as_it_is_by_then() -> None:
    class Adding(pocketflow.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["names"].append(self.params["at"])
            shared["said"] = self.params["p"]

    params = (("at", "${__index__}"), ("p", "so far: ${src.names}"), ("style", "${style}"))
    shared: Any = store([], src={"list": [1, 2, 3], "names": []}, names=[])
    shared["src"]["names"] = shared["names"]
    lowered_class(params=params)(Adding())._run(shared)
    assert [result["said"] for result in shared["b"]["results"]] == ["so far: []", "so far: [0]", "so far: [0, 1]"]


def test_what_an_attempt_does_to_its_store_is_there_in_the_next() -> None:
    shared = run([(1, ["raise", "ok"])], max_retries=2)
    assert shared["b"]["results"][0]["_before"] == [None, 1, {}]  # its outputs are not
    shared = run([(1, ["raise", "ok"])], max_retries=2, namespacing=False)
    assert shared["b"]["results"] == [{"item": 1, "original_index": 0}]


def test_a_host_of_its_own() -> None:
    class Quiet(Engine):
        def warn(self, batch: Any, warnings: list[str]) -> None:
            said.append((batch.node_id, warnings))

        def aborts(self, exception: Exception) -> bool:
            return isinstance(exception, Overloaded)

        def store(self, call: Any) -> dict[str, Any]:
            return {"from the host": call.index}

    said: list[Any] = []
    node = lowered_class(error_handling="continue")(Scripted(Script([["empty"], ["refuse"]])))
    node.engine = Quiet()
    node._run(store([1, 2]))
    assert said == [("b", ["1 error(s) out of 2 items", "1 item(s) produced empty output (items 0)"])]
    node = lowered_class(error_handling="continue")(Scripted(Script([["ok"], ["raise provider"]])))
    node.engine = Quiet()
    with pytest.raises(Overloaded):
        node._run(store([1, 2]))


def test_a_node_that_cannot_be_copied_is_shared() -> None:
    import threading

    class Locked(pocketflow.Node):
        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            with self.lock:
                shared["at"] = self.params["at"]

    shared = store(list(range(20)))
    lowered_class(parallel=True, max_concurrent=4)(Locked())._run(shared)
    assert [result["at"] for result in shared["b"]["results"]] == list(range(20))


@pytest.mark.parametrize("node", ["Scripted", "AsyncScripted"])
def test_a_copy_that_fails_is_the_items_failure(node: str) -> None:
    class Uncopied(Engine):
        def copy_factory(self, inner: Any) -> Any:
            def fail() -> Any:
                raise TypeError("cannot pickle '_thread.lock' object")

            return fail

    made = lowered_class(node=node, parallel=True, error_handling="continue")(Scripted(Script([])))
    made.engine = Uncopied()
    with pytest.raises(RuntimeError, match=r"all 2 items failed.* \[0\] Executor error: cannot pickle '_thread.lock'"):
        made._run(store([1, 2]))


@pytest.mark.parametrize("node", ["Scripted", "AsyncScripted"])
def test_what_a_node_holds_is_there_once(node: str) -> None:
    """As in PocketFlow's own flow, which makes a shallow copy of a node for every run of it."""

    class Model:
        def __copy__(self) -> Any:
            raise AssertionError("copied")

        def __deepcopy__(self, memo: object) -> Any:
            raise AssertionError("copied")

    class Holding(pocketflow.Node if node == "Scripted" else pocketflow.AsyncNode):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.at = None

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["before"], shared["model"] = self.at, self.model is model
            self.at = self.params["at"]

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            self.post(shared, prep_res, exec_res)

    model = Model()
    shared = store(list(range(8)))
    lowered_class(node=node, parallel=True, max_concurrent=3)(Holding())._run(shared)
    assert [(result["before"], result["model"]) for result in shared["b"]["results"]] == [(None, True)] * 8


def test_a_node_s_own_semaphore_limits() -> None:
    class Limited(pocketflow.AsyncNode):
        def __init__(self) -> None:
            super().__init__()
            self.room = asyncio.Semaphore(2)

        async def exec_async(self, _: Any) -> None:
            async with self.room:
                under_way.append(1)
                most.append(len(under_way))
                await asyncio.sleep(0.001)
                under_way.pop()

    under_way: list[int] = []
    most: list[int] = []
    lowered_class(node="AsyncScripted", parallel=True, max_concurrent=8)(Limited())._run(store(list(range(20))))
    assert max(most) == 2
    assert len(most) == 20


def test_an_async_node_keeps_its_event_loop_from_item_to_item() -> None:
    loops: list[Any] = []

    class Looking(pocketflow.AsyncNode):
        async def exec_async(self, _: Any) -> Any:
            loops.append(asyncio.get_running_loop())

    node = lowered_class()(Looking())
    node._run(store([1, 2, 3]))
    assert len(set(loops)) == 1

    async def inside() -> None:
        node._run(store([1, 2, 3]))

    asyncio.run(inside())
    assert len(loops) == 6
    assert all(loop.is_closed() for loop in loops)
