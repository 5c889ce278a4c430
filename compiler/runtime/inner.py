"""Running the wrapped node for one item: its own store, its parameters, what counts as a failure."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from .call import Call
from .data_types import Result
from .results_places import items_around


def run_inner(inner: Any, call: Call, params: dict[str, Any]) -> Result:
    """Run the node `inner` for one item with `params`; return its outputs, `item` and `original_index`.

    The node writes to a store of its own (what it does to the items themselves is visible, as ever).
    A truthy `error` output, or an action that starts with "error", makes it a failed call.

    Raises: whatever the node raises.
    """
    batch = call.batch
    view = _enter(inner, call, params)
    if batch.starts_workflows:
        return _outcome(call, _run_workflow(inner, call, view))
    action = batch.run_blocking(inner._run_async(view)) if batch.is_async else inner._run(view)
    return _outcome(call, action)


def _run_workflow(inner: Any, call: Call, view: MutableMapping[str, Any]) -> Any:
    """Run pflow's node that runs a workflow, whose batches know of the item; its action."""
    token = items_around.set((*call.batch.items_around, (call.batch.node_id, call.index)))
    try:
        return inner._run(view)
    finally:
        items_around.reset(token)


async def run_inner_async(inner: Any, call: Call, params: dict[str, Any]) -> Result:
    """`run_inner` for an asynchronous node, inside a running event loop."""
    return _outcome(call, await inner._run_async(_enter(inner, call, params)))


def result_of(call: Call, outputs: Any, *, may_hold_item: bool = False) -> Result:
    """What an author's method answered (or a journal gave back) as the result of one item.

    It may be an object that is answered for other items, too, or the item itself: it stays as it is. None is a result
    without outputs, a text or a number stands under "value".

    An output called `item` gives way to the item itself, which is told; with `may_hold_item` not if it is the item.
    """
    if isinstance(outputs, dict):
        return _complete(call, dict(outputs), may_hold_item=may_hold_item)
    return _complete(call, {} if outputs is None else {"value": outputs})


def _complete(call: Call, result: Result, *, may_hold_item: bool = False) -> Result:
    """Put the item into `result`, which belongs to this item alone."""
    if "item" in result and not (may_hold_item and result["item"] is call.item):
        call.batch.engine.replacing(call, result["item"])
    result["item"] = call.item
    result["original_index"] = call.index
    if call.batch.has_keys:
        result["key"] = call.key
    return result


def set_result(call: Call, outputs: Any) -> Result:
    """Make what the `exec` of a subclass answered the result of `call`, in the shape of the inner node's (`result_of`).

    A truthy "error" in it is a failure.
    """
    result = call.result = result_of(call, outputs, may_hold_item=True)
    if error := result.get("error"):
        call.error = str(error)
    return result


def _enter(inner: Any, call: Call, params: dict[str, Any]) -> MutableMapping[str, Any]:
    """Make `inner` ready for the call; answers the item's store as the node is to see it."""
    batch = call.batch
    host = batch.engine
    node_id = batch.node_id
    store = item_store(call)
    inner.set_params(host.prepare(call, inner, store, params))
    call.inner = inner
    call.entered = call.attempt
    return host.view(store, node_id) if batch.namespaced else store


def item_store(call: Call) -> dict[str, Any]:
    """The item's private copy of the shared store, ready for an attempt.

    What earlier attempts wrote besides the node's own outputs is still there.
    """
    batch = call.batch
    store = call.store
    if store is None:
        store = call.store = batch.engine.store(call)
    store["__warnings__"] = {}
    store[batch.node_id] = {}
    if batch.aliases:
        for name in batch.aliases:
            store[name] = call.item[name]
    else:
        store[batch.alias] = call.item
    store["__index__"] = call.index
    return store


def _outcome(call: Call, action: Any) -> Result:
    """What the call gave, now that its node has run."""
    assert call.store is not None
    outputs = call.store.get(call.batch.node_id)
    made = outputs if isinstance(outputs, dict) else {} if outputs is None else {"value": outputs}
    result = call.result = _complete(call, made)
    if error := result.get("error"):
        call.error = str(error)
    elif action is not None and action != "default" and isinstance(action, str) and action.startswith("error"):
        call.error = "Node returned error action"
    return result
