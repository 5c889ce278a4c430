"""What an item raises ends that item, whatever it is, in every shape; and one run never touches another."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import pocketflow
import pytest
from helpers.scripted import lowered_class, store
from helpers.shapes import SHAPES


def node_that(act: Callable[[Any], Any], options: dict[str, Any]) -> Any:
    """An inner node of the kind that `options` name, which calls `act` with its item's index."""

    class Acting(pocketflow.Node):
        def exec(self, _: Any) -> Any:
            return act(self.params["at"])

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["out"] = exec_res

    class AsyncActing(pocketflow.AsyncNode):
        async def exec_async(self, _: Any) -> Any:
            return act(self.params["at"])

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["out"] = exec_res

    return AsyncActing() if options["node"] == "AsyncScripted" else Acting()


# --- Exceptions of every kind


class Odd(Exception):
    """What the others are made of."""


def raising(*_: object) -> Any:
    raise Odd("raised by the exception itself")


def kind(name: str, *bases: type, **members: Any) -> Any:
    return type(name, (*bases, Odd), members)


NOT_TEXT = kind("NotText", __str__=lambda self: None)
ODD = {
    "str raises": kind("StrRaises", __str__=raising),
    "str is no text": NOT_TEXT,
    "repr raises": kind("ReprRaises", __repr__=raising, __str__=raising),
    "any attribute raises": kind("GetattrRaises", __getattr__=raising),
    "retriable raises": kind("RetriableRaises", retriable=property(raising)),
    "retriable is odd": kind("RetriableOdd", retriable=kind("NoBool", __bool__=raising)()),
    "cancelled raises": kind("CancelledRaises", cancelled=property(raising), retriable=False, batch_fatal=False),
    "batch_fatal raises": kind("FatalRaises", batch_fatal=property(raising)),
    "notes are none": kind("NotesNone", __notes__=None),
    "notes raise": kind("NotesRaise", __notes__=property(raising)),
    "notes are odd": kind("NotesOdd", __notes__=[7, NOT_TEXT()]),
    "add_note raises": kind("AddNoteRaises", add_note=raising),
    "add_note is none": kind("AddNoteNone", add_note=None),
    "without length": kind("LenZero", __len__=lambda self: 0),
    "false": kind("False_", __bool__=lambda self: False),
    "no bool": kind("BoolRaises", __bool__=raising),
    "provider_message raises": kind("ProviderRaises", provider_message=property(raising)),
    "provider_message is odd": kind("ProviderOdd", provider_message=b"busy"),
    "response raises": kind("ResponseRaises", response=property(raising), status_code=property(raising)),
    "status_code is a list": kind("StatusList", status_code=[429], retry_after="soon", kind=[]),
    "equals nothing": kind("EqRaises", __eq__=raising, __hash__=None),
    "class raises": kind("ClassRaises", __class__=property(raising)),
    "stop iteration": StopIteration,
    "stop asynchronous iteration": StopAsyncIteration,
    "a group": None,
}


def made(name: str) -> BaseException:
    if name == "a group":
        if not hasattr(__builtins__, "ExceptionGroup") and "ExceptionGroup" not in dir(__import__("builtins")):
            pytest.skip("Python 3.11")
        return __import__("builtins").ExceptionGroup("several", [ValueError("one"), NOT_TEXT()])  # type: ignore[no-any-return]
    return ODD[name]("went wrong")  # type: ignore[no-any-return]


def raised_by(node: Any, shared: Any) -> type | None:
    """What kind of exception a run raises; pytest itself cannot show these."""
    try:
        node._run(shared)
    except Exception as exc:  # noqa: BLE001
        return type(exc)
    return None


