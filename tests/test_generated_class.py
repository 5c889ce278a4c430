"""What a generated class is to those who use it: a BatchNode to derive from, to set, and to look at in a debugger."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pocketflow
import pytest
from helpers.scripted import AsyncScripted, Script, Scripted, lowered_class, store
from helpers.shapes import SHAPES as TRIED
from helpers.shapes import missing_shapes

from pflow_lower import runtime
from pflow_lower.ir.lowered import SHAPES, Shape, shape_of
from pflow_lower.runtime.overrides import check_settings
from pflow_lower.runtime.pace import rate_of
from pflow_lower.runtime.run import STATE_VARIABLE
from pflow_lower.runtime.settings import file_of

KINDS: dict[str, dict[str, Any]] = {
    "SequentialBatchNode": {},
    "ThreadedBatchNode": {"parallel": True},
    "ConcurrentBatchNode": {"parallel": True, "node": "AsyncScripted"},
}


def test_every_shape_is_tried() -> None:
    assert not missing_shapes(lowered_class(**options) for options in KINDS.values())
    assert not missing_shapes(lowered_class(**options) for options in TRIED.values())


def inner(kind: str, script: Script) -> Any:
    return AsyncScripted(script) if kind == "ConcurrentBatchNode" else Scripted(script)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_batch_node_of_pocketflow(kind: str) -> None:
    cls = lowered_class(**KINDS[kind], max_concurrent=4, max_retries=3, retry_wait=0.5)
    assert cls.__bases__ == (getattr(runtime, kind),)
    assert issubclass(cls, pocketflow.BatchNode)
    assert not hasattr(pocketflow, kind)
    node = cls(inner(kind, Script([])))
    assert (node.max_retries, node.wait, node.max_concurrent, node.error_handling) == (3, 0.5, 4, "fail_fast")
    assert set(vars(cls)) >= {"node_id", "alias", "items", "max_concurrent", "max_retries", "retry_wait", "prep"}


def test_every_shape_has_its_base() -> None:
    assert set(SHAPES) == set(Shape)
    for shape, spec in SHAPES.items():
        base = getattr(runtime, spec.base)
        assert shape_of(parallel=base.parallel, is_async=spec.is_async) is shape


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("answer", "result", "error"),
    [
        (None, {}, None),
        ("text", {"value": "text"}, None),
        ("", {"value": ""}, None),
        (0, {"value": 0}, None),
        ([1], {"value": [1]}, None),
        ({}, {}, None),
        ({"out": 1, "item": "other"}, {"out": 1}, None),
        ({"error": "no use"}, None, "no use"),
        ({"error": ""}, {"error": ""}, None),
    ],
)
def test_an_overridden_exec_may_answer_anything(kind: str, answer: Any, result: Any, error: str | None) -> None:
    generated = lowered_class(**KINDS[kind], error_handling="continue")

    class Answering(generated):  # type: ignore[misc]
        def exec(self, call: Any) -> Any:
            return super().exec(call) if call.index else answer

        async def exec_async(self, call: Any) -> Any:
            return await super().exec_async(call) if call.index else answer

    shared = store(["a", "b"])
    Answering(inner(kind, Script([["ok"], ["ok"]])))._run(shared)
    outcome: Any = shared["b"]
    first = [{**result, "item": "a", "original_index": 0}] if error is None else []
    assert outcome["results"][: len(first)] == first
    assert outcome["success_count"] == len(first) + 1
    assert [record["error"] for record in outcome["errors"]] == ([] if error is None else [error])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hook", ["exec", "exec_fallback"])
def test_one_object_may_be_answered_for_several_items(kind: str, hook: str) -> None:
    """A constant, a memo, the item itself: what is made of it for one item is not seen by others, nor in the store."""
    constant = {"label": "none"}

    def answer(self: Any, call: Any, exc: Any = None) -> Any:
        if exc is None and hook == "exec_fallback":
            raise ValueError("always")
        return call.item if call.index == 2 else constant

    async def answer_async(self: Any, call: Any, exc: Any = None) -> Any:
        return answer(self, call, exc)

    own = {"exec": answer, "exec_fallback": answer, "exec_async": answer_async, "exec_fallback_async": answer_async}
    names = ("exec", hook) if kind != "ConcurrentBatchNode" else ("exec_async", f"{hook}_async")
    cls = type("Answering", (lowered_class(**KINDS[kind]),), {name: own[name] for name in names})
    items = ["a", "b", {"c": 1}]
    shared = store(items)
    cls(inner(kind, Script([["ok"]] * 3)))._run(shared)
    results: Any = shared["b"]["results"]
    assert results == [
        {"label": "none", "item": "a", "original_index": 0},
        {"label": "none", "item": "b", "original_index": 1},
        {"c": 1, "item": {"c": 1}, "original_index": 2},
    ]
    assert constant == {"label": "none"} and items[2] == {"c": 1}


def test_what_exec_remembers_of_one_item_is_another_result_for_the_next() -> None:
    remembered: dict[str, Any] = {}

    class Remembering(lowered_class()):  # type: ignore[misc]
        def exec(self, call: Any) -> Any:
            if call.item not in remembered:
                remembered[call.item] = super().exec(call)
            return remembered[call.item]

    shared = store(["a", "b", "a"])
    Remembering(Scripted(Script([["ok"]] * 3)))._run(shared)
    assert [(found["item"], found["original_index"]) for found in shared["b"]["results"]] == [
        ("a", 0), ("b", 1), ("a", 2)
    ]  # fmt: skip


ASYNCHRONOUS = KINDS["ConcurrentBatchNode"]


@pytest.mark.parametrize(
    ("name", "options", "is_async", "said"),
    [
        ("exec_async", {}, True, "exec_async has no effect, as this batch is not asynchronous: override `exec`"),
        ("post_async", {}, True, "post_async has no effect, as this batch is not asynchronous: override `post`"),
        ("exec", {}, True, "exec must not be `async def`: nothing waits for its coroutine"),
        ("exec_fallback", {"parallel": True}, True, "exec_fallback must not be `async def`"),
        ("exec", ASYNCHRONOUS, False, "exec has no effect, as this batch is asynchronous: override `exec_async`"),
        ("exec_fallback", ASYNCHRONOUS, False, "override `exec_fallback_async`"),
        ("prep", ASYNCHRONOUS, True, "prep must not be `async def`"),
        ("prep", ASYNCHRONOUS, False, ""),
        ("prep_async", ASYNCHRONOUS, True, ""),
        ("exec_async", ASYNCHRONOUS, True, ""),
        ("exec", {}, False, ""),
    ],
)
def test_a_method_that_is_never_called_is_refused(name: str, options: Any, is_async: bool, said: str) -> None:
    generated = lowered_class(**options)

    def own(self: Any, *arguments: Any) -> Any:
        return getattr(generated, name)(self, *arguments)

    async def own_async(self: Any, *arguments: Any) -> Any:
        return await getattr(generated, name)(self, *arguments)

    cls = type("Careful", (generated,), {name: own_async if is_async else own})
    node = cls(inner("ConcurrentBatchNode" if options is ASYNCHRONOUS else "", Script([["ok"]])))
    shared = store(["a"])
    if said:
        with pytest.raises(ValueError, match=re.escape(said)):
            check_settings(node)  # as a program does before its first step; a batch alone does so in `prep`
    else:
        node._run(shared)
        assert shared["b"]["success_count"] == 1


def test_what_an_overridden_exec_adds_to_the_result_is_there() -> None:
    class Adding(lowered_class()):  # type: ignore[misc]
        def exec(self, call: Any) -> Any:
            return {**super().exec(call), "length": len(call.item)}

    shared = store(["abc"])
    Adding(Scripted(Script([["ok"]])))._run(shared)
    (result,) = shared["b"]["results"]
    assert result["length"] == 3 and result["item"] == "abc"


def test_an_overridden_exec_is_tried_again() -> None:
    class Late(lowered_class(max_retries=2)):  # type: ignore[misc]
        def exec(self, call: Any) -> Any:
            if call.attempt == 1:
                raise ValueError("too early")
            return call.attempt

    shared = store(["a"])
    Late(Scripted(Script([])))._run(shared)
    assert shared["b"]["results"] == [{"value": 2, "item": "a", "original_index": 0}]


def test_a_subclass_and_an_instance_set_it_otherwise() -> None:
    class Careful(lowered_class(parallel=True)):  # type: ignore[misc]
        max_concurrent = 2
        max_retries = 2
        error_handling = "continue"

    node = Careful(Scripted(Script([["raise", "ok"], ["raise", "raise"]])))
    shared = store(["a", "b"])
    node._run(shared)
    assert (shared["b"]["success_count"], shared["b"]["error_count"]) == (1, 1)
    assert shared["b"]["batch_metadata"]["max_concurrent"] == 2
    node = Careful(Scripted(Script([["ok"]])))
    node.max_concurrent = 1
    node._run(shared := store(["a"]))
    assert shared["b"]["batch_metadata"]["max_concurrent"] == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_concurrent", 0, 'must be a whole number between 1 and 1000, or "auto", not 0'),
        ("max_concurrent", 2.5, 'must be a whole number between 1 and 1000, or "auto", not 2.5'),
        ("max_retries", 0, "must be a whole number between 1 and 10; it counts the attempts, 1 means no retry, not 0"),
        ("error_handling", "FAIL_FAST", 'must be "fail_fast" or "continue", not \'FAIL_FAST\''),
        ("retry_wait", float("nan"), "must be a number of seconds, 0 or more, not nan"),
        ("timeout", float("inf"), "must be a number of seconds above 0, or None, not inf"),
        ("tolerated_failures", "1", "must be a whole number, 0 or more, a share such as \"10%\", or None, not '1'"),
        ("tolerated_failures", 1, 'is 1, and with `fail_fast` none is tolerated: set error_handling to "continue", '),
        ("retry_backoff", "linear", 'must be "fixed" or "exponential", not \'linear\''),
        ("rate", "60 a minute", 'must be a rate such as "60/min" (s, min, h, day), the name of a budget in small'),
        ("rate", "openai", "is 'openai', the name of a budget, and it says no limit: set shared_rate (\"500/min\") or"),
        ("resume", 1, "must be True or False, not 1"),
        ("wait", -1, "must be a number of seconds, 0 or more, not -1"),
        ("max_concurent", 3, "is not a setting of a batch: did you mean `max_concurrent`?"),
        ("maxConcurrent", 3, "is not a setting of a batch: did you mean `max_concurrent`?"),
    ],
)
@pytest.mark.parametrize("of_the_class", [True, False])
def test_a_setting_that_cannot_be_is_said_before_the_first_item(
    kind: str, name: str, value: Any, error: str, of_the_class: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    (tmp_path / "out.jsonl").write_text("of the run before\n")
    made = lowered_class.__wrapped__(**KINDS[kind], resume=True, results={"file": str(tmp_path / "out.jsonl")})
    mine = type("Mine", (made,), {name: value} if of_the_class else {})
    node = mine(inner(kind, script := Script([["ok"]])))
    if not of_the_class:
        setattr(node, name, value)
    if name == "wait":
        name, error = ("wait", "cannot be set: its name is `retry_wait`") if of_the_class else ("retry_wait", error)
    with pytest.raises(ValueError, match=re.escape(f"Mine.{name} {error}")):
        node._run(store(["a"]))
    assert not script.attempts and not (tmp_path / "state").exists()
    assert (tmp_path / "out.jsonl").read_text() == "of the run before\n"


@pytest.mark.parametrize(("name", "value"), [("min_concurrent", 1), ("results_so_far", []), ("resumed", True)])
def test_attributes_of_one_s_own_are_no_misspelt_settings(name: str, value: Any) -> None:
    mine = type("Mine", (lowered_class(),), {name: value})(Scripted(Script([["ok"]])))
    mine.batch = mine.prep(store(["a"]))
    mine._run(shared := store(["a"]))
    assert shared["b"]["success_count"] == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", [{}, {"key": "number ${item}"}])
def test_an_overridden_name_item_names_the_items(kind: str, key: dict[str, str]) -> None:
    class Named(lowered_class(**KINDS[kind], **key)):  # type: ignore[misc]
        def name_item(self, call: Any) -> str:
            return f"#{call.item}"

    Named(inner(kind, Script([["ok"], ["ok"]])))._run(shared := store(["a", "b"]))
    assert [result["key"] for result in shared["b"]["results"]] == ["#a", "#b"]
    with pytest.raises(ValueError, match=r"the items \[0\] and \[1\] have the same key, '#a'"):
        Named(inner(kind, Script([["ok"], ["ok"]])))._run(store(["a", "a"]))


def test_a_key_without_a_name_item_is_said() -> None:
    made = type("Made", (runtime.SequentialBatchNode,), {**vars(lowered_class()), "key": "${item}"})
    with pytest.raises(ValueError, match=r"^Made.key has no effect: `name_item` says what an item is called"):
        made(Scripted(Script([["ok"]]))).prep(store(["a"]))


def test_a_rate_in_place_of_a_budget_is_that_rate() -> None:
    budget = {"rate": "api", "shared_rate": "1/day"}
    made = type("Made", (runtime.SequentialBatchNode,), {**vars(lowered_class()), **budget})
    node = made(Scripted(Script([["ok"]])))
    node.rate = "300/s"
    batch = node.prep(store(["a"]))
    batch.next_call()
    assert batch.controls.pacer.rate == rate_of("300/s")
    batch.end(ended_well=True)


def test_the_pause_between_attempts_has_one_value_under_two_names() -> None:
    node = lowered_class(retry_wait=0.5)(Scripted(Script([["ok"]])))
    node.retry_wait = 0.25
    assert node.wait == node.prep(store(["a"])).retry_wait == 0.25
    node.wait = 0.125
    assert node.retry_wait == node.prep(store(["a"])).retry_wait == 0.125


def test_a_base_beside_the_generated_class_says_how_items_run() -> None:
    class InThreads(runtime.ThreadedBatchNode, lowered_class()):  # type: ignore[misc]
        max_concurrent = 2

    InThreads(Scripted(Script([["ok"], ["ok"]])))._run(shared := store(["a", "b"]))
    assert shared["b"]["batch_metadata"]["execution_mode"] == "parallel" and shared["b"]["success_count"] == 2


def test_the_file_of_a_class_with_another_id_is_that_of_the_generated_one() -> None:
    made = lowered_class()
    assert file_of(type("Other", (made,), {"node_id": "other"})) == file_of(made) != ""


def test_a_debugger_shows_what_it_is() -> None:
    node = lowered_class(max_retries=2)(Scripted(Script([["ok"]])))
    shared = store(["a" * 500, "b"])
    batch = node.prep(shared)
    assert repr(batch) == "<Batch 'b': 0 of 2 items done, Given(style='terse')>"
    call = batch.next_call()
    assert repr(call).startswith("<Call 'b' [0] of 2: 'aaaaaaaaaaaa...aaaa") and len(repr(call)) < 80
    call.attempt, call.error = 1, "no use"
    assert repr(call).endswith("error='no use'>") and ", attempt 1 of 2: " in repr(call)
    batch.finish(call, None)
    assert repr(batch).startswith("<Batch 'b': 1 of 2 items done, 1 failed, ")
    del shared["style"]
    assert repr(node.prep(shared).given) == "Given(style=<Missing ${style}>)"


def test_a_value_that_cannot_be_shown_does_not_stop_the_debugger() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    batch = lowered_class()(Scripted(Script([]))).prep(store([Rude()]))
    assert "<Rude" in repr(batch.next_call())


@pytest.mark.parametrize("kind", KINDS)
def test_two_captured_values_that_are_missing_are_told_apart(kind: str) -> None:
    params = (("at", "${__index__}"), ("p", "${style}"), ("q", "in ${src.tone}"))
    node = lowered_class(**KINDS[kind], params=params, error_handling="continue")
    for missing, reference in (({"src"}, "${src.tone}"), ({"style", "src"}, "${style}")):
        shared: Any = {"style": "terse", "src": {"list": ["a"], "tone": "dry"}}
        shared["src"] = {"list": ["a"]} if "src" in missing else shared["src"]
        if "style" in missing:
            del shared["style"]
        with pytest.raises(RuntimeError, match="all 1 items failed"):
            node(inner(kind, Script([["ok"]])))._run(shared)
        assert [record["error"] for record in shared["b"]["errors"]] == [f"{reference}: nothing was found"]


def test_an_asynchronous_flow_awaits_it() -> None:
    node = lowered_class(parallel=True, node="AsyncScripted")(AsyncScripted(Script([["ok"]])))
    shared = store(["a"])
    asyncio.run(pocketflow.AsyncFlow(start=node).run_async(shared))
    assert shared["b"]["success_count"] == 1
