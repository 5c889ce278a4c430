"""What travels between the driver and the workers of a cluster, and a check that it can be pickled.

Workers get the node, the store and what was captured once for a batch, and the items chunk by chunk. They send back
outcomes as plain tuples, which are pickled several times as fast as objects. If the node or the store cannot be
pickled, an error names the part and where it comes from, before the first item runs; an item whose outputs cannot be
pickled has failed.
"""

from __future__ import annotations

import copy
import inspect
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from .answers import has_own_exec
from .below import WrittenBelow
from .data_types import Result
from .missing import Missing
from .ray_cluster import ray_itself
from .ray_exceptions import picklable, why_not_pickled
from .ray_home import Home, installed_folders
from .ray_place import NotForRay
from .values import Capture

if TYPE_CHECKING:
    from .batch import Batch
    from .call import Call


class Outcome(NamedTuple):
    """What became of one item on a worker. It is sent without the fields at its end that are as ever."""

    at: int
    result: Result | None
    seconds: float
    error: str | None = None
    exception: Exception | None = None
    attempt: int = 1
    warnings: Any = None
    has_entered: bool = True
    """Whether the last attempt had its parameters, and got as far as the node."""
    noted: bytes | None = None
    """`Call.noted`."""
    is_no_answer: bool = False
    """`Call.is_no_answer`."""
    left_items_out: bool = False
    """`Below.left_items_out` of the call."""
    written: tuple[WrittenBelow, ...] = ()
    """What was written below it."""


USUAL = 3
"""How many fields an item has that ended well at its first attempt."""
Usual = tuple[Sequence[int], Sequence[Result], Sequence[float]]
"""The outcomes of such items: all indexes, all outputs and all seconds, which cost half as much as a tuple an item."""


Given = tuple[str, Home, Any]
"""The name of the sign that the batch is over, where the run is, and what was shipped: pickled, or in a list the
reference to it."""


class Shipped(NamedTuple):
    """What every worker needs, once: the node, the store and what was captured."""

    node: Any
    shared: dict[str, Any]
    captures: dict[str, Capture]
    total: int | None
    pacer: Any
    is_journalled: bool = False
    """Whether what items give is kept for another run."""
    notes_answers: bool = False
    """Whether workers say what the node has given, besides what an `exec` of the author's has made of it."""


def shipped(node: Any, batch: Batch, pacer: Any) -> bytes:
    """What workers get. Raises: NotForRay, if a part of it cannot be pickled."""
    cloudpickle: Any = ray_itself().cloudpickle
    captures = {}
    for name, value in vars(batch.given).items():
        kept = value.without_start() if isinstance(value, Missing) else value
        captures[name] = Capture(kept, batch.references[name].without_start())
    for module in _only_here(type(node), type(node.inner)):
        cloudpickle.register_pickle_by_value(module)
    worker = copy.copy(node)
    worker.engine = node.engine.for_worker()
    worker.inner = node.engine.inner_for_worker(node.inner)
    worker.successors = {}
    # What is the engine's own, displays and traces, stays here.
    shared = {name: value for name, value in batch.shared.items() if name[:2] != "__"}
    is_journalled = batch.controls is not None and batch.controls.journal is not None
    notes = is_journalled and has_own_exec(node)
    made = Shipped(worker, shared, captures, batch.total, pacer, is_journalled, notes)
    try:
        return bytes(cloudpickle.dumps(made))
    except Exception:  # noqa: BLE001  which part it is, and whether it can be left out, is found out one by one
        return bytes(cloudpickle.dumps(_without_what_cannot_be_sent(made, batch, cloudpickle.dumps)))


def _without_what_cannot_be_sent(made: Shipped, batch: Batch, dumps: Any) -> Shipped:
    """Values of the store may be left out, with a warning. Raises: NotForRay, for anything else."""

    def check(value: Any, what: str, *modules: ModuleType) -> None:
        try:
            dumps(value)
        except Exception as error:  # pickling runs anybody's code
            blamed, advice = _global_not_sent(modules, dumps)
            raise NotForRay(f"{batch.node_id}: {what} cannot be sent to a worker{blamed}: {error}{advice}") from error

    for capture in made.captures.values():
        written, kind = capture.reference.reference(lambda _: ""), type(capture.value).__name__
        check(capture.value, f"the captured value ${{{written}}} (a {kind})")
    inner, generated = type(made.node.inner), type(made.node)
    check(made.node.inner, f"the node `{inner.__qualname__}` that runs for each item", *_only_here(inner))
    check(made.node, f"the class {generated.__qualname__}", *_only_here(generated))
    shared = {}
    for name, value in made.shared.items():
        if why_not_pickled(dumps, value):
            warnings.warn(
                f"shared[{name!r}] (a {type(value).__name__}) cannot be sent to workers: nodes do not find it there",
                stacklevel=3,
            )
        else:
            shared[name] = value
    return made._replace(shared=shared)


