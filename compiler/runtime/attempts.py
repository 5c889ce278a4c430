"""The attempts of one item, and its error when the last attempt failed.

PocketFlow's own retry loops are not used: they count on the node, which concurrent items share.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from .call import Call
from .data_types import Result
from .exceptions import add_note, is_a, is_set, message_of, notes_of
from .inner import result_of, set_result
from .missing import ParameterError, Unresolved
from .places import place_of
from .signals import interrupt_behind
from .throttle import MOST_THROTTLES, AskedToWaitTooLong, pushback_of, too_often
from .value_text import written


def attempt(node: Any, call: Call) -> Result | None:
    """Call `node.exec` until it succeeds, at most `max_retries` times; None if the last one raised.

    Only exceptions are worth another attempt: an error that the inner node answered is an answer.

    Raises: an exception that aborts the batch.
    """
    begun = perf_counter()
    try:
        call.attempt = 1
        result = node.exec(call)
        return result if result is not None and result is call.result else set_result(call, result)
    except Exception as exc:  # noqa: BLE001  a node may raise anything: it becomes the item's error
        return _try_again(node, call, exc)
    finally:
        call.seconds = perf_counter() - begun


def _try_again(node: Any, call: Call, exc: Exception) -> Result | None:
    """What becomes of a call whose first attempt raised `exc`. Apart from `attempt`, which is every item's way."""
    while True:
        if (interrupt := interrupt_behind(exc)) is not None:
            raise interrupt
        try:
            if is_a(exc, ParameterError):
                return call.batch.engine.unresolved(node, call, exc)
        except Exception as instead:  # noqa: BLE001  as in `attempt`
            exc = instead
        if not _is_worth_another(call, exc) or call.batch.pause_after(call, exc):
            return _fall_back(node, call, exc)
        call.attempt += 1
        try:
            result = node.exec(call)
            return result if result is not None and result is call.result else set_result(call, result)
        except Exception as another:  # noqa: BLE001  as in `attempt`
            exc = another


async def attempt_async(node: Any, call: Call) -> Result | None:
    """`attempt` for `node.exec_async`, inside a running event loop."""
    begun = perf_counter()
    try:
        while True:
            call.attempt += 1
            try:
                try:
                    result = await node.exec_async(call)
                except ParameterError as exc:
                    result = call.batch.engine.unresolved(node, call, exc)
                return result if result is not None and result is call.result else set_result(call, result)
            except Exception as exc:  # noqa: BLE001  a node may raise anything: it becomes the item's error
                if not _is_worth_another(call, exc):
                    return await _fall_back_async(node, call, exc)
                await asyncio.sleep(call.batch.seconds_after(call, exc))
                if call.batch.is_stopped():  # while it waited, or in an attempt that did not let itself be cancelled
                    return await _fall_back_async(node, call, exc)
    finally:
        call.seconds = perf_counter() - begun


def fail(call: Call, exc: Exception, message: str | None = None) -> None:
    """Note on `call` that `exc` is its outcome, and on `exc` where it comes from."""
    if is_a(exc, Unresolved) and exc.missing is not None:
        exc.prefix_with(written(call.batch, exc.missing, call.item))
    call.error = message_of(exc) if message is None else message
    if call.throttles >= MOST_THROTTLES and (pushback := pushback_of(exc)) is not None and pushback.is_throttle:
        call.error = too_often(call.error)  # in words only: whoever looks at `exc` finds the author's own exception
    call.exception = exc
    say_where(call, exc)


def _is_worth_another(call: Call, exc: Exception) -> bool:
    """Raises: `exc`, if it aborts the batch."""
    if call.batch.engine.aborts(exc):
        say_where(call, exc)
        raise exc
    if call.attempt >= call.batch.max_retries or is_a(exc, AskedToWaitTooLong):
        return False
    return is_set(exc, "retriable", default=True) and not is_set(exc, "cancelled")


def _fall_back(node: Any, call: Call, exc: Exception) -> Result | None:
    """PocketFlow's `exec_fallback` after the last attempt: unless overridden, it raises `exc` again. What it answers
    instead is not an answer of the node, so the next run tries again."""
    call.is_no_answer = True
    try:
        return result_of(call, node.exec_fallback(call, exc))
    except Exception as final:  # noqa: BLE001  as in `attempt`
        fail(call, final)
        return None


async def _fall_back_async(node: Any, call: Call, exc: Exception) -> Result | None:
    call.is_no_answer = True
    try:
        return result_of(call, await node.exec_fallback_async(call, exc))
    except Exception as final:  # noqa: BLE001  as in `attempt`
        fail(call, final)
        return None


def say_where(call: Call, exc: BaseException) -> None:
    """Say on `exc` which item and attempt raised it: once, even if every item raises the same object."""
    batch = call.batch
    named = f" {call.key!r}" if call.key is not None else ""
    where = f"{batch.engine.place(batch) or place_of(batch.file, exc.__traceback__)}{batch.node_id}: item ["
    if not any(note.startswith(where) for note in notes_of(exc)):
        add_note(exc, f"{where}{call.index}]{named}, attempt {call.attempt} of {batch.max_retries}")
