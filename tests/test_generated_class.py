"""What a generated class is to those who use it: a BatchNode to derive from, to set, and to look at in a debugger."""

from __future__ import annotations

import asyncio
from typing import Any

import pocketflow
import pytest
from helpers.scripted import AsyncScripted, Script, Scripted, lowered_class, store
from helpers.shapes import SHAPES as TRIED
from helpers.shapes import missing_shapes

from pflow_lower import runtime
from pflow_lower.ir.lowered import SHAPES, Shape, shape_of

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