@pytest.mark.parametrize(
    "extra", [{}, {"retry_backoff": "exponential", "retry_wait": 0.001}], ids=["plain", "with controls"]
)
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_odd_exception_ends_its_item_only(shape: str, name: str, extra: dict[str, Any]) -> None:
    def act(at: int) -> int:
        if at == 3:
            raise made(name)
        return at

    options = {**SHAPES[shape], **extra, "error_handling": "continue", "max_retries": 2}
    shared = store(list(range(10)))
    raised = raised_by(lowered_class(**options)(node_that(act, options)), shared)
    assert raised is None
    outcome = shared["b"]
    assert [result["original_index"] for result in outcome["results"]] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert [error["index"] for error in outcome["errors"]] == [3]
    assert isinstance(outcome["errors"][0]["error"], str)


@pytest.mark.parametrize("name", ["str raises", "retriable raises", "false", "no bool", "cancelled raises"])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_odd_exception_ends_a_batch_that_stops_at_the_first_failure(shape: str, name: str) -> None:
    def act(at: int) -> int:
        if at == 3:
            raise made(name)
        return at

    options = SHAPES[shape]
    shared = store(list(range(10)))
    assert raised_by(lowered_class(**options)(node_that(act, options)), shared) is ODD[name]
    assert [error["index"] for error in shared["b"]["errors"]] == [3]


def test_a_falsy_exception_inside_a_running_loop() -> None:
    def act(_: int) -> None:
        raise made("without length")

    async def main() -> None:
        lowered_class(node="AsyncScripted", error_handling="continue")(node_that(act, {"node": "AsyncScripted"}))._run(
            shared
        )

    shared = store([1])
    with pytest.raises(RuntimeError, match="all 1 items failed"):
        asyncio.run(main())