def _global_not_sent(modules: Sequence[ModuleType], dumps: Any) -> tuple[str, str]:
    """Which global that code of these modules uses cannot be pickled, and what to do; "" and "" if that is none."""
    for module in modules:
        used = set(_names_in(module))
        for name, value in vars(module).items():
            if name in used and not isinstance(value, ModuleType) and why_not_pickled(dumps, value):
                if isinstance(value, (type, FunctionType)):  # of what such a one uses, it is not the cause
                    continue
                where = getattr(module, "__file__", None) or module.__name__
                advice = (
                    "; make it where it is first used, or install the module here and on the workers (pip install), "
                    "which then import it"
                )
                return f", as `{name}` of {where} goes with it", advice
    return "", ""


def _names_in(module: ModuleType) -> Iterator[str]:
    """The names that functions and methods of a module use."""
    for value in vars(module).values():
        if getattr(value, "__module__", None) == module.__name__:
            for function in [value, *(vars(value).values() if isinstance(value, type) else ())]:
                code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
                yield from _names_of(code) if code is not None else ()


def _names_of(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_of(constant)


def pickled_items(batch: Batch, items: dict[int, Any], width: int, *, is_awaited: bool) -> bytes:
    """How many items of a chunk run at a time, whether a word is awaited before the first ends, the items' indexes and
    themselves, as one value: Ray goes through what is in a list piece by piece.

    Raises: NotForRay, for an item that cannot be pickled.
    """
    dumps = ray_itself().cloudpickle.dumps
    try:
        return bytes(dumps((width, is_awaited, list(items), list(items.values()))))
    except Exception as error:  # as above
        for index, item in items.items():
            if why := why_not_pickled(dumps, item):
                kind = type(item).__name__
                raise NotForRay(
                    f"{batch.node_id}: item [{index}] (a {kind}) cannot be sent to a worker: {why}"
                ) from error
        raise NotForRay(f"{batch.node_id}: the items cannot be sent to a worker: {error}") from error


def outcome_of(call: Call, result: Result | None) -> tuple[Any, ...]:
    """What is sent of `call`: without the item, which the driver has, and with an exception that can be pickled."""
    if result is not None:  # the driver knows these
        del result["item"], result["original_index"]
        if call.batch.has_keys:
            del result["key"]
    warned = call.store and call.store.get("__warnings__")
    is_usual = call.below is None and call.noted is None and not (warned or call.is_no_answer)
    if is_usual and call.error is None and call.attempt == 1:
        return call.index, result, call.seconds
    left_items_out = call.below is not None and call.below.left_items_out
    written = () if call.below is None else tuple(call.below.written.values())
    exception = None if call.exception is None else picklable(call.exception)
    has_entered = call.entered == call.attempt
    seldom = call.error, exception, call.attempt, warned, has_entered, call.noted, call.is_no_answer
    return call.index, result, call.seconds, *seldom, left_items_out, written


def pickled_group(
    outcomes: list[tuple[Any, ...]], aborts: list[tuple[int, BaseException]], news: Sequence[str] = ()
) -> bytes:
    """Outcomes as they are sent, the usual ones and the others, and with them what ends the batch, where an item raised
    that: the item's index and the exception, or None; and what there is to tell. An item whose outputs cannot be
    pickled has failed of that."""
    dumps = ray_itself().cloudpickle.dumps
    abort = min(aborts, key=lambda found: found[0]) if aborts else None
    if abort is not None:
        abort = abort[0], picklable(abort[1])
    try:
        return bytes(dumps((*_apart(outcomes), abort, *news)))
    except Exception:  # noqa: BLE001  a node may put out anything: which one it is, is found out one by one
        return bytes(dumps((*_apart([_sendable(outcome, dumps) for outcome in outcomes]), abort, *news)))


def _apart(outcomes: list[tuple[Any, ...]]) -> tuple[Usual, list[tuple[Any, ...]]]:
    usual = [outcome for outcome in outcomes if len(outcome) == USUAL]
    others = [] if len(usual) == len(outcomes) else [outcome for outcome in outcomes if len(outcome) != USUAL]
    return tuple(zip(*usual, strict=True)) or ((), (), ()), others  # type: ignore[return-value]


def _sendable(outcome: tuple[Any, ...], dumps: Any) -> tuple[Any, ...]:
    why = why_not_pickled(dumps, outcome)
    if not why:
        return outcome
    made = RuntimeError(f"the outputs cannot be sent back from a worker: {why}")
    return tuple(Outcome(*outcome)._replace(result=None, error=str(made), exception=made, warnings=None))


def _only_here(*classes: type) -> Iterator[ModuleType]:
    """The modules of `classes` that are not installed, so that a worker may not find them by their names."""
    installed = installed_folders()
    for name in {base.__module__ for cls in classes for base in cls.__mro__}:
        module = sys.modules.get(name)
        if module is None or name in sys.builtin_module_names or name.partition(".")[0] == "pflow_lower":
            continue
        file = getattr(module, "__file__", None)
        if file is None or not os.path.realpath(file).startswith(installed):
            yield module