@pytest.mark.parametrize("shape", SHAPES)
def test_an_odd_warning_is_a_warning(shape: str) -> None:
    class OddWarning:
        def to_dict(self) -> Any:
            raise Odd

    options = SHAPES[shape]

    def warn(shared: Any) -> None:
        shared["__warnings__"] = {"b": OddWarning()}

    class Warned(pocketflow.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            warn(shared)

    class AsyncWarned(pocketflow.AsyncNode):
        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            warn(shared)

    inner = AsyncWarned() if options["node"] == "AsyncScripted" else Warned()
    shared = store([1, 2])
    lowered_class(**options)(inner)._run(shared)
    assert shared["b"]["count"] == 2
    assert "2 item(s) reported warnings" in shared["__warnings__"]["b"]


@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_of_any_class(shape: str) -> None:
    class Array:
        def __eq__(self, other: object) -> Any:
            return self

        def __ne__(self, other: object) -> Any:
            return self

        __hash__ = None  # type: ignore[assignment]

        def __bool__(self) -> bool:
            raise ValueError("The truth value of an array with more than one element is ambiguous")

    options = SHAPES[shape]
    shared = store([1, 2])
    lowered_class(**options)(node_that(lambda at: Array(), options))._run(shared)
    assert shared["b"]["success_count"] == 2
    assert "__warnings__" not in shared


# --- What ends a program


@pytest.mark.parametrize(
    "exc",
    [SystemExit(4), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()],
    ids=lambda exc: type(exc).__name__,
)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_ends_the_program_publishes_what_is_done(shape: str, exc: BaseException) -> None:
    def act(at: int) -> int:
        if at == 3:
            assert shape != "in threads" or done.wait(60)
            raise exc
        if at == 2:
            done.set()
        return at

    done = threading.Event()
    options = SHAPES[shape]
    for _ in range(5):
        done.clear()
        shared = store(list(range(10)))
        with pytest.raises(type(exc)) as caught:
            lowered_class(**options)(node_that(act, options))._run(shared)
        if isinstance(exc, SystemExit):
            assert caught.value.args == (4,)
        assert 2 <= shared["b"]["count"] < 10


def test_a_node_that_swallows_its_cancellation_starts_nothing_more() -> None:
    begun: list[int] = []

    class Stubborn(pocketflow.AsyncNode):
        async def exec_async(self, _: Any) -> None:
            begun.append(self.params["at"])
            while len(begun) < 5:  # noqa: ASYNC110  the other tasks get there at once
                await asyncio.sleep(0)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(600)
            if self.params["at"] % 2:
                raise ValueError("to be tried again, if it were not over")

    async def main() -> None:
        task = asyncio.ensure_future(node.run_async(shared))
        while len(begun) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    node = lowered_class(
        node="AsyncScripted", parallel=True, max_concurrent=5, max_retries=3, error_handling="continue"
    )(Stubborn())
    shared = store(list(range(40)))
    asyncio.run(main())
    assert begun == [0, 1, 2, 3, 4]
    assert shared["b"]["count"] == 5


# --- One run and another


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("how", ["flow", "node"])
def test_one_flow_in_four_threads(shape: str, how: str) -> None:
    options = SHAPES[shape]
    generated = lowered_class(**options)
    made_once = generated(Slowly() if options["node"] == "Scripted" else AsyncSlowly())
    flow = pocketflow.Flow(start=made_once) if how == "flow" else made_once
    wrong: list[Any] = []

    def run(number: int) -> None:
        for _ in range(3):
            items = [f"{number}-{n}" for n in range(10)]
            shared = store(items)
            flow._run(shared)
            wrong.extend(r for r in shared["b"]["results"] if r["saw"] != [r["item"]] * 2)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class Slowly(pocketflow.Node):
    """Looks at its parameters twice, and lets others run in between."""

    def exec(self, _: Any) -> Any:
        before = self.params["it"]
        threading.Event().wait(0.0005)
        return [before, self.params["it"]]

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["saw"] = exec_res


class AsyncSlowly(pocketflow.AsyncNode):
    """The same."""

    async def exec_async(self, _: Any) -> Any:
        before = self.params["it"]
        await asyncio.sleep(0.0005)
        return [before, self.params["it"]]

    async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["saw"] = exec_res


asked_by: contextvars.ContextVar[str] = contextvars.ContextVar("asked_by", default="nobody")


@pytest.mark.parametrize("extra", [{}, {"timeout": 60}], ids=["plain", "with a time limit"])
@pytest.mark.parametrize("shape", SHAPES)
def test_items_run_in_the_caller_s_context(shape: str, extra: dict[str, Any]) -> None:
    def act(at: int) -> str:
        found = asked_by.get()
        if shape == "in threads":
            asked_by.set(f"item {at}")
        return found

    options = {**SHAPES[shape], **extra}
    token = asked_by.set("me")
    try:
        shared = store(list(range(10)))
        lowered_class(**options)(node_that(act, options))._run(shared)
        assert asked_by.get() == "me"
    finally:
        asked_by.reset(token)
    assert {result["out"] for result in shared["b"]["results"]} == {"me"}


# --- Messages


def test_items_that_are_no_list_are_described_briefly() -> None:
    rows = {f"key {n}": "x" * 1000 for n in range(1500)}
    shared = {"style": "terse", "src": {"list": rows}}
    with pytest.raises(TypeError, match="must be an array, got dict") as caught:
        lowered_class()(node_that(lambda at: at, {"node": "Scripted"}))._run(shared)
    message = str(caught.value)
    assert len(message) < 2000
    assert all(said in message for said in ("dict", "'key 0'", "'key 9'", "1490 more", "{'key 0': 'xxx"))
    shared = {"style": "terse", "src": {"list": {"a": 1}}}
    with pytest.raises(TypeError, match=r"resolved to: \{'a': 1\}$"):
        lowered_class()(node_that(lambda at: at, {"node": "Scripted"}))._run(shared)


def test_a_batch_repeats_the_start_of_a_long_error() -> None:
    def act(_: int) -> None:
        raise ValueError("y" * 1_000_000)

    shared = store([1, 2])
    with pytest.raises(RuntimeError, match="all 2 items failed") as caught:
        lowered_class(error_handling="continue")(node_that(act, {"node": "Scripted"}))._run(shared)
    assert len(str(caught.value)) < 20_000
    assert len(shared["b"]["errors"][0]["error"]) == 1_000_000
